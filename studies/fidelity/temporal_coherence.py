"""Claims about temporal coherence (Mobahi, Collobert & Weston, ICML 2009): video without labels
helps where labels are few.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from sklearn.linear_model import Ridge

from studies.fidelity.claim import (
    Claim,
    Finding,
    Results,
    Score,
    all_hold,
    at_least,
    difference,
    greater,
)
from vidrep.datasets.store import open_clips
from vidrep.objectives.build import build
from vidrep.objectives.temporal_coherence import apart, l1
from vidrep.random_streams import stream_seed
from vidrep.runs import UNTRAINED
from vidrep.training.device import choose
from vidrep.training.loop import evaluate, train_one_epoch
from vidrep.training.optimisers import make_optimiser, make_schedule
from vidrep.training.order import epoch_order, labelled_rows
from vidrep.training.progress import Progress
from vidrep.training.split import Split

SOURCE = "temporal_coherence"
SINGLE = "one_digit"
SQUARES = "velocity_only"
FAST = "digits_only"
SLOW = "digits_only_slow"
COHERENT = "temporal_coherence_narrow"  # 100 labelled clips
ALONE = "lenet_narrow"
ONE_FRAME = "temporal_coherence_one_frame_narrow"
NO_NEGATIVES = "temporal_coherence_no_negatives_narrow"
# what follows the names of the same systems with other numbers of labels
FEW = "labelled10"
MANY = "labelled1000"
METRIC = "best_class"
STEPS = 1000  # of the trainings inside a claim
FACTOR = 3  # by which consecutive frames are to be closer than random pairs
ALIKE = 1.25  # up to this factor distances count as close to equal
PROBED = 1000  # clips that probes are fitted on, and of which frames
EVERY = 5

_SETTING = (
    f"one frame of each labelled {SINGLE} clip carries its label, 10 labelled clips a class unless"
    " said otherwise; score: the class with the largest score is the clip's; settings chosen on"
    " validation clips"
)


def _score(results: Results, system: str, dataset: str = SINGLE) -> Score:
    return results.score(system, dataset, metric=METRIC)


def _gain(results: Results, suffix: str = "") -> tuple[Score, Score]:
    """Scores with and without coherence."""
    names = ("_".join(filter(None, (name, suffix))) for name in (COHERENT, ALONE))
    with_video, without = (_score(results, name) for name in names)
    return with_video, without


def _ten_a_class(results: Results) -> Finding:
    return greater(*_gain(results))


def _one_a_class(results: Results) -> Finding:
    return greater(*_gain(results, FEW))


def _gain_shrinks(results: Results) -> Finding:
    some = difference(*_gain(results))
    many = difference(*_gain(results, MANY))
    text = "; ".join(
        f"{count} labelled clips: {100 * value:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
        for count, (value, low, high) in (("100", some), ("1,000", many))
    )
    return Finding(text, many[2] < some[1])


# --- Which video: trainings inside a claim, as an experiment's systems learn from one data set. ---


def _trained_with(results: Results, system: str, video: Split | None, name: str) -> Score:
    """Score of a system trained on the labelled clips of its own run, with other clips as those
    without labels.
    """
    record = results.record(SINGLE, system)
    train = results.split(SINGLE, "train")
    test = results.split(SINGLE)
    definition = record["system"]
    device = choose(0, "float32")
    recipe = definition["recipe"]
    few = definition["recipe"]["labelled"]
    rows = labelled_rows(
        train.labels, few, stream_seed(record["experiment_seed"], "labelled", record["seed"])
    )
    video = train if video is None else video
    clips, labels = (
        torch.cat([getattr(video, key), getattr(train, key)[rows]]) for key in ("clips", "labels")
    )
    both = Split(clips, labels, None, train.multi_label, [str(i) for i in range(len(clips))])
    torch.manual_seed(0)
    objective = device.place(build(definition, train.shape))
    objective.prepare("train", video.batches(recipe["batch"], device))
    epochs = -(-STEPS // (len(both) // recipe["batch"]))
    optimiser = make_optimiser(objective, recipe, recipe["lr"])
    schedule = make_schedule(optimiser, recipe, epochs * (len(both) // recipe["batch"]))
    for epoch in range(epochs):
        order = epoch_order(torch.arange(len(video)), len(both), seed=epoch)
        partners = epoch_order(len(video) + torch.arange(few), len(both), seed=epoch)
        silent = Progress(epochs * len(both), lambda line: None)
        train_one_epoch(
            objective, both, optimiser, schedule, recipe, device, order, silent, partners
        )
    return Score(evaluate(objective, test, device)[METRIC], len(test), name)


def _order_of_videos(results: Results) -> Finding:
    own = results.split(SINGLE)
    other, squares = (results.split(name, "train", count=len(own)) for name in (SINGLE, SQUARES))
    videos = {"the test clips": own, "other clips of digits": other, "clips of squares": squares}
    scores = [_trained_with(results, COHERENT, video, name) for name, video in videos.items()]
    scores.append(_trained_with(results, ALONE, None, "no video"))
    return all_hold([at_least(first, second) for first, second in pairwise(scores)])


def _fast_against_slow(results: Results) -> Finding:
    fast, slow = (
        _trained_with(results, COHERENT, results.split(name, "train"), f"video {name}")
        for name in (FAST, SLOW)
    )
    return greater(fast, slow)


def _larger_gap(results: Results) -> Finding:
    return greater(_score(results, COHERENT), _score(results, ONE_FRAME))


# --- Distances. ---


@torch.no_grad()
def _distances(results: Results, system: str, seed: int | str = 0) -> tuple[float, float, float]:
    """Mean L1 distances on test clips: of consecutive frames, of frames half a clip apart, of
    frames of different clips.
    """
    objective = results.load(SINGLE, system, seed)
    split = results.split(SINGLE)
    frames = torch.cat(
        [objective.embed(batch) for batch in split.batches(100, choose(0, "float32"))]
    )
    half = frames.shape[1] // 2
    pairs = (
        (frames[:, 1:], frames[:, :-1]),
        (frames[:, :half], frames[:, half:]),
        (frames, apart(frames)),
    )
    near, distant, others = (l1(*pair).mean().item() for pair in pairs)
    return near, distant, others


def _ratio(results: Results) -> Finding:
    findings = []
    for system in (COHERENT, ONE_FRAME):
        near, _, others = _distances(results, system)
        text = (
            f"{system}: {near:.1f} between consecutive frames, {others:.1f} between clips, factor"
            f" {others / near:.1f}"
        )
        findings.append(Finding(text, others >= FACTOR * near))
    return all_hold(findings)


def _distant_at_start(results: Results) -> Finding:
    near, distant, others = _distances(results, COHERENT, UNTRAINED)
    text = (
        f"before training: {near:.1f} between consecutive frames, {distant:.1f} half a clip apart,"
        f" {others:.1f} between clips"
    )
    return Finding(text, max(distant, others) <= ALIKE * min(distant, others))


# --- Ablations. ---


def _collapse(results: Results) -> Finding:
    names = (f"{NO_NEGATIVES}@{UNTRAINED}", NO_NEGATIVES, COHERENT)
    before, collapsed, kept = (
        results.score(name, SINGLE, metric="variance").value for name in names
    )
    text = (
        f"mean variance of a feature {collapsed:.4f} without pairs apart, {kept:.4f} with them,"
        f" {before:.4f} before training"
    )
    return Finding(text, collapsed < before / 10 and collapsed < kept / 10)


def _no_coherence(results: Results) -> Finding:
    """A few steps of both objectives from one initialisation on the same labelled clips."""
    train = results.split(SINGLE, "train", count=256)
    definition = results.record(SINGLE, COHERENT)["system"]
    changed = {**definition, "objective_params": {"coherence": 0.0, "stills": None}}
    plain = {**definition, "objective": "classification", "objective_params": {}}
    device = choose(0, "float32")
    states = []
    for system in (changed, plain):
        torch.manual_seed(0)
        objective = build(system, train.shape)
        optimiser = make_optimiser(objective, definition["recipe"], 1e-2)
        for labelled in train.batches(32, device):
            loss = objective.loss(
                {**train.batch(slice(0, 32), device), "labelled": labelled}
                if system is changed
                else labelled
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        states.append(objective.state_dict())
    same = all(torch.equal(value, states[0][name]) for name, value in states[1].items())
    return Finding(
        f"after 8 steps the weights are {'the same, bit for bit' if same else 'different'}", same
    )


# --- What the features hold. ---


@torch.no_grad()
def _frames(
    results: Results, system: str, split: str, count: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of some frames of each clip (n, k, D), their clip's digit (n,), and where the
    digit is (n, k, 2) in pixels.
    """
    clips = results.split(SINGLE, split, count=count)
    with open_clips(results.clips_file(SINGLE, split)) as file:
        corners = file.extras["corners"][: len(clips), ::EVERY, 0]
    objective = results.load(SINGLE, system)
    frames = [
        objective.embed(batch)[:, ::EVERY] for batch in clips.batches(100, choose(0, "float32"))
    ]
    return torch.cat(frames).double().numpy(), clips.labels.argmax(1).numpy(), corners.astype(float)


def _probed(results: Results, system: str) -> tuple[Score, float]:
    """Ridge probes on single frames: how often they name the digit, and how much of its position
    they explain (R2).
    """
    (x, digit, place), (x_test, digit_test, place_test) = (
        _frames(results, system, split, count)
        for split, count in (("train", PROBED), ("test", None))
    )
    frames, width = x_test.shape[1:]
    fit = x.reshape(-1, width)
    test = x_test.reshape(-1, width)
    scale = np.sqrt(fit.var(axis=0).mean())
    answer = partial(_ridge, fit / scale, test / scale)
    named = answer(np.eye(10)[digit.repeat(x.shape[1])]).argmax(1) == digit_test.repeat(frames)
    truth = place_test.reshape(-1, 2)
    left = (
        np.square(answer(place.reshape(-1, 2)) - truth).sum()
        / np.square(truth - truth.mean(0)).sum()
    )
    return Score(float(named.mean()), len(digit_test), f"digit from {system}"), float(1 - left)


def _ridge(fit: np.ndarray, test: np.ndarray, target: np.ndarray) -> np.ndarray:
    return Ridge(alpha=1.0).fit(fit, target).predict(test)


def _identity(results: Results) -> Finding:
    return greater(*(_probed(results, system)[0] for system in (COHERENT, ALONE)))


def _position(results: Results) -> Finding:
    with_video, without = (_probed(results, system)[1] for system in (COHERENT, ALONE))
    return Finding(
        f"R2 of the digit's position {with_video:.2f} from {COHERENT}, {without:.2f} from {ALONE}",
        with_video < without,
    )


def _no_help_on_motion(results: Results) -> Finding:
    return at_least(_score(results, ALONE, SQUARES), _score(results, COHERENT, SQUARES))


_GAP = (
    "; pairs of neighbours are half a clip apart, not one frame: between two frames these digits"
    " move by a pixel, so that their place is as slow as what they are, while the source's objects"
    " turn on the spot"
)

CLAIMS = [
    Claim(
        SOURCE,
        "With 10 labelled frames a class, coherence over clips without labels beats learning from"
        " the labels alone",
        expected="several points",
        how=f"test clips of {SINGLE}; {_SETTING}{_GAP}",
        measure=_ten_a_class,
    ),
    Claim(
        SOURCE,
        "With 1 labelled frame a class, too",
        expected="several points",
        how=f"test clips of {SINGLE}; {_SETTING}{_GAP}",
        measure=_one_a_class,
        if_fails=(
            "a class of the source is one object, whose views coherence ties together; here many"
            " people wrote each, and no clip shows two of these digits, so that nothing ties them"
            " to the only one with a label"
        ),
    ),
    Claim(
        SOURCE,
        "The gain shrinks towards zero with hundreds of labels",
        expected="clearly less gain with 100 labelled clips a class than with 10, or none",
        how=f"gain in points on test clips of {SINGLE}, intervals apart; {_SETTING}",
        measure=_gain_shrinks,
    ),
    Claim(
        SOURCE,
        "Video of the same digits is at least as good as that of other digits, that as video of"
        " squares, that as none",
        expected="no step down this list gains clearly",
        how=(
            f"{COHERENT} trained anew for {STEPS} steps inside this claim, with the test clips"
            " themselves as video but without their labels (transductive), with as many training"
            f" clips of {SINGLE}, as many of {SQUARES}, or none; {_SETTING}"
        ),
        measure=_order_of_videos,
    ),
    Claim(
        SOURCE,
        "After training consecutive frames are closer than random pairs by a factor of 3",
        expected=f"a factor of at least {FACTOR}",
        how=(
            f"mean L1 distances on test clips of {SINGLE}, for pairs of neighbours half a clip and"
            " one frame apart in training"
        ),
        measure=_ratio,
    ),
    Claim(
        SOURCE,
        "Before training frames of a clip at distant positions are about as far apart as frames of"
        " different clips",
        expected=f"one mean distance at most {ALIKE} times the other",
        how=f"mean L1 distances on test clips of {SINGLE}, network as initialised",
        measure=_distant_at_start,
    ),
    Claim(
        SOURCE,
        "Without pairs apart the representation collapses",
        expected="less than a tenth of the variance before training, and of that with pairs apart",
        how=f"mean variance of the embedding's features over test clips of {SINGLE}",
        measure=_collapse,
    ),
    Claim(
        SOURCE,
        "Without coherence what is left is the supervised network, exactly",
        expected="the same weights",
        how=(
            "8 steps of both objectives from the same weights on the same labelled clips of"
            f" {SINGLE}, inside this claim"
        ),
        measure=_no_coherence,
    ),
    Claim(
        SOURCE,
        "Linear probes read the digit better from the coherent network",
        expected="above the network that saw the labels alone",
        how=(
            f"ridge on the embeddings of single frames of {PROBED:,} training clips of {SINGLE}"
            " with their labels, scored on test clips; intervals as if each clip had one frame"
        ),
        measure=_identity,
    ),
    Claim(
        SOURCE,
        "Linear probes read the digit's position worse from the coherent network",
        expected="less of its variance explained",
        how="ridge as for the digit; its position from where the generator put it",
        measure=_position,
    ),
    Claim(
        SOURCE,
        "Negative control: where only speed tells the classes, coherence does not help",
        expected="not above the network that saw the labels alone",
        how=f"test clips of {SQUARES}; the class with the largest score is one of the clip's",
        measure=_no_help_on_motion,
    ),
    Claim(
        SOURCE,
        "Fast video teaches more invariance than slow video",
        expected="above",
        how=(
            f"{COHERENT} trained anew for {STEPS} steps inside this claim, with the training clips"
            f" of {FAST} and of {SLOW} as video; {_SETTING}"
        ),
        measure=_fast_against_slow,
        if_fails=(
            "pairs are half a clip apart, where slow digits have moved by several pixels too; the"
            " source's pairs are neighbouring frames, which here teach little at any speed (the"
            " next claim)"
        ),
    ),
    Claim(
        SOURCE,
        "Pairs of neighbours further apart teach more invariance",
        expected="half a clip above one frame",
        how=f"test clips of {SINGLE}; {_SETTING}",
        measure=_larger_gap,
    ),
]
