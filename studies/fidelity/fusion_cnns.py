"""Claims about fusion CNNs (Karpathy et al., CVPR 2014).

Some are those of the re-implementation BunmiA/msc-exploring-neural-networks.
"""

import numpy as np
import pandas as pd
import torch

from studies.fidelity.claim import (
    Claim,
    Finding,
    all_hold,
    at_least,
    at_most,
    decided,
    greater,
    within,
)
from studies.results import NotRun, Results
from studies.scores import Score
from vidrep.activations.capture import capturing
from vidrep.models import create
from vidrep.readouts import EXACT_SET_MAP

SOURCE = "fusion_cnns"
FUSIONS = ("single", "early", "late", "slow")
LRN = "fusion_slow_lrn_narrow"
LATE_CLOSE = "fusion_late_gap2"  # late fusion of two frames 2 apart
LRN_ALPHA_1 = "fusion_slow_lrn_alpha1_narrow"
BOTH = "digits_and_velocity"


def narrow(name: str) -> str:
    """The narrow preset of a fusion or a stream."""
    return f"fusion_{name}_narrow"


def output_shapes(model, clip_shape: tuple) -> dict[str, tuple]:
    """Shapes (C, T, H, W) or (D,) of all layers of a model on the meta device."""
    with capturing(model, model.layers) as captured:
        model(torch.empty(2, *clip_shape, device="meta"))
        return {name: tuple(captured[name].shape[1:]) for name in model.layers}


def _shapes(results: Results) -> Finding:
    clip = (3, 16, 170, 170)
    with torch.device("meta"):
        single = create("fusion", clip_shape=clip, fusion="single", padding="valid").eval()
        late = create("fusion", clip_shape=clip, fusion="late", padding="valid").eval()
        slow = create("fusion", clip_shape=clip, fusion="slow", padding="valid").eval()
        paper = create("fusion", clip_shape=clip, fusion="single").eval()
    convolutions = list(output_shapes(slow, clip).values())[:5]
    sides = [shape[2] for shape in convolutions]
    times = [shape[1] for shape in convolutions]
    last = output_shapes(paper, clip)["full.conv5"]
    tower = sum(parameter.numel() for parameter in single.full.parameters())
    two = sum(parameter.numel() for parameter in late.full.parameters())
    return decided(
        f"sides {sides}; slow fusion's time steps {times[:3]}; with padding {last[2]} x {last[3]} x"
        f" {last[0]} before the fully connected layers; convolution parameters {tower:,} for one"
        f" frame, {two:,} for two",
        sides == [27, 11, 9, 7, 2]
        and times[:3] == [4, 2, 1]
        and last == (256, 1, 7, 7)
        and tower == two,
    )


def _single_reads_no_speed(results: Results) -> Finding:
    score = results.score(narrow("single"), "velocity_only")
    return at_most(score, results.majority("velocity_only"))


def _early_and_slow_read_speed(results: Results) -> Finding:
    scores = {name: results.score(narrow(name), "velocity_only") for name in FUSIONS}
    findings = []
    for name in ("early", "slow"):
        findings.append(greater(scores[name], scores["single"]))
        findings.append(greater(scores[name], scores["late"]))
    return all_hold(findings)


def _late_reads_some_speed(results: Results) -> Finding:
    single = results.score(narrow("single"), "velocity_only")
    late = results.score(narrow("late"), "velocity_only")
    slower = results.score(narrow("late"), "velocity_only_slow")
    found = all_hold([at_least(late, single), greater(slower, late)])
    try:
        close = results.score(LATE_CLOSE, "velocity_only_slow")
    except NotRun:
        return found
    return Finding(f"{found.measured}; for comparison, two frames apart: {close}", found.verdict)


def _overlaps_resolve(results: Results) -> Finding:
    scores = {name: results.score(narrow(name), "digits_only") for name in FUSIONS}
    return all_hold([greater(scores[name], scores["single"]) for name in ("late", "early", "slow")])


def _slow_and_early(results: Results) -> Finding:
    return at_least(results.score(narrow("slow"), BOTH), results.score(narrow("early"), BOTH))


def ensemble(results: Results, systems: list[str], dataset: str) -> Score:
    """Score of the mean of the systems' probabilities, seed by seed."""
    values = []
    for seed in results.seeds(dataset, systems[0]):
        each = [results.probabilities(system, dataset, seed) for system in systems]
        values.append(results.most_probable_right(np.mean(each, axis=0), dataset))
    return Score(
        np.stack(values),
        f"mean of {len(systems)} {dataset}",
        runs=f"mean {dataset}",
        clips=dataset,
        seeds=results.seed_variance(EXACT_SET_MAP),
    )


def _ensemble(results: Results) -> Finding:
    systems = [narrow(name) for name in FUSIONS]
    singles = [results.score(system, BOTH) for system in systems]
    best = max(singles, key=lambda score: score.value)
    return at_least(ensemble(results, systems, BOTH), best)


def validation_scores(history: pd.DataFrame) -> pd.DataFrame:
    """The rows of learning curves that are exact-set scores of validation clips."""
    return history[(history["split"] == "validation") & (history["metric"] == "exact_set")]


def epochs_to(history: pd.DataFrame, level: float) -> float:
    """First epoch at which the validation score reaches a level; infinite if none does."""
    scores = validation_scores(history)
    reached = scores[scores["value"] >= level]
    return float(reached["epoch"].min()) if len(reached) else float("inf")


def _batch_norm_trains_faster(results: Results) -> Finding:
    batch_history = results.history(BOTH, narrow("slow"))
    local_history = results.history(BOTH, LRN)
    level = float(validation_scores(local_history)["value"].max())
    batch = epochs_to(batch_history, level)
    local = epochs_to(local_history, level)
    return decided(
        f"epochs until validation reaches {100 * level:.1f} %: batch {batch:g}, local {local:g}",
        batch < local,
    )


def _batch_norm_ends_higher(results: Results) -> Finding:
    return greater(results.score(narrow("slow"), BOTH), results.score(LRN, BOTH))


def _alpha_1_is_worse(results: Results) -> Finding:
    return greater(results.score(LRN, BOTH), results.score(LRN_ALPHA_1, BOTH))


def _multires(results: Results) -> Finding:
    clip = torch.zeros(1, *results.split(BOTH, count=1).shape.clip)

    def pixels(system: str) -> int:
        model = results.load(BOTH, system).model
        return sum(model.view(name, clip).numel() for name in model.streams)

    share = pixels(narrow("multires")) / pixels(narrow("slow"))
    fewer = decided(f"{share:.2f} of the pixels", share <= 0.55)
    full = results.score(narrow("slow"), BOTH)
    context = results.score(narrow("context"), BOTH)
    found = all_hold([fewer, at_least(results.score(narrow("multires"), BOTH), full)])
    return Finding(f"{found.measured}; all of the frame at half size: {context}", found.verdict)


def _fovea_and_context(results: Results) -> Finding:
    return greater(results.score(narrow("context"), BOTH), results.score(narrow("fovea"), BOTH))


def _order_free(results: Results) -> Finding:
    findings = []
    for name in ("single", "late"):
        shuffled = results.score(narrow(name), "digits_only", split="test_shuffled")
        findings.append(within(shuffled, results.score(narrow(name), "digits_only")))
    return all_hold(findings)


def _order_bound(results: Results) -> Finding:
    findings = []
    for name in ("early", "slow"):
        ordered = results.score(narrow(name), "velocity_only")
        shuffled = results.score(narrow(name), "velocity_only", split="test_shuffled")
        findings.append(greater(ordered, shuffled))
        findings.append(decided("half of it lost", shuffled.value <= ordered.value / 2))
    return all_hold(findings)


_FOUR = "fusion_{single,early,late,slow}_narrow"

CLAIMS = [
    Claim(
        SOURCE,
        "The layers have the published shapes",
        "sides 27, 11, 9, 7, 2 without padding; 7 x 7 x 256 with it, as in the paper; slow fusion"
        " has 4, 2, 1 time steps; the two frames of late fusion share one set of weights",
        "built at 170 px, nothing trained",
        _shapes,
    ),
    Claim(
        SOURCE,
        "A single frame tells no speed",
        "within 5 points of always giving the commonest label set",
        "fusion_single_narrow on velocity_only",
        _single_reads_no_speed,
    ),
    Claim(
        SOURCE,
        "Early and slow fusion read speed",
        "both above single and late fusion",
        f"{_FOUR} on velocity_only",
        _early_and_slow_read_speed,
    ),
    Claim(
        SOURCE,
        "Late fusion reads speed only when it is low",
        "not below the single frame on velocity_only; better on velocity_only_slow, where bodies"
        " bounce less often between two frames 15 apart",
        "fusion_late_narrow on velocity_only and velocity_only_slow",
        _late_reads_some_speed,
        if_fails=(
            "two frames 15 apart alias at both speeds: a slow square moves 0.45 (label + 1) of its"
            " free range between them, so labels above 1 have turned round at least once, at any"
            " size of canvas; the same network on two frames 2 apart reads slow speed"
        ),
    ),
    Claim(
        SOURCE,
        "Every network of several frames resolves overlaps better than a single frame",
        "late, early and slow fusion above the single frame",
        f"{_FOUR} on digits_only, with few training clips",
        _overlaps_resolve,
    ),
    Claim(
        SOURCE,
        "Slow fusion is at least as good as early fusion",
        "not below",
        f"{_FOUR} on {BOTH}",
        _slow_and_early,
    ),
    Claim(
        SOURCE,
        "The average of the four is at least as good as the best of them",
        "not below",
        f"mean probabilities of {_FOUR} on the test clips of {BOTH}",
        _ensemble,
    ),
    Claim(
        SOURCE,
        "Batch normalisation trains faster than local response normalisation",
        "it needs fewer epochs to the best validation score of the other",
        f"learning curves of fusion_slow_narrow and {LRN} on {BOTH}",
        _batch_norm_trains_faster,
    ),
    Claim(
        SOURCE,
        "Batch normalisation ends higher than local response normalisation",
        "above",
        f"fusion_slow_narrow and {LRN} on {BOTH}",
        _batch_norm_ends_higher,
    ),
    Claim(
        SOURCE,
        "Local response normalisation with TensorFlow's defaults (alpha 1) is visibly worse than"
        " with AlexNet's settings",
        "below",
        f"{LRN_ALPHA_1} and {LRN} on {BOTH}",
        _alpha_1_is_worse,
    ),
    Claim(
        SOURCE,
        "Two resolutions come within a few points of full frames at half the pixels",
        "half of the pixels, at most 5 points lower",
        f"fusion_multires_narrow and fusion_slow_narrow on {BOTH}; beside them the stream of half"
        " size alone. At half size the digits of this experiment are 4 px wide",
        _multires,
        if_fails=(
            "half size costs it: the stream that sees all of every frame at half size, where digits"
            " are 4 px wide, loses as much by itself, and the fovea shows only the middle of the"
            " path"
        ),
    ),
    Claim(
        SOURCE,
        "The context stream alone beats the fovea stream alone where objects are anywhere",
        "above",
        f"fusion_context_narrow and fusion_fovea_narrow on {BOTH}",
        _fovea_and_context,
    ),
    Claim(
        SOURCE,
        "Single frames and late fusion need no order of frames to read digits",
        "at most 5 points apart on shuffled clips",
        "fusion_single_narrow and fusion_late_narrow on digits_only",
        _order_free,
    ),
    Claim(
        SOURCE,
        "Early and slow fusion need the order of frames to read speed",
        "clearly lower, at most half, on shuffled clips",
        "fusion_early_narrow and fusion_slow_narrow on velocity_only",
        _order_bound,
    ),
]
