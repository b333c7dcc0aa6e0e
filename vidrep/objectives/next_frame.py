"""The next frame from the frames so far, predicted by warping what the model sees.

Patraucean et al., arXiv 1511.06309.

The loss of the paper: squared error of the next frame, and a Huber penalty on the gradient of the
flow with delta 1e-3 and weight 1e-2. ``domain: gradient`` is that of the released code instead:
squared error between the image gradients of output and target, which leaves their offset free;
``intensity`` of the squared error is added to hold it.

Deviations: the flow is penalised in pixels of the maps it lives on (in which unit the paper does,
we do not know); at the borders of maps central differences repeat the outermost value. Published is
the loss at the last frame of a sequence alone; ``loss_at: all`` takes it at every frame but the
first, which suits small budgets. The decoder is linear as published; where frames are generated its
output is cut to [0, 1].

Ours is the weight ``reconstruction``, 0 as published: nothing in the published loss keeps encoder
and decoder from shifting every frame by a constant that the flow takes back everywhere, and then
the flow is not the motion. Decoding features that are not warped to the frame that they encode
rules this out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidrep.frame_errors import nats_per_frame, squared_error_per_frame
from vidrep.models.frame_memories import frame_conv
from vidrep.models.st_autoencoder import Steps
from vidrep.objectives.base import Objective, check_choice, check_parts

DOMAINS = ("intensity", "gradient")
LOSSES = ("last", "all")
DELTA = 1e-3  # where the Huber penalty turns from square to linear


class NextFrame(Objective):
    """A decoder from the model's maps to the next frame.

    Args:
        model: a network with ``unroll``, ``next_maps``, ``map_channels`` and ``pool``, as
            ``vidrep.models.st_autoencoder``.
        shape: the data set.
        observed: frames seen before frames are generated; later ones are predicted from the model's
            own outputs.
        domain: "intensity" or "gradient", of the squared error.
        intensity: weight of the squared error of intensities beside that of gradients.
        smoothness: weight of the penalty on the gradient of the flow.
        reconstruction: weight of the squared error of frames decoded from their own features, for
            models with flow.
        loss_at: "last" frame of the clip or "all" frames but the first.
        kernel: side of the decoder's convolution.

    Raises:
        ValueError: a model without these, unknown names, no frame left to predict, frames that the
            pool does not divide, or reconstruction without flow.
    """

    stages = ("train",)
    selection = ("loss", "min")
    generates = True

    def __init__(
        self,
        model: nn.Module,
        shape,
        observed: int,
        domain: str = "intensity",
        intensity: float = 0.1,
        smoothness: float = 1e-2,
        reconstruction: float = 0.0,
        loss_at: str = "last",
        kernel: int = 7,
    ) -> None:
        super().__init__(model, shape)
        check_parts("next_frame", model, "unroll", "next_maps", "map_channels", "pool")
        check_choice("next_frame", "domain", domain, DOMAINS)
        check_choice("next_frame", "loss_at", loss_at, LOSSES)
        channels, _, height, width = shape.clip
        if height % model.pool or width % model.pool:
            raise ValueError(
                f"objective next_frame: frames of {height} x {width} px; make both sides multiples"
                f" of {model.pool}"
            )
        if reconstruction and getattr(model, "flow", None) is None:
            raise ValueError(
                "objective next_frame: reconstruction needs a model with flow; leave it out or at 0"
            )
        self.observed = observed
        self.smoothness = smoothness
        self.reconstruction = reconstruction
        if domain == "gradient":
            self.gradient = 1.0
            self.intensity = intensity
        else:
            self.gradient = 0.0
            self.intensity = 1.0
        self.first = -1 if loss_at == "last" else 0  # first step at which the loss is taken
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=(1, model.pool, model.pool)),
            frame_conv(model.map_channels, channels, kernel),
        )
        model.requires_grad_(True)  # the flow too

    @staticmethod
    def model_clip_shape(clip_shape: tuple, observed: int, **params) -> tuple:
        """All of the clip: the embedding is that of all frames."""
        if not 0 < observed < clip_shape[1]:
            raise ValueError(
                f"objective next_frame: observed is {observed} of {clip_shape[1]} frames; it must"
                " leave at least one to predict"
            )
        return clip_shape

    def next_frames(self, steps: Steps) -> Tensor:
        """The frame after each step, (B, C, T, H, W) float32, not yet cut to [0, 1]."""
        return self.decoder(self.model.next_maps(steps)).float()

    def reconstruct(self, steps: Steps) -> Tensor:
        """The frame of each step from its own features, (B, C, T, H, W), not yet cut to [0, 1]."""
        return self.decoder(steps.features).float()

    def clip_losses(self, clip: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """Loss (B,) and predicted frames (B, C, T, H, W).

        ``steps`` end at the last frame but one of ``clip``.
        """
        predicted = self.next_frames(steps)
        count = predicted.shape[2]
        difference = predicted - clip[:, :, -count:]
        loss = self.intensity * mean_square(difference)
        if self.gradient:
            slopes = torch.stack(central_differences(difference), dim=1)
            loss = loss + self.gradient * mean_square(slopes)
        if steps.flow is not None and self.smoothness:
            loss = loss + self.smoothness * roughness(steps.flow).flatten(1).mean(1)
        if self.reconstruction:
            seen = clip[:, :, -count - 1 : -1]
            loss = loss + self.reconstruction * mean_square(self.reconstruct(steps) - seen)
        return loss, predicted

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean loss of the clips."""
        clip = batch["clip"]
        steps = self.model.unroll(clip[:, :, :-1])
        losses, _ = self.clip_losses(clip, steps.since(self.first))
        return losses.mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss``, and errors of the frames after the first ``observed``, each (B,).

        Errors are sums over a frame's values and means over frames. ``next_frame_...``: predicted
        from all true frames before; ``prediction_...``: rolled out from the observed frames alone;
        ``copy_last_...``: every frame repeats the true one before it.
        ``..._squared_error_per_frame`` and, but for the copy, ``..._nats_per_frame``.
        """
        clip = batch["clip"]
        seen = self.observe(batch)
        steps = seen
        if self.future > 1:
            rest = self.model.unroll(clip[:, :, self.observed : -1], seen.state)
            steps = seen.followed_by(rest)
        loss, frames = self.clip_losses(clip, steps.since(self.first))
        if frames.shape[2] < self.future:
            frames = self.next_frames(steps.since(self.observed - 1))
        rolled_out, _ = self.roll_out(seen, self.future)
        predicted = {"next_frame": frames[:, :, -self.future :], "prediction": rolled_out}
        true = clip[:, :, self.observed :]
        scores = {"loss": loss}
        for name, frames in predicted.items():
            error = squared_error_per_frame(frames.clamp(0, 1), true)
            scores[f"{name}_squared_error_per_frame"] = error
            scores[f"{name}_nats_per_frame"] = nats_per_frame(frames, true).mean(1)
        last = clip[:, :, self.observed - 1 : -1]
        scores["copy_last_squared_error_per_frame"] = squared_error_per_frame(last, true)
        return scores

    @property
    def future(self) -> int:
        """Frames after the observed ones."""
        return self.shape.clip[1] - self.observed

    def observe(self, batch: dict[str, Tensor]) -> Steps:
        """The model's steps over the observed frames."""
        return self.model.unroll(batch["clip"][:, :, : self.observed])

    def roll_out(self, seen: Steps, steps: int) -> tuple[Tensor, Tensor | None]:
        """Frames after those ``seen``, each predicted from the model's own outputs.

        The memory is carried on.

        Returns:
            (B, C, steps, H, W) in [0, 1], and the backward flow (B, 2, steps, h, w) behind them,
            None without a flow head.
        """
        last = seen.since(-1)
        frames = []
        flows = []
        for number in range(steps):
            if number > 0:
                last = self.model.unroll(frames[-1], last.state)
            frames.append(self.next_frames(last).clamp(0, 1))
            flows.append(last.flow)
        flow = None if last.flow is None else torch.cat(flows, dim=2)
        return torch.cat(frames, dim=2), flow

    def rollout(self, batch: dict[str, Tensor], steps: int) -> Tensor:
        """The ``steps`` frames after the observed ones: (B, C, steps, H, W) in [0, 1]."""
        return self.roll_out(self.observe(batch), steps)[0]

    def generate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Frames in [0, 1], and flow where the model has it.

        ``prediction`` is (B, C, T - observed, H, W); where it is trained, ``reconstruction`` shows
        the other frames. With a flow head also ``flow`` (B, 2, T - observed, H, W) in pixels. It is
        the network's with its sign flipped: the displacement that brought the content of each place
        of a predicted frame there, noted at that place and not, as exact flow is, where it came
        from.
        """
        seen = self.observe(batch)
        frames, flow = self.roll_out(seen, self.future)
        predicted = {"prediction": frames}
        if flow is not None:
            predicted["flow"] = self.displacement(flow)
        if self.reconstruction:
            predicted["reconstruction"] = self.reconstruct(seen).clamp(0, 1)
        return predicted

    def displacement(self, flow: Tensor) -> Tensor:
        """Motion in pixels of the clip, from backward flow in pixels of the maps.

        Args:
            flow: (B, 2, T, h, w).

        Returns:
            (B, 2, T, H, W), place by place.
        """
        pool = self.model.pool
        return F.interpolate(-pool * flow, scale_factor=(1, pool, pool))


def mean_square(values: Tensor) -> Tensor:
    """Mean square of each clip: (B, ...) -> (B,)."""
    return values.square().flatten(1).mean(1)


def central_differences(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives (-1/2, 0, 1/2) of maps (B, C, T, H, W) along x and y, of the same shape.

    At borders the outermost value is repeated.
    """
    padded = F.pad(maps, (1, 1, 1, 1, 0, 0), mode="replicate")
    rows = padded[..., 1:-1, :]
    columns = padded[..., 1:-1]
    along_x = (rows[..., 2:] - rows[..., :-2]) / 2
    along_y = (columns[..., 2:, :] - columns[..., :-2, :]) / 2
    return along_x, along_y


def roughness(flow: Tensor) -> Tensor:
    """Huber function of the length of each flow component's gradient, (B, 2, T, H, W).

    Of a length a it is a^2 / 2 up to ``DELTA`` and DELTA (a - DELTA / 2) beyond.
    """
    x, y = central_differences(flow)
    square = x.square() + y.square()
    length = square.clamp_min(DELTA**2).sqrt()  # clamped: the root has no gradient at 0
    linear = DELTA * (length - DELTA / 2)
    return torch.where(square <= DELTA**2, square / 2, linear)
