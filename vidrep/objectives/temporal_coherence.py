"""Temporal coherence: neighbouring frames close, frames of other clips apart, beside few labels.

Mobahi, Collobert & Weston, "Deep learning from temporal coherence in video", ICML 2009, pp.
737-744. With d the L1 distance between the embeddings of two frames, neighbours cost d and other
pairs max(0, margin - d); the sum, weighted, is added to the classification loss of the labelled
clips. There is no pre-training. Only what lies below the classifier feels the coherence.

Labelled data are still frames, as in the source, which takes one step for a labelled image, one for
a pair of neighbours and one for a pair apart, in turn. Here every step takes a batch of each:
stills of labelled clips, pairs of neighbours of clips whose labels are not looked at, and as pairs
apart their first frames with those of another clip of the batch. Pairs apart may show the same
digit, as in the source.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vidrep.objectives.base import embedding_std
from vidrep.objectives.classification import Classification


class TemporalCoherence(Classification):
    """Classification of every frame, and coherence over time.

    Args:
        model: a network whose embedding is (B, T, D), one vector a frame. One that says
            ``frame_wise = True`` looks at every frame by itself: it is then shown only the frames
            that a step needs.
        shape: the data set.
        coherence: weight of the coherence loss; 0 is classification of the labelled clips and
            nothing else.
        margin: how far pairs apart are pushed, in mean L1 distances of such pairs before training.
        gap: frames from one frame of a pair of neighbours to the other.
        negatives: are there pairs apart? Without them a constant embedding has no coherence loss.
        stills: frames of a labelled clip that carry its label, spread evenly over it; None for all.
        pairs: pairs of neighbours that a step draws of each clip; None for all.

    Attributes:
        delta: (), the margin as an L1 distance; 0 until ``prepare`` has measured it.

    Raises:
        ValueError: a model without a vector for each frame, or numbers that do not fit the clips.
    """

    semi_supervised = True
    # With few labels no whole label set may be right in any epoch, and the lower loss, which breaks
    # ties, is that of the first.
    selection = ("best_class", "max")
    spread = "embedding_std"

    def __init__(
        self,
        model: nn.Module,
        shape,
        coherence: float = 0.1,
        margin: float = 1.0,
        gap: int = 1,
        negatives: bool = True,
        stills: int | None = 1,
        pairs: int | None = 2,
    ) -> None:
        steps = shape.clip[1]
        if not 1 <= gap < steps:
            raise ValueError(
                f"objective temporal_coherence: gap is {gap}; clips of {steps} frames take 1 to"
                f" {steps - 1}"
            )
        for name, value, most in (("stills", stills, steps), ("pairs", pairs, steps - gap)):
            if value is not None and not 1 <= value <= most:
                raise ValueError(
                    f"objective temporal_coherence: {name} is {value}; clips of {steps} frames have"
                    f" {most} at gap {gap}"
                )
        super().__init__(model, shape)
        self.coherence = coherence
        self.margin = margin
        self.gap = gap
        self.negatives = negatives
        self.stills = stills or steps
        self.pairs = pairs or steps - gap
        self.register_buffer("delta", torch.zeros(()))

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """The model's embedding (B, T, D)."""
        embedding = super().embed(batch)
        frames = batch["clip"].shape[2]
        one_stream = isinstance(embedding, Tensor)
        if one_stream and embedding.ndim == 3 and embedding.shape[1] == frames:
            return embedding
        given = tuple(embedding.shape[1:]) if one_stream else ", ".join(embedding)
        raise ValueError(
            f"objective temporal_coherence: needs a vector for each of {frames} frames, model"
            f" {type(self.model).__name__} gives {given} a clip"
        )

    @torch.no_grad()
    def prepare(self, stage: str, batches: Iterable[dict[str, Tensor]]) -> None:
        """Measure the mean distance of pairs apart, from which the margin follows."""
        training = self.training
        self.eval()
        distances = []
        for batch in batches:
            frames = self.embed(batch).float()
            distances.append(l1(frames, apart(frames)).mean())
        self.train(training)
        self.delta.copy_(self.margin * torch.stack(distances).mean())

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Classification loss of ``batch["labelled"]`` plus weighted coherence loss of ``batch``.

        The labels of ``batch`` itself stay unread.
        """
        labelled = batch["labelled"]
        steps = self.shape.clip[1]
        middles = (2 * torch.arange(self.stills) + 1) * steps // (2 * self.stills)
        frames = self.embed_at(labelled, middles.expand(len(labelled["clip"]), -1))
        supervised = self.clip_losses(self.frame_logits(frames), labelled["labels"]).mean()
        if not self.coherence:
            return supervised
        return supervised + self.coherence * self.coherence_loss(batch)

    def coherence_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean cost of pairs of neighbours plus that of pairs apart.

        Raises:
            ValueError: a single clip, which has no other to be apart from.
        """
        clips = len(batch["clip"])
        steps = self.shape.clip[1]
        if self.negatives and clips < 2:
            raise ValueError(
                "objective temporal_coherence: pairs apart need batches of at least 2 clips; raise"
                " the recipe's batch"
            )
        mixed = torch.rand(clips, steps - self.gap).argsort(1)
        start = mixed[:, : self.pairs]
        frames = torch.cat([start, start + self.gap], 1)  # (B, 2 * pairs)
        first, second = self.embed_at(batch, frames).float().chunk(2, dim=1)
        near = l1(first, second).mean()
        if not self.negatives:
            return near
        shift = int(torch.randint(1, clips, ()))
        of_another = first.roll(shift, 0)
        return near + self.hinge(l1(first, of_another)).mean()

    def embed_at(self, batch: dict[str, Tensor], index: Tensor) -> Tensor:
        """Embeddings (B, k, D) of the frames ``index`` (B, k)."""
        if getattr(self.model, "frame_wise", False):
            frames = batch["clip"].transpose(1, 2)  # (B, T, C, H, W)
            clip = pick(frames, index).transpose(1, 2)
            return self.embed({**batch, "clip": clip})
        return pick(self.embed(batch), index)

    def frame_logits(self, frames: Tensor) -> dict[str, Tensor]:
        """Class scores of frames (B, k, D), under the only stream's name: (B, k, outputs)."""
        return {"": self.heads["all"](frames).float()}

    def hinge(self, distance: Tensor) -> Tensor:
        """What pairs apart at these L1 distances cost."""
        return (self.delta - distance).clamp_min(0)

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """How well all frames are classified, and how the embedding is spread; each score is (B,).

        ``loss`` is of both kinds; ``exact_set``: is the predicted label set right; ``best_class``:
        is the class with the largest score one of the clip's; ``positive_distance`` and
        ``negative_distance``: mean L1 distance of pairs of neighbours and of pairs apart (see
        ``apart``); ``embedding_std``: standard deviation of a feature over all frames of the batch,
        mean over features.
        """
        frames = self.embed(batch)
        logits = self.frame_logits(frames)
        read = self.together(self.probabilities(logits)[""], batch)
        truth = batch["labels"] > 0
        evidence = read
        if self.shape.multi_label:
            evidence = read.unflatten(1, (-1, 2)).diff(dim=2)[..., 0]  # "on" less "off"
        best = evidence.argmax(1)
        frames = frames.float()
        positive = l1(frames[:, : -self.gap], frames[:, self.gap :])
        negative = l1(frames, apart(frames))
        coherence = positive.mean(1)
        if self.negatives:
            coherence = coherence + self.hinge(negative).mean(1)
        return {
            "loss": self.clip_losses(logits, batch["labels"]) + self.coherence * coherence,
            "exact_set": (self.predict(read) == truth).all(1).float(),
            "best_class": truth.gather(1, best[:, None])[:, 0].float(),
            "positive_distance": positive.mean(1),
            "negative_distance": negative.mean(1),
            "embedding_std": embedding_std(frames).expand(len(frames)),
        }


def l1(a: Tensor, b: Tensor) -> Tensor:
    """L1 distance over the last axis."""
    return (a - b).abs().sum(-1)


def apart(frames: Tensor) -> Tensor:
    """For every frame one of the next clip of the batch, half a clip later.

    For a single clip it is one of its own, as far away.

    Args:
        frames: (B, T, D).

    Returns:
        (B, T, D).
    """
    half = frames.shape[1] // 2
    return frames.roll((1, half), (0, 1))


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Of each clip the steps ``index`` (B, k): (B, T, ...) -> (B, k, ...)."""
    rows = torch.arange(len(index), device=values.device)[:, None]
    return values[rows, index.to(values.device)]
