"""Multi-task classification: one trunk, one head a task.

Simonyan & Zisserman, NIPS 2014, arXiv 1406.2199, section 4.

In the paper the tasks are two data sets, so each clip has labels for one task only. Here all clips
come from one file: a few, evenly spread, are training clips of the first task, its labels; the
others are training clips of the second, a target made from factors of the data set. Each clip adds
to the loss of its own task alone, and the losses of the tasks are summed. Scores cover all tasks on
all clips.

With the single task ``[labels]`` it is the control: the same few clips of the first task, and no
help.

Deviation: sigmoid cross-entropy instead of softmax, as clips carry several labels.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.objectives.base import Objective, distribution, embedding_sizes
from vidrep.training.targets import find_target
from vidrep.windows import share

LABELS = "labels"


class MultiTask(Objective):
    """A linear head a task on the embedding of a model of one stream.

    Args:
        model: a network whose embedding is (B, D), or (B, S, D) with S steps or samples.
        shape: the data set.
        tasks: "labels", and at most one target of ``vidrep.training.targets`` after it.
        every: each ``every``-th training clip is one of the first task, the others are clips of the
            second.

    Raises:
        ValueError: other tasks, a target that does not exist, or a model of several streams.
    """

    stages = ("train",)
    selection = ("exact_set", "max")

    def __init__(
        self,
        model: nn.Module,
        shape,
        tasks: Sequence[str] = (LABELS, "speeds"),
        every: int = 10,
    ) -> None:
        super().__init__(model, shape)
        if list(tasks[:1]) != [LABELS] or len(tasks) > 2 or every < 2:
            raise ValueError(
                f"objective multi_task: tasks are {list(tasks)}, every is {every}; "
                "give labels and at most one further target, and every at least 2"
            )
        self.tasks = tuple(tasks)
        self.every = every
        sizes = embedding_sizes(self)
        if list(sizes) != [""]:
            raise ValueError(
                "objective multi_task: needs a model of one stream, this one has"
                f" {', '.join(sizes)}"
            )
        self.heads = nn.ModuleDict()
        for task in self.tasks:
            classes = shape.classes if task == LABELS else find_target(task).size
            self.heads[task] = nn.Linear(sizes[""], classes)

    @staticmethod
    def split_targets(tasks: Sequence[str] = (LABELS, "speeds"), **params) -> tuple[str, ...]:
        return tuple(task for task in tasks if task != LABELS)

    def logits(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scores by task, (B, S, classes) float32."""
        embedding = self.embed(batch)
        steps = embedding if embedding.ndim == 3 else embedding[:, None]  # (B, S, D)
        return {task: head(steps).float() for task, head in self.heads.items()}

    def members(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Which clips of a batch are training clips of a task: (B,) float 0 or 1."""
        first = (batch["row"] % self.every == 0).float()
        return {task: first if task == LABELS else 1 - first for task in self.tasks}

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Sum over tasks of the losses of their own clips, per clip of the batch.

        So every clip weighs the same.
        """
        members = self.members(batch)
        total = 0
        for task, value in self.logits(batch).items():
            losses = cross_entropy(value, batch[task]) * members[task]
            total = total + losses.mean()
        return total

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss``, ``exact_set`` of the labels, ``exact_<task>`` of the other task, each (B,).

        All tasks are scored on all clips.
        """
        logits = self.logits(batch)
        scores = {"loss": sum(cross_entropy(value, batch[task]) for task, value in logits.items())}
        for task, value in logits.items():
            name = "exact_set" if task == LABELS else f"exact_{task}"
            multi_label = self.shape.multi_label or task != LABELS
            probabilities = share(value.sigmoid().mean(1), batch.get("video"))
            predicted = predict(probabilities, multi_label)
            truth = batch[task] > 0
            scores[name] = (predicted == truth).all(-1).float()
        return scores

    def readers(self) -> dict[str, nn.Module]:
        return {LABELS: self.heads[LABELS]}

    def answer(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See ``Objective.answer``: of the labels."""
        logits = self.heads[LABELS](read[LABELS]).float()
        mean = logits.sigmoid().mean(1)
        predicted = predict(mean, self.shape.multi_label)
        if self.shape.multi_label:
            return mean, predicted
        return distribution(mean), predicted


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid cross-entropy in nats, summed over classes and averaged over steps.

    Args:
        logits: (B, S, classes).
        target: (B, classes) 0 or 1.

    Returns:
        (B,).
    """
    target = target[:, None].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return entropy.sum(-1).mean(-1)


def predict(probabilities: Tensor, multi_label: bool) -> Tensor:
    """Predicted classes from scores: all above a half, or the largest alone.

    Args:
        probabilities: (B, classes).
        multi_label: may a clip show several classes?

    Returns:
        (B, classes) bool.
    """
    if multi_label:
        return probabilities > 0.5
    return F.one_hot(probabilities.argmax(-1), probabilities.shape[-1]).bool()
