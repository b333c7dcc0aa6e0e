"""Claims about capsules with dynamic routing (Sabour et al., arXiv 1710.09829)."""

import numpy as np
import torch

from studies.fidelity.claim import Claim, Finding, Verdict
from studies.results import Results
from vidrep.datasets.bouncing import compose
from vidrep.datasets.store import open_clips
from vidrep.statistics import wilson_interval

SYSTEM = "capsules_narrow"
DATASET = "digits_only_slow"


def _both_long(results: Results) -> Finding:
    score = results.score(SYSTEM, DATASET, metric="present_above_half")
    low, high = score.interval
    text = f"{100 * score.value:.1f} % of {score.n} test clips [{100 * low:.1f}, {100 * high:.1f}]"
    return Finding(text, more_than_half(low, high))


def more_than_half(low: float, high: float) -> Verdict:
    """What the interval of a share says to the claim that it is above one half."""
    if low > 0.5:
        return Verdict.HOLDS
    return Verdict.FAILS if high < 0.5 else Verdict.UNDECIDED


def digits_alone(patches: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """Every digit of a frame on a canvas of its own.

    Args:
        patches: (n, k, p, p) uint8.
        corners: (n, k, 2) top and left in pixels.
        size: side of the canvas.

    Returns:
        (n, k, size, size) uint8.
    """
    alone = []
    for k in range(patches.shape[1]):
        clips = compose(patches[:, [k]], corners[:, None, [k]], size)  # of one frame
        alone.append(clips[:, 0])
    return np.stack(alone, axis=1)


def correlations(decoded: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson correlation of every reconstruction with every digit of its clip.

    (n, k, H, W) twice -> (n, k, k).
    """
    decoded = _centred(decoded)
    true = _centred(true)
    decoded_norm = np.linalg.norm(decoded, axis=-1)
    true_norm = np.linalg.norm(true, axis=-1)
    scale = decoded_norm[:, :, None] * true_norm[:, None]
    return decoded @ true.swapaxes(1, 2) / np.maximum(scale, 1e-12)


def _centred(images: np.ndarray) -> np.ndarray:
    """Flat images of mean 0: (n, k, H, W) -> (n, k, H * W)."""
    flat = images.reshape(*images.shape[:2], -1).astype(np.float64)
    return flat - flat.mean(-1, keepdims=True)


@torch.no_grad()
def _decoded_apart(results: Results) -> Finding:
    objective = results.load(DATASET, SYSTEM)
    split = results.split(DATASET)
    middle = split.clips.shape[1] // 2
    with open_clips(results.clips_file(DATASET, "test")) as file:
        digits = file.factors["digit"]
        overlap = file.factors["overlap"][:, middle]
        patches = file.extras["patches"][:]
        corners = file.extras["corners"][:, middle]
    alone = digits_alone(patches, corners, split.clips.shape[-1])
    chosen = np.flatnonzero(overlap & (digits[:, 0] != digits[:, 1]))
    batch = {
        "clip": split.clips[chosen].float().div(255)[:, None],
        "labels": split.labels[chosen].float(),
    }
    images = objective.reconstruct(batch)[:, :, 0].numpy()  # (n, classes, H, W)
    rows = np.arange(len(chosen))[:, None]
    decoded = images[rows, digits[chosen]]  # (n, 2, H, W), in the order of the digits
    found = correlations(decoded, alone[chosen])
    own = np.diagonal(found, axis1=1, axis2=2)
    other = found[:, [0, 1], [1, 0]]
    share = float((own > other).mean())
    low, high = wilson_interval(share, own.size)
    return Finding(
        f"closer to its own digit in {100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of"
        f" {own.size} reconstructions; mean correlation {own.mean():.2f} with its own,"
        f" {other.mean():.2f} with the other digit",
        more_than_half(low, high),
    )


CLAIMS = [
    Claim(
        "capsules",
        "Both digits of a clip have class capsules longer than 0.5 in most test clips",
        expected="more than half of the test clips",
        how=(
            f"share of test clips of {DATASET} whose present classes all have capsules longer than"
            " 0.5; 95 % interval above 50 %"
        ),
        measure=_both_long,
    ),
    Claim(
        "capsules",
        "Decoding each capsule alone reproduces one digit of an overlapping pair",
        expected="a reconstruction is more like its own digit than like the other",
        how=(
            f"test clips of {DATASET} whose two different digits overlap in the middle frame: each"
            " reconstruction is correlated with both digits rendered alone; share in which its own"
            " wins, 95 % interval above 50 %. The decoder has only ever seen both together"
        ),
        measure=_decoded_apart,
    ),
]
