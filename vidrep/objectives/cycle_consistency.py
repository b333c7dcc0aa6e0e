"""Temporal cycle consistency: embeddings of frames that align videos of one process.

They are learnt without labels. Dwibedi et al., CVPR 2019, arXiv 1904.07846: from a frame of one
video to its soft nearest neighbour in another and back, one should end where one began. ``weights``
mixes this with two baselines of the same paper, "tcn" (time-contrastive) and "order" (shuffle and
learn); see ``vidrep.objectives.cycle_losses``.

Weights are chosen by Kendall's tau of validation clips, each matched to some others: it needs no
labels, it means the same for all losses and their mixtures, and it is what the embedding is for.
Scores of a clip depend on the clips that stand beside it.

Deviations from the released code: the whole clip is embedded and the sampled frames are taken from
it; the time-contrastive positive lies on either side of the anchor; triplets are drawn within each
video.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.objectives.base import (
    Objective,
    check_choice,
    embedding_sizes,
    embedding_std,
)
from vidrep.objectives.cycle_losses import (
    VARIANTS,
    cycle_back,
    cycle_loss,
    n_pairs,
    nearest_frames,
    order_triplets,
    positives_of,
    sorted_frames,
)
from vidrep.statistics import kendall_tau

TERMS = ("cycle", "tcn", "order")
TRIPLETS = 8  # triplets a clip, and how many of them are shuffled
SHUFFLED = 0.75
PARTNERS = 4  # clips that each clip is matched to when it is scored


class CycleConsistency(Objective):
    """Losses on the embeddings of sampled frames.

    Args:
        model: a network whose embedding is (B, T, D), one step a frame; with ``window`` any network
            of one stream.
        shape: the data set.
        weights: weight of each loss that counts: "cycle", "tcn", "order".
        variant: of the cycle's loss: regression, classification or mse.
        samples: frames sampled from each clip, in order and without repetition; all where a clip
            has fewer.
        temperature, variance_weight, label_smoothing: of the cycle's loss.
        positive_window: frames between a time-contrastive anchor and its positive, at most.
        l2: of the time-contrastive embeddings.
        window: frames that a model of whole clips sees at a time; it slides over the clip, reaches
            into the past alone, and repeats the first frame where there is no past. None: the model
            sees the clip.

    Raises:
        ValueError: unknown names, or a model without one embedding a frame.
    """

    stages = ("train",)
    selection = ("tau", "max")
    spread = "embedding_std"

    def __init__(
        self,
        model: nn.Module,
        shape,
        weights: dict[str, float] | None = None,
        variant: str = "regression",
        samples: int = 20,
        temperature: float = 0.1,
        variance_weight: float = 0.001,
        label_smoothing: float = 0.1,
        positive_window: int = 5,
        l2: float = 0.002,
        window: int | None = None,
    ) -> None:
        super().__init__(model, shape)
        self.weights = weights or {"cycle": 1.0}
        if unknown := [name for name in self.weights if name not in TERMS]:
            raise ValueError(
                f"objective cycle_consistency: unknown loss {', '.join(unknown)}; weights takes"
                f" {', '.join(TERMS)}"
            )
        check_choice("cycle_consistency", "variant", variant, VARIANTS)
        needed = 5 if "order" in self.weights else 2
        if min(samples, shape.clip[1]) < needed:
            raise ValueError(
                f"objective cycle_consistency: {samples} samples of {shape.clip[1]} frames; its"
                f" losses need at least {needed}"
            )
        self.variant = variant
        self.samples = min(samples, shape.clip[1])
        self.window = window
        self.variance_weight = variance_weight
        self.label_smoothing = label_smoothing
        self.temperature = temperature
        self.positive_window = positive_window
        self.l2 = l2
        self.rows_per_clip = shape.clip[1] if window else 1
        size = embedding_sizes(self)[""]
        if "order" in self.weights:
            self.classifier = nn.Sequential()
            for width, units in pairwise((3 * size, 128, 64)):
                self.classifier.extend([nn.Linear(width, units), nn.ReLU()])
            self.classifier.append(nn.Linear(64, 2))

    @staticmethod
    def model_clip_shape(clip_shape: tuple, window: int | None = None, **params) -> tuple:
        channels, frames, height, width = clip_shape
        if window is not None and not 1 <= window <= frames:
            raise ValueError(
                f"objective cycle_consistency: window is {window}; a clip has {frames} frames"
            )
        return channels, window or frames, height, width

    def model_inputs(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The clips (B, ...), or their windows (B*T, ...), those of a clip one after another."""
        whole = super().model_inputs(batch)
        if not self.window:
            return whole
        inputs = []
        for name, values in zip(self.model.inputs, whole, strict=True):
            inputs.append(past_windows(values, self.window, moving=name != "clip"))
        return inputs

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """Embedding of every frame, (B, T, D)."""
        embedding = super().embed(batch)
        frames = self.shape.clip[1]
        one_stream = isinstance(embedding, Tensor)
        if one_stream and self.window:
            last = embedding if embedding.ndim == 2 else embedding[:, -1]  # (B*T, D)
            return last.unflatten(0, (-1, frames))
        if one_stream and embedding.ndim == 3 and embedding.shape[1] == frames:
            return embedding
        given = tuple(embedding.shape) if one_stream else ", ".join(embedding)
        raise ValueError(
            f"objective cycle_consistency: needs one embedding a frame, (B, {frames}, D), model"
            f" {type(self.model).__name__} gives {given}; let it slide over the clip with"
            " objective_params.window, if it has one stream"
        )

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Weighted sum of the losses on freshly sampled frames."""
        embedded = self.embed(batch)
        losses = {"cycle": self.cycle_loss, "tcn": self.tcn_loss, "order": self.order_loss}
        with torch.autocast(embedded.device.type, enabled=False):
            embedded = embedded.float()
            clips, count, _ = embedded.shape
            frames = sorted_frames(clips, count, self.samples, embedded.device)
            total = 0
            for name, weight in self.weights.items():
                total = total + weight * losses[name](embedded, frames)
            return total

    def cycle_loss(self, embedded: Tensor, frames: Tensor) -> Tensor:
        """Mean over ordered pairs of clips and over frames; a clip alone is paired with itself."""
        first, second = ordered_pairs(len(embedded), embedded.device)
        taken = at(embedded, frames)
        times = frames / embedded.shape[1]
        logits = cycle_back(taken[first], taken[second], self.temperature)
        return self.losses_of_cycles(logits, times[first]).mean()

    def losses_of_cycles(self, logits: Tensor, times: Tensor) -> Tensor:
        """Losses (..., N) of cycles by logits (..., N, N) and times (..., N) of frames."""
        return cycle_loss(
            logits,
            times,
            self.variant,
            variance_weight=self.variance_weight,
            label_smoothing=self.label_smoothing,
        )

    def tcn_loss(self, embedded: Tensor, frames: Tensor) -> Tensor:
        """Mean n-pairs loss of the clips."""
        positives = positives_of(frames, embedded.shape[1], self.positive_window)
        losses = n_pairs(at(embedded, frames), at(embedded, positives), self.l2)
        return losses.mean()

    def order_loss(self, embedded: Tensor, frames: Tensor) -> Tensor:
        """Cross-entropy of telling triplets of frames in order from shuffled ones."""
        clips, count = frames.shape
        places = sorted_frames(clips * TRIPLETS, count, 5, frames.device)
        places = places.view(clips, TRIPLETS, 5)
        repeated = frames[:, None].expand(-1, TRIPLETS, -1)
        rising = repeated.gather(2, places)  # (B, TRIPLETS, 5)
        triplets, shuffled = order_triplets(rising, SHUFFLED)
        taken = at(embedded, triplets.flatten(1))  # (B, TRIPLETS * 3, D)
        joined = taken.unflatten(1, (TRIPLETS, 3)).flatten(2)  # (B, TRIPLETS, 3 * D)
        logits = self.classifier(joined).flatten(0, 1)
        return F.cross_entropy(logits, shuffled.flatten())

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss``, the cycle's over all frames, and ``tau``, Kendall's of nearest frames: (B,).

        ``embedding_std`` is the standard deviation of a feature over all frames of the batch, mean
        over features. Each clip is matched to the next ``PARTNERS`` clips of the batch, going round
        at its end.
        """
        embedded = self.embed(batch).float()
        clips, frames = embedded.shape[:2]
        device = embedded.device
        partners = max(1, min(PARTNERS, clips - 1))
        step = torch.arange(1, partners + 1, device=device)
        partner = (torch.arange(clips, device=device)[:, None] + step) % clips  # (B, partners)
        others = embedded[partner]  # (B, partners, T, D)
        own = embedded[:, None].expand_as(others)
        shares = torch.arange(frames, device=device) / frames
        times = shares.expand(others.shape[:-1])
        logits = cycle_back(own, others, self.temperature)
        loss = self.losses_of_cycles(logits, times)
        tau = kendall_tau(nearest_frames(own, others))
        deviation = embedding_std(embedded).expand(clips)
        return {"loss": loss.mean((1, 2)), "tau": tau.mean(1), "embedding_std": deviation}


def at(embedded: Tensor, frames: Tensor) -> Tensor:
    """Embeddings of chosen frames: (B, T, D) and (B, N) -> (B, N, D)."""
    index = frames[..., None].expand(-1, -1, embedded.shape[-1])
    return embedded.gather(1, index)


def ordered_pairs(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and second of all ordered pairs of different numbers below ``count``.

    Where there is but one number it is paired with itself.
    """
    different = ~torch.eye(count, dtype=torch.bool, device=device)
    return torch.nonzero(different | (count == 1)).unbind(1)


def past_windows(frames: Tensor, window: int, *, moving: bool) -> Tensor:
    """The window that ends at each frame of each clip, one after another.

    Args:
        frames: (B, C, T, H, W) frames, or with ``moving`` (B, C, T-1, H, W) flow between them.
        window: frames W that a window holds; before the first frame stand copies of it, and no
            motion.
        moving: flow instead of frames.

    Returns:
        (B*T, C, W, H, W), or W-1 fields.
    """
    first = frames[:, :, :1].expand(-1, -1, window - 1, -1, -1)
    before = torch.zeros_like(first) if moving else first
    padded = torch.cat([before, frames], 2)
    size = window - 1 if moving else window
    windows = padded.unfold(2, size, 1)  # (B, C, T, H, W, size)
    return windows.permute(0, 2, 1, 5, 3, 4).flatten(0, 1)
