"""What the states of LSTM encoders hold: new decoders, linear probes, curves of few labels."""

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from studies.fidelity.claim import Finding, all_hold, greater, share_difference
from studies.fidelity.errors import above, clip_scores
from studies.results import Results, Score
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
PAST_NATS = "reconstruction_nats_per_frame"
CLASSIFIER = "lstm_classifier"
FINETUNED = "lstm_finetuned"


@torch.no_grad()
def states(
    results: Results, system: str, dataset: str, split: str, seed: int | str = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Encoder states (n, D), frames (n, T, F) and labels (n, classes) of a split."""
    objective = results.load(dataset, system, seed)
    embeddings = []
    frames = []
    labels = []
    for batch in results.batches(dataset, split):
        embeddings.append(objective.embed(batch))
        frames.append(objective.frame_vectors(batch))
        labels.append(batch["labels"])
    return torch.cat(embeddings), torch.cat(frames), torch.cat(labels)


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
        batches = len(future) // BATCH
        steps = EPOCHS * batches
        optimiser = torch.optim.Adam(decoder.parameters(), lr=LR)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=steps + 1)
        for _ in range(EPOCHS):
            order = torch.randperm(len(future))
            for rows in order.split(BATCH)[:batches]:
                logits = decoder([embeddings[rows].split(units, 1)], future.shape[1])
                loss = nats_per_frame_of_logits(logits, future[rows]).mean(-1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return decoder.eval()


def future_from_states(results: Results, system: str, *, zeroed: bool = False) -> np.ndarray:
    """Nats per frame (n,) on test clips of a new decoder that predicts from frozen states.

    The states are those of a run; with ``zeroed`` zeros stand in their place.
    """
    objective = results.load(SHAPES, system)
    train, train_frames, _ = states(results, system, SHAPES, "train")
    test, test_frames, _ = states(results, system, SHAPES, "test")
    if zeroed:
        train = train * 0
        test = test * 0
    decoder = train_decoder(train, train_frames[:, objective.observed :], objective.units)
    future = test_frames[:, objective.observed :]
    with torch.no_grad():
        decoded = decoder([test.split(objective.units, 1)], objective.future)
        nats = nats_per_frame_of_logits(decoded, future).mean(-1)
    return nats.double().numpy()


def small_states(results: Results) -> Finding:
    """Does a small composite model's state serve prediction better than an autoencoder's does?

    And does it serve reconstruction as well?
    """
    future = above(
        ("from the autoencoder's state", "from the composite model's"),
        future_from_states(results, SMALL_AUTOENCODER),
        future_from_states(results, SMALL_COMPOSITE),
    )
    autoencoder = clip_scores(results, SMALL_AUTOENCODER, SHAPES)[PAST_NATS].mean()
    composite = clip_scores(results, SMALL_COMPOSITE, SHAPES)[PAST_NATS].mean()
    text = (
        f"reconstruction {autoencoder:.1f} nats per frame by the autoencoder, {composite:.1f} by"
        " the composite model"
    )
    return all_hold(
        [
            Finding(f"future {future.measured}", future.holds),
            Finding(text, bool(composite <= 1.1 * autoencoder)),
        ]
    )


# --- Linear probes. ---


def found(results: Results, system: str, dataset: str, name: str, seed: int | str = 0) -> Score:
    """Share of the labels of test clips among the two likeliest of a linear probe on states."""
    train, _, labels = states(results, system, dataset, "train", seed)
    test, _, truth = states(results, system, dataset, "test", seed)
    scores = []
    for k in range(labels.shape[1]):
        classifier = RidgeClassifierCV(PENALTIES, class_weight="balanced")
        probe = make_pipeline(StandardScaler(), classifier)
        probe.fit(train.numpy(), labels[:, k].numpy() > 0)
        scores.append(probe.decision_function(test.numpy()))
    order = np.argsort(-np.stack(scores, axis=1), axis=1)
    likeliest = torch.from_numpy(order[:, :2].copy())
    hits = truth.gather(1, likeliest).sum(1) / truth.sum(1).clamp(max=2)
    return Score(float(hits.mean()), int(truth.sum()), f"{name} {dataset}")


def identity_is_there(results: Results) -> Finding:
    """Can digits be read from the states of both models, beyond what untrained ones give?"""
    untrained = found(results, COMPOSITE, SHAPES, "untrained", UNTRAINED)
    autoencoder = found(results, AUTOENCODER, SHAPES, AUTOENCODER)
    composite = found(results, COMPOSITE, SHAPES, COMPOSITE)
    return all_hold([greater(autoencoder, untrained), greater(composite, untrained)])


def speed_is_there(results: Results) -> Finding:
    """Can speeds be read better from the states of predictors than from those of an autoencoder?"""
    rival = found(results, AUTOENCODER, SPEEDS, AUTOENCODER)
    future = found(results, FUTURE, SPEEDS, FUTURE)
    composite = found(results, COMPOSITE, SPEEDS, COMPOSITE)
    return all_hold([greater(future, rival), greater(composite, rival)])


# --- Few labels. ---


@torch.no_grad()
def strongest_class(results: Results, system: str) -> Score:
    """Share of test clips of one digit that a classifier names rightly, by its likeliest class."""
    objective = results.load(ONE, system)
    hits = []
    for batch in results.batches(ONE):
        (probabilities,) = objective.probabilities(objective.logits(batch)).values()
        present = probabilities.unflatten(-1, (-1, 2))[..., 1]  # of the pairs (off, on)
        likeliest = present.argmax(-1, keepdim=True)
        hits.append(batch["labels"].gather(1, likeliest)[:, 0])
    hits = torch.cat(hits)
    return Score(float(hits.mean()), len(hits), system)


def few_labels(results: Results) -> Finding:
    """Is the gain of fine-tuning clear with few labels, and larger than with many?"""
    gains = {}
    lowest = {}
    texts = []
    for count in (*FEW, 200, MANY):
        tuned = strongest_class(results, f"{FINETUNED}_labelled{count}")
        plain = strongest_class(results, f"{CLASSIFIER}_labelled{count}")
        gain, low, high = share_difference(tuned, plain)
        gains[count] = gain
        lowest[count] = low
        texts.append(
            f"{count} labelled clips: fine-tuned {100 * tuned.value:.1f} %, random"
            f" {100 * plain.value:.1f} %, {100 * gain:+.1f} points"
            f" [{100 * low:+.1f}, {100 * high:+.1f}]"
        )
    clear = any(lowest[count] > 0 for count in FEW)
    larger = max(gains[count] for count in FEW) > gains[MANY]
    return Finding("; ".join(texts), clear and larger)
