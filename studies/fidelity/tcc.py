"""Claims about temporal cycle consistency (Dwibedi et al., arXiv 1904.07846): videos are aligned
without labels.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from studies.fidelity.claim import Claim, Finding, NotRun, Results, all_hold
from vidrep.statistics import normal_interval

TCC = "tcc_narrow"
DATASET = "sequences"
UNWARPED = "sequences_unwarped"
# of the supervised network: Adam steps, videos a step, learning rate
STEPS = 60
VIDEOS = 4
RATE = 2e-3
DRAWS = 5  # labelled videos that it is trained on, one at a time


@dataclass(frozen=True)
class Measured:
    """A number of alignment.csv with its 95 % interval over test videos (few-shot: over choices of
    labelled videos).
    """

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def measured(
    results: Results, system: str, metric: str, dataset: str = DATASET, labelled: str = "most"
) -> Measured:
    """A measure of a system trained and evaluated on ``dataset``, its seeds averaged.

    Args:
        results: the experiment.
        system: a system, ``<name>@untrained`` for its twin, or a baseline.
        metric: see ``metric`` of alignment.csv.
        dataset: the data set.
        labelled: the "most" or the "fewest" labelled videos that the metric was taken with.

    Raises:
        NotRun: no such row.
    """
    table, (name, _, twin) = results.table("alignment"), system.partition("@")
    baseline = name in ("frame_index", "raw_pixels", "chance")
    rows = table[
        (table["system"] == name)
        & (table["trained_on"] == dataset)
        & (table["evaluated_on"] == dataset)
    ]
    rows = rows[
        (rows["metric"] == metric)
        & ((rows["seed"] == "untrained") == (baseline or twin == "untrained"))
    ]
    if rows.empty:
        raise NotRun(f"{system} on {dataset} ({metric})")
    counts = rows["labelled_videos"].fillna(0)
    rows = rows[counts == (counts.max() if labelled == "most" else counts.min())]
    return Measured(system, *rows[["value", "ci_low", "ci_high"]].mean())


def above(a: Measured, b: Measured) -> Finding:
    """Is a above b, clearly: is the difference above 0 with its interval, made from both as for
    independent ones?
    """
    low = a.value - b.value - math.hypot(a.value - a.low, b.high - b.value)
    high = a.value - b.value + math.hypot(a.high - a.value, b.value - b.low)
    return Finding(f"{a}, {b}: {a.value - b.value:+.3f} [{low:+.3f}, {high:+.3f}]", bool(low > 0))


def named(name: str, finding: Finding) -> Finding:
    """A finding with its subject in front."""
    return Finding(f"{name}: {finding.measured}", finding.holds)


def embedded(results: Results, clips: np.ndarray | None = None, count: int = 40) -> torch.Tensor:
    """Embeddings (n, T, D) of some test videos, or of other clips (n, T, H, W), by the trained
    system.
    """
    objective = results.load(DATASET, TCC)
    split = results.split(DATASET, count=count)
    frames = split.clips if clips is None else torch.from_numpy(clips)
    with torch.no_grad():
        return objective.embed({"clip": frames.float().div(255)[:, None]})


def _scale_test(results: Results) -> Finding:
    from vidrep.alignment.job import read_videos
    from vidrep.objectives.cycle_losses import cycle_back, nearest_frames
    from vidrep.statistics import kendall_tau

    videos = embedded(results)
    progress = torch.from_numpy(
        read_videos(results.folder / "datasets" / DATASET / "test.h5", len(videos)).progress
    )
    frames = videos.shape[1]
    end = cycle_back(videos, videos, 0.1).argmax(-1)  # the objective's temperature
    near = float(((end - torch.arange(frames)).abs() <= 1).float().mean())
    away = float((progress.gather(1, end) - progress).abs().mean())
    tau = float(kendall_tau(nearest_frames(videos, videos.flip(1))).mean())
    return Finding(
        f"cycles through a copy most likely end {away:.4f} of the script from their start (a frame"
        f" is {1 / (frames - 1):.4f}), within one frame of it for {100 * near:.1f} % of"
        f" {end.numel()} frames; tau against a reversed copy {tau:.3f}",
        away < 1 / (frames - 1) and tau < -0.95,
    )


def _aligned(results: Results) -> Finding:
    from vidrep.alignment.measures import matched_frames
    from vidrep.datasets.recipes import recipe
    from vidrep.datasets.render import render
    from vidrep.statistics import kendall_tau

    trained, chance = (measured(results, name, "kendall_tau") for name in (TCC, "chance"))
    twin = measured(results, f"{TCC}@untrained", "kendall_tau")
    frames, size, _ = results.split(DATASET, count=1).clips.shape[1:]
    version = recipe("one_digit", frames=frames, size=size, patch=size * 2 // 5)
    random = embedded(results, render(version, split="test", count=40, seed=0)[0])
    tau = (
        kendall_tau(matched_frames(random))[~torch.eye(len(random), dtype=torch.bool)].mean().item()
    )
    return Finding(
        f"{trained}; {chance}; videos of random trajectories {tau:.3f}; for comparison {twin}",
        trained.low > 0.8 and abs(chance.value) < 0.1 and abs(tau) < 0.1,
    )


def _losses(results: Results) -> Finding:
    names = TCC, "tcc_classification_narrow", "tcc_mse_narrow"
    findings = []
    for metric in ("kendall_tau", "progression_r2"):
        first, second, third = (measured(results, name, metric) for name in names)
        findings += [named(metric, above(first, second)), named(metric, above(second, third))]
    return all_hold(findings)


def supervised(results: Results, chosen: list[np.ndarray]) -> list[float]:
    """Phase accuracy on test videos of the system's own embedder with a linear layer, trained on
    the phases of labelled videos.

    Args:
        results: the experiment.
        chosen: numbers of the labelled training videos of each training.
    """
    from vidrep.alignment.job import read_videos

    folder = results.folder / "datasets" / DATASET
    rows = results.table("alignment")["labelled_videos"].max()
    fit = read_videos(folder / "train.h5", int(rows))
    test = read_videos(folder / "test.h5", 60)
    return [
        _train_phases(results.load(DATASET, TCC, "untrained"), fit, test, labelled)
        for labelled in chosen
    ]


def _train_phases(objective, fit, test, labelled: np.ndarray) -> float:
    from torch.nn import functional as F

    torch.manual_seed(0)
    clips = {
        name: torch.from_numpy(videos.clips).float().div(255)[:, None]
        for name, videos in (("fit", fit), ("test", test))
    }
    phase = torch.from_numpy(fit.phase.astype(np.int64))
    labelled = torch.from_numpy(labelled)
    head = torch.nn.Linear(
        objective.embed({"clip": clips["fit"][:1]}).shape[-1], int(phase.max()) + 1
    )
    optimiser = torch.optim.Adam([*objective.model.parameters(), *head.parameters()], lr=RATE)
    objective.train()
    for _ in range(STEPS):
        some = labelled[torch.randperm(len(labelled))[:VIDEOS]]
        loss = F.cross_entropy(
            head(objective.embed({"clip": clips["fit"][some]})).flatten(0, 1), phase[some].flatten()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    objective.eval()
    with torch.no_grad():
        predicted = head(objective.embed({"clip": clips["test"]})).argmax(-1)
    return float((predicted.numpy() == test.phase).mean())


def _few_labels(results: Results) -> Finding:
    one = measured(results, TCC, "few_shot_accuracy", labelled="fewest")
    all_labels = measured(results, TCC, "phase_accuracy")
    count = int(results.table("alignment")["labelled_videos"].max())
    *single, many = supervised(results, [np.array([i]) for i in range(DRAWS)] + [np.arange(count)])
    supervised_one = Measured("supervised", *normal_interval(np.array(single)))
    gap = abs(many - all_labels.value)
    few_gap = one.value - supervised_one.value
    return all_hold(
        [
            named("one labelled video", above(one, supervised_one)),
            Finding(
                f"{count} labelled videos: {all_labels}, supervised {many:.3f}", gap < few_gap / 2
            ),
        ]
    )


def _frame_number(results: Results) -> Finding:
    steady, warped = (
        measured(results, "frame_index", "kendall_tau", dataset) for dataset in (UNWARPED, DATASET)
    )
    return Finding(
        f"unwarped {steady}; warped {warped}", steady.value > 0.999 and warped.high < 0.95
    )


def _beats_frame_number(results: Results) -> Finding:
    def pair(metric: str) -> tuple[Measured, Measured]:
        return measured(results, TCC, metric), measured(results, "frame_index", metric)

    steady = measured(results, "frame_index", "alignment_error", UNWARPED)
    ours, number = pair("alignment_error")
    in_frames = " and ".join(map(str, pair("progression_r2")))
    return all_hold(
        [
            Finding(f"misalignment, share of the script: unwarped {steady}", steady.value < 0.001),
            named("warped", above(number, ours)),
            named("phase accuracy", above(*pair("phase_accuracy"))),
            Finding(f"progression, without verdict: {in_frames}", True),
        ]
    )


def _phase_not_digit(results: Results) -> Finding:
    phase = measured(results, TCC, "phase_linear")
    digit = measured(results, TCC, "digit_linear")
    pixels = measured(results, "raw_pixels", "digit_linear")
    low = Finding(
        f"phase: {phase}; digit: {digit}, chance 0.1", phase.low > 0.8 and digit.high < 0.3
    )
    return all_hold([low, named("digit", above(pixels, digit))])


def _mixed(results: Results) -> Finding:
    return above(
        measured(results, "tcc_tcn_narrow", "kendall_tau"), measured(results, TCC, "kendall_tau")
    )


def _methods(results: Results) -> Finding:
    names = TCC, "tcn_narrow", "shuffle_and_learn_narrow"
    tcc, tcn, order = (
        measured(results, name, "phase_accuracy", labelled="fewest") for name in names
    )
    return all_hold([above(tcc, tcn), above(tcn, order)])


CLAIMS = [
    Claim(
        "tcc",
        "A video aligned with itself: every cycle comes back to its start; against a reversed copy"
        " the order is reversed",
        expected="cycles end where they began, tau -1",
        how=(
            f"{TCC} on 40 test videos of {DATASET}: the most likely end of the cycle through an"
            " identical copy lies, on average, less than a frame's share of the script from the"
            " start; tau below -0.95 against the reversed embeddings. (A first criterion, within"
            " one frame for 95 % of frames, failed at 90 %: slow digits show the same picture in"
            " successive frames)"
        ),
        measure=_scale_test,
    ),
    Claim(
        "tcc",
        "Videos of unseen digits are aligned, random embeddings and videos without a common process"
        " are not",
        expected="Kendall's tau above 0.8; near 0; near 0",
        how=(
            f"{TCC}, all pairs of test videos of {DATASET}, whose digits were never trained on:"
            " interval above 0.8; within 0.1 of 0 for random vectors (features that do not depend"
            " on pixels) and for 40 videos of one_digit as long as the others, which move on"
            " random straight lines. The untrained twin sees pixels, so its tau is no chance level"
        ),
        measure=_aligned,
    ),
    Claim(
        "tcc",
        "Variance-aware regression aligns better than classification, that better than plain"
        " squared error",
        expected="in this order, in Kendall's tau and in progression",
        how=(
            f"{TCC}, tcc_classification_narrow and tcc_mse_narrow on {DATASET}, one seed, same"
            " recipe: intervals of the differences above 0"
        ),
        measure=_losses,
        if_fails=(
            "regression is first, but the other two change places: classification holds every end"
            " but the start equally wrong, though a sixth of the frames repeat the picture before;"
            " squared error lets a neighbour pass. The published videos are longer and sampled"
            " sparsely"
        ),
    ),
    Claim(
        "tcc",
        "With one labelled video the learnt embedding tells phases better than a network trained on"
        " that video; with many labels both are alike",
        expected=(
            "clearly above with one video; with all labelled videos, less than half of that gap is"
            " left"
        ),
        how=(
            f"{TCC}, support-vector machine on frozen embeddings, against the same embedder with a"
            f" linear layer trained on the phases ({STEPS} steps of Adam, rate {RATE:g}, mean over"
            f" {DRAWS} labelled videos); all frames of 60 test videos"
        ),
        measure=_few_labels,
        if_fails=(
            "with one video the embedding is ahead, by less than the network trained on all videos"
            " is ahead of it in the end: 3,200 training frames with phases are enough to learn this"
            " short process outright"
        ),
    ),
    Claim(
        "tcc",
        "The number of a frame gives tau 1 on unwarped videos and clearly less on warped ones",
        expected="1; below 0.95",
        how=f"nearest frame by its number, on {UNWARPED} and on {DATASET}",
        measure=_frame_number,
        if_fails=(
            "tau only asks whether matched frames stand in order, and frame numbers always do when"
            " videos are equally long: frame 7 is matched to frame 7, whatever either shows. The"
            " measure cannot see this shortcut; the misalignment in script time, the next claim,"
            " does"
        ),
    ),
    Claim(
        "tcc",
        "The number of a frame aligns unwarped videos perfectly; on warped ones the learnt"
        " embedding beats it",
        expected=(
            "no misalignment without warp; with warp less of it than by number, and phases told"
            " better"
        ),
        how=(
            "mean distance in script time between a frame and the nearest one of another video, on"
            f" {UNWARPED} and {DATASET}; phase accuracy from all labelled videos; {TCC} against"
            " frame numbers, intervals of the differences above 0. Progression is quoted without a"
            " verdict: its target counts frames at the video's own pace, which frame numbers"
            " do too"
        ),
        measure=_beats_frame_number,
    ),
    Claim(
        "tcc",
        "Embeddings carry the phase, not the identity of the digit",
        expected=(
            "linear probe of the phase above 80 %, of the digit below 30 % (chance 10 %) and below"
            " that of pixels"
        ),
        how=(
            f"{TCC}, linear support-vector machines on the embeddings of single frames, test videos"
            f" of {DATASET}"
        ),
        measure=_phase_not_digit,
        if_fails=(
            "in the expected direction, at 16 % near chance; ten digits in 60 test videos are too"
            " few for an interval clear of 0"
        ),
    ),
    Claim(
        "tcc",
        "Adding the time-contrastive loss raises tau slightly",
        expected="a difference above 0",
        how=f"tcc_tcn_narrow against {TCC} on {DATASET}, one seed each",
        measure=_mixed,
        if_fails="no room: tau is as high as repeated pictures allow with either loss",
    ),
    Claim(
        "tcc",
        "From scratch and with few labels, cycle consistency beats time contrast, and that shuffle"
        " and learn",
        expected="in this order (Pouring, 10 % of labels: 86.8, 76.0, 74.5 %)",
        how=(
            f"phase accuracy with a tenth of the labelled videos, {TCC}, tcn_narrow,"
            f" shuffle_and_learn_narrow on {DATASET}"
        ),
        measure=_methods,
        if_fails=(
            "cycle consistency and time contrast tie: every moment of this one short process looks"
            " different, and alike in all videos, so telling times apart within single videos"
            " already finds what the videos share"
        ),
    ),
]
