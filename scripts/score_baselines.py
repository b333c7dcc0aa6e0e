"""Score trivial predictors on data sets, cut where the runs that generate their frames cut them."""

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
        nargs="+",
        type=Path,
        help="training clips (.h5) of each data set, of which the mean frames are taken",
    )
    parser.add_argument(
        "--test", required=True, nargs="+", type=Path, help="their test clips (.h5)"
    )
    add_device_options(parser)
    parser.add_argument(
        "--outputs", required=True, nargs="+", type=Path, help="the .csv file of each to write"
    )
    args = parser.parse_args()

    from vidrep.generation.scores import SCORE_COLUMNS, score_baselines
    from vidrep.training import device

    where = device.choose(args.gpus, "float32", args.threads)
    tables = [read_table(path, ("evaluated_on", "observed")) for path in args.runs]
    for train, test, output in zip(args.train, args.test, args.outputs, strict=True):
        dataset = test.parent.name
        found = score_baselines(train, test, cuts(tables, dataset), where)
        rows = []
        for name, scored in found.items():
            rows += [(name, dataset, dataset, UNTRAINED, *row) for row in scored]
        write_rows(output, (*KEYS, *SCORE_COLUMNS), rows)


def cuts(tables: list, dataset: str) -> list[int]:
    """After how many frames the runs cut the clips of a data set."""
    found = set()
    for table in tables:
        found |= set(table.loc[table["evaluated_on"] == dataset, "observed"])
    return sorted(map(int, found))


if __name__ == "__main__":
    run(main)
