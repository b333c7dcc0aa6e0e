"""Command line of the library: catalogue, measures, configuration, activations of files."""

import argparse
import json
import sys
from pathlib import Path

from vidrep.command_line import add_device_options, key_value, run, split_files
from vidrep.naming import nearest
from vidrep.systems import catalogue


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m vidrep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_systems(commands)
    commands.add_parser(
        "measures", help="list the measures of similarity, as Markdown"
    ).set_defaults(command=list_measures)
    commands.add_parser(
        "configuration", help="list all keys of a configuration, as Markdown"
    ).set_defaults(command=list_keys)
    checked = commands.add_parser("check", help="check a configuration without starting anything")
    checked.add_argument("file", help="a configuration or an overlay (.yaml)")
    checked.set_defaults(command=check_file)
    add_compare(commands)
    add_extract(commands)
    args = parser.parse_args()
    args.command(args)


def add_systems(commands) -> None:
    """The command that lists the catalogue."""
    systems = commands.add_parser(
        "systems", help="list the catalogue with parameters and multiply-adds per clip"
    )
    systems.add_argument("names", nargs="*", metavar="NAME", help="systems to list (default: all)")
    systems.add_argument(
        "--json", action="store_true", help="as JSON, with all parameters and recipes"
    )
    systems.set_defaults(command=list_systems)


def add_compare(commands) -> None:
    """The command that compares representations."""
    compare = commands.add_parser(
        "compare", help="compare representations of the same clips, from files of arrays"
    )
    compare.epilog = (
        "Files: .npy, .npz, .h5, .hdf5, .zarr, .zarr.zip, .pt, .pth, .safetensors. An array ids"
        " in a file names the rows; an array groups the clips that rows belong to, if several are"
        " of one clip."
    )
    compare.add_argument(
        "files",
        nargs="+",
        metavar="[NAME=]FILE[:ARRAY]",
        help="clips in rows, the same ones in the same order; one array of a file; a name for it",
    )
    add_measure_options(compare)
    add_machine_options(compare)
    compare.add_argument(
        "--difference",
        nargs=3,
        action="append",
        default=[],
        metavar=("A", "B", "C"),
        help=(
            "instead of all pairs: is A more like B than like C? names as in the table of all"
            " pairs; may be repeated"
        ),
    )
    compare.add_argument("--output", help="CSV file to write as well")
    compare.set_defaults(command=compare_files)


def add_measure_options(compare: argparse.ArgumentParser) -> None:
    """What is computed."""
    compare.add_argument(
        "--measure",
        default="cka_linear_debiased",
        help="name of the measure (default: cka_linear_debiased)",
    )
    compare.add_argument(
        "--option",
        type=key_value,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the measure",
    )
    compare.add_argument(
        "--intervals", action="store_true", help="95 %% jackknife intervals over clips"
    )
    compare.add_argument(
        "--permutations",
        type=int,
        default=0,
        help="fewest re-pairings of clips for p values (default: 0)",
    )
    compare.add_argument("--seed", type=int, default=0, help="of random re-pairings (default: 0)")


def add_machine_options(compare: argparse.ArgumentParser) -> None:
    """Where it is computed, and in how much memory."""
    compare.add_argument(
        "--device",
        default="cpu",
        choices=("cpu", "cuda", "auto"),
        help="of large products; auto: a GPU if any (default: cpu)",
    )
    compare.add_argument(
        "--memory-mb",
        type=float,
        default=2048,
        help="for arrays that pairs are computed from (default: 2048)",
    )


def add_extract(commands) -> None:
    """The command that extracts the activations of anybody's network."""
    extract = commands.add_parser(
        "extract", help="extract the activations of a network of your own on clips of the pipeline"
    )
    extract.add_argument(
        "--model",
        required=True,
        help="file.py:Name or module:Name (a class, a function, a network), or a name of ours",
    )
    extract.add_argument(
        "--param",
        type=key_value,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of its constructor; may be repeated",
    )
    extract.add_argument("--weights", type=Path, help="file of a state dict to load")
    extract.add_argument(
        "--clips",
        required=True,
        type=split_files,
        help="CLIPS.h5[,flow=STORE.zarr][,flow_backward=STORE.zarr]",
    )
    extract.add_argument("--rows", type=int, help="only the first so many clips")
    extract.add_argument(
        "--layers", default="", help="names of submodules, from input to embedding: a,b,c"
    )
    extract.add_argument(
        "--pooling",
        default="none",
        help="none, space_mean, or a grid T,H,W as in a configuration (default: none)",
    )
    extract.add_argument("--dtype", default="float32", choices=["float16", "float32"])
    add_device_options(extract)
    extract.add_argument("--output", required=True, help="the .zarr folder or .zarr.zip to write")
    extract.set_defaults(command=extract_activations)


def list_systems(args: argparse.Namespace) -> None:
    """Print the catalogue."""
    for name in args.names:
        if name not in catalogue():
            meant = nearest(name, catalogue(), "leave names out to list all")
            raise ValueError(f"no system {name!r} in the catalogue; {meant}")

    from vidrep.listing import describe, table

    listed = [describe(name) for name in args.names or catalogue()]
    print(json.dumps(listed, indent=1) if args.json else table(listed))


def list_measures(args: argparse.Namespace) -> None:
    """Print the measures."""
    from vidrep.measures import markdown

    print(markdown())


def list_keys(args: argparse.Namespace) -> None:
    """Print the reference of all keys."""
    from vidrep.config.reference import markdown

    print(markdown(), end="")


def check_file(args: argparse.Namespace) -> None:
    """Say what an experiment consists of, or what is wrong with its configuration."""
    from vidrep.config import check, complete, read_yaml
    from vidrep.models import MODELS

    experiment = check(complete(read_yaml(args.file)))
    if any(system.weights or system.model not in MODELS for system in experiment.systems.values()):
        from vidrep.own_models import check_networks

        check_networks(experiment)
    print(
        f"{args.file}: {len(experiment.trained_runs())} trained runs of"
        f" {len(experiment.systems)} systems on {', '.join(experiment.datasets)}"
    )
    for line in experiment.notes():
        print(line)


def compare_files(args: argparse.Namespace) -> None:
    """Print, and write, the table of all pairs or of differences."""
    from vidrep.similarity.machine import using
    from vidrep.similarity.sources import groups_of, open_sources

    sources = open_sources(args.files)
    groups = groups_of(sources)
    with using(args.memory_mb, args.device):
        kernels = {source.name: source for source in sources}
        show = table_of_differences if args.difference else table_of_pairs
        print(show(kernels, args, groups))
    n = sources[0].n
    what = f"{n} clips" if groups is None else f"{n} rows in {len(set(groups.tolist()))} groups"
    print(f"{args.measure} of {what}", file=sys.stderr)


def extract_activations(args: argparse.Namespace) -> None:
    """Write the activations of a network; say how many."""
    from vidrep.activations.any_model import extract_model
    from vidrep.activations.pooling import parse_policy
    from vidrep.training import device

    extract_model(
        args.model,
        args.clips,
        args.output,
        layers=[name for name in args.layers.split(",") if name],
        params=dict(args.param),
        weights=args.weights,
        rows=args.rows,
        policy=parse_policy(args.pooling.split(",")),
        dtype=args.dtype,
        device=device.choose(args.gpus, "float32", args.threads),
    )
    print(f"{args.output}: activations of {args.model}", file=sys.stderr)


def table_of_pairs(kernels: dict, args: argparse.Namespace, groups) -> str:
    """All pairs, for reading; written to ``--output``."""
    from vidrep.similarity import all_pairs
    from vidrep.similarity.table import table, write_pairs

    result = all_pairs(
        kernels,
        args.measure,
        intervals=args.intervals,
        permutations=args.permutations,
        groups=groups,
        seed=args.seed,
        memory_mb=args.memory_mb,
        device=args.device,
        **dict(args.option),
    )
    if args.output:
        write_pairs(args.output, result, list(kernels))
    return table(result, list(kernels))


def table_of_differences(kernels: dict, args: argparse.Namespace, groups) -> str:
    """The differences asked for, for reading; written to ``--output``."""
    from vidrep.similarity.difference import differences, rows, table, write_differences

    asked = {name for triple in args.difference for name in triple}
    unknown = sorted(asked - set(kernels))
    if unknown:
        raise ValueError(
            f"--difference: no representation {', '.join(unknown)}; the files hold"
            f" {', '.join(kernels)}"
        )
    place = {name: k for k, name in enumerate(kernels)}
    cells = []
    for names in args.difference:
        a, b, c = (place[name] for name in names)
        cells.append(((a, b), (a, c)))
    found = differences(
        kernels, cells, args.measure, groups=groups, seed=args.seed, **dict(args.option)
    )
    lines = rows(found, args.difference)
    if args.output:
        write_differences(args.output, lines)
    return table(lines)


run(main)
