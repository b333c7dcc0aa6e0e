"""Prediction of the frames that follow, by models with a predictor of their own.

The protocol of the Moving MNIST zoo (OpenSTL, arXiv 2306.11249): some frames are observed, all
others predicted, the loss is the mean squared error of the predicted pixels, and no true frame
after the observed ones is ever fed to the network, in training as when scored. (PredRNN's released
code also trains the next frame at every observed step.)

A model that predicts has ``make_decoder()``, the part that turns features into pixels, which lives
here as only this objective trains it, and ``predict(clip, steps, decoder)``, which predicts any
number of frames after a clip.
"""

from torch import Tensor, nn

from vidrep.objectives.base import Objective, check_parts


class FutureFrames(Objective):
    """Observed frames in, the rest predicted.

    Args:
        model: a predictor, e.g. ``vidrep.models.simvp`` or ``vidrep.models.pred_rnn``.
        shape: the data set.
        observed: frames that the model sees.

    Raises:
        ValueError: the model does not predict, or no frame is left to predict.
    """

    stages = ("train",)
    selection = ("loss", "min")
    generates = True

    def __init__(self, model: nn.Module, shape, observed: int) -> None:
        super().__init__(model, shape)
        check_parts("future_frames", model, "make_decoder", "predict")
        self.observed = observed
        self.future = shape.clip[1] - observed
        self.decoder = model.make_decoder()

    @staticmethod
    def model_clip_shape(clip_shape: tuple, observed: int, **params) -> tuple:
        channels, frames, height, width = clip_shape
        if not 0 < observed < frames:
            raise ValueError(
                f"objective future_frames: observed is {observed} of {frames} frames; it must leave"
                " at least one to predict"
            )
        return channels, observed, height, width

    def model_inputs(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The observed frames."""
        return [batch["clip"][:, :, : self.observed]]

    def errors(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Squared errors of predicted frames (B, C, future, H, W)."""
        return (predicted - batch["clip"][:, :, self.observed :]).square()

    def predict(self, batch: dict[str, Tensor], steps: int) -> Tensor:
        """What the model predicts, (B, C, steps, H, W) float32, not confined to [0, 1]."""
        (clip,) = self.model_inputs(batch)
        return self.model.predict(clip, steps, self.decoder).float()

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error of the predicted pixels, before they are confined to [0, 1]."""
        return self.errors(self.predict(batch, self.future), batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` as in training and ``prediction_squared_error_per_frame``, both (B,).

        The second is of values confined to [0, 1], a sum over a frame's values and a mean over
        frames.
        """
        predicted = self.predict(batch, self.future)
        confined = self.errors(predicted.clamp(0, 1), batch)
        return {
            "loss": self.errors(predicted, batch).mean((1, 2, 3, 4)),
            "prediction_squared_error_per_frame": confined.sum((1, 3, 4)).mean(1),
        }

    def generate(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``prediction`` (B, C, future, H, W) in [0, 1]."""
        return {"prediction": self.rollout(batch, self.future)}

    def rollout(self, batch: dict[str, Tensor], steps: int) -> Tensor:
        """Prediction of any number of steps, (B, C, steps, H, W) in [0, 1].

        The observed frames are read once.
        """
        return self.predict(batch, steps).clamp(0, 1)
