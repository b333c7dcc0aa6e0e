"""Claims about SimVP, PredRNN, VideoMAE and V-JEPA: predictors, self-supervised transformers.

Errors are compared clip by clip: the mean difference over test clips with its 95 % interval
(normal). Everything is measured on the runs themselves, with the trivial predictors of
``vidrep.generation`` beside them.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from studies.fidelity.claim import Claim, Finding, all_hold, decided, greater
from studies.fidelity.errors import above
from studies.results import Results
from studies.scores import Score
from vidrep.datasets.store import clip_counts, open_clips
from vidrep.generation.baselines import baseline_frames, mean_training_frame
from vidrep.objectives.masking import fixed_order, take
from vidrep.runs import UNTRAINED
from vidrep.training.targets import make_target

SOURCE = "predictive"
FUTURE = "digits_only"  # predictors are trained on it
FILLED = "digits_only"  # masked transformers are
ONE = "one_digit"  # those that are fine-tuned on labels are
PREDICTORS = ("simvp_narrow", "pred_rnn_narrow")
COMPOSITE = "lstm_composite_narrow"
PIXELS = "video_mae_narrow"
LATENT = "v_jepa_narrow"
SELF = "v_jepa_self_target_narrow"
FINE_TUNED = "video_mae_finetuned_narrow"
SCRATCH = "video_mae_scratch_narrow"
# what is probed, on clips where nothing else tells it: (target, data set)
PROBED = {
    "identity": ("labels", FILLED),
    "direction": ("directions", FILLED),
    "speed": ("speeds", "velocity_only"),
}
# and what those clips are
WHERE = {
    "identity": "where all digits are equally fast",
    "direction": "eighths of a turn",
    "speed": "squares at ten speeds, of which the runs have seen one, on digits",
}
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # of the ridge, times the fitting clips
FIT_CLIPS = 1000
OWN = "own"  # a run's own errors, beside those of trivial predictors
ERROR = "prediction_squared_error_per_frame"
RANK = 5.0  # above: not collapsed


def clips_seen(results: Results, dataset: str, system: str) -> str:
    """``system (n clips seen)``: training clips times epochs."""
    epochs = results.record(dataset, system)["system"]["recipe"]["epochs"]
    clips = clip_counts([results.clips_file(dataset, "train")])[dataset]
    return f"{system} ({clips * sum(epochs):,} clips seen)"


def below(error: Tensor, rival: Tensor, names: tuple[str, str]) -> Finding:
    """Is one error clearly below another, clip by clip?

    Args:
        error, rival: (n,).
        names: of the two.
    """
    return above((names[1], names[0]), rival.double().numpy(), error.double().numpy())


@torch.no_grad()
def frame_errors(objective, batches: Iterable[dict]) -> dict[str, np.ndarray]:
    """Squared errors (n, horizons) per frame on clips, of a run and of trivial predictors."""
    errors = {OWN: [], "black": [], "repeat_last": []}
    for batch in batches:
        seen = batch["clip"][:, :, : objective.observed]
        future = batch["clip"][:, :, objective.observed :]
        unused = seen[:1, :, :1]
        predicted = {
            OWN: objective.generate(batch)["prediction"],
            "black": baseline_frames("black", seen, future, unused),
            "repeat_last": baseline_frames("repeat_last", seen, future, unused),
        }
        for name, frames in predicted.items():
            errors[name].append((frames - future).square().sum((1, 3, 4)))
    return {name: torch.cat(parts).double().numpy() for name, parts in errors.items()}


def errors_of(results: Results, system: str, which: str = OWN) -> Score:
    """Squared error per frame on the test clips, mean over horizons, of all runs of a system.

    ``which`` says whose: the system's own, or a trivial predictor's.
    """

    def error(objective) -> np.ndarray:
        return frame_errors(objective, results.batches(FUTURE))[which].mean(1)

    if which != OWN:
        return results.constant(error(results.load(FUTURE, system)), which, FUTURE, is_share=False)
    name = clips_seen(results, FUTURE, system)
    return results.scored_again(system, FUTURE, error, name, metric=ERROR, is_share=False)


def _beats_trivial(results: Results) -> Finding:
    findings = []
    for system in PREDICTORS:
        own = errors_of(results, system)
        for rival in ("black", "repeat_last"):
            findings.append(greater(errors_of(results, system, rival), own))
    return all_hold(findings)


def _beats_composite(results: Results) -> Finding:
    composite = errors_of(results, COMPOSITE)
    return all_hold([greater(composite, errors_of(results, system)) for system in PREDICTORS])


def _grows(results: Results) -> Finding:
    findings = []
    for system in PREDICTORS:
        errors = frame_errors(results.load(FUTURE, system), results.batches(FUTURE))[OWN]
        means = errors.mean(0)  # (horizons,)
        curve = " ".join(f"{value:.1f}" for value in means)
        names = (f"{system} by horizon {curve}; last", "first")
        findings.append(above(names, errors[:, -1], errors[:, 0]))
        findings.append(decided("from frame to frame", bool((np.diff(means) > 0).all())))
    return all_hold(findings)


@torch.no_grad()
def _fills_gaps(results: Results) -> Finding:
    objective = results.load(FILLED, PIXELS)
    mean = mean_training_frame(results.clips_file(FILLED, "train"))
    errors = {PIXELS: [], "mean_frame": [], "black": []}
    for batch in results.batches(FILLED):
        clip = batch["clip"]
        order = fixed_order(batch["row"], objective.places)
        nothing = clip[:, :, :0]
        filled = {
            PIXELS: objective.reconstruct(batch, order),
            "mean_frame": baseline_frames("mean_frame", nothing, clip, mean),
            "black": baseline_frames("black", nothing, clip, mean),
        }
        for name, frames in filled.items():
            tubelets = objective.tubelets((frames - clip).square())
            gaps = take(tubelets, order[:, objective.seen :])
            errors[name].append(gaps.mean((1, 2, 3)))
    found = {name: torch.cat(parts) for name, parts in errors.items()}
    own = clips_seen(results, FILLED, PIXELS)
    return all_hold(
        [
            below(found[PIXELS], found["mean_frame"], (own, "mean_frame")),
            below(found[PIXELS], found["black"], (own, "black")),
        ]
    )


def last_spread(results: Results, system: str, seed: int | str = 0) -> tuple[float, float]:
    """``embedding_std`` and ``effective_rank`` on validation clips after a run's last epoch."""
    history = results.history(FILLED, system, seed)
    last_epoch = history["epoch"] == history["epoch"].max()
    last = history[last_epoch & (history["split"] == "validation")]
    values = last.set_index("metric")["value"]
    return float(values["embedding_std"]), float(values["effective_rank"])


def _does_not_collapse(results: Results) -> Finding:
    std, rank = last_spread(results, LATENT)
    std_random, rank_random = last_spread(results, LATENT, UNTRAINED)
    std_self, rank_self = last_spread(results, SELF)
    text = (
        f"{clips_seen(results, FILLED, LATENT)}: {std:.4f}, {rank:.1f};"
        f" {LATENT}@{UNTRAINED}: {std_random:.4f}, {rank_random:.1f};"
        f" {clips_seen(results, FILLED, SELF)}: {std_self:.4f}, {rank_self:.1f}"
    )
    return decided(
        f"standard deviation and effective rank of {text}",
        std > std_random > std_self and rank > RANK,
    )


def used_clips(split: str) -> int | None:
    """How many clips of a split probes take; None for all."""
    return FIT_CLIPS if split == "train" else None


@torch.no_grad()
def embeddings(results: Results, system: str, seed: int | str, dataset: str, split: str) -> Tensor:
    """A run's embeddings (n, D) of the clips that probes take."""
    objective = results.load(FILLED, system, seed)
    batches = results.batches(dataset, split, count=used_clips(split))
    return torch.cat([objective.embed(batch) for batch in batches]).double()


def probe_target(results: Results, target: str, dataset: str, split: str) -> Tensor:
    """What a probe reads: (n, classes) 0 or 1 of the clips that probes take."""
    with open_clips(results.clips_file(dataset, split)) as file:
        values = file.labels[:] if target == "labels" else make_target(target, file.factors)
    return torch.from_numpy(values).double()[: used_clips(split)]


def probe_errors(features: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Squared error of each test clip (n,) as a share of a constant's mean one: 1 is no skill.

    The probe is a ridge on standardised features, its penalty chosen on the validation clips.

    Args:
        features: split to (n, D).
        targets: split to (n, classes).
    """
    mean = features["train"].mean(0)
    std = features["train"].std(0).clamp_min(1e-9)
    x = {split: (values - mean) / std for split, values in features.items()}
    offset = targets["train"].mean(0)
    gram = x["train"].T @ x["train"]
    cross = x["train"].T @ (targets["train"] - offset)
    unit = torch.eye(len(gram), dtype=gram.dtype)

    def errors(split: str, weights: Tensor) -> Tensor:
        return (x[split] @ weights + offset - targets[split]).square().sum(1)

    tried = []
    for penalty in PENALTIES:
        weights = torch.linalg.solve(gram + penalty * len(x["train"]) * unit, cross)
        tried.append((errors("validation", weights).mean().item(), weights))
    _, best = min(tried, key=lambda pair: pair[0])
    constant = (targets["test"] - offset).square().sum(1).mean()
    return errors("test", best) / constant


def probed(results: Results, factor: str) -> dict[str, Tensor]:
    """Errors of probes for a factor by system; ``<system>@untrained`` is its untrained baseline."""
    target, dataset = PROBED[factor]
    splits = ("train", "validation", "test")
    targets = {split: probe_target(results, target, dataset, split) for split in splits}
    found = {}
    for system in (PIXELS, LATENT):
        for seed, name in ((0, system), (UNTRAINED, f"{system}@{UNTRAINED}")):
            features = {
                split: embeddings(results, system, seed, dataset, split) for split in splits
            }
            found[name] = probe_errors(features, targets)
    return found


def _tells_better_than_random(results: Results, factor: str) -> Finding:
    """Do the features of both kinds tell a factor better than those of random weights?"""
    errors = probed(results, factor)
    findings = []
    for name in (PIXELS, LATENT):
        findings.append(below(errors[name], errors[f"{name}@{UNTRAINED}"], (name, UNTRAINED)))
    return all_hold(findings)


def _latent_is_better_frozen(results: Results) -> Finding:
    findings = []
    for factor in PROBED:
        errors = probed(results, factor)
        findings.append(below(errors[LATENT], errors[PIXELS], (f"{factor}: {LATENT}", PIXELS)))
    return all_hold(findings)


def _fine_tuned(results: Results) -> Finding:
    return greater(results.score(FINE_TUNED, ONE), results.score(SCRATCH, ONE))


_claim = partial(Claim, SOURCE)

PER_FRAME = (
    "squared error summed over a frame's pixels, mean over predicted frames, on the test clips of "
    f"{FUTURE}; 10 frames observed, 6 predicted"
)
PROBE = (
    f"ridge from the frozen embeddings of runs trained on {FILLED} to which classes occur, fitted"
    f" on {FIT_CLIPS:,} training clips, the best of {len(PENALTIES)} penalties on validation clips;"
    " squared error on test clips, that of a constant being 1"
)

CLAIMS = [
    _claim(
        "SimVP and PredRNN predict: they beat the trivial predictors",
        "errors clearly below those of an all-black screen and of the repeated last frame",
        PER_FRAME,
        _beats_trivial,
    ),
    _claim(
        "Convolutional predictors beat a plain LSTM",
        f"errors clearly below those of {COMPOSITE}",
        f"{PER_FRAME}. The systems share their training clips, not how often they see them",
        _beats_composite,
    ),
    _claim(
        "The error grows with the horizon",
        "from each predicted frame to the next, and clearly from the first to the last",
        PER_FRAME,
        _grows,
    ),
    _claim(
        "VideoMAE fills gaps: masked tubelets are reconstructed better than the mean frame",
        "errors clearly below those of the mean training frame and of black",
        f"squared error per pixel of masked tubelets, test clips of {FILLED}, masks fixed by clip",
        _fills_gaps,
    ),
    _claim(
        "Latent prediction does not collapse thanks to its averaged target (V-JEPA)",
        "embeddings further apart than those of random weights, and of an effective rank above"
        f" {RANK:g}; without the average, closer together than those of random weights",
        f"scores on validation clips of {FILLED} after the last epoch, means over batches of 100"
        " clips; the rank is at most 64, and high where next to nothing but noise is left",
        _does_not_collapse,
    ),
    *(
        _claim(
            f"Self-supervised features tell {factor} better than random ones",
            "both VideoMAE's and V-JEPA's clearly better than their untrained baselines'",
            f"{PROBE}; clips of {dataset}, {WHERE[factor]}",
            partial(_tells_better_than_random, factor=factor),
        )
        for factor, (_, dataset) in PROBED.items()
    ),
    _claim(
        "Frozen, features learnt by predicting features beat those learnt by generating pixels"
        " (Bardes et al.)",
        "errors of V-JEPA's probes clearly below VideoMAE's, for identity, speed and direction",
        PROBE,
        _latent_is_better_frozen,
    ),
    _claim(
        "Pretraining by filling gaps pays: fine-tuned beats trained from scratch",
        "clearly above, with as many epochs on the labels",
        f"right classes on {ONE}; pretraining on the same clips without their labels",
        _fine_tuned,
        mended=(
            "with two digits a clip a transformer this narrow read hardly any label set, pretrained"
            " or not, so that there was nothing to compare"
        ),
    ),
]
