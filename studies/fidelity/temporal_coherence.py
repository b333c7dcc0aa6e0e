"""Claims about temporal coherence in video (Mobahi, Collobert & Weston, ICML 2009)."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from sklearn.linear_model import Ridge

from studies.fidelity.claim import (
    Claim,
    Finding,
    Verdict,
    all_hold,
    at_least,
    at_most,
    compared,
    decided,
    greater,
)
from studies.fidelity.video_training import STEPS, scores_trained_with
from studies.results import NotRun, Results, cpu_batches
from studies.scores import Score, difference, pooled_seed_variance
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render
from vidrep.datasets.store import open_clips
from vidrep.digits.source import read_digits
from vidrep.objectives.build import build
from vidrep.objectives.temporal_coherence import apart, l1
from vidrep.runs import UNTRAINED
from vidrep.training.device import choose
from vidrep.training.optimisers import make_optimiser
from vidrep.training.split import Split

SOURCE = "temporal_coherence"
SINGLE = "one_digit"
SQUARES = "velocity_only"
FAST = 0.1  # movement a frame as a share of the free range, as in one_digit
SLOW = 0.03
VIDEO_SEEDS = (0, 1, 2)  # of trainings inside a claim
VIDEO_SEED = 100  # of video that is rendered inside a claim: no clip of the experiment
COHERENT = "temporal_coherence_narrow"  # 100 labelled clips
ALONE = "lenet_narrow"
ONE_FRAME = "temporal_coherence_one_frame_narrow"
NO_NEGATIVES = "temporal_coherence_no_negatives_narrow"
# what follows the names of the same systems with other numbers of labels
FEW = "_labelled10"
MANY = "_labelled1000"
METRIC = "best_class"
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
    return _score(results, COHERENT + suffix), _score(results, ALONE + suffix)


def _ten_a_class(results: Results) -> Finding:
    return greater(*_gain(results))


def _one_a_class(results: Results) -> Finding:
    return greater(*_gain(results, FEW))


def _gain_shrinks(results: Results) -> Finding:
    few = _gain(results)
    many = _gain(results, MANY)
    text = f"100 labelled clips: {compared(*few)}; 1,000 labelled clips: {compared(*many)}"
    gain = difference(*few)
    gain_of_many = difference(*many)
    if gain_of_many.high < gain.low:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.FAILS if gain_of_many.low > gain.high else Verdict.UNDECIDED
    return Finding(text, verdict)


# --- Which video: trainings inside a claim, as an experiment's systems learn from one data set. ---


def _trained_with(results: Results, system: str, video: Split | None, name: str) -> Score:
    """Score of a system trained on its labelled clips, with other clips as those without labels.

    It is trained with each seed of ``VIDEO_SEEDS``, which also draw the labelled clips.
    """
    train = results.split(SINGLE, "train")
    test = results.split(SINGLE)
    record = results.record(SINGLE, system)
    rows = []
    for seed in VIDEO_SEEDS:
        scores = scores_trained_with(video, train, test, {**record, "seed": seed})
        rows.append(scores[METRIC])
    values = np.stack(rows)
    seeds = pooled_seed_variance([values], enough=1)
    return Score(values, name, runs=name, clips=SINGLE, seeds=seeds)


def _order_of_videos(results: Results) -> Finding:
    own = results.split(SINGLE)
    other = results.split(SINGLE, "train", count=len(own))
    squares = results.split(SQUARES, "train", count=len(own))
    scores = [
        _trained_with(results, COHERENT, own, "the test clips"),
        _trained_with(results, COHERENT, other, "other clips of digits"),
        _trained_with(results, COHERENT, squares, "clips of squares"),
        _trained_with(results, ALONE, None, "no video"),
    ]
    return all_hold([at_least(first, second) for first, second in pairwise(scores)])


def _one_digit_video(results: Results, step: float) -> Split:
    """As many clips of one digit as there are training clips, that moves at ``step``."""
    source = results.folder / "digits" / "digits.npz"
    if not source.exists():
        raise NotRun(f"no digits {source.name}")
    train = results.split(SINGLE, "train")
    digits = read_digits(source)
    _, length, size, _ = train.clips.shape
    own = recipe(SINGLE, frames=length, size=size, patch=digits.images.shape[1])
    settings = replace(own, step=step)
    clips, labels, _ = render(settings, digits, split="train", count=len(train), seed=VIDEO_SEED)
    return replace(train, clips=torch.from_numpy(clips), labels=torch.from_numpy(labels))


def _fast_against_slow(results: Results) -> Finding:
    fast = _one_digit_video(results, FAST)
    slow = _one_digit_video(results, SLOW)
    return greater(
        _trained_with(results, COHERENT, fast, f"video with steps of {FAST:g}"),
        _trained_with(results, COHERENT, slow, f"video with steps of {SLOW:g}"),
    )


def _larger_gap(results: Results) -> Finding:
    return greater(_score(results, COHERENT), _score(results, ONE_FRAME))


# --- Distances. ---


@torch.no_grad()
def _distances(results: Results, system: str, seed: int | str = 0) -> tuple[float, float, float]:
    """Mean L1 distances on test clips.

    They are those of consecutive frames, of frames half a clip apart, and of frames of different
    clips.
    """
    objective = results.load(SINGLE, system, seed)
    frames = torch.cat([objective.embed(batch) for batch in results.batches(SINGLE)])  # (n, T, D)
    half = frames.shape[1] // 2
    near = l1(frames[:, 1:], frames[:, :-1]).mean().item()
    distant = l1(frames[:, :half], frames[:, half:]).mean().item()
    others = l1(frames, apart(frames)).mean().item()
    return near, distant, others


def _ratio(results: Results) -> Finding:
    findings = []
    for system in (COHERENT, ONE_FRAME):
        near, _, others = _distances(results, system)
        text = (
            f"{system}: {near:.1f} between consecutive frames, {others:.1f} between clips, factor"
            f" {others / near:.1f}"
        )
        findings.append(decided(text, others >= FACTOR * near))
    return all_hold(findings)


def _distant_at_start(results: Results) -> Finding:
    near, distant, others = _distances(results, COHERENT, UNTRAINED)
    text = (
        f"before training: {near:.1f} between consecutive frames, {distant:.1f} half a clip apart,"
        f" {others:.1f} between clips"
    )
    return decided(text, max(distant, others) <= ALIKE * min(distant, others))


# --- Ablations. ---


def _collapse(results: Results) -> Finding:
    def deviation(system: str) -> float:
        return results.score(system, SINGLE, metric="embedding_std").value

    before = deviation(f"{NO_NEGATIVES}@{UNTRAINED}")
    collapsed = deviation(NO_NEGATIVES)
    kept = deviation(COHERENT)
    text = (
        f"standard deviation of a feature {collapsed:.4f} without pairs apart, {kept:.4f} with"
        f" them, {before:.4f} before training"
    )
    return decided(text, collapsed < before / 3 and collapsed < kept / 3)


def _no_coherence(results: Results) -> Finding:
    """A few steps of both objectives from one initialisation on the same labelled clips."""
    train = results.split(SINGLE, "train", count=256)
    definition = results.record(SINGLE, COHERENT)["system"]
    without = {**definition, "objective_params": {"coherence": 0.0, "stills": None}}
    supervised = {**definition, "objective": "classification", "objective_params": {}}
    device = choose(0, "float32")
    video = train.batch(slice(0, 32), device)
    states = []
    for system in (without, supervised):
        torch.manual_seed(0)
        objective = build(system, train.shape)
        optimiser = make_optimiser(objective, definition["recipe"], 1e-2)
        for labelled in train.batches(32, device):
            batch = {**video, "labelled": labelled} if system is without else labelled
            loss = objective.loss(batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        states.append(objective.state_dict())
    first, second = states
    same = all(torch.equal(value, first[name]) for name, value in second.items())
    alike = "the same, bit for bit" if same else "different"
    return decided(f"after 8 steps the weights are {alike}", same)


# --- What the features hold. ---


@dataclass(frozen=True)
class ProbedFrames:
    """Some frames of each clip of a split, one after the other: n frames with D features.

    Attributes:
        embeddings: (n, D) float64.
        digit: (n,) the digit of the frame's clip.
        place: (n, 2) float64, top and left of the digit in pixels.
        clips: number of clips.
    """

    embeddings: np.ndarray
    digit: np.ndarray
    place: np.ndarray
    clips: int


@torch.no_grad()
def _frames(results: Results, system: str, split: str, count: int | None) -> ProbedFrames:
    """Every fifth frame of the first ``count`` clips of a split, all by default."""
    clips = results.split(SINGLE, split, count=count)
    with open_clips(results.clips_file(SINGLE, split)) as file:
        corners = file.extras["corners"][: len(clips), ::EVERY, 0]  # (clips, k, 2)
    objective = results.load(SINGLE, system)
    parts = [objective.embed(batch)[:, ::EVERY] for batch in cpu_batches(clips)]
    embeddings = torch.cat(parts).double().flatten(0, 1).numpy()
    digit = clips.labels.argmax(1).numpy().repeat(corners.shape[1])
    place = corners.astype(float).reshape(-1, 2)
    return ProbedFrames(embeddings, digit, place, len(clips))


def _probed(results: Results, system: str) -> tuple[Score, float]:
    """Ridge probes on single frames.

    Returns:
        How often they name the digit, and how much of its position they explain (R2).
    """
    fit = _frames(results, system, "train", PROBED)
    test = _frames(results, system, "test", None)
    scale = np.sqrt(fit.embeddings.var(axis=0).mean())
    seen = fit.embeddings / scale
    shown = test.embeddings / scale
    scores = Ridge(alpha=1.0).fit(seen, np.eye(10)[fit.digit]).predict(shown)
    named = scores.argmax(1) == test.digit  # (n,), frames of a clip one after the other
    predicted = Ridge(alpha=1.0).fit(seen, fit.place).predict(shown)
    error = np.square(predicted - test.place).sum()
    variation = np.square(test.place - test.place.mean(0)).sum()
    by_clip = named.reshape(test.clips, -1).mean(axis=1)
    score = Score(by_clip[None], f"digit from {system}", runs=system, clips=SINGLE)
    return score, float(1 - error / variation)


def _identity(results: Results) -> Finding:
    with_video, _ = _probed(results, COHERENT)
    without, _ = _probed(results, ALONE)
    return greater(with_video, without)


def _position(results: Results) -> Finding:
    _, with_video = _probed(results, COHERENT)
    _, without = _probed(results, ALONE)
    return decided(
        f"R2 of the digit's position {with_video:.2f} from {COHERENT}, {without:.2f} from {ALONE}",
        with_video < without,
    )


def _no_help_on_motion(results: Results) -> Finding:
    return at_most(_score(results, COHERENT, SQUARES), _score(results, ALONE, SQUARES))


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
        mended="one draw of labels on 400 test clips left it open",
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
        expected="no step down this list gains 5 points",
        how=(
            f"{COHERENT} trained anew for {STEPS} steps inside this claim, three seeds each, with"
            " the test clips themselves as video but without their labels (transductive), with as"
            f" many training clips of {SINGLE}, as many of {SQUARES}, or none; {_SETTING}"
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
            " with their labels, scored on test clips, whose frames count together"
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
        expected="at most 5 points above the network that saw the labels alone",
        how=f"test clips of {SQUARES}; the class with the largest score is one of the clip's",
        measure=_no_help_on_motion,
    ),
    Claim(
        SOURCE,
        "Fast video teaches more invariance than slow video",
        expected="above",
        how=(
            f"{COHERENT} trained anew for {STEPS} steps inside this claim, three seeds each, with"
            f" new clips of one digit as video, steps of {FAST:g} and of {SLOW:g} of the free"
            f" range; {_SETTING}"
        ),
        measure=_fast_against_slow,
        mended=(
            "the video showed two digits a clip, on which the system learns nothing of single ones"
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
