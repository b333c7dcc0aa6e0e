"""What every script shares: bad input ends in one clear line and a non-zero exit status."""

import argparse
import atexit
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from vidrep.splits import SplitFiles


def run(main: Callable[[], None]) -> None:
    """Run a script's ``main``, and leave if the script is all that Python was started for.

    Errors that the user can mend become one line on stderr and exit status 1. Anything else is a
    bug of ours and keeps its traceback.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    script = sys._getframe(1)
    if script.f_back is None:
        _leave()


def _leave() -> None:
    """End this process, having done its work, with status 0.

    What was registered with ``atexit`` runs and what was printed goes out; but Python does not
    take the imported modules apart, which after torch takes a quarter of a second.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def make_parser(description: str) -> argparse.ArgumentParser:
    """A parser for which ``@FILE`` stands for the arguments in FILE, one a line.

    For scripts that are given files of all runs: a command line has a limit, which a thousand paths
    come near. Rules write ``printf '%s\\n' {input} | python script.py @/dev/stdin``; ``printf`` is
    the shell's own, to which the limit does not apply.
    """
    return argparse.ArgumentParser(description=description, fromfile_prefix_chars="@")


def split_files(text: str) -> SplitFiles:
    """The type of an option that is given a split; see ``vidrep.splits.SplitFiles``."""
    try:
        return SplitFiles.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """The options ``--gpus`` and ``--threads`` of scripts that compute with torch.

    See ``vidrep.training.device.choose``.
    """
    parser.add_argument(
        "--gpus", type=int, default=0, help="CUDA devices granted to this job (default: 0, the CPU)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")


def key_value(text: str) -> tuple[str, object]:
    """The type of an option ``key=value`` with a JSON value or plain text."""
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def use_checkout(root: Path) -> None:
    """Let the jobs that this process starts use this interpreter and the library at ``root``.

    ``python`` in a shell command then means the interpreter that runs Snakemake, unless an
    environment that Snakemake activates comes first; and such an environment need not have the
    library installed. Scripts lie in ``$VIDREP_SCRIPTS``: a path among a rule's parameters would
    make all results stale when the checkout is moved.
    """
    os.environ["VIDREP_SCRIPTS"] = str(root / "scripts")
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("PYTHONPATH", root)


def _prepend(variable: str, folder: Path) -> None:
    """Put a folder in front of a list of folders in the environment."""
    before = os.environ.get(variable)
    folders = [str(folder), before] if before else [str(folder)]
    os.environ[variable] = os.pathsep.join(folders)
