"""The command line of ``scripts/plot.py``, made from what figures declare."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from vidrep.report.declaration import NEXT_FIGURE, Figure, Item


def figure_parser(description: str, figures: Sequence[Figure]) -> argparse.ArgumentParser:
    """A parser whose first argument is the name of a figure, with the options of that figure."""
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="figure", required=True, metavar="figure")
    for figure in figures:
        _add_options(commands.add_parser(figure.name, help=figure.title), figure)
    return parser


def _add_options(parser: argparse.ArgumentParser, figure: Figure) -> None:
    parser.description = f"{figure.title}, written as {' and '.join(figure.suffixes)}"
    if figure.per:
        what = "--".join(figure.per)
        parser.add_argument("--of", required=True, nargs="+", metavar=what.upper(), help="drawn of")
    for name, declared in figure.inputs.items():
        optional = callable(declared)  # a list, which may be empty
        parser.add_argument(
            f"--{name}",
            required=not optional,
            nargs="*" if optional else 1,
            default=[],
            metavar="FILE",
            help=f"read for all: {_described(declared)}",
        )
    for name, declared in figure.own_inputs.items():
        parser.add_argument(
            f"--{name}",
            required=True,
            nargs="+",
            metavar=f"{what.upper()}=FILE",
            help=f"read for one: {_described(declared)}",
        )
    for name, setting in figure.settings.items():
        parser.add_argument(
            f"--{name}", required=True, type=_setting, metavar="JSON", help=setting.__doc__
        )
    parser.add_argument("--output", required=True, type=Path, help="folder of all figures")


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[argparse.Namespace]:
    """The command line, figure by figure; ``@FILE`` stands for the lines of a file."""
    commands: list[list[str]] = [[]]
    for word in words:
        lines = Path(word[1:]).read_text().splitlines() if word.startswith("@") else [word]
        for line in lines:
            if line == NEXT_FIGURE:
                commands.append([])
            else:
                commands[-1].append(line)
    return [parser.parse_args(command) for command in commands]


def _described(declared: object) -> str:
    return declared if isinstance(declared, str) else " ".join(declared.__doc__.split())


def _setting(text: str) -> object:
    """JSON, or text as it is."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def items(figure: Figure, args: argparse.Namespace) -> list[Item]:
    """What files are drawn of."""
    if not figure.per:
        return [()]
    return [tuple(name.split("--")) for name in args.of]


def draw_options(figure: Figure, args: argparse.Namespace, item: Item) -> dict[str, object]:
    """The arguments of a figure's ``draw`` for one file, by keyword.

    Raises:
        ValueError: not as many files are given for ``item`` as are needed.
    """
    options: dict[str, object] = dict(zip(figure.per, item, strict=True))
    for name, declared in figure.inputs.items():
        paths = [Path(text) for text in getattr(args, name)]
        options[name] = paths if callable(declared) else paths[0]
    for name, declared in figure.own_inputs.items():
        start = f"{'--'.join(item)}="
        given = [text for text in getattr(args, name) if text.startswith(start)]
        paths = [Path(text.removeprefix(start)) for text in given]
        if not paths or (len(paths) > 1 and not callable(declared)):
            raise ValueError(f"--{name}: {len(paths)} files for {start[:-1]}, not {start}FILE once")
        options[name] = paths if callable(declared) else paths[0]
    for name in figure.settings:
        options[name] = getattr(args, name)
    return options
