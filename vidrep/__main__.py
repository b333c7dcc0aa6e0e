"""Command line of the library: list the catalogue, compare representations from anybody's files."""

import argparse
import json
import sys

from vidrep.command_line import key_value, run
from vidrep.experiment import catalogue


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m vidrep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_systems(commands)
    add_compare(commands)
    args = parser.parse_args()
    args.command(args)


def add_systems(commands) -> None:
    systems = commands.add_parser("systems", help="list the catalogue with parameters and multiply-adds per clip")
    systems.add_argument("names", nargs="*", metavar="NAME", help="systems to list (default: all)")
    systems.add_argument("--json", action="store_true", help="as JSON, with all parameters and recipes")
    systems.set_defaults(command=list_systems)


def add_compare(commands) -> None:
    compare = commands.add_parser("compare", help="compare representations of the same clips: NumPy, HDF5 or Zarr files")
    compare.add_argument("files", nargs="+", metavar="FILE[:ARRAY]", help="clips in rows, the same ones in the same order")
    compare.add_argument("--measure", default="cka_linear_debiased", help="name of the measure (default: cka_linear_debiased)")
    compare.add_argument("--option", type=key_value, action="append", default=[], metavar="KEY=VALUE", help="of the measure")
    compare.add_argument("--intervals", action="store_true", help="95 %% jackknife intervals over clips")
    compare.add_argument("--permutations", type=int, default=0, help="fewest re-pairings of clips for p values (default: 0)")
    compare.add_argument("--seed", type=int, default=0, help="of random re-pairings (default: 0)")
    compare.add_argument("--output", help="CSV file to write as well")
    compare.set_defaults(command=compare_files)


def list_systems(args: argparse.Namespace) -> None:
    """Print the catalogue."""
    if unknown := sorted(set(args.names) - set(catalogue())):
        raise ValueError(f"no system {', '.join(unknown)} in the catalogue; known: {', '.join(catalogue())}")

    from vidrep.listing import describe, table

    listed = [describe(name) for name in args.names or catalogue()]
    print(json.dumps(listed, indent=1) if args.json else table(listed))


def compare_files(args: argparse.Namespace) -> None:
    """Print, and write, the table of all pairs."""
    from vidrep.similarity import all_pairs
    from vidrep.similarity.sources import open_sources
    from vidrep.similarity.table import table, write_table

    sources = open_sources(args.files)
    kernels = {source.name: source.summarise() for source in sources}
    how = {"intervals": args.intervals, "permutations": args.permutations, "seed": args.seed, **dict(args.option)}
    result = all_pairs(kernels, args.measure, **how)
    if args.output:
        write_table(args.output, result, list(kernels))
    print(table(result, list(kernels)))
    print(f"{args.measure} of {result.n.max()} clips", file=sys.stderr)


run(main)
