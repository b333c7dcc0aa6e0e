"""Reconstruction and future prediction of frames by LSTM decoders.

They start from the encoder's state. Srivastava, Mansimov, Salakhutdinov, ICML 2015, arXiv
1502.04681; see ``vidrep.objectives.state_decoders``. Logistic outputs and cross-entropy as for
Moving MNIST, or linear ones and squared error as for image patches.
"""

from torch import Tensor

from vidrep.objectives.state_decoders import OUTPUTS, StateDecoders


class LSTMComposite(StateDecoders):
    """The decoders predict pixels. Arguments are those of ``StateDecoders``."""

    name = "lstm_composite"
    generates = True

    def frame_size(self) -> int:
        """Values of a frame, C * H * W."""
        channels, _, height, width = self.shape.clip
        return channels * height * width

    def frame_vectors(self, batch: dict[str, Tensor]) -> Tensor:
        """Frames (B, T, C * H * W) in [0, 1]."""
        return batch["clip"].transpose(1, 2).flatten(2)

    def generate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Predicted frames in the order of time: name -> (B, C, steps, H, W) in [0, 1]."""
        generated = {}
        for name, (values, _) in self.decode(batch, teacher=False).items():
            frames = self.pictures(values)
            if name == "reconstruction":  # it is decoded from the last frame to the first
                frames = frames.flip(2)
            generated[name] = frames
        return generated

    def rollout(self, batch: dict[str, Tensor], steps: int) -> Tensor:
        """The prediction, carried on for any number of steps: (B, C, steps, H, W) in [0, 1].

        Args:
            batch: as for ``embed``; the encoder runs once.
            steps: frames after the observed ones.

        Raises:
            ValueError: nothing is predicted.
        """
        if "prediction" not in self.decoders:
            raise ValueError("objective lstm_composite: no rollout without the part prediction")
        states = self.states(self.embed(batch))
        values = self.decoders["prediction"](states, steps)
        return self.pictures(values.float())

    def pictures(self, values: Tensor) -> Tensor:
        """A decoder's values (B, steps, C * H * W) as frames (B, C, steps, H, W) in [0, 1].

        Linear ones are clipped to that.
        """
        channels, _, height, width = self.shape.clip
        flat = OUTPUTS[self.output](values)
        frames = flat.unflatten(2, (channels, height, width))  # (B, steps, C, H, W)
        return frames.transpose(1, 2).clamp(0, 1)
