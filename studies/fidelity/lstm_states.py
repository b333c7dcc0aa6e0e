"""What the states of LSTM encoders hold: new decoders, linear probes, curves of few labels."""

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from studies.fidelity.claim import Finding, all_hold, at_most, compared, decided, greater
from studies.fidelity.errors import above
from studies.results import Results
from studies.scores import Score, difference
from vidrep.frame_errors import nats_per_frame_of_logits
from vidrep.objectives.state_decoders import Decoder
from vidrep.runs import UNTRAINED

SHAPES = "digits_only"
SPEEDS = "velocity_only_slow"
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
FEW = (50, 200)  # labelled clips
MANY = 1000
AS_GOOD = 0.1  # of an error: as good as that
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
    autoencoder = results.score(SMALL_AUTOENCODER, SHAPES, metric=PAST_NATS)
    composite = results.score(SMALL_COMPOSITE, SHAPES, metric=PAST_NATS)
    return all_hold(
        [
            Finding(f"future {future.measured}", future.verdict),
            at_most(composite, autoencoder, AS_GOOD * autoencoder.value),
        ]
    )


# --- Linear probes. ---


def probe(results: Results, system: str, dataset: str, seed: int | str) -> np.ndarray:
    """Share of each test clip's labels (n,) among the likeliest of a linear probe on states.

    As many classes are taken as the clip has labels.
    """
    train, _, labels = states(results, system, dataset, "train", seed)
    test, _, truth = states(results, system, dataset, "test", seed)
    scores = []
    for k in range(labels.shape[1]):
        classifier = RidgeClassifierCV(PENALTIES, class_weight="balanced")
        fitted = make_pipeline(StandardScaler(), classifier)
        fitted.fit(train.numpy(), labels[:, k].numpy() > 0)
        scores.append(fitted.decision_function(test.numpy()))
    rank = np.argsort(np.argsort(-np.stack(scores, axis=1), axis=1), axis=1)
    shown = truth.numpy() > 0
    count = shown.sum(1, keepdims=True)
    return (shown & (rank < count)).sum(1) / count[:, 0]


def found(results: Results, system: str, dataset: str) -> Score:
    """``probe`` of all trained runs of a system."""
    seeds = results.seeds(dataset, system)
    values = np.stack([probe(results, system, dataset, seed) for seed in seeds])
    return Score(values, f"{system} {dataset}", runs=f"{system} {dataset}", clips=dataset)


def untrained(results: Results, system: str, dataset: str) -> Score:
    """``probe`` of the untrained baseline."""
    values = probe(results, system, dataset, UNTRAINED)
    return results.constant(values, f"{system}@{UNTRAINED}", dataset)


def identity_is_there(results: Results) -> Finding:
    """Can digits be read from the states of both models, beyond what untrained ones give?"""
    return all_hold(
        [
            greater(found(results, system, ONE), untrained(results, system, ONE))
            for system in (AUTOENCODER, COMPOSITE)
        ]
    )


def speed_is_there(results: Results) -> Finding:
    """Can speeds be read better from the states of predictors than from those of an autoencoder?"""
    rival = found(results, AUTOENCODER, SPEEDS)
    return all_hold(
        [greater(found(results, system, SPEEDS), rival) for system in (FUTURE, COMPOSITE)]
    )


# --- Few labels. ---


def few_labels(results: Results) -> Finding:
    """Is the gain of fine-tuning clear with few labels, and smaller with many?"""
    gains = {}
    texts = []
    for count in (*FEW, MANY):
        tuned = results.score(f"{FINETUNED}_labelled{count}", ONE)
        plain = results.score(f"{CLASSIFIER}_labelled{count}", ONE)
        gains[count] = difference(tuned, plain)
        texts.append(f"{count} labelled clips: {compared(tuned, plain)}")
    best = max(FEW, key=lambda count: gains[count].low)
    clear = gains[best].low > 0
    smaller = gains[MANY].value < gains[best].value
    return decided("; ".join(texts), bool(clear and smaller))
