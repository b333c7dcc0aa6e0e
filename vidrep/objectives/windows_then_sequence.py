"""Windows first, then their sequence: a 3-D ConvNet, then an LSTM.

Baccouche et al., HBU 2011, LNCS 7065, hal-01354493.

Stage "windows" trains the ConvNet and a small classifier, every window labelled with its clip's
labels. Stage "sequence" freezes both, standardises the features with the statistics of the training
windows, and trains the LSTM with the loss at every step.

A clip is labelled in two ways, whose comparison is the point of the paper: by voting, which
accumulates what the classifier says to each window, and by the LSTM, whose steps are accumulated
likewise. Accumulated are log-probabilities; where a clip may carry several labels, which no vote
for a single class can express, the log-odds of each class. The windows of a clip stay together, so
they are all in one split.

Ours: sigmoid cross-entropy as in ``Classification`` in place of squared errors, and Adam in place
of momentum.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.objectives.base import check_parts
from vidrep.objectives.classification import Classification
from vidrep.windows import share

FIRST = (1, 2, 4, 8, 16)  # clips are also scored after so many windows, where they have more


def accumulated(evidence: Tensor) -> Tensor:
    """Mean over steps, (B, S, classes) -> (B, classes).

    Steps are sorted first, so that their order does not even change the rounding.
    """
    return evidence.sort(dim=1).values.mean(1)


class WindowsThenSequence(Classification):
    """For models with features of windows and a sequence of them.

    Args:
        model: with ``window_features(clip) -> (B, S, F)`` and ``sequence(windows) -> (B, S, D)``,
            e.g. ``vidrep.models.window_lstm.WindowLSTM``, its parts called ``cnn``,
            ``standardise`` and ``lstm``.
        shape: the data set.
        hidden: neurons between the features of a window and its scores.

    Raises:
        ValueError: a model without these parts.
    """

    stages = ("windows", "sequence")

    def __init__(self, model: nn.Module, shape, hidden: int = 50) -> None:
        check_parts(
            "windows_then_sequence",
            model,
            "window_features",
            "sequence",
            "cnn",
            "standardise",
            "lstm",
        )
        super().__init__(model, shape)
        size = model.standardise.mean.numel()
        self.window_head = nn.Sequential(
            nn.Linear(size, hidden),
            nn.Tanh(),
            self.make_head(hidden),
        )
        self.stage = self.stages[-1]

    def start_stage(self, stage: str) -> None:
        self.stage = stage
        for part in (self.model.cnn, self.window_head):
            part.requires_grad_(stage == "windows")
        for part in (self.model.lstm, self.heads):
            part.requires_grad_(stage == "sequence")

    def train(self, mode: bool = True):
        super().train(mode)
        if self.stage == "sequence":
            self.model.cnn.eval()
        return self

    @torch.no_grad()
    def prepare(self, stage: str, batches: Iterable[dict[str, Tensor]]) -> None:
        """Before the sequence is learnt, fit the standardisation of the features."""
        if stage == "sequence":
            self.eval()
            self.model.standardise.fit(self.window_features(batch) for batch in batches)

    def window_features(self, batch: dict[str, Tensor]) -> Tensor:
        """Features of each window, (B, S, F); without gradient once the ConvNet is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.stage == "windows"):
            return self.model.window_features(*self.model_inputs(batch))

    def window_logits(self, features: Tensor) -> Tensor:
        """What the classifier says to each window: (B, S, F) -> (B, S, outputs)."""
        return self.window_head(features).float()

    def sequence_logits(self, features: Tensor) -> Tensor:
        """What the LSTM says after each window: (B, S, F) -> (B, S, outputs)."""
        return self.heads["all"](self.model.sequence(features)).float()

    def logits(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scores of what the stage trains, (B, S, outputs)."""
        features = self.window_features(batch)
        if self.stage == "windows":
            return {"": self.window_logits(features)}
        return {"": self.sequence_logits(features)}

    def evidence(self, logits: Tensor) -> Tensor:
        """What each step says about each class, (B, S, outputs) -> (B, S, classes) float64.

        Log-probabilities of classes that exclude each other, or log-odds: "on" estimates them,
        "off" their negative.
        """
        logits = logits.double()
        if not self.shape.multi_label:
            return F.logsigmoid(logits)
        off, on = logits.unflatten(-1, (-1, 2)).unbind(-1)
        return (on - off) / 2

    def decide(self, evidence: Tensor) -> Tensor:
        """Label sets, bool, from evidence (..., classes)."""
        if self.shape.multi_label:
            return evidence > 0
        return F.one_hot(evidence.argmax(-1), self.shape.classes).bool()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Per-clip scores (B,).

        ``loss`` and ``exact_set`` of what the stage trains, the latter with all steps accumulated;
        ``exact_set_voting``; and ``exact_set_window``, the share of single windows that are right.
        In stage "sequence" also ``exact_set_lstm_last``, the last step alone, and
        ``exact_set_voting_first<k>`` and ``exact_set_lstm_first<k>``, as if the clip ended after k
        windows.
        """
        features = self.window_features(batch)
        return self.score_windows(features, batch["labels"], batch.get("video"))

    def answer(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See ``Objective.answer``: from the evidence of all steps of the LSTM, accumulated."""
        logits = self.heads["all"](read["all"])
        evidence = accumulated(self.evidence(logits))
        scores = evidence.sigmoid() if self.shape.multi_label else evidence.softmax(-1)
        return scores.float(), self.decide(evidence)

    def score_windows(
        self, features: Tensor, labels: Tensor, videos: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``score`` of clips whose window features are known.

        Args:
            features: (B, S, F).
            labels: (B, classes).
            videos: (B,) numbers of the videos whose clips answer together, see
                ``vidrep.windows.share``.
        """

        def exact(evidence: Tensor) -> Tensor:
            """Are the label sets right that evidence (B, classes) or (B, S, classes) leads to?"""
            truth = labels[:, None] if evidence.ndim == 3 else labels
            right = self.decide(share(evidence, videos)) == truth.bool()
            return right.all(-1).float()

        logits = self.window_logits(features)
        votes = self.evidence(logits)
        voting = {
            "exact_set_voting": exact(accumulated(votes)),
            "exact_set_window": exact(votes).mean(1),
        }
        if self.stage == "windows":
            return {
                "loss": self.cross_entropy(logits, labels).mean(1),
                "exact_set": voting["exact_set_voting"],
                **voting,
            }
        logits = self.sequence_logits(features)
        steps = self.evidence(logits)
        scores = {
            "loss": self.cross_entropy(logits, labels).mean(1),
            "exact_set": exact(accumulated(steps)),
            **voting,
            "exact_set_lstm_last": exact(steps[:, -1]),
        }
        for count in FIRST:
            if count >= steps.shape[1]:
                break
            scores[f"exact_set_voting_first{count}"] = exact(accumulated(votes[:, :count]))
            scores[f"exact_set_lstm_first{count}"] = exact(accumulated(steps[:, :count]))
        return scores
