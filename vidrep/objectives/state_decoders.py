"""Decoders that start from the state of an encoder: the common part of the composite models.

Srivastava et al., ICML 2015, arXiv 1502.04681: one decoder gives back the observed frames in
reverse order, one predicts the frames that follow; with both it is the composite model and the
losses add up. A conditional decoder is fed the previous frame: the true one in training, its own
output when scored (the released code fed true frames to the reconstruction at test time, which
makes its number incomparable). With true frames it never learns to mend its own errors, which grow
from step to step when it is scored; ``feeding: own_outputs`` feeds it those in training as well.
The first step has no input frame.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vidrep.frame_errors import nats_per_frame_of_logits, squared_error_of_flat_frames
from vidrep.models.recurrent import INITS, PeepholeLSTM, split_states
from vidrep.objectives.base import Objective, check_choice, embedding_sizes

PARTS = ("reconstruction", "prediction")
# from what the readout yields to frames
OUTPUTS = {"logistic": torch.sigmoid, "linear": lambda values: values}
FEEDINGS = ("true_frames", "own_outputs")
# a pixel that is never lit is given this probability, not 0, whose logit is infinite
LEAST_PROBABILITY = 1e-3


class Decoder(nn.Module):
    """A stack of LSTM layers with a linear readout to frames.

    Args:
        frame_size: values a frame.
        units, num_layers: of the LSTM.
        conditional: is it fed the previous frame?
        output: a key of ``OUTPUTS``.
        init: a key of ``vidrep.models.recurrent.INITS``.
    """

    def __init__(
        self,
        frame_size: int,
        units: int,
        num_layers: int,
        conditional: bool,
        output: str = "logistic",
        init: str = "published",
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.output = OUTPUTS[output]
        inputs = [frame_size if conditional else 0] + [units] * (num_layers - 1)
        self.layers = nn.ModuleList(PeepholeLSTM(size, units, **INITS[init]) for size in inputs)
        self.readout = nn.Linear(units, frame_size)

    def forward(self, states: list, steps: int, target: Tensor | None = None) -> Tensor:
        """Frames before the output's nonlinearity (B, steps, frame_size).

        Args:
            states: hidden and cell (B, units) of each layer to start from.
            steps: frames to produce.
            target: (B, steps, frame_size) true frames for teacher forcing of a conditional decoder;
                None: own outputs.
        """
        if self.conditional and target is None:
            return self._own_outputs(states, steps)
        if self.conditional:
            black = torch.zeros_like(target[:, :1])
            previous = torch.cat([black, target[:, :-1]], dim=1)
            hidden, _ = self.layers[0].unroll(previous, states[0])
        else:
            hidden, _ = self.layers[0].unroll_free(steps, states[0])
        for layer, state in zip(self.layers[1:], states[1:], strict=True):
            hidden, _ = layer.unroll(hidden, state)
        return self.readout(hidden)

    def _own_outputs(self, states: list, steps: int) -> Tensor:
        states = list(states)
        frame = None
        frames = []
        for _ in range(steps):
            value = frame
            for i, layer in enumerate(self.layers):
                states[i] = layer.step(value, states[i])
                value = states[i][0]
            frames.append(self.readout(value))
            frame = self.output(frames[-1])
        return torch.stack(frames, dim=1)


class StateDecoders(Objective):
    """Decoders on an encoder that sees the first ``observed`` frames.

    What a frame is, subclasses say. A model with attributes ``units`` and ``num_layers``
    (``vidrep.models.lstm_encoder``) hands its state over as it is; any other model's embedding is
    mapped to a state by a learnt linear layer, which is ours.

    Args:
        model: the encoder.
        shape: the data set.
        observed: frames the encoder sees; the rest are to be predicted.
        parts: which decoders: "reconstruction", "prediction" or both.
        conditional: which of them are fed the previous frame.
        output: logistic (cross-entropy) or linear (squared error).
        feeding: what conditional decoders are fed in training, "true_frames" or "own_outputs".
        units, num_layers, init: of the decoders, for models other than the LSTM encoder (which
            gives its own). With ``init: glorot`` the readout's bias starts at the mean frame.

    Raises:
        ValueError: no frame is left to predict, an unknown part, output, feeding or init.
    """

    name: str  # what error lines call the objective
    stages = ("train",)
    selection = ("loss", "min")

    def __init__(
        self,
        model: nn.Module,
        shape,
        observed: int,
        parts: tuple[str, ...] = PARTS,
        conditional: tuple[str, ...] = (),
        output: str = "logistic",
        feeding: str = "true_frames",
        units: int = 256,
        num_layers: int = 1,
        init: str = "glorot",
    ) -> None:
        super().__init__(model, shape)
        self.observed = observed
        self.future = shape.clip[1] - observed
        self.output = output
        self._check(parts, conditional, output)
        check_choice(self.name, "feeding", feeding, FEEDINGS)
        self.teacher = feeding == "true_frames"
        self.init = getattr(model, "init", init)
        check_choice(self.name, "init", self.init, INITS)
        self.units = getattr(model, "units", units)
        self.num_layers = getattr(model, "num_layers", num_layers)
        size = embedding_sizes(self)[""]
        state_size = self.num_layers * 2 * self.units
        hands_over = hasattr(model, "units") and size == state_size
        self.bridge = nn.Identity() if hands_over else nn.Linear(size, state_size)
        self.decoders = nn.ModuleDict()
        for name in PARTS:
            if name in parts:
                self.decoders[name] = Decoder(
                    self.frame_size(),
                    self.units,
                    self.num_layers,
                    conditional=name in conditional,
                    output=output,
                    init=self.init,
                )

    @classmethod
    def _check(cls, parts, conditional, output) -> None:
        for name in (*parts, *conditional):
            if name not in PARTS:
                raise ValueError(
                    f"objective {cls.name}: unknown part {name!r}; give some of {', '.join(PARTS)}"
                )
        if not parts or not set(conditional) <= set(parts):
            raise ValueError(
                f"objective {cls.name}: parts {list(parts)}, conditional {list(conditional)}; "
                "give at least one part, and make only parts conditional"
            )
        check_choice(cls.name, "output", output, OUTPUTS)

    @classmethod
    def model_clip_shape(cls, clip_shape: tuple, observed: int, **params) -> tuple:
        channels, frames, height, width = clip_shape
        if not 0 < observed < frames:
            raise ValueError(
                f"objective {cls.name}: observed is {observed} of {frames} frames; it must leave at"
                " least one to predict"
            )
        return channels, observed, height, width

    @torch.no_grad()
    def prepare(self, stage: str, batches: Iterable[dict[str, Tensor]]) -> None:
        """With ``init: glorot`` let every decoder start from the mean of its training targets.

        Else the first epochs go into learning the mean frame.
        """
        if self.init == "published":
            return
        sums = dict.fromkeys(self.decoders, 0)
        clips = 0
        for batch in batches:
            targets = self.targets(self.frame_vectors(batch).double())
            for name in sums:
                sums[name] = sums[name] + targets[name].mean(1).sum(0)
            clips += len(batch["clip"])
        for name, decoder in self.decoders.items():
            mean = sums[name] / clips
            if self.output == "logistic":
                mean = mean.logit(LEAST_PROBABILITY)
            decoder.readout.bias.copy_(mean)

    def frame_size(self) -> int:
        """Values of a frame as the decoders predict it."""
        raise NotImplementedError

    def frame_vectors(self, batch: dict[str, Tensor]) -> Tensor:
        """All frames as the decoders are to predict them, (B, T, frame_size)."""
        raise NotImplementedError

    def model_inputs(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The observed part of each input: frames up to ``observed``, flow between them."""
        spans = {
            "clip": self.observed,
            "flow": self.observed - 1,
            "flow_backward": self.observed - 1,
        }
        return [batch[name][:, :, : spans[name]] for name in self.model.inputs]

    def embed(self, batch: dict[str, Tensor]) -> Tensor:
        """The model's embedding (B, D) of the observed part."""
        embedding = super().embed(batch)
        one_stream = isinstance(embedding, Tensor)
        if one_stream and embedding.ndim == 2:
            return embedding
        given = tuple(embedding.shape) if one_stream else ", ".join(embedding)
        raise ValueError(
            f"objective {self.name}: needs one embedding (B, D) a clip, model"
            f" {type(self.model).__name__} gives {given}"
        )

    def states(self, embedding: Tensor) -> list:
        """Hidden and cell state (B, units) of each decoder layer, from embeddings (B, D)."""
        return split_states(self.bridge(embedding), self.units)

    def targets(self, vectors: Tensor) -> dict[str, Tensor]:
        """True frames by part: the observed ones in reverse order, and the future ones."""
        return {
            "reconstruction": vectors[:, : self.observed].flip(1),
            "prediction": vectors[:, self.observed :],
        }

    def decode(
        self, batch: dict[str, Tensor], *, teacher: bool
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Outputs before their nonlinearity, and targets, by part.

        Args:
            batch: the clips.
            teacher: are conditional decoders fed true frames, not their own?

        Returns:
            Part -> two of (B, steps, frame_size) float32.
        """
        return self.decode_from(self.embed(batch), self.frame_vectors(batch), teacher=teacher)

    def decode_from(
        self,
        embedding: Tensor,
        vectors: Tensor,
        *,
        teacher: bool,
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """``decode`` of embeddings (B, D) and true frames (B, T, frame_size)."""
        states = self.states(embedding)
        targets = self.targets(vectors)
        decoded = {}
        for name, decoder in self.decoders.items():
            target = targets[name]
            values = decoder(states, target.shape[1], target if teacher else None)
            decoded[name] = (values.float(), target)
        return decoded

    def error(self, values: Tensor, target: Tensor) -> Tensor:
        """What is minimised, (B,): summed over a frame's values, averaged over frames.

        Both arguments are (B, steps, frame_size).
        """
        if self.output == "linear":
            return squared_error_of_flat_frames(values, target)
        return nats_per_frame_of_logits(values, target).mean(-1)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Sum over decoders of the mean error per frame: cross-entropy in nats, or squared."""
        decoded = self.decode(batch, teacher=self.teacher)
        return sum(self.error(values, target).mean() for values, target in decoded.values())

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss``, and for each part ``<part>_squared_error_per_frame``.

        Of a logistic output also ``<part>_nats_per_frame``. Each is (B,): sums over a frame's
        values, means over frames.
        """
        scores = {}
        total = 0
        for name, (values, target) in self.decode(batch, teacher=False).items():
            if self.output == "logistic":
                scores[f"{name}_nats_per_frame"] = nats_per_frame_of_logits(values, target).mean(-1)
            frames = OUTPUTS[self.output](values)
            error = squared_error_of_flat_frames(frames, target)
            scores[f"{name}_squared_error_per_frame"] = error
            total = total + self.error(values, target)
        return {"loss": total, **scores}
