"""Record everything that is needed to repeat an experiment: configuration, versions, commit, and
checksums of its tables.
"""

import argparse
import hashlib
import json
from pathlib import Path

from vidrep.command_line import run
from vidrep.files import whole
from vidrep.provenance import provenance


def main() -> None:
    """Read the command line, collect, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", required=True, help="the configuration as JSON, complete with defaults"
    )
    parser.add_argument(
        "--tables", required=True, type=Path, nargs="+", help="the experiment's tables"
    )
    parser.add_argument("--output", required=True, help="the .json file to write")
    args = parser.parse_args()
    checksums = {
        table.name: hashlib.sha256(table.read_bytes()).hexdigest() for table in args.tables
    }
    record = {"config": json.loads(args.config), "sha256": checksums, **provenance()}
    with whole(args.output) as path:
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
