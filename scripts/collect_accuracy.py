"""Collect the scores of all runs, with the floor of the commonest label set, into one table.

Column converged tells of trained runs whether training had stopped getting better, column flow of
systems that are fed flow which one.
"""

import pandas as pd

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.tables import collect, convergence, flows, majority_set


def main() -> None:
    """Read the command line, collect, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--parts",
        required=True,
        nargs="+",
        help="<evaluated on>/<trained on>--<system>--seed<seed>.csv of all runs",
    )
    parser.add_argument(
        "--train", required=True, nargs="+", help="training clips (.h5) of the evaluation sets"
    )
    parser.add_argument(
        "--test", required=True, nargs="+", help="their test clips (.h5), in the same order"
    )
    parser.add_argument(
        "--records", nargs="*", default=[], help="<trained on>/<system>/seed<seed>/run.json"
    )
    parser.add_argument("--output", required=True, help="the .csv table to write")
    args = parser.parse_args()
    floors = []
    for train, test in zip(args.train, args.test, strict=True):
        floors += majority_set(train, test)
    scores = pd.concat([collect(args.parts), pd.DataFrame(floors)], ignore_index=True)
    scores = scores.merge(convergence(args.records), "left", ["system", "trained_on", "seed"])
    write_table(scores.merge(flows(args.records), "left", "system"), args.output)


if __name__ == "__main__":
    run(main)
