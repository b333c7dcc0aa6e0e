"""CNN first, then LSTM: classification in two training stages.

After the public comparison framework of 2018-2020. Stage "frames" trains the CNN with an auxiliary
head, every frame labelled with its clip's labels. Stage "sequence" freezes the CNN, batch-norm
statistics included (the reference let them drift), and trains the recurrent part with the loss at
every step; clips are scored at the last step.
"""

import torch
from torch import Tensor, nn

from vidrep.objectives.base import check_parts
from vidrep.objectives.classification import Classification


class FramesThenSequence(Classification):
    """For models with ``frame_features(clip) -> (B, T, F)`` and ``sequence(frames) -> (B, T, D)``.

    Args:
        model: e.g. ``vidrep.models.cnn_lstm.CNNLSTM``, its frame network called ``cnn``.
        shape: the data set.

    Raises:
        ValueError: a model without these parts.
    """

    stages = ("frames", "sequence")

    def __init__(self, model: nn.Module, shape) -> None:
        check_parts("frames_then_sequence", model, "frame_features", "sequence", "cnn")
        super().__init__(model, shape, readout="last")
        model.eval()
        with torch.no_grad():
            size = model.frame_features(torch.zeros(1, *shape.clip)).shape[-1]
        model.train()
        self.frame_head = self.make_head(size)
        self.stage = self.stages[-1]

    def start_stage(self, stage: str) -> None:
        self.stage = stage
        for part in (self.model.cnn, self.frame_head):
            part.requires_grad_(stage == "frames")

    def train(self, mode: bool = True):
        super().train(mode)
        if self.stage == "sequence":
            self.model.cnn.eval()
        return self

    def logits(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Frame scores in stage "frames", sequence scores from then on: (B, T, outputs)."""
        frozen = self.stage != "frames"
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            frames = self.model.frame_features(*self.model_inputs(batch))  # (B, T, F)
        if not frozen:
            return {"": self.frame_head(frames).float()}
        sequence = self.model.sequence(frames)  # (B, T, D)
        return {"": self.heads["all"](sequence).float()}
