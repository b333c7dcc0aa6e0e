"""The network that labels each clip of a video: an LSTM over the clips, or each clip for itself.

As published: batch normalisation on the features, dropout, LSTM, dropout, softmax over background
and K activities at every clip; cross-entropy with background weighted 0.3; RMSprop. Deviations:

* the state starts at zero with every video, in training as in prediction. The published training
  appended videos to parallel streams and carried the state across video boundaries, which its
  prediction did not;
* videos are packed, so padding exists nowhere, neither in the statistics of the batch normalisation
  nor in the loss;
* videos come in a new order each epoch, and the weights are those of the epoch with the lowest loss
  on validation videos.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

from vidrep.detection.features import Videos
from vidrep.random_streams import stream_seed
from vidrep.training.device import Device

HEADS = ("lstm", "softmax")


@dataclass(frozen=True)
class LabellerRecipe:
    """Size and training of a labeller; the reference values are those of the best published
    network.

    Attributes:
        units: cells of an LSTM layer (reference 512).
        layers: LSTM layers (reference 1).
        dropout: before and after the LSTM (reference 0.5).
        background_weight: weight of background clips in the loss, activities having 1 (reference
            0.3).
        lr: RMSprop's rate (reference 1e-5).
        epochs: passes over the training videos (reference 100).
        batch: videos a step.
    """

    units: int
    layers: int
    dropout: float
    background_weight: float
    lr: float
    epochs: int
    batch: int


class Labeller(nn.Module):
    """Scores of background and K activities for every clip.

    Args:
        features: D.
        classes: K.
        units, layers: of the LSTM; 0 layers label each clip for itself.
        dropout: before and after the LSTM.
    """

    def __init__(
        self, features: int, classes: int, *, units: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.drop_features = nn.Dropout(dropout)
        self.lstm = (
            nn.LSTM(features, units, layers, dropout=dropout if layers > 1 else 0.0)
            if layers
            else None
        )
        self.drop_state = nn.Dropout(dropout)
        self.head = nn.Linear(units if layers else features, classes + 1)

    def forward(self, videos: PackedSequence) -> Tensor:
        """Scores (N, K + 1) of packed clips (N, D), in the packing's order."""
        states = self.drop_features(self.norm(videos.data))
        if self.lstm is not None:
            states = self.lstm(videos._replace(data=states))[0].data
            states = self.drop_state(states)
        return self.head(states)


def make_labeller(head: str, features: int, classes: int, recipe: LabellerRecipe) -> Labeller:
    """The labeller of a head's name, initialised from torch's global generator.

    Raises:
        ValueError: unknown head.
    """
    if head not in HEADS:
        raise ValueError(f"unknown head {head!r}: choose one of {', '.join(HEADS)}")
    layers = recipe.layers if head == "lstm" else 0
    return Labeller(features, classes, units=recipe.units, layers=layers, dropout=recipe.dropout)


def sequences(values: np.ndarray, clips: np.ndarray) -> list[Tensor]:
    """Values (N, ...) of all clips as one tensor (L, ...) a video."""
    return list(torch.from_numpy(values).split(clips.tolist()))


@torch.no_grad()
def predict(labeller: Labeller, videos: Videos, device: Device) -> np.ndarray:
    """Probabilities (N, K + 1) float64 of all clips, video after video, each from a state of
    zero.
    """
    labeller.eval()
    packed = pack_sequence(sequences(videos.features, videos.clips), enforce_sorted=False).to(
        device.device
    )
    padded, lengths = pad_packed_sequence(packed._replace(data=labeller(packed)), batch_first=True)
    return (
        torch.cat([scores[:many] for scores, many in zip(padded, lengths, strict=True)])
        .double()
        .softmax(-1)
        .cpu()
        .numpy()
    )


def clip_loss(scores: Tensor, labels: Tensor, background_weight: float) -> Tensor:
    """Cross-entropy of clips (N, K + 1) against labels (N,), background weighted, divided by the
    sum of weights.
    """
    weight = torch.ones_like(scores[0])
    weight[0] = background_weight
    return F.cross_entropy(scores, labels, weight)


def train_labeller(
    head: str,
    train: Videos,
    validation: Videos,
    recipe: LabellerRecipe,
    *,
    seed: int,
    device: Device,
) -> tuple[Labeller, list[float]]:
    """Train a labeller on clip features.

    Args:
        head: "lstm" or "softmax".
        train, validation: the videos.
        recipe: size and training.
        seed: of the initial weights, the orders and the dropout.
        device: where to compute, in float32.

    Returns:
        The labeller with the weights of the epoch whose validation loss is lowest, and the
        validation loss of each epoch.
    """
    torch.manual_seed(stream_seed(seed, "labeller", head, "init"))
    labeller = make_labeller(head, train.features.shape[1], train.classes, recipe).to(device.device)
    # Keras' constants
    optimiser = torch.optim.RMSprop(labeller.parameters(), lr=recipe.lr, alpha=0.9, eps=1e-7)
    features = sequences(train.features, train.clips)
    labels = sequences(train.labels, train.clips)
    losses = []
    best = None
    for epoch in range(recipe.epochs):
        torch.manual_seed(stream_seed(seed, "labeller", head, "epoch", epoch))
        labeller.train()
        for chosen in torch.randperm(len(features)).split(recipe.batch):
            packed = pack_sequence([features[i] for i in chosen], enforce_sorted=False).to(
                device.device
            )
            target = pack_sequence([labels[i] for i in chosen], enforce_sorted=False).data.to(
                device.device
            )
            loss = clip_loss(labeller(packed), target, recipe.background_weight)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        losses.append(_validation_loss(labeller, validation, recipe, device))
        if losses[-1] <= min(losses):
            best = copy.deepcopy(labeller.state_dict())
    labeller.load_state_dict(best)
    return labeller.eval(), losses


def _validation_loss(
    labeller: Labeller, videos: Videos, recipe: LabellerRecipe, device: Device
) -> float:
    scores = torch.from_numpy(predict(labeller, videos, device)).log()
    return clip_loss(scores, torch.from_numpy(videos.labels), recipe.background_weight).item()
