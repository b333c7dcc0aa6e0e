"""Classification: linear heads on the embedding, trained with sigmoid cross-entropy.

The multi-label head follows the public comparison framework of 2018-2020: two outputs a class,
(off, on), a digit counts as present where "on" is the larger; sigmoid cross-entropy against one-hot
pairs, summed over classes, averaged over clips and the two outputs. The single-label head has one
output a class and element-wise sigmoid cross-entropy.

Models of several streams get one head a stream, trained side by side, each with the weights of its
own best epoch where streams share none, and fused late (Simonyan & Zisserman, NIPS 2014, arXiv
1406.2199): by averaging their scores, and by a linear SVM on the
stacked, L2-normalised scores, fitted on validation clips.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.objectives.base import (
    Objective,
    check_choice,
    distribution,
    embedding_sizes,
    streams,
)
from vidrep.windows import share

READOUTS = ("mean", "last")
LOSSES = ("all", "last")
FUSION_C = 1.0


class Classification(Objective):
    """One linear head a stream.

    Args:
        model: a network whose embedding is (B, D), (B, S, D) with S steps or samples, or a dict of
            such.
        shape: the data set.
        readout: how the scores of S steps become one: their mean, or the last step's alone.
        loss_at: the loss is the mean over all steps, or that of the last step alone.
    """

    stages = ("train",)
    selection = ("exact_set", "max")

    def __init__(
        self,
        model: nn.Module,
        shape,
        readout: str = "mean",
        loss_at: str = "all",
    ) -> None:
        super().__init__(model, shape)
        check_choice("classification", "readout", readout, READOUTS)
        check_choice("classification", "loss_at", loss_at, LOSSES)
        self.readout = readout
        self.loss_at = loss_at
        sizes = embedding_sizes(self)
        self.heads = nn.ModuleDict()
        for name, size in sizes.items():
            self.heads[name or "all"] = self.make_head(size)
        if len(sizes) > 1:
            stacked_size = len(sizes) * self.outputs
            self.register_buffer("fusion_weight", torch.zeros(shape.classes, stacked_size))
            self.register_buffer("fusion_bias", torch.zeros(shape.classes))
            self.register_buffer("fusion_fitted", torch.tensor(0))
            self.selected_apart = parts_of_streams(model, list(sizes))

    @property
    def outputs(self) -> int:
        """Width of a head."""
        return self.shape.classes * (2 if self.shape.multi_label else 1)

    def make_head(self, size: int) -> nn.Linear:
        return nn.Linear(size, self.outputs)

    def logits(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scores by stream, (B, S, outputs) float32."""
        result = {}
        for name, embedding in streams(self.embed(batch)).items():
            steps = embedding if embedding.ndim == 3 else embedding[:, None]  # (B, S, D)
            result[name] = self.heads[name or "all"](steps).float()
        return result

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean loss of the clips."""
        return self.clip_losses(self.logits(batch), batch["labels"]).mean()

    def clip_losses(self, logits: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Loss of each clip, (B,): the sum over streams of the mean over steps or the last one."""
        total = 0
        for value in logits.values():
            taken = value[:, -1:] if self.loss_at == "last" else value  # (B, S or 1, outputs)
            total = total + self.cross_entropy(taken, labels).mean(1)
        return total

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of each clip and step.

        Args:
            logits: (B, S, outputs).
            labels: (B, classes) 0 or 1.

        Returns:
            (B, S).
        """
        target = labels
        if self.shape.multi_label:
            target = torch.stack([1 - labels, labels], -1).flatten(1)  # (B, outputs)
        target = target[:, None].expand_as(logits)
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return entropy.sum(-1) / 2 if self.shape.multi_label else entropy.mean(-1)

    def probabilities(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scores of whole clips by stream, (B, outputs) in [0, 1]."""
        result = {}
        for name, value in logits.items():
            read = value[:, -1:] if self.readout == "last" else value  # (B, S or 1, outputs)
            result[name] = read.sigmoid().mean(1)
        return result

    def predict(self, probabilities: Tensor) -> Tensor:
        """Predicted label sets (B, classes) bool from scores (B, outputs)."""
        if self.shape.multi_label:
            off, on = probabilities.unflatten(-1, (-1, 2)).unbind(-1)
            return on > off
        return F.one_hot(probabilities.argmax(-1), self.shape.classes).bool()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` and ``exact_set``, each (B,).

        With several streams also ``exact_set_<stream>`` of each, and ``exact_set_svm`` once the
        fusion SVM is fitted. Windows of one video answer together, with the mean of their
        probabilities.
        """
        logits = self.logits(batch)
        by_stream = self.probabilities(logits)
        truth = batch["labels"] > 0

        def exact(predicted: Tensor) -> Tensor:
            return (predicted == truth).all(-1).float()

        scores = {
            "loss": self.clip_losses(logits, batch["labels"]),
            "exact_set": exact(self.predict(self.together(averaged(by_stream), batch))),
        }
        if len(by_stream) > 1:
            of_videos = {name: self.together(value, batch) for name, value in by_stream.items()}
            for name, value in of_videos.items():
                scores[f"exact_set_{name}"] = exact(self.predict(value))
            if self.fusion_fitted:
                scores["exact_set_svm"] = exact(self.fused(of_videos))
        return scores

    def together(self, probabilities: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Scores of clips (B, outputs), of windows of one video their mean."""
        if "video" not in batch:
            return probabilities
        shares = probabilities if self.shape.multi_label else distribution(probabilities)
        return share(shares, batch["video"])

    def readers(self) -> dict[str, nn.Module]:
        return dict(self.heads)

    def steps_read(self, read: Tensor) -> Tensor:
        steps = super().steps_read(read)
        return steps[:, -1:] if self.readout == "last" else steps

    def answer(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See ``Objective.answer``.

        With several labels "off" and "on" share the probability: above a half where "on" wins.
        """
        logits = {name: self.heads[name](value).float() for name, value in read.items()}
        mean = averaged(self.probabilities(logits))
        if not self.shape.multi_label:
            return distribution(mean), self.predict(mean)
        shares = distribution(mean.unflatten(-1, (-1, 2)))  # (B, classes, 2)
        return shares[..., 1], self.predict(mean)

    def fused(self, by_stream: dict[str, Tensor]) -> Tensor:
        """Label sets (B, classes) bool that the fusion SVM predicts."""
        margin = stacked(by_stream) @ self.fusion_weight.T + self.fusion_bias
        if self.shape.multi_label:
            return margin > 0
        return F.one_hot(margin.argmax(-1), self.shape.classes).bool()

    @torch.no_grad()
    def finish(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fit the fusion SVM on held-out scores.

        A class that all clips show, or none, keeps the constant answer.
        """
        if len(self.heads) < 2:
            return
        from sklearn.svm import LinearSVC

        self.fusion_weight.zero_()
        scores = []
        targets = []
        for batch in batches:
            scores.append(stacked(self.probabilities(self.logits(batch))))
            targets.append(batch["labels"])
        features = torch.cat(scores).cpu().numpy().astype(np.float64)
        labels = torch.cat(targets).cpu().numpy()
        for index in range(self.shape.classes):
            present = labels[:, index] > 0
            if present.all() or not present.any():
                self.fusion_bias[index] = 1.0 if present.all() else -1.0
                continue
            svm = LinearSVC(C=FUSION_C, dual=False).fit(features, present)
            self.fusion_weight[index] = torch.from_numpy(svm.coef_[0])
            self.fusion_bias[index] = float(svm.intercept_[0])
        self.fusion_fitted.fill_(1)


def parts_of_streams(model: nn.Module, names: list[str]) -> dict[str, tuple[str, ...]]:
    """``Objective.selected_apart`` of streams; none if the model has weights outside of them."""
    prefixes = tuple(f"{name}." for name in names)
    if not all(name.startswith(prefixes) for name in model.state_dict()):
        return {}
    return {f"exact_set_{name}": (f"model.{name}.", f"heads.{name}.") for name in names}


def averaged(by_stream: dict[str, Tensor]) -> Tensor:
    """Mean over streams of scores (B, outputs)."""
    return torch.stack(list(by_stream.values())).mean(0)


def stacked(by_stream: dict[str, Tensor]) -> Tensor:
    """Scores of all streams side by side, each L2-normalised: (B, streams * outputs)."""
    normalised = [F.normalize(value, dim=-1) for value in by_stream.values()]
    return torch.cat(normalised, dim=-1)
