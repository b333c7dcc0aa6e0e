"""Claims about LSTM autoencoders and predictors (Srivastava et al., arXiv 1502.04681)."""

from itertools import pairwise

import numpy as np
import torch

from studies.fidelity import lstm_states as held
from studies.fidelity.claim import Claim, Finding, all_hold, at_most, decided, greater
from studies.fidelity.errors import above
from studies.fidelity.lstm_states import COMPOSITE, FUTURE, SHAPES
from studies.results import NotRun, Results
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render
from vidrep.digits.source import read_digits
from vidrep.frame_errors import nats_per_frame_of_logits
from vidrep.runs import UNTRAINED

SOURCE = "lstm_composite"
COMPOSITE_FED = "lstm_composite_future_conditional_narrow"
FUTURE_FED = "lstm_future_conditional_narrow"
TAUGHT = "lstm_future_taught"  # the same, fed true frames in training
DENOISERS = ("denoising_lstm_narrow", "denoising_gru_narrow", "denoising_c3d_narrow")
PERCEPTS = "lstm_composite_percepts_narrow"
NATS = "prediction_nats_per_frame"
FADED = 1e-12  # squared contrast below which a frame is one grey
STEPS = 100  # length of a rollout; the next two are shares of the data's changes
LIVELY = 0.2
STILL = 0.01
NEAR = 1.1  # times a constant's error: as good as that


def as_array(parts: list[torch.Tensor]) -> np.ndarray:
    """The values of all batches, one after the other."""
    return torch.cat(parts).double().numpy()


# --- Constants to beat. ---


def frames(results: Results, split: str) -> torch.Tensor:
    """All frames of a split, (n, T, F) in [0, 1]."""
    return results.split(SHAPES, split).clips.flatten(2).float() / 255


def logits_of(intensity: torch.Tensor) -> torch.Tensor:
    """Logits of intensities in [0, 1], which are kept away from both ends."""
    return intensity.clamp(1e-6, 1 - 1e-6).logit()


def constant_nats(results: Results, first: int, *, mean_frame: bool = False) -> tuple[float, float]:
    """Nats per frame of a constant answer on the test frames from ``first`` on, and their floor.

    The constant is the mean training intensity, or the mean training frame.
    """
    train = frames(results, "train")
    future = frames(results, "test")[:, first:]
    mean = train.mean((0, 1)) if mean_frame else train.mean()
    constant = nats_per_frame_of_logits(logits_of(mean).expand_as(future), future)
    floor = nats_per_frame_of_logits(logits_of(future), future)
    return float(constant.mean(-1).mean()), float(floor.mean(-1).mean())


# --- Reconstruction and prediction. ---


def _ordering(results: Results) -> Finding:
    order = (COMPOSITE_FED, FUTURE_FED, COMPOSITE, FUTURE)
    nats = [results.score(name, SHAPES, metric=NATS) for name in order]
    steps = [at_most(a, b) for a, b in pairwise(nats)]
    means = [score.value for score in nats]
    constant, floor = constant_nats(results, results.load(SHAPES, COMPOSITE).observed)
    text = f"mean intensity {constant:.1f}, floor of grey targets {floor:.1f}"
    between = bool(max(means) < 0.8 * constant and min(means) > floor)
    return all_hold([*steps, decided(text, between)])


@torch.no_grad()
def _reversed(results: Results) -> Finding:
    objective = results.load(SHAPES, COMPOSITE)
    right = []
    wrong = []
    for batch in results.batches(SHAPES):
        seen = batch["clip"][:, :, : objective.observed]
        generated = objective.generate(batch)["reconstruction"]
        for errors, target in ((right, seen), (wrong, seen.flip(2))):
            per_frame = (generated - target).square().sum((1, 3, 4))  # (B, T)
            errors.append(per_frame.mean(1))
    names = ("squared error per frame against the unreversed input", "in the right order")
    return above(names, as_array(wrong), as_array(right))


def movement(frames: torch.Tensor) -> torch.Tensor:
    """How much the picture changes from frame to frame, whatever its contrast.

    (B, C, T, H, W) -> (B, T-1): one minus the correlation of neighbouring frames; 0 where it
    stands still, also where it has faded to one grey.
    """
    flat = frames.transpose(1, 2).flatten(2).double()  # (B, T, F)
    centred = flat - flat.mean(-1, keepdim=True)
    norm = centred.norm(dim=-1)
    product = (centred[:, 1:] * centred[:, :-1]).sum(-1)
    scale = norm[:, 1:] * norm[:, :-1]
    return torch.where(scale > FADED, 1 - product / scale.clamp_min(FADED), 0.0)


@torch.no_grad()
def _extrapolation(results: Results) -> Finding:
    moved = {}
    for seed in (0, UNTRAINED):
        objective = results.load(SHAPES, COMPOSITE, seed)
        rollouts = []
        for batch in results.batches(SHAPES, count=200):
            rollouts.append(movement(objective.rollout(batch, STEPS)))
        moved[seed] = torch.cat(rollouts).mean(0)
    data = torch.cat([movement(batch["clip"]) for batch in results.batches(SHAPES)]).mean().item()
    first = moved[0][0].item() / data
    late = moved[0][-10:].mean().item() / data
    still = moved[UNTRAINED][10:].mean().item() / data
    text = (
        f"change from frame to frame, share of the data's: trained {100 * first:.0f} % at first,"
        f" {100 * late:.0f} % over the last ten of {STEPS} frames; untrained {100 * still:.2g} %"
        " after ten frames"
    )
    return decided(text, late > LIVELY and still < STILL)


def other_version(results: Results, name: str) -> torch.Tensor:
    """Test clips of a version with another number of digits, (n, 1, T, H, W) in [0, 1].

    They are as many, as long and as large as those of ``SHAPES``.
    """
    source = results.folder / "digits" / "digits.npz"
    if not source.exists():
        raise NotRun(f"no digits {source.name}")
    digits = read_digits(source)
    count, length, size, _ = results.split(SHAPES).clips.shape
    version = recipe(name, frames=length, size=size, patch=digits.images.shape[1])
    clips, _, _ = render(version, digits, split="test", count=count, seed=0)
    return torch.from_numpy(clips).float().div(255)[:, None]


@torch.no_grad()
def _other_counts(results: Results) -> Finding:
    objective = results.load(SHAPES, COMPOSITE)
    versions = {
        "two digits": torch.cat([batch["clip"] for batch in results.batches(SHAPES)]),
        "one": other_version(results, "one_digit"),
        "three": other_version(results, "three_digits"),
    }
    missed = {}
    glow = {}
    for name, clip in versions.items():
        generated = objective.generate({"clip": clip})["prediction"]
        true = clip[:, :, objective.observed :]
        error = (generated - true).square().sum((1, 2, 3, 4))
        energy = true.square().sum((1, 2, 3, 4))
        missed[name] = as_array([error / energy])
        glow[name] = float(generated.sum() / true.sum())
    shares = ", ".join(f"{name} {100 * value:.0f} %" for name, value in glow.items())
    two = missed["two digits"]
    names = ("squared error, share of the true frames' energy: one", "two digits")
    return all_hold(
        [
            above(names, missed["one"], two, paired=False),
            above(("three", "two digits"), missed["three"], two, paired=False),
            decided(f"predicted intensity, share of the true one: {shares}", glow["one"] > 1),
        ]
    )


def _zeroed(results: Results) -> Finding:
    observed = results.load(SHAPES, COMPOSITE).observed
    constant, _ = constant_nats(results, observed, mean_frame=True)
    full = held.future_from_states(results, COMPOSITE).mean()
    empty = held.future_from_states(results, COMPOSITE, zeroed=True).mean()
    text = (
        f"from frozen states {full:.1f} nats per frame, from zeros {empty:.1f}, mean training frame"
        f" {constant:.1f}"
    )
    return decided(text, bool(full < empty and constant / NEAR < empty < constant * NEAR))


@torch.no_grad()
def _own_outputs(results: Results) -> Finding:
    objective = results.load(SHAPES, TAUGHT)
    own = []
    taught = []
    for batch in results.batches(SHAPES):
        for nats, teacher in ((own, False), (taught, True)):
            logits, target = objective.decode(batch, teacher=teacher)["prediction"]
            nats.append(nats_per_frame_of_logits(logits, target))  # (B, T)
    own = as_array(own)
    taught = as_array(taught)
    gaps = ", ".join(f"{gap:+.1f}" for gap in (own - taught).mean(0))
    names = ("nats per frame on own outputs", "on true frames")
    finding = above(names, own.mean(1), taught.mean(1))
    return Finding(f"{finding.measured}; difference frame by frame {gaps}", finding.verdict)


# --- Denoising, and percepts in place of pixels. ---


def _denoising(results: Results) -> Finding:
    findings = []
    for name in DENOISERS:
        noisy = results.score(name, SHAPES, metric="noisy_squared_error_per_frame")
        denoised = results.score(name, SHAPES, metric="denoised_squared_error_per_frame")
        findings.append(greater(noisy, denoised))
    return all_hold(findings)


@torch.no_grad()
def _percepts(results: Results) -> Finding:
    objective = results.load(SHAPES, PERCEPTS)
    batches = results.batches(SHAPES, "train", count=500)
    train = torch.cat([objective.frame_vectors(batch) for batch in batches])
    mean = train.mean((0, 1))
    errors = {"predicted": [], "repeated": [], "mean": []}
    for batch in results.batches(SHAPES):
        values, target = objective.decode(batch, teacher=False)["prediction"]
        last_frame = batch["clip"][:, :, [objective.observed - 1]]
        last = objective.frame_vectors({"clip": last_frame})
        for name, answer in (("predicted", values), ("repeated", last), ("mean", mean)):
            errors[name].append((answer - target).square().sum(-1).mean(-1))
    predicted = as_array(errors["predicted"])
    names = ("squared error per frame: last percept repeated", PERCEPTS)
    return all_hold(
        [
            above(names, as_array(errors["repeated"]), predicted),
            above(("mean percept", PERCEPTS), as_array(errors["mean"]), predicted),
        ]
    )


CLAIMS = [
    Claim(
        SOURCE,
        "Future prediction: composite with conditional future <= conditional predictor <= composite"
        " <= plain predictor, all far below the mean-intensity constant and above the floor of grey"
        " targets",
        expected=(
            "341.2, 343.5, 344.9, 350.2 nats per frame in the paper (two layers, 64 x 64 px): a few"
            " per cent apart"
        ),
        how=(
            "cross-entropy in nats per frame of the six predicted frames on test clips of"
            f" {SHAPES}, conditional decoders on their own outputs, equal training; each step of"
            " the order: at most 2 % above; far below: under 80 % of the constant"
        ),
        measure=_ordering,
    ),
    Claim(
        SOURCE,
        "Reconstructions compared with unreversed input are clearly worse",
        expected="a larger squared error against the frames in the wrong order",
        how=(
            f"reconstructions of {COMPOSITE} on test clips of {SHAPES}, against the observed frames"
            " in both orders; paired"
        ),
        measure=_reversed,
    ),
    Claim(
        SOURCE,
        "The small state of an autoencoder serves a future decoder badly; that of a composite model"
        " serves both",
        expected=(
            "a new future decoder has a larger error on the autoencoder's state; reconstruction as"
            " good within 10 %"
        ),
        how=(
            f"runs of 32 units on {SHAPES}; encoders frozen, a new unconditional decoder trained on"
            " the states of all training clips; nats per frame on test clips, paired"
        ),
        measure=held.small_states,
    ),
    Claim(
        SOURCE,
        "Digit identity can be read from the states of autoencoder and composite model",
        expected="above the untrained encoder's state",
        how=(
            "ridge classifier a class on the encoder's state after ten frames, fitted on all"
            f" training clips of {held.ONE}; is the likeliest class the clip's?"
        ),
        measure=held.identity_is_there,
        mended=(
            "states of clips with two digits were probed, whose identities a linear probe must read"
            " from a sum"
        ),
    ),
    Claim(
        SOURCE,
        "Speed can be read better from the states of the future predictor and of the composite"
        " model than from the autoencoder's",
        expected="above the autoencoder",
        how=(
            f"as before, on {held.SPEEDS}, where the labels are speeds and all digits look the"
            " same; share of the labels of test clips among as many likeliest"
        ),
        measure=held.speed_is_there,
        mended=(
            "fast squares were probed, which bounce within a few frames and whose future a network"
            " of this size does not predict"
        ),
    ),
    Claim(
        SOURCE,
        "Fine-tuning the encoder of a composite model helps most with few labels",
        expected=(
            "a gain over random weights at five or twenty clips a class, a smaller one at a hundred"
        ),
        how=(
            f"an LSTM with a classifier at every step on {held.ONE}, with 50, 200 and 1,000 of the"
            " training clips labelled, the same number of steps; from the encoder of"
            f" {COMPOSITE}, or random; share of test clips whose likeliest class is right"
        ),
        measure=held.few_labels,
    ),
    Claim(
        SOURCE,
        "A prediction of 100 frames keeps moving; that of an untrained network stands still within"
        " a few frames",
        expected=(
            "change from frame to frame above 20 % of the data's over the last ten frames;"
            " untrained below 1 % after ten"
        ),
        how=(
            f"{COMPOSITE} on 200 test clips of {SHAPES} and its untrained baseline; change is one"
            " minus the correlation of neighbouring frames, which knows no contrast"
        ),
        measure=_extrapolation,
        mended=(
            "squared differences of frames were measured, which fall with contrast, so that blur"
            " counted as standing still"
        ),
    ),
    Claim(
        SOURCE,
        "With one or three digits, errors are larger than with two, and a second digit is invented"
        " for one",
        expected="a larger error of the prediction; more intensity than is there for one digit",
        how=(
            f"{COMPOSITE} of {SHAPES} on test clips of one_digit and three_digits, rendered from"
            " the experiment's digits; squared error of the prediction as a share of the true"
            " frames' energy (fewer digits have fewer bright pixels)"
        ),
        measure=_other_counts,
    ),
    Claim(
        SOURCE,
        "Unconditional decoders live off the state: with a zero in its place they give the"
        " mean-intensity constant",
        expected="the error of the best constant, the mean training frame, within 10 %",
        how=(
            f"a new future decoder trained on frozen states of {COMPOSITE} on {SHAPES}, and one"
            " trained on zeros"
        ),
        measure=_zeroed,
    ),
    Claim(
        SOURCE,
        "A decoder taught with true frames loses ground on its own outputs",
        expected="a larger error on own outputs, growing from frame to frame",
        how=f"{TAUGHT} on test clips of {SHAPES}; paired",
        measure=_own_outputs,
    ),
    Claim(
        SOURCE,
        "Denoising autoencoders give clips closer to the clean ones than their noisy input",
        expected="a smaller squared error than the noisy clip's",
        how=(
            "LSTM, GRU and 3-D convolutional autoencoder (noise 0.3, clean target) on test clips"
            f" of {SHAPES} with noise; paired"
        ),
        measure=_denoising,
    ),
    Claim(
        SOURCE,
        "Percepts can be predicted",
        expected=(
            "a smaller squared error than repeating the last percept and than the mean training"
            " percept"
        ),
        how=(
            "features of a CNN trained on still digits, six frames ahead, on test clips of"
            f" {SHAPES}; paired"
        ),
        measure=_percepts,
    ),
]
