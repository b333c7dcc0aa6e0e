"""Draw the shares of the distances between systems that their properties and their training data
explain.
"""

from vidrep.command_line import run
from vidrep.report.drawing import add_verdicts_option, figure_parser
from vidrep.report.shares import shares_figure
from vidrep.report.style import save
from vidrep.result_tables import read_table
from vidrep.similarity.verdicts import read_verdicts
from vidrep.similarity_analysis.collect import KEYS
from vidrep.similarity_analysis.shares import SHARE_COLUMNS


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "output")
    parser.add_argument(
        "--shares", required=True, help="table of variance shares (variance_shares.csv)"
    )
    add_verdicts_option(parser)
    args = parser.parse_args()
    shares = read_table(args.shares, (*KEYS, *SHARE_COLUMNS))
    save(shares_figure(shares, read_verdicts(args.verdicts)), args.output)


if __name__ == "__main__":
    run(main)
