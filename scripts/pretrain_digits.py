"""Train a CNN on the experiment's still digits, for systems whose weights are "still_digits"."""

import argparse
import io
import json
from pathlib import Path

from vidrep.command_line import run
from vidrep.files import whole


def main() -> None:
    """Read the command line, train, write weights and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", required=True, help="the experiment's digits (.npz)")
    parser.add_argument(
        "--canvas", required=True, type=int, help="side of the experiment's frames in pixels"
    )
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--weights", required=True, type=Path, help="the .pt file to write")
    parser.add_argument(
        "--record", required=True, type=Path, help="the .json file to write: accuracies, digits"
    )
    args = parser.parse_args()

    import torch

    from vidrep.digits.source import read_digits
    from vidrep.training.device import choose
    from vidrep.training.still_digits import train_on_digits

    digits = read_digits(args.digits)
    state, record = train_on_digits(
        digits, canvas=args.canvas, seed=args.seed, device=choose(0, threads=args.threads)
    )
    # torch puts a file's name into its bytes; from memory they depend on the weights alone
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with whole(args.weights) as path:
        path.write_bytes(buffer.getvalue())
    record |= {
        "digits": digits.name,
        "digits_sha256": digits.sha256,
        "patch_px": digits.patch,
        "size_px": args.canvas,
    }
    with whole(args.record) as path:
        path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{digits.name}: {100 * record['test_accuracy']:.1f} % of the test digits right")


if __name__ == "__main__":
    run(main)
