"""V-JEPA: the features of masked places are predicted from the rest; no pixel is generated.

Bardes et al., 2024, arXiv 2404.08471. A context encoder sees the unmasked places of a clip. A
narrow predictor answers for the masked ones with the features that a target encoder, which sees the
whole clip, has there; the loss is their mean absolute difference after normalising the targets over
features. The target encoder is not trained but follows the context encoder: an exponential moving
average. Without it (``target: self``) the encoder is its own target and may make everything alike,
which is the control that shows what the average is for.

The loop trains nothing but parameters and calls nothing after a step, so the average lives in
buffers and is taken at the start of the next training step. It therefore lags one step behind, also
in checkpoints; a resumed run takes the missed step as the uninterrupted one does.

The loss says little of the features, as its targets move: it falls when they become alike. So
weights are selected by the share of the targets' differences between clips that is predicted, which
needs no labels either. Targets that are alike leave nothing to predict; the embeddings' standard
deviation and effective rank are reported beside it.

Deviations: tubes in random places (``vidrep.objectives.masking``), not two sets of large blocks;
the average's momentum is constant, for short runs; the encoder's positions are learnt, only the
predictor's are sinusoids.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.objectives.base import Objective, check_choice, embedding_std
from vidrep.objectives.masking import (
    GapFiller,
    by_place,
    check_maskable,
    encode_some,
    fixed_order,
    random_order,
    take,
)

TARGETS = ("average", "self")
SMALLEST = 1e-6  # difference between targets; a smaller one counts as this


class LatentPrediction(Objective):
    """Context encoder, predictor, and a target encoder that follows.

    Args:
        model: ``vidrep.models.video_transformer`` with joint attention.
        shape: the data set.
        masked: share of the places that are masked, rounded down.
        width, depth, heads: of the predictor.
        target: "average", or "self": the context encoder, gradients through both sides.
        momentum: what the average keeps of itself at a step, in [0, 1).

    Raises:
        ValueError: another model, a mask that leaves nothing to see or to predict, an unknown
            target or a momentum out of range.
    """

    stages = ("train",)
    selection = ("explained", "max")
    spread = "embedding_std"

    def __init__(
        self,
        model: nn.Module,
        shape,
        masked: float = 0.9,
        width: int = 96,
        depth: int = 4,
        heads: int = 3,
        target: str = "average",
        momentum: float = 0.998,
    ) -> None:
        super().__init__(model, shape)
        check_choice("latent_prediction", "target", target, TARGETS)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"objective latent_prediction: momentum is {momentum}; it must be at least 0 and"
                " below 1"
            )
        self.seen, self.places = check_maskable(model, "latent_prediction", masked)
        self.momentum = momentum
        self.predictor = GapFiller(model.width, model.grid, width, depth, heads, model.width)
        self.average = untrained_copy(model) if target == "average" else None

    def prepare(self, stage: str, batches) -> None:
        """Let the average start where the model does, which may be at weights of another run."""
        if self.average is not None:
            self.average.load_state_dict(self.model.state_dict())

    @torch.no_grad()
    def follow(self) -> None:
        """One step of the average."""
        if self.average is not None:
            own = dict(self.model.named_parameters())
            averages = list(self.average.buffers())
            latest = [own[name] for name, _ in self.average.named_buffers()]
            torch._foreach_lerp_(averages, latest, 1 - self.momentum)

    def targets(self, clip: Tensor) -> Tensor:
        """What is to be predicted, at all places: (B, T, places, D)."""
        encoder = self.model if self.average is None else self.average
        tokens = by_place(encoder.encode(encoder.embed(clip)))
        return F.layer_norm(encoder.embedding.norm(tokens), tokens.shape[-1:])

    def masked(self, values: Tensor, order: Tensor) -> Tensor:
        """Values (B, T, places, D) at the masked places: (B, T, masked, D)."""
        return take(values, order[:, self.seen :])

    def errors(self, clip: Tensor, targets: Tensor, order: Tensor) -> Tensor:
        """Mean absolute error of each clip's predictions of its masked targets, (B,) float32."""
        tokens = encode_some(self.model, clip, order[:, : self.seen])
        predicted = self.predictor(tokens, order)
        return mean_size(predicted - self.masked(targets, order))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean absolute error at the masked places under masks drawn anew.

        In training the average takes its step first.
        """
        if self.training:
            self.follow()
        clip = batch["clip"]
        order = random_order(len(clip), self.places, clip.device)
        return self.errors(clip, self.targets(clip), order).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` under fixed masks, and what warns of collapse, each (B,).

        ``explained`` is 1 less the error over that of answering, at every place, with the mean
        target of the batch: 0 where only the place is known, 1 where all is. ``embedding_std`` and
        ``effective_rank`` are those of the embeddings of the batch that a clip is scored in, see
        ``spread``: near 0 and near 1 if the encoder says the same of all clips.
        """
        clip = batch["clip"]
        order = fixed_order(batch["row"], self.places)
        targets = self.targets(clip)
        errors = self.errors(clip, targets, order)
        of_mean = mean_size(self.masked(targets - targets.mean(0), order)).mean()
        # last, so that captured layers are those of whole clips
        std, rank = spread(self.embed(batch).float())
        ones = torch.ones_like(errors)
        return {
            "loss": errors,
            "explained": 1 - errors / of_mean.clamp_min(SMALLEST),
            "embedding_std": std * ones,
            "effective_rank": rank * ones,
        }


def mean_size(values: Tensor) -> Tensor:
    """Mean absolute value of each clip's (B, T, N, D), (B,) float32."""
    return values.float().abs().mean((1, 2, 3))


def untrained_copy(model: nn.Module) -> nn.Module:
    """A copy of a model whose parameters are buffers: saved, but never trained or counted."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return copied


def spread(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """How far apart embeddings (B, D) lie: mean standard deviation, and effective rank.

    The deviation is that of features over clips. The effective rank is the exponential of the
    entropy of the normalised singular values, here of the centred embeddings, in [1, min(B, D)]
    (Roy & Vetterli, EUSIPCO 2007); 1 if all embeddings are the same.
    """
    centred = embeddings - embeddings.mean(0)
    values = torch.linalg.svdvals(centred)
    share = values / values.sum().clamp_min(1e-12)
    rank = torch.special.entr(share).sum().exp()
    return embedding_std(embeddings), rank
