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
    """Size and training of a labeller; reference values are those of the best published network.

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
        self,
        features: int,
        classes: int,
        *,
        units: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.drop_features = nn.Dropout(dropout)
        self.lstm = None
        if layers:
            between_layers = dropout if layers > 1 else 0.0
            self.lstm = nn.LSTM(features, units, layers, dropout=between_layers)
        self.drop_state = nn.Dropout(dropout)
        self.head = nn.Linear(units if layers else features, classes + 1)

    def forward(self, videos: PackedSequence) -> Tensor:
        """Scores (N, K + 1) of packed clips (N, D), in the packing's order."""
        states = self.drop_features(self.norm(videos.data))
        if self.lstm is not None:
            packed, _ = self.lstm(videos._replace(data=states))
            states = self.drop_state(packed.data)
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
    """Values (N, ...) of all clips as one tensor (L, ...) for each video; ``clips`` is (V,)."""
    return list(torch.from_numpy(values).split(clips.tolist()))


@torch.no_grad()
def predict(labeller: Labeller, videos: Videos, device: Device) -> np.ndarray:
    """Probabilities of all clips, video after video, each video from a state of zero.

    Returns:
        (N, K + 1) float64, background first.
    """
    labeller.eval()
    features = sequences(videos.features, videos.clips)
    packed = pack_sequence(features, enforce_sorted=False).to(device.device)
    scores = packed._replace(data=labeller(packed))
    padded, lengths = pad_packed_sequence(scores, batch_first=True)  # (V, L, K + 1), (V,)
    by_video = [video[:length] for video, length in zip(padded, lengths, strict=True)]
    return torch.cat(by_video).double().softmax(-1).cpu().numpy()


def clip_loss(scores: Tensor, labels: Tensor, background_weight: float) -> Tensor:
    """Weighted cross-entropy of clips, divided by the sum of their weights.

    Args:
        scores: (N, K + 1), background first.
        labels: (N,) int in 0..K.
        background_weight: of clips without activity; the others have 1.
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
    features = train.features.shape[1]
    labeller = make_labeller(head, features, train.classes, recipe).to(device.device)
    # Keras' constants
    optimiser = torch.optim.RMSprop(labeller.parameters(), lr=recipe.lr, alpha=0.9, eps=1e-7)
    losses = []
    best = None
    for epoch in range(recipe.epochs):
        torch.manual_seed(stream_seed(seed, "labeller", head, "epoch", epoch))
        _train_one_epoch(labeller, optimiser, train, recipe, device)
        losses.append(_validation_loss(labeller, validation, recipe, device))
        if losses[-1] <= min(losses):
            best = copy.deepcopy(labeller.state_dict())
    labeller.load_state_dict(best)
    return labeller.eval(), losses


def _train_one_epoch(
    labeller: Labeller,
    optimiser: torch.optim.Optimizer,
    train: Videos,
    recipe: LabellerRecipe,
    device: Device,
) -> None:
    """One step for each batch of videos, in an order from torch's global generator."""
    features = sequences(train.features, train.clips)
    labels = sequences(train.labels, train.clips)
    labeller.train()
    for chosen in torch.randperm(len(features)).split(recipe.batch):
        packed = pack_sequence([features[i] for i in chosen], enforce_sorted=False)
        target = pack_sequence([labels[i] for i in chosen], enforce_sorted=False).data
        scores = labeller(packed.to(device.device))
        loss = clip_loss(scores, target.to(device.device), recipe.background_weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def _validation_loss(
    labeller: Labeller,
    videos: Videos,
    recipe: LabellerRecipe,
    device: Device,
) -> float:
    scores = torch.from_numpy(predict(labeller, videos, device)).log()
    labels = torch.from_numpy(videos.labels)
    return clip_loss(scores, labels, recipe.background_weight).item()
