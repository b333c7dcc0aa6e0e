"""Command line of the library: ``python -m vidrep systems [--json]`` lists the catalogue."""

import argparse
import json

from vidrep.command_line import run
from vidrep.experiment import catalogue, system


def list_systems(as_json: bool) -> None:
    """Print name, preset, family, objective, inputs and citation of every system."""
    systems = [system(name) for name in catalogue()]
    if as_json:
        print(
            json.dumps(
                [
                    {**item.definition(), "family": item.family, "preset": item.preset, "citation": item.citation}
                    for item in systems
                ],
                indent=1,
            )
        )
        return
    rows = [("name", "preset", "family", "objective", "inputs", "citation")]
    rows += [(s.name, s.preset, s.family, s.objective, "+".join(s.inputs), s.citation) for s in systems]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m vidrep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    systems = commands.add_parser("systems", help="list the catalogue")
    systems.add_argument("--json", action="store_true", help="as JSON, with parameters and recipes")
    args = parser.parse_args()
    list_systems(args.json)


run(main)
