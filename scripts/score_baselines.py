"""Score trivial predictors on a data set, cut where the runs that generate its frames cut it."""

from pathlib import Path

from vidrep.command_line import add_device_options, make_parser, run
from vidrep.result_tables import KEYS, read_table, write_rows
from vidrep.runs import UNTRAINED


def main() -> None:
    """Read the command line, score, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--runs",
        required=True,
        nargs="+",
        help="scores of runs (generation/<data set>/<system>/seed<seed>.csv)",
    )
    parser.add_argument(
        "--train",
        required=True,
        type=Path,
        help="training clips (.h5), of which the mean frames are taken",
    )
    parser.add_argument("--test", required=True, type=Path, help="test clips (.h5)")
    add_device_options(parser)
    parser.add_argument("--output", required=True, type=Path, help="the .csv file to write")
    args = parser.parse_args()

    from vidrep.generation.scores import SCORE_COLUMNS, score_baselines
    from vidrep.training import device

    dataset = args.test.parent.name
    tables = [read_table(path, ("evaluated_on", "observed")) for path in args.runs]
    observed = sorted(
        {
            int(n)
            for table in tables
            for n in table.loc[table["evaluated_on"] == dataset, "observed"]
        }
    )
    found = score_baselines(
        args.train, args.test, observed, device.choose(args.gpus, "float32", args.threads)
    )
    rows = [
        (name, dataset, dataset, UNTRAINED, *row) for name, rows in found.items() for row in rows
    ]
    write_rows(args.output, (*KEYS, *SCORE_COLUMNS), rows)


if __name__ == "__main__":
    run(main)
