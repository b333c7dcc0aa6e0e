"""Command line of the library: ``python -m vidrep systems [--json]`` lists the catalogue."""

import argparse
import json

from vidrep.command_line import run
from vidrep.experiment import catalogue


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m vidrep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    systems = commands.add_parser("systems", help="list the catalogue with parameters and multiply-adds per clip")
    systems.add_argument("names", nargs="*", metavar="NAME", help="systems to list (default: all)")
    systems.add_argument("--json", action="store_true", help="as JSON, with all parameters and recipes")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(catalogue())):
        raise ValueError(f"no system {', '.join(unknown)} in the catalogue; known: {', '.join(catalogue())}")

    from vidrep.listing import describe, table

    listed = [describe(name) for name in args.names or catalogue()]
    print(json.dumps(listed, indent=1) if args.json else table(listed))


run(main)
