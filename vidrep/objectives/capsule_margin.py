"""Margin loss on the lengths of class capsules, with a decoder of each class alone.

Sabour et al., arXiv 1710.09829. A class is present where its capsule is longer than 0.5. The margin
loss is one term a class, so that clips of several digits need no change. As in the paper's
MultiMNIST, the decoder sees one class capsule at a time, all others masked with zeros.

Deviations:
* what is reconstructed of a video is its middle frame;
* the paper compares each reconstruction with its digit rendered alone. A clip's digits are not
  given apart, so the reconstructions of all classes present are added up, and the sum is compared
  with the frame: which capsule reconstructs what is left to learning.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.objectives.base import Objective, distribution
from vidrep.windows import share

PRESENT = 0.9
ABSENT = 0.1
ABSENT_WEIGHT = 0.5
THRESHOLD = 0.5


def margin_loss(lengths: Tensor, labels: Tensor) -> Tensor:
    """Margin loss of each clip.

    Args:
        lengths: (B, classes) lengths of the class capsules.
        labels: (B, classes) 0 or 1.

    Returns:
        (B,), summed over classes.
    """
    present = labels * (PRESENT - lengths).clamp_min(0).square()
    absent = (1 - labels) * (lengths - ABSENT).clamp_min(0).square()
    return (present + ABSENT_WEIGHT * absent).sum(-1)


class CapsuleMargin(Objective):
    """Margin loss and reconstruction of the middle frame.

    Args:
        model: a network of class capsules, e.g. ``vidrep.models.capsules.Capsules``: attributes
            ``capsules`` and ``size``, embedding (B, capsules * size).
        shape: the data set.
        reconstruction: weight of the squared error summed over a frame's values; 0.0005 in the
            paper.
        decoder: widths of the decoder's hidden layers.

    Raises:
        ValueError: a model without class capsules, or with another number of them than the data has
            classes.
    """

    stages = ("train",)
    selection = ("exact_set", "max")

    def __init__(
        self,
        model: nn.Module,
        shape,
        reconstruction: float = 0.0005,
        decoder: Sequence[int] = (512, 1024),
    ) -> None:
        super().__init__(model, shape)
        capsules = getattr(model, "capsules", None)
        size = getattr(model, "size", None)
        if capsules is None or size is None:
            raise ValueError(
                f"objective capsule_margin: model {type(model).__name__} has no class capsules; use"
                " model capsules"
            )
        if capsules != shape.classes:
            raise ValueError(
                f"objective capsule_margin: the model has {capsules} class capsules, the data"
                f" {shape.classes} classes; set the model's capsules to {shape.classes}"
            )
        self.reconstruction = reconstruction
        self.read = nn.Identity()  # marks what classes are read from
        channels, _, height, width = shape.clip
        widths = [capsules * size, *decoder]
        layers = []
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.ReLU()]
        layers += [
            nn.Linear(widths[-1], channels * height * width),
            nn.Sigmoid(),
            nn.Unflatten(1, (channels, height, width)),
        ]
        self.decoder = nn.Sequential(*layers)

    def class_capsules(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, classes, D) float32."""
        read = self.read(self.embed(batch).float())
        return read.unflatten(1, (self.shape.classes, -1))

    def decode(self, capsules: Tensor, labels: Tensor) -> Tensor:
        """One image a class present, decoded from its capsule alone.

        Args:
            capsules: (B, classes, D).
            labels: (B, classes) 0 or 1.

        Returns:
            (B, classes, C, H, W) in [0, 1]; 0 for absent classes.
        """
        clips, classes = labels.nonzero(as_tuple=True)
        mask = F.one_hot(classes, self.shape.classes)[:, :, None]
        alone = mask * capsules[clips]  # (pairs, classes, D)
        images = self.decoder(alone.flatten(1)).float()  # (pairs, C, H, W)
        nothing = images.new_zeros(*labels.shape, *images.shape[1:])
        return nothing.index_put((clips, classes), images)

    def losses(self, batch: dict[str, Tensor], capsules: Tensor) -> Tensor:
        """Margin loss plus weighted squared error of the middle frame, (B,)."""
        labels = batch["labels"]
        loss = margin_loss(capsules.norm(dim=-1), labels)
        if not self.reconstruction:
            return loss
        together = self.decode(capsules, labels).sum(1)  # (B, C, H, W)
        difference = together - middle_frame(batch["clip"])
        return loss + self.reconstruction * difference.square().sum((1, 2, 3))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean over clips."""
        return self.losses(batch, self.class_capsules(batch)).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Per-clip scores (B,).

        ``loss``; ``exact_set``: are the classes above 0.5 (with single labels: is the longest
        capsule) exactly those of the clip? ``present_above_half``: are all capsules of the clip's
        classes longer than 0.5? With several labels also ``exact_set_top2``, made for clips of two
        digits: are the two longest capsules the clip's classes? Clips with another number of labels
        (two equal digits) then count as wrong.
        """
        capsules = self.class_capsules(batch)
        lengths = share(capsules.norm(dim=-1), batch.get("video"))
        present = lengths > THRESHOLD
        truth = batch["labels"] > 0

        def exact(predicted: Tensor) -> Tensor:
            return (predicted == truth).all(-1).float()

        scores = {
            "loss": self.losses(batch, capsules),
            "exact_set": exact(present if self.shape.multi_label else longest(lengths, 1)),
            "present_above_half": (present | ~truth).all(-1).float(),
        }
        if self.shape.multi_label:
            scores["exact_set_top2"] = exact(longest(lengths, min(2, self.shape.classes)))
        return scores

    def readers(self) -> dict[str, nn.Module]:
        return {"capsules": self.read}

    def answer(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See ``Objective.answer``: from the lengths of the capsules."""
        capsules = read["capsules"][:, 0].unflatten(1, (self.shape.classes, -1))
        lengths = capsules.norm(dim=-1)
        if self.shape.multi_label:
            return lengths.clamp_max(1), lengths > THRESHOLD
        return distribution(lengths), longest(lengths, 1)

    def reconstruct(self, batch: dict[str, Tensor]) -> Tensor:
        """The middle frame, decoded class by class.

        Returns:
            (B, classes, C, H, W) in [0, 1]; 0 for classes that are not in the clip.
        """
        return self.decode(self.class_capsules(batch), batch["labels"])


def middle_frame(clip: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, C, H, W), frame T // 2."""
    return clip[:, :, clip.shape[2] // 2]


def longest(lengths: Tensor, count: int) -> Tensor:
    """(B, classes) bool: is a capsule among the ``count`` longest of its clip?"""
    none = torch.zeros_like(lengths, dtype=torch.bool)
    return none.scatter(1, lengths.topk(count).indices, True)
