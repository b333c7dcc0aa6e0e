"""Claims about temporal cycle consistency (Dwibedi et al., arXiv 1904.07846)."""

from functools import partial

import numpy as np
import torch

from studies.fidelity.alignment_scores import Measured, above, measured, named
from studies.fidelity.claim import Claim, Finding, all_hold, decided
from studies.fidelity.phase_training import RATE, STEPS, phase_accuracy
from studies.results import Results
from vidrep.alignment.measures import matched_frames
from vidrep.alignment.videos import read_videos
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render
from vidrep.objectives.cycle_losses import cycle_back, nearest_frames
from vidrep.statistics import kendall_tau, normal_interval

SOURCE = "tcc"
TCC = "tcc_narrow"
DATASET = "sequences"
UNWARPED = "sequences_unwarped"
HARD = "sequences_hard"  # with pauses and still digits behind: where methods can be told apart
DRAWS = 5  # labelled videos that the supervised network is trained on, one at a time
VIDEOS = 40  # of those that are embedded inside a claim
TEMPERATURE = 0.1  # of the objective

warped = partial(measured, dataset=DATASET)
hard = partial(measured, dataset=HARD)


@torch.no_grad()
def embedded(results: Results, clips: torch.Tensor) -> torch.Tensor:
    """Embeddings (n, T, D) of clips (n, T, H, W) uint8 by the trained system."""
    objective = results.load(DATASET, TCC)
    return objective.embed({"clip": clips.float().div(255)[:, None]})


def _scale_test(results: Results) -> Finding:
    videos = embedded(results, results.split(DATASET, count=VIDEOS).clips)
    progress = read_videos(results.clips_file(DATASET, "test"), len(videos)).progress
    progress = torch.from_numpy(progress)  # (n, T)
    frames = videos.shape[1]
    end = cycle_back(videos, videos, TEMPERATURE).argmax(-1)  # (n, T)
    near = float(((end - torch.arange(frames)).abs() <= 1).float().mean())
    away = float((progress.gather(1, end) - progress).abs().mean())
    matched = nearest_frames(videos, videos.flip(1))
    tau = float(kendall_tau(matched).mean())
    return decided(
        f"cycles through a copy most likely end {away:.4f} of the script from their start (a frame"
        f" is {1 / (frames - 1):.4f}), within one frame of it for {100 * near:.1f} % of"
        f" {end.numel()} frames; tau against a reversed copy {tau:.3f}",
        away < 1 / (frames - 1) and tau < -0.95,
    )


def _aligned(results: Results) -> Finding:
    trained = warped(results, TCC, "kendall_tau")
    chance = warped(results, "chance", "kendall_tau")
    untrained = warped(results, f"{TCC}@untrained", "kendall_tau")
    _, frames, size, _ = results.split(DATASET, count=1).clips.shape
    version = recipe("one_digit", frames=frames, size=size, patch=size * 2 // 5)
    clips, _, _ = render(version, split="test", count=VIDEOS, seed=0)
    random = embedded(results, torch.from_numpy(clips))
    pairs = ~torch.eye(len(random), dtype=torch.bool)
    tau = kendall_tau(matched_frames(random))[pairs].mean().item()
    return decided(
        f"{trained}; {chance}; videos of random trajectories {tau:.3f}; for comparison {untrained}",
        trained.low > 0.8 and abs(chance.value) < 0.1 and abs(tau) < 0.1,
    )


def _losses(results: Results) -> Finding:
    findings = []
    for metric in ("kendall_tau", "progression_r2"):
        regression = hard(results, TCC, metric)
        classification = hard(results, "tcc_classification_narrow", metric)
        squared_error = hard(results, "tcc_mse_narrow", metric)
        findings.append(named(metric, above(regression, classification)))
        findings.append(named(metric, above(classification, squared_error)))
    return all_hold(findings)


def _few_labels(results: Results) -> Finding:
    one = hard(results, TCC, "few_shot_accuracy", labelled="fewest")
    all_labels = hard(results, TCC, "phase_accuracy")
    count = int(results.table("alignment")["labelled_videos"].max())

    def supervised(labelled: np.ndarray) -> float:
        untrained = results.load(HARD, TCC, "untrained")
        folder = results.clips_file(HARD, "train").parent
        return phase_accuracy(untrained, folder, count, labelled)

    single = [supervised(np.array([i])) for i in range(DRAWS)]
    many = supervised(np.arange(count))
    supervised_one = Measured("supervised", *normal_interval(single))
    gap = abs(many - all_labels.value)
    few_gap = one.value - supervised_one.value
    text = f"{count} labelled videos: {all_labels}, supervised {many:.3f}"
    return all_hold(
        [
            named("one labelled video", above(one, supervised_one)),
            decided(text, gap < few_gap / 2),
        ]
    )


def _beats_frame_number(results: Results) -> Finding:
    steady = measured(results, "frame_index", "alignment_error", UNWARPED)
    error = warped(results, TCC, "alignment_error")
    number_error = warped(results, "frame_index", "alignment_error")
    phase = warped(results, TCC, "phase_accuracy")
    number_phase = warped(results, "frame_index", "phase_accuracy")
    progression = warped(results, TCC, "progression_r2")
    number_progression = warped(results, "frame_index", "progression_r2")
    in_frames = f"{progression} and {number_progression}"
    return all_hold(
        [
            decided(f"misalignment, share of the script: unwarped {steady}", steady.value < 0.001),
            named("warped", above(number_error, error)),
            named("phase accuracy", above(phase, number_phase)),
            decided(f"progression, without verdict: {in_frames}", True),
        ]
    )


def _phase_not_digit(results: Results) -> Finding:
    phase = hard(results, TCC, "phase_linear")
    digit = hard(results, TCC, "digit_linear")
    pixels = hard(results, "raw_pixels", "digit_linear")
    text = f"phase: {phase}; digit: {digit}, chance 0.1"
    low = decided(text, phase.low > 0.8 and digit.high < 0.3)
    return all_hold([low, named("digit", above(pixels, digit))])


def _mixed(results: Results) -> Finding:
    both_losses = hard(results, "tcc_tcn_narrow", "kendall_tau")
    return above(both_losses, hard(results, TCC, "kendall_tau"))


def _methods(results: Results) -> Finding:
    tcc = hard(results, TCC, "phase_accuracy", labelled="fewest")
    tcn = hard(results, "tcn_narrow", "phase_accuracy", labelled="fewest")
    order = hard(results, "shuffle_and_learn_narrow", "phase_accuracy", labelled="fewest")
    return all_hold([above(tcc, tcn), above(tcn, order)])


AT_THE_CEILING = (
    "on the plain sequences all methods were at their ceiling and could not be told apart"
)

CLAIMS = [
    Claim(
        SOURCE,
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
        SOURCE,
        "Videos of unseen digits are aligned, random embeddings and videos without a common process"
        " are not",
        expected="Kendall's tau above 0.8; near 0; near 0",
        how=(
            f"{TCC}, all pairs of test videos of {DATASET}, whose digits were never trained on:"
            " interval above 0.8; within 0.1 of 0 for random vectors (features that do not depend"
            " on pixels) and for 40 videos of one_digit as long as the others, which move on"
            " random straight lines. The untrained baseline sees pixels, so its tau is no chance"
            " level"
        ),
        measure=_aligned,
    ),
    Claim(
        SOURCE,
        "Variance-aware regression aligns better than classification, that better than plain"
        " squared error",
        expected="in this order, in Kendall's tau and in progression",
        how=(
            f"{TCC}, tcc_classification_narrow and tcc_mse_narrow on {HARD}, one seed, same"
            " recipe: intervals of the differences above 0"
        ),
        measure=_losses,
        mended=AT_THE_CEILING,
    ),
    Claim(
        SOURCE,
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
        mended=AT_THE_CEILING,
    ),
    Claim(
        SOURCE,
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
        mended=(
            "tau was measured too, in a claim of its own; of frame numbers it is 1 by definition on"
            " videos of equal length, whatever they show"
        ),
    ),
    Claim(
        SOURCE,
        "Embeddings carry the phase, not the identity of the digit",
        expected=(
            "linear probe of the phase above 80 %, of the digit below 30 % (chance 10 %) and below"
            " that of pixels"
        ),
        how=(
            f"{TCC}, linear support-vector machines on the embeddings of single frames, test videos"
            f" of {HARD}"
        ),
        measure=_phase_not_digit,
    ),
    Claim(
        SOURCE,
        "Adding the time-contrastive loss raises tau slightly",
        expected="a difference above 0",
        how=f"tcc_tcn_narrow against {TCC} on {HARD}, one seed each",
        measure=_mixed,
        mended=AT_THE_CEILING,
    ),
    Claim(
        SOURCE,
        "From scratch and with few labels, cycle consistency beats time contrast, and that shuffle"
        " and learn",
        expected="in this order (Pouring, 10 % of labels: 86.8, 76.0, 74.5 %)",
        how=(
            f"phase accuracy with a tenth of the labelled videos, {TCC}, tcn_narrow,"
            f" shuffle_and_learn_narrow on {HARD}"
        ),
        measure=_methods,
        mended=AT_THE_CEILING,
    ),
]
