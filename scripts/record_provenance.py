"""Record what is needed to repeat an experiment: configuration, precision, versions, checksums."""

import hashlib
import json
from pathlib import Path

from vidrep.command_line import make_parser, run
from vidrep.files import whole
from vidrep.provenance import provenance


def main() -> None:
    """Read the command line, collect, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--config", required=True, help="the configuration as JSON, complete with defaults"
    )
    parser.add_argument(
        "--tables", required=True, type=Path, nargs="+", help="the experiment's tables"
    )
    parser.add_argument(
        "--records", required=True, type=Path, nargs="+", help="run.json of all trained runs"
    )
    parser.add_argument("--output", required=True, help="the .json file to write")
    args = parser.parse_args()
    checksums = {
        table.name: hashlib.sha256(table.read_bytes()).hexdigest() for table in args.tables
    }
    runs = [json.loads(path.read_text()) for path in args.records]
    record = {
        "config": json.loads(args.config),
        "precision": sorted({run["precision"] for run in runs}),
        "sha256": checksums,
        **provenance(),
    }
    with whole(args.output) as path:
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
