"""Claims about two-stream networks (Simonyan & Zisserman, NIPS 2014, arXiv 1406.2199)."""

from functools import partial

import numpy as np
import torch

from studies.fidelity.claim import (
    LEAST,
    Claim,
    Finding,
    all_hold,
    at_least,
    at_most,
    decided,
    greater,
    within,
)
from studies.fidelity.moved_clips import mirrored, pan
from studies.results import Results, cpu_batches
from studies.scores import Score
from vidrep.flow.exact import exact_flow
from vidrep.models.flow_stacks import FlowStacks
from vidrep.training.split import Split

SOURCE = "two_stream"
BOTH = "digits_and_velocity"
MOTION = "velocity_only"
SHAPE = "digits_only"
TWO = "two_stream_exact_narrow"
TEMPORAL = "temporal_exact_narrow"
NO_MEAN = "temporal_no_mean_exact_narrow"
STREAM_METRICS = {
    "spatial": "exact_set_spatial",
    "temporal": "exact_set_temporal",
    "average": "exact_set",
    "svm": "exact_set_svm",
}


def streams(results: Results, dataset: str) -> dict[str, Score]:
    """Exact-set accuracy of each stream and of both fusions on a data set."""
    return {
        name: results.score(TWO, dataset, metric=metric) for name, metric in STREAM_METRICS.items()
    }


# --- What each stream sees, and fusion. ---


def _motion(results: Results) -> Finding:
    scores = streams(results, MOTION)
    return all_hold(
        [
            greater(scores["temporal"], scores["spatial"]),
            at_most(scores["spatial"], results.majority(MOTION)),
            at_least(scores["svm"], scores["temporal"]),
        ]
    )


@torch.no_grad()
def strongest_class(results: Results, system: str) -> Score:
    """Do test clips of ``digits_only`` show the class that a system finds the likeliest?"""
    split = results.split(SHAPE, system=system)

    def hits(objective) -> np.ndarray:
        found = []
        for batch in cpu_batches(split):
            scores = objective.probabilities(objective.logits(batch))[""]
            present = scores.unflatten(-1, (-1, 2))[..., 1]  # (B, classes), of the pairs (off, on)
            likeliest = present.argmax(-1)
            found.append(batch["labels"][torch.arange(len(likeliest)), likeliest])
        return torch.cat(found).numpy()

    name = f"likeliest class of {system} present"
    return results.scored_again(system, SHAPE, hits, name)


def commonest_class(results: Results) -> Score:
    """Do test clips of ``digits_only`` show the class commonest in training?"""
    commonest = results.labels(SHAPE, "train").sum(0).argmax()
    shown = results.labels(SHAPE, "test")[:, commonest]
    return results.constant(shown, "commonest class present", SHAPE)


def _shape_leaks(results: Results) -> Finding:
    exact = strongest_class(results, "temporal_l1_exact_narrow")
    box = strongest_class(results, "temporal_l1_box_narrow")
    chance = commonest_class(results)
    spatial = results.score(TWO, SHAPE, metric="exact_set_spatial")
    return all_hold(
        [
            greater(spatial, results.majority(SHAPE)),
            greater(exact, chance),
            greater(exact, box),
            at_most(box, chance),
        ]
    )


def _fusion(results: Results) -> Finding:
    scores = streams(results, BOTH)
    return all_hold(
        [
            at_least(scores["svm"], scores["spatial"]),
            at_least(scores["svm"], scores["temporal"]),
        ]
    )


def _svm(results: Results) -> Finding:
    both = streams(results, BOTH)
    shape = streams(results, SHAPE)
    motion = streams(results, MOTION)
    return all_hold(
        [
            at_least(both["svm"], both["average"]),
            greater(shape["svm"], shape["average"]),
            greater(motion["svm"], motion["average"]),
        ]
    )


# --- Stacks of flow. ---


def _length(results: Results) -> Finding:
    ten = results.score(TEMPORAL, MOTION)
    five = results.score("temporal_l5_exact_narrow", MOTION)
    one = results.score("temporal_l1_exact_narrow", MOTION)
    return all_hold([greater(ten, five), greater(five, one)])


def _trajectory(results: Results) -> Finding:
    trajectories = results.score("temporal_trajectory_exact_narrow", MOTION)
    return within(trajectories, results.score(TEMPORAL, MOTION))


def _constant_motion(results: Results) -> Finding:
    """A bright square that moves by whole pixels and bounces at both walls."""
    side = 4
    size = 20
    length = 8
    left = [0, 4, 8, 12, 16, 12, 8, 4, 0]
    top = [10, 12, 14, 16, 14, 12, 10, 8, 6]
    corners = np.stack([top, left], -1)[None, :, None]  # (1, T, 1, 2)
    square = np.full((1, 1, side, side), 255, np.uint8)
    flow = torch.from_numpy(exact_flow(square, corners, size)).float()
    flow = flow.transpose(1, 2)  # (1, 2, T-1, H, W)

    stacks = FlowStacks(length + 1, length, trajectory=True, subtract_mean=False)
    stack = stacks(torch.zeros(1, 1, dtype=torch.long), flow)
    rows = slice(top[0], top[0] + side)
    columns = slice(left[0], left[0] + side)
    seen = stack[0, :, 0, rows, columns].unflatten(0, (length, 2))  # (L, 2, side, side)

    changes = (seen[1:] != seen[:-1]).any(1).flatten(1)  # (L-1, pixels)
    turns = np.diff(corners[0, :, 0], 2, axis=0)
    bounce = (turns != 0).any(1)  # (L-1,): does the motion itself change?
    right = (changes.numpy() == bounce[:, None]).mean()
    return decided(
        f"{100 * right:.0f} % of all steps of {side**2} trajectories change where the motion does",
        bool(right == 1),
    )


# --- Camera motion. ---


def _pan(results: Results) -> Finding:
    rolled = {}
    panned = {}
    for name in (TEMPORAL, NO_MEAN):
        split = results.split(MOTION, system=name)
        still = pan(split, camera=False)
        rolled[name] = results.rescored(name, MOTION, still, f"{name} rolled")
        panned[name] = results.rescored(name, MOTION, pan(split), f"{name} under a pan")
    return all_hold(
        [
            greater(rolled[NO_MEAN], panned[NO_MEAN]),
            within(panned[TEMPORAL], rolled[TEMPORAL]),
        ]
    )


def _no_pan(results: Results) -> Finding:
    return within(results.score(NO_MEAN, MOTION), results.score(TEMPORAL, MOTION))


# --- Two tasks, and mirrored clips. ---


def _multi_task(results: Results) -> Finding:
    two_tasks = results.score("temporal_multi_task_exact_narrow", MOTION)
    return greater(two_tasks, results.score("temporal_single_task_exact_narrow", MOTION))


@torch.no_grad()
def class_shares(objective, split: Split) -> torch.Tensor:
    """How often a run predicts each class, (classes,)."""
    predicted = []
    for batch in cpu_batches(split):
        probabilities = objective.probabilities(objective.logits(batch))[""]
        predicted.append(objective.predict(probabilities))
    return torch.cat(predicted).float().mean(0)


def _flip_classes(results: Results) -> Finding:
    objective = results.load(MOTION, TEMPORAL)
    plain = results.split(MOTION, system=TEMPORAL)
    flipped = mirrored(plain, sign=True)
    before = class_shares(objective, plain)
    after = class_shares(objective, flipped)
    change = float((after - before).abs().max())
    moved = decided(
        f"no class is predicted more than {100 * change:.1f} points more or less often",
        change <= LEAST,
    )
    as_it_is = results.score(TEMPORAL, MOTION)
    in_a_mirror = results.rescored(TEMPORAL, MOTION, flipped, f"{TEMPORAL}, mirrored")
    return all_hold([within(in_a_mirror, as_it_is), moved])


@torch.no_grad()
def motion_features(objective, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """What conv2 makes of each clip's first stack, and how that clip moves.

    Returns:
        Features averaged over places (n, C), and the sum of horizontal motion in the first field
        (n,), in pixels.
    """
    model = objective.model
    features = []
    motion = []
    for batch in cpu_batches(split):
        flow = batch["flow"]
        first = torch.zeros(len(flow), 1, dtype=torch.long)
        maps = model.conv2(model.conv1(model.stacks(first, flow)))
        features.append(maps.mean((2, 3, 4)))
        motion.append(flow[:, 0, 0].sum((1, 2)))
    return torch.cat(features).double().numpy(), torch.cat(motion).double().numpy()


def explained(motion: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the variance of ``motion`` that a prediction explains; negative if none helps."""
    return float(1 - ((motion - predicted) ** 2).mean() / motion.var())


def _flip_direction(results: Results) -> Finding:
    objective = results.load(MOTION, TEMPORAL)
    fit = results.split(MOTION, "train", system=TEMPORAL, count=1000)
    features, motion = motion_features(objective, fit)
    centre = features.mean(0)
    middle = motion.mean()
    spread = features - centre
    gram = spread.T @ spread
    ridge = 0.01 * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram + ridge, spread.T @ (motion - middle))

    test = results.split(MOTION, system=TEMPORAL)
    _, truth = motion_features(objective, test)
    versions = {
        "as they are": (test, truth),
        "mirrored": (mirrored(test, sign=True), -truth),
        "mirrored without the sign": (mirrored(test, sign=False), -truth),
    }
    shares = {}
    for name, (split, wanted) in versions.items():
        seen, _ = motion_features(objective, split)
        shares[name] = explained(wanted, (seen - centre) @ weights + middle)
    plain, turned, broken = shares.values()
    holds = plain > 0 and turned > 0.75 * plain and broken < 0
    text = "; ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return decided(f"variance of horizontal motion explained on test clips: {text}", holds)


claim = partial(Claim, SOURCE)

CLAIMS = [
    claim(
        "Without appearance, only the temporal stream knows the class",
        expected=(
            "velocity_only: temporal above spatial, spatial near the commonest label set, SVM"
            " fusion not below temporal"
        ),
        how=f"streams of {TWO}; 'near': at most 5 points above",
        measure=_motion,
    ),
    claim(
        "Exact flow leaks the shape of digits, box flow does not",
        expected=(
            "digits_only: spatial stream above the commonest label set; temporal stream above"
            " chance on exact flow, and near chance where every digit has the same square support"
        ),
        how=(
            "temporal_l1_exact_narrow and temporal_l1_box_narrow: is the likeliest class present?"
            " Stacks of one field show shapes best, and whole label sets are beyond them"
        ),
        measure=_shape_leaks,
    ),
    claim(
        "Fusion is at least as good as the better stream",
        expected="digits_and_velocity: SVM fusion not below the spatial and the temporal stream",
        how=f"streams of {TWO}; averaging is judged in the next claim",
        measure=_fusion,
    ),
    claim(
        "SVM fusion is at least as good as averaging, and better when one stream is at chance",
        expected="not below on digits_and_velocity, above on digits_only and on velocity_only",
        how=f"{TWO}; the SVM is fitted on validation scores",
        measure=_svm,
    ),
    claim(
        "Longer stacks read speed better",
        expected="velocity_only: L = 10 above L = 5 above L = 1",
        how="temporal_exact_narrow, temporal_l5_exact_narrow, temporal_l1_exact_narrow",
        measure=_length,
    ),
    claim(
        "Stacking and trajectory stacking are about as good",
        expected="within 5 points on velocity_only",
        how="temporal_trajectory_exact_narrow and temporal_exact_narrow",
        measure=_trajectory,
        mended="an interval that reached within 5 points passed, however wide it was",
    ),
    claim(
        "A trajectory stack of constant motion is constant except at bounces",
        expected="all trajectories change at the bounces and nowhere else",
        how="exact flow of a square that moves by whole pixels and bounces twice",
        measure=_constant_motion,
    ),
    claim(
        "Subtracting the mean flow recovers what a camera pan costs",
        expected=(
            "the motion of the camera lowers the network without subtraction, and leaves the one"
            " with it where it was, within 5 points"
        ),
        how=(
            "temporal_no_mean_exact_narrow and temporal_exact_narrow, trained without pan, on test"
            " clips of a camera that swings by a pixel each frame, against the same clips rolled"
            " likewise with the camera's motion left out of the flow"
        ),
        measure=_pan,
        mended=(
            "a pan was compared with still clips; mean subtraction removes the camera's motion"
            " completely, and what was left was the cost of rolling clips round the border"
        ),
    ),
    claim(
        "Without camera motion, mean subtraction changes little",
        expected="within 5 points on velocity_only",
        how="temporal_no_mean_exact_narrow and temporal_exact_narrow",
        measure=_no_pan,
        mended="an interval that reached within 2 points passed, however wide it was",
    ),
    claim(
        "A second task helps the head with few videos",
        expected=(
            "velocity_only, labels on a tenth of the training clips: above the control without the"
            " second task"
        ),
        how=(
            "temporal_multi_task_exact_narrow (speed classes on the other nine tenths) and"
            " temporal_single_task_exact_narrow"
        ),
        measure=_multi_task,
    ),
    claim(
        "Mirrored clips with the sign of horizontal flow turned keep their classes",
        expected="accuracy and the share of every predicted class within 5 points",
        how="temporal_exact_narrow on mirrored test clips of velocity_only",
        measure=_flip_classes,
    ),
    claim(
        "Mirroring without turning the sign breaks the direction of motion",
        expected=(
            "a linear probe for horizontal motion holds on mirrored clips, and is worse than"
            " nothing where the sign stays"
        ),
        how=(
            "ridge regression on the second convolution of temporal_exact_narrow (its embedding no"
            " longer tells direction), fitted on training clips of velocity_only; to hold means to"
            " explain at least three quarters as much"
        ),
        measure=_flip_direction,
    ),
]
