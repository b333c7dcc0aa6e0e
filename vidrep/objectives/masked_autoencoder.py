"""VideoMAE: most places of a clip are masked at all times, and predicted from the rest.

Tong et al., NeurIPS 2022, arXiv 2203.12602. The encoder sees the tokens of the unmasked places
only; a narrow decoder, which is given a learnt token for every gap, generates the masked
tubelets; the loss is their mean squared error. With ``normalised`` the target of a tubelet is its
pixels less their mean, divided by their standard deviation, as published.

Deviations: the encoder's positions are learnt, only the decoder's are sinusoids; with
``normalised`` the decoder also predicts each tubelet's mean and deviation (the released pictures
borrow the true ones). When scored, the mask of a clip follows from its place in the split, so
scores repeat.
"""

import math

import torch
from torch import Tensor, nn

from vidrep.objectives.base import Objective
from vidrep.objectives.masking import (
    GapFiller,
    check_maskable,
    encode_some,
    fixed_order,
    random_order,
    take,
)

GREY = 0.5  # of what is masked, in pictures
EPSILON = 1e-6  # beside the variance of a tubelet


class MaskedAutoencoder(Objective):
    """A video transformer as the encoder, a narrow one as the decoder of what it was not shown.

    Args:
        model: ``vidrep.models.video_transformer`` with joint attention.
        shape: the data set.
        masked: share of the places that are masked, rounded down.
        width, depth, heads: of the decoder.
        normalised: predict normalised tubelets, and their means and deviations, rather than pixels.

    Raises:
        ValueError: another model, a mask that leaves nothing to see or to predict, or a decoder
            that cannot be built.
    """

    stages = ("train",)
    selection = ("loss", "min")
    generates = True

    def __init__(
        self,
        model: nn.Module,
        shape,
        masked: float = 0.9,
        width: int = 96,
        depth: int = 4,
        heads: int = 3,
        normalised: bool = False,
    ) -> None:
        super().__init__(model, shape)
        self.seen, self.places = check_maskable(model, "masked_autoencoder", masked)
        self.observed = shape.clip[1]
        self.normalised = normalised
        values = shape.clip[0] * math.prod(model.patch)  # of a tubelet
        if normalised:
            values += 2  # mean and deviation
        self.decoder = GapFiller(model.width, model.grid, width, depth, heads, values)

    def tubelets(self, clip: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) as tubelets (B, T/t, N, values)."""
        frames, height, width = self.model.grid
        t, p, q = self.model.patch
        split = clip.reshape(len(clip), -1, frames, t, height, p, width, q)
        by_cell = split.permute(0, 2, 4, 6, 1, 3, 5, 7)  # (B, T/t, H/p, W/q, C, t, p, q)
        return by_cell.flatten(4).flatten(2, 3)

    def clips(self, tubelets: Tensor) -> Tensor:
        """The inverse of ``tubelets``."""
        _, height, width = self.model.grid
        values = tubelets.unflatten(3, (-1, *self.model.patch))  # (B, T/t, N, C, t, p, q)
        by_cell = values.unflatten(2, (height, width))  # (B, T/t, H/p, W/q, C, t, p, q)
        split = by_cell.permute(0, 4, 1, 5, 2, 6, 3, 7)
        return split.reshape(len(tubelets), *self.shape.clip)

    def answers(self, batch: dict[str, Tensor], order: Tensor) -> Tensor:
        """What the decoder says of the masked places.

        Returns:
            (B, T/t, masked, values) float32; with ``normalised`` mean and deviation follow.
        """
        tokens = encode_some(self.model, batch["clip"], order[:, : self.seen])
        return self.decoder(tokens, order).float()

    def errors(self, answers: Tensor, batch: dict[str, Tensor], order: Tensor) -> Tensor:
        """Mean squared error of each clip's answers, (B,)."""
        target = take(self.tubelets(batch["clip"]), order[:, self.seen :])
        if self.normalised:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True, correction=0)
            deviation = (variance + EPSILON).sqrt()
            target = torch.cat([(target - mean) / deviation, mean, deviation], dim=-1)
        return (answers - target).square().mean((1, 2, 3))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error of the masked tubelets under masks drawn anew."""
        clip = batch["clip"]
        order = random_order(len(clip), self.places, clip.device)
        return self.errors(self.answers(batch, order), batch, order).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` as in training and ``masked_squared_error_per_pixel``, both (B,).

        Masks are fixed, and pixels in [0, 1]. Lastly the model sees the whole clips: what its
        layers then compute is captured.
        """
        order = fixed_order(batch["row"], self.places)
        answers = self.answers(batch, order)
        true = take(self.tubelets(batch["clip"]), order[:, self.seen :])
        difference = self.pixels(answers) - true
        scores = {
            "loss": self.errors(answers, batch, order),
            "masked_squared_error_per_pixel": difference.square().mean((1, 2, 3)),
        }
        self.embed(batch)
        return scores

    def pixels(self, answers: Tensor) -> Tensor:
        """Answers as pixels in [0, 1]: (B, T/t, masked, values)."""
        if self.normalised:
            values = answers[..., :-2]
            mean = answers[..., -2:-1]
            deviation = answers[..., -1:]
            answers = values * deviation + mean
        return answers.clamp(0, 1)

    def reconstruct(self, batch: dict[str, Tensor], order: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) in [0, 1], their masked tubelets as the decoder predicts them."""
        predicted = self.pixels(self.answers(batch, order))
        return self.filled(batch, order, predicted)

    def filled(self, batch: dict[str, Tensor], order: Tensor, values: Tensor) -> Tensor:
        """Clips with ``values`` (B, T/t, masked, values) in place of the masked tubelets."""
        seen = take(self.tubelets(batch["clip"]), order[:, : self.seen])
        clips, frames, _, size = seen.shape
        masked = values.expand(clips, frames, -1, size)
        in_order = torch.cat([seen, masked], dim=2)
        return self.clips(take(in_order, order.argsort(1)))

    def generate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``reconstruction`` and ``masked``, clips with grey gaps: (B, C, T, H, W) in [0, 1]."""
        order = fixed_order(batch["row"], self.places)
        masked = self.places - self.seen
        grey = batch["clip"].new_full((1, 1, masked, 1), GREY)
        return {
            "reconstruction": self.reconstruct(batch, order),
            "masked": self.filled(batch, order, grey),
        }
