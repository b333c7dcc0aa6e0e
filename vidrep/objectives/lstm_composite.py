"""Reconstruction and / or future prediction by LSTM decoders that start from the encoder's state.

Srivastava, Mansimov, Salakhutdinov, ICML 2015, arXiv 1502.04681: one decoder gives back the observed frames in reverse order, one
predicts the frames that follow; with both it is the composite model and the losses add up. A conditional decoder is fed the
previous frame: the true one in training, its own output when scored (the released code fed true frames to the reconstruction at
test time, which makes its number incomparable). The first step has no input frame.

A model with attributes ``units`` and ``num_layers`` (``vidrep.models.lstm_encoder``) hands its state over as it is; any other
model's embedding is mapped to a state by a learnt linear layer, which is ours.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.recurrent import PeepholeLSTM, split_states
from vidrep.objectives.base import Objective, embedding_sizes

PARTS = ("reconstruction", "prediction")


class Decoder(nn.Module):
    """A stack of LSTM layers with a linear readout to frames.

    Args:
        frame_size: values a frame, C * H * W.
        units, num_layers: of the LSTM.
        conditional: is it fed the previous frame?
    """

    def __init__(self, frame_size: int, units: int, num_layers: int, conditional: bool) -> None:
        super().__init__()
        self.conditional = conditional
        inputs = [frame_size if conditional else 0] + [units] * (num_layers - 1)
        self.layers = nn.ModuleList(PeepholeLSTM(size, units, init="small_uniform") for size in inputs)
        self.readout = nn.Linear(units, frame_size)

    def forward(self, states: list, steps: int, target: Tensor | None = None) -> Tensor:
        """Frame logits (B, steps, frame_size).

        Args:
            states: hidden and cell (B, units) of each layer to start from.
            steps: frames to produce.
            target: (B, steps, frame_size) true frames in [0, 1] for teacher forcing of a conditional decoder; None: own outputs.
        """
        if self.conditional and target is None:
            return self._own_outputs(states, steps)
        if self.conditional:
            previous = torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], dim=1)
            hidden, _ = self.layers[0].unroll(previous, states[0])
        else:
            hidden, _ = self.layers[0].unroll_free(steps, states[0])
        for layer, state in zip(self.layers[1:], states[1:], strict=True):
            hidden, _ = layer.unroll(hidden, state)
        return self.readout(hidden)

    def _own_outputs(self, states: list, steps: int) -> Tensor:
        states, frame, frames = list(states), None, []
        for _ in range(steps):
            value = frame
            for i, layer in enumerate(self.layers):
                states[i] = layer.step(value, states[i])
                value = states[i][0]
            frames.append(self.readout(value))
            frame = frames[-1].sigmoid()
        return torch.stack(frames, dim=1)


class LSTMComposite(Objective):
    """Decoders on an encoder that sees the first ``observed`` frames.

    Args:
        model: the encoder.
        shape: the data set.
        observed: frames the encoder sees; the rest are to be predicted.
        parts: which decoders: "reconstruction", "prediction" or both.
        conditional: which of them are fed the previous frame.
        units, num_layers: of the decoders, for models other than the LSTM encoder (which gives its own).

    Raises:
        ValueError: no frame is left to predict, or an unknown part.
    """

    stages = ("train",)
    selection = ("loss", "min")
    generates = True

    def __init__(
        self,
        model: nn.Module,
        shape,
        observed: int,
        parts: tuple[str, ...] = PARTS,
        conditional: tuple[str, ...] = (),
        units: int = 256,
        num_layers: int = 1,
    ) -> None:
        super().__init__(model, shape)
        channels, frames, height, width = shape.clip
        self.observed, self.future = observed, frames - observed
        for name in (*parts, *conditional):
            if name not in PARTS:
                raise ValueError(f"objective lstm_composite: unknown part {name!r}; give some of {', '.join(PARTS)}")
        if not parts or not set(conditional) <= set(parts):
            raise ValueError(
                f"objective lstm_composite: parts {list(parts)}, conditional {list(conditional)}; "
                "give at least one part, and make only parts conditional"
            )
        self.units, self.num_layers = getattr(model, "units", units), getattr(model, "num_layers", num_layers)
        size = embedding_sizes(self)[""]
        hands_over = hasattr(model, "units") and size == self.num_layers * 2 * self.units
        self.bridge = nn.Identity() if hands_over else nn.Linear(size, self.num_layers * 2 * self.units)
        frame_size = channels * height * width
        self.decoders = nn.ModuleDict(
            {name: Decoder(frame_size, self.units, self.num_layers, name in conditional) for name in PARTS if name in parts}
        )

    @staticmethod
    def model_clip_shape(clip_shape: tuple, observed: int, **params) -> tuple:
        channels, frames, height, width = clip_shape
        if not 0 < observed < frames:
            raise ValueError(
                f"objective lstm_composite: observed is {observed} of {frames} frames; it must leave at least one to predict"
            )
        return channels, observed, height, width

    def model_inputs(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The observed part of each input: frames up to ``observed``, flow between them."""
        spans = {"clip": self.observed, "flow": self.observed - 1, "flow_backward": self.observed - 1}
        return [batch[name][:, :, : spans[name]] for name in self.model.inputs]

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """The model's embedding (B, D) of the observed part."""
        embedding = super().embed(batch)
        if not isinstance(embedding, Tensor) or embedding.ndim != 2:
            given = tuple(embedding.shape) if isinstance(embedding, Tensor) else ", ".join(embedding)
            name = type(self.model).__name__
            raise ValueError(f"objective lstm_composite: needs one embedding (B, D) a clip, model {name} gives {given}")
        return embedding

    def targets(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """True frames by part, (B, steps, frame_size): the observed ones in reverse order, and the future."""
        frames = batch["clip"].transpose(1, 2).flatten(2)  # (B, T, C*H*W)
        return {"reconstruction": frames[:, : self.observed].flip(1), "prediction": frames[:, self.observed :]}

    def decode(self, batch: dict[str, Tensor], *, teacher: bool) -> dict[str, tuple[Tensor, Tensor]]:
        """Logits and targets by part, both (B, steps, frame_size) float32."""
        states = split_states(self.bridge(self.embed(batch)), self.units)
        targets = self.targets(batch)
        return {
            name: (decoder(states, targets[name].shape[1], targets[name] if teacher else None).float(), targets[name])
            for name, decoder in self.decoders.items()
        }

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Sum over decoders of the cross-entropy in nats per frame."""
        return sum(nats_per_frame(*pair).mean() for pair in self.decode(batch, teacher=True).values())

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss``, and for each part ``<part>_nats_per_frame`` and ``<part>_squared_error_per_frame``.

        Each is (B,): sums over a frame's values, means over frames.
        """
        scores, total = {}, 0
        for name, (logits, target) in self.decode(batch, teacher=False).items():
            scores[f"{name}_nats_per_frame"] = nats_per_frame(logits, target)
            scores[f"{name}_squared_error_per_frame"] = (logits.sigmoid() - target).square().sum(-1).mean(-1)
            total = total + scores[f"{name}_nats_per_frame"]
        return {"loss": total, **scores}

    def generate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the decoders draw, in the order of time: name -> (B, C, steps, H, W) in [0, 1]."""
        channels, _, height, width = self.shape.clip
        drawn = {}
        for name, (logits, _) in self.decode(batch, teacher=False).items():
            frames = logits.sigmoid().unflatten(2, (channels, height, width))  # (B, steps, C, H, W)
            drawn[name] = (frames.flip(1) if name == "reconstruction" else frames).transpose(1, 2)
        return drawn


def nats_per_frame(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy summed over a frame's values, averaged over frames: (B, steps, frame_size) twice -> (B,).

    Grey targets leave a positive floor, their own entropy.
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1).mean(-1)
