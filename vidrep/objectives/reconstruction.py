"""Reconstruction of whole clips by a model's own decoder, from noisy clips if wanted.

After gbpcosta/video_representations: mean squared error of a sigmoid output, Gaussian noise of 0.3
on the training clips, which are then clipped to [0, 1]. There the noisy clip is also the target, so
nothing is denoised; here the target is clean, as it is in Vincent et al., ICML 2008. Any other
model is trained for reconstruction by ``lstm_composite``.
"""

import torch
from torch import Tensor, nn

from vidrep.objectives.base import Objective, check_parts


class Reconstruction(Objective):
    """The decoder of a model, and its squared error.

    Args:
        model: a network with ``encode(*inputs)`` and ``make_decoder()``, a module from what
            ``encode`` gives to logits (B, C, T, H, W); e.g.
            ``vidrep.models.recurrent_autoencoder``, ``vidrep.models.conv_autoencoder``.
        shape: the data set.
        noise: standard deviation of the noise on training clips; 0 for none.

    Attributes:
        observed: all frames of a clip.

    Raises:
        ValueError: a model without a decoder or with other inputs than the clip, or negative noise.
    """

    stages = ("train",)
    selection = ("loss", "min")
    generates = True

    def __init__(self, model: nn.Module, shape, noise: float = 0.0) -> None:
        super().__init__(model, shape)
        check_parts("reconstruction", model, "encode", "make_decoder")
        if tuple(model.inputs) != ("clip",) or noise < 0:
            raise ValueError(
                "objective reconstruction: needs a model fed clips alone and noise of at least 0, "
                f"got {', '.join(model.inputs)} and {noise}"
            )
        self.noise = noise
        self.observed = shape.clip[1]
        self.decoder = model.make_decoder()

    def noisy(self, clip: Tensor, normal: Tensor) -> Tensor:
        """A clip in [0, 1] with ``noise`` times normal values added, clipped to [0, 1] again."""
        return (clip + self.noise * normal).clamp(0, 1)

    def fixed_noise(self, clip: Tensor) -> Tensor:
        """Standard normal values (C, T, H, W), the same for all clips.

        So scores do not depend on batches.
        """
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.shape.clip, generator=generator).to(clip)

    def reconstruct(self, clip: Tensor) -> Tensor:
        """What the decoder makes of a clip, (B, C, T, H, W) float32 in [0, 1]."""
        return self.decoder(self.model.encode(clip)).float().sigmoid()

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared difference between the clean clip and what is made of the noisy one."""
        clip = batch["clip"]
        seen = self.noisy(clip, torch.randn_like(clip)) if self.noise else clip
        return (self.reconstruct(seen) - clip).square().mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Squared errors (B,) against the clean clip.

        Returns:
            ``loss`` per value, from the clean clip; ``reconstruction_squared_error_per_frame``, the
            same summed over a frame. With noise also ``denoised_squared_error_per_frame``, from a
            noisy clip, and ``noisy_squared_error_per_frame``, that of the noisy clip itself.
        """
        clip = batch["clip"]
        scores = {}
        if self.noise:
            noisy = self.noisy(clip, self.fixed_noise(clip))
            denoised = self.reconstruct(noisy)
            scores["denoised_squared_error_per_frame"] = error_per_frame(denoised, clip)
            scores["noisy_squared_error_per_frame"] = error_per_frame(noisy, clip)
        # last: the activations that are kept are those of the clean clip
        reconstructed = self.reconstruct(clip)
        return {
            "loss": (reconstructed - clip).square().flatten(1).mean(1),
            "reconstruction_squared_error_per_frame": error_per_frame(reconstructed, clip),
            **scores,
        }

    def generate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``reconstruction`` (B, C, T, H, W) in [0, 1].

        With noise it is that of a noisy clip, which is returned as ``masked``.
        """
        clip = batch["clip"]
        if not self.noise:
            return {"reconstruction": self.reconstruct(clip)}
        noisy = self.noisy(clip, self.fixed_noise(clip))
        return {"masked": noisy, "reconstruction": self.reconstruct(noisy)}


def error_per_frame(reconstructed: Tensor, clip: Tensor) -> Tensor:
    """Squared differences (B,) summed over a frame's values, averaged over frames.

    Both arguments are (B, C, T, H, W).
    """
    return (reconstructed - clip).square().sum((1, 3, 4)).mean(1)
