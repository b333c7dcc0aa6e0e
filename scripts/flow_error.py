"""Tabulate the end-point error of estimated flows against the truth, on moving pixels.

Method zero is no flow at all: an estimate that is not below it is worth nothing.
"""

import csv

import numpy as np

from vidrep.command_line import make_parser, run
from vidrep.files import whole
from vidrep.flow.error import summarise_error
from vidrep.flow.store import blocks, open_flow

FLOW_ERROR_COLUMNS = ("dataset", "split", "method", "epe_px", "epe_px_median", "moving_pixels")


def error_row(truth_path: str, estimate_path: str) -> dict:
    """The row of the table for one estimate."""
    truth = open_flow(truth_path)
    estimate = open_flow(estimate_path)
    if truth.flow.shape != estimate.flow.shape:
        shapes = f"{estimate.flow.shape} and {truth.flow.shape}"
        raise ValueError(f"{estimate_path} and {truth_path} have different shapes, {shapes}")
    count = truth.flow.shape[0]
    pairs = ((truth.flow[block], estimate.flow[block]) for block in blocks(count))
    source = {key: estimate.attrs[key] for key in ("dataset", "split", "method")}
    return source | summarise_error(pairs)


def zero_row(truth_path: str) -> dict:
    """The row of the table for no flow."""
    truth = open_flow(truth_path)
    count = truth.flow.shape[0]
    fields = (truth.flow[block] for block in blocks(count))
    pairs = ((field, np.zeros_like(field)) for field in fields)
    source = {key: truth.attrs[key] for key in ("dataset", "split")}
    return {**source, "method": "zero", **summarise_error(pairs)}


def main() -> None:
    """Read the command line, compare, write a row per estimate, then one per truth."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--truth", required=True, nargs="+", help="stores of true flow, one for each estimate"
    )
    parser.add_argument(
        "--estimate", required=True, nargs="+", help="stores of estimated flow, in the same order"
    )
    parser.add_argument("--output", required=True, help="the .csv table to write")
    args = parser.parse_args()
    if len(args.truth) != len(args.estimate):
        raise ValueError(
            f"{len(args.truth)} true flows for {len(args.estimate)} estimates: give one truth for"
            " each"
        )
    with whole(args.output) as beside, open(beside, "w", newline="") as file:
        table = csv.DictWriter(file, FLOW_ERROR_COLUMNS, lineterminator="\n")
        table.writeheader()
        for truth, estimate in zip(args.truth, args.estimate, strict=True):
            table.writerow(error_row(truth, estimate))
        for truth in dict.fromkeys(args.truth):
            table.writerow(zero_row(truth))


if __name__ == "__main__":
    run(main)
