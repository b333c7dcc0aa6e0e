"""What the states of LSTM encoders hold: frozen states with new decoders, linear probes, few-label
curves.
"""

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from studies.fidelity.claim import Finding, Results, Score, all_hold, difference, greater
from studies.fidelity.errors import above, batches, clip_scores
from vidrep.frame_errors import nats_per_frame_of_logits
from vidrep.objectives.state_decoders import Decoder
from vidrep.runs import UNTRAINED

SHAPES = "digits_only"
SPEEDS = "velocity_only"
ONE = "one_digit"
COMPOSITE = "lstm_composite_narrow"
AUTOENCODER = "lstm_autoencoder_narrow"
FUTURE = "lstm_future_narrow"
SMALL_AUTOENCODER = "lstm_autoencoder_tiny"
SMALL_COMPOSITE = "lstm_composite_tiny"
EPOCHS = 20  # of a new decoder on frozen states
BATCH = 50
LR = 5e-3
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
FEW = (10, 50)  # labelled clips
MANY = 1000
CLASSIFIER = "lstm_classifier"
FINETUNED = "lstm_finetuned"


@torch.no_grad()
def states(
    results: Results, system: str, dataset: str, split: str, seed: int | str = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Encoder states (n, D), frames (n, T, F) and labels (n, classes) of a split."""
    objective = results.load(dataset, system, seed)
    parts = [
        (objective.embed(b), objective.frame_vectors(b), b["labels"])
        for b in batches(results, dataset, split)
    ]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


# --- Frozen states, new decoders. ---


def train_decoder(embeddings: Tensor, future: Tensor, units: int) -> Decoder:
    """A new unconditional decoder of one layer that learns to predict from frozen states.

    Args:
        embeddings: (n, 2 * units).
        future: (n, steps, frame_size) in [0, 1].
        units: of the states.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = Decoder(future.shape[2], units, 1, conditional=False)
        steps = EPOCHS * (len(future) // BATCH)
        optimiser = torch.optim.Adam(decoder.parameters(), lr=LR)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=steps + 1)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(future)).split(BATCH)[: len(future) // BATCH]:
                logits = decoder([embeddings[rows].split(units, 1)], future.shape[1])
                loss = nats_per_frame_of_logits(logits, future[rows]).mean(-1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return decoder.eval()


def future_from_states(results: Results, system: str, *, zeroed: bool = False) -> np.ndarray:
    """Nats per frame (n,) on test clips of a new decoder that predicts from a run's frozen states,
    or from zeros instead.
    """
    objective = results.load(SHAPES, system)
    data = {split: states(results, system, SHAPES, split) for split in ("train", "test")}
    (train, frames, _), (test, truth, _) = data["train"], data["test"]
    train, test = (train * 0, test * 0) if zeroed else (train, test)
    decoder = train_decoder(train, frames[:, objective.observed :], objective.units)
    with torch.no_grad():
        decoded = decoder([test.split(objective.units, 1)], objective.future)
        nats = nats_per_frame_of_logits(decoded, truth[:, objective.observed :]).mean(-1)
        return nats.double().numpy()


def small_states(results: Results) -> Finding:
    """Does a small composite model's state serve prediction better than that of an autoencoder, and
    reconstruction as well?
    """
    names = "from the autoencoder's state", "from the composite model's"
    future = above(
        names, *(future_from_states(results, name) for name in (SMALL_AUTOENCODER, SMALL_COMPOSITE))
    )
    past = [
        clip_scores(results, name, SHAPES)["reconstruction_nats_per_frame"].mean()
        for name in (SMALL_AUTOENCODER, SMALL_COMPOSITE)
    ]
    text = (
        f"reconstruction {past[0]:.1f} nats per frame by the autoencoder, {past[1]:.1f} by the"
        " composite model"
    )
    return all_hold(
        [
            Finding(f"future {future.measured}", future.holds),
            Finding(text, bool(past[1] <= 1.1 * past[0])),
        ]
    )


# --- Linear probes. ---


def found(results: Results, system: str, dataset: str, name: str, seed: int | str = 0) -> Score:
    """Share of the labels of test clips that are among the two likeliest of a linear probe on
    encoder states.
    """
    (train, _, labels), (test, _, truth) = (
        states(results, system, dataset, split, seed) for split in ("train", "test")
    )
    scores = np.stack(
        [
            make_pipeline(StandardScaler(), RidgeClassifierCV(PENALTIES, class_weight="balanced"))
            .fit(train.numpy(), labels[:, k].numpy() > 0)
            .decision_function(test.numpy())
            for k in range(labels.shape[1])
        ],
        axis=1,
    )
    likeliest = torch.from_numpy(np.argsort(-scores, axis=1)[:, :2].copy())
    hits = truth.gather(1, likeliest).sum(1) / truth.sum(1).clamp(max=2)
    return Score(float(hits.mean()), int(truth.sum()), f"{name} {dataset}")


def identity_is_there(results: Results) -> Finding:
    """Can digits be read from the states of autoencoder and composite model, beyond what untrained
    ones give?
    """
    twin = found(results, COMPOSITE, SHAPES, "untrained", UNTRAINED)
    return all_hold(
        [greater(found(results, name, SHAPES, name), twin) for name in (AUTOENCODER, COMPOSITE)]
    )


def speed_is_there(results: Results) -> Finding:
    """Can speeds be read better from the states of predictors than from those of an autoencoder?"""
    rival = found(results, AUTOENCODER, SPEEDS, AUTOENCODER)
    return all_hold(
        [greater(found(results, name, SPEEDS, name), rival) for name in (FUTURE, COMPOSITE)]
    )


# --- Few labels. ---


@torch.no_grad()
def strongest_class(results: Results, system: str) -> Score:
    """Share of test clips of one digit whose digit is the class that a classifier holds to be the
    likeliest.
    """
    objective = results.load(ONE, system)
    hits = []
    for batch in batches(results, ONE):
        (probabilities,) = objective.probabilities(objective.logits(batch)).values()
        # of the pairs (off, on)
        likeliest = probabilities.unflatten(-1, (-1, 2))[..., 1].argmax(-1)
        hits.append(batch["labels"].gather(1, likeliest[:, None])[:, 0])
    hits = torch.cat(hits)
    return Score(float(hits.mean()), len(hits), system)


def few_labels(results: Results) -> Finding:
    """Is the gain of fine-tuning clear with few labels, and larger than with many?"""
    pairs = {
        n: [strongest_class(results, f"{kind}_labelled{n}") for kind in (FINETUNED, CLASSIFIER)]
        for n in (*FEW, 200, MANY)
    }
    gains = {n: difference(*pair) for n, pair in pairs.items()}
    text = "; ".join(
        f"{n} labelled clips: fine-tuned {100 * tuned.value:.1f} %, random {100 * plain.value:.1f}"
        f" %, {100 * gains[n][0]:+.1f} points [{100 * gains[n][1]:+.1f}, {100 * gains[n][2]:+.1f}]"
        for n, (tuned, plain) in pairs.items()
    )
    best = max(gains[n][0] for n in FEW)
    return Finding(text, any(gains[n][1] > 0 for n in FEW) and best > gains[MANY][0])
