"""The training loop: one function for an epoch, one for evaluation, one that strings them
together.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vidrep.random_streams import stream_seed
from vidrep.training.augment import flip_some
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.device import Device
from vidrep.training.gradients import Gradients
from vidrep.training.order import epoch_order
from vidrep.training.progress import Progress
from vidrep.training.split import Split

EVALUATION_BATCH = 100
# shares of training after which schedule "steps" divides the rate by ten (arXiv 1406.2199)
STEPS_AT = (5 / 8, 7 / 8)
EPSILON = 1e-8  # of the adaptive optimisers' denominators


@dataclass
class Selection:
    """The best weights so far by a validation score; ties go to the lower validation loss."""

    metric: str
    direction: str
    epoch: int = -1
    value: float = math.nan
    key: tuple = (-math.inf, -math.inf)
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, epoch: int, scores: dict[str, float], objective: nn.Module) -> None:
        """Keep the objective's weights if ``scores`` beat the best."""
        value = scores[self.metric]
        key = (value if self.direction == "max" else -value, -scores["loss"])
        if self.epoch < 0 or math.isnan(self.value) or key > self.key:
            self.epoch = epoch
            self.value = value
            self.key = key
            self.state = {
                name: tensor.detach().cpu().clone()
                for name, tensor in objective.state_dict().items()
            }


@dataclass
class Outcome:
    """What training gave besides the weights.

    Attributes:
        history: rows (epoch, split, metric, value), epochs counted from 1 through all stages.
        selection: the choice of weights in the last stage.
        train_clips_per_s: speed of the training steps alone (since the last resume), NaN without
            any.
        clips_at_a_time: clips that gradients were computed of at a time, where memory did not hold
            the batch; else None.
    """

    history: list[tuple]
    selection: Selection
    train_clips_per_s: float = math.nan
    clips_at_a_time: int | None = None


def make_optimiser(objective: nn.Module, recipe: dict, lr: float) -> torch.optim.Optimizer:
    """The optimiser a recipe names, over the parameters that are to be trained."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    decay = recipe["weight_decay"]
    makers = {
        "adam": lambda: torch.optim.Adam(trained, lr=lr, eps=EPSILON, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(trained, lr=lr, eps=EPSILON, weight_decay=decay),
        "sgd": lambda: torch.optim.SGD(trained, lr=lr, momentum=0.9, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(trained, lr=lr, eps=EPSILON, weight_decay=decay),
    }
    if recipe["optimiser"] not in makers:
        raise ValueError(
            f"recipe: optimiser {recipe['optimiser']!r}; give one of {', '.join(makers)}"
        )
    return makers[recipe["optimiser"]]()


def make_schedule(
    optimiser: torch.optim.Optimizer, recipe: dict, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning-rate schedule a recipe names, advanced once a step."""
    if recipe["schedule"] == "one_cycle":
        group = optimiser.param_groups[0]
        # an optimiser without momentum is not to be given one
        momentum = group.get("momentum") != 0
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=group["lr"],
            total_steps=steps + 1,
            pct_start=0.2,
            cycle_momentum=momentum,
        )
    if recipe["schedule"] == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    if recipe["schedule"] == "steps":
        return torch.optim.lr_scheduler.MultiStepLR(
            optimiser, [round(share * steps) for share in STEPS_AT], gamma=0.1
        )
    raise ValueError(
        f"recipe: schedule {recipe['schedule']!r}; give one of constant, one_cycle, steps"
    )


def train_one_epoch(
    objective,
    split: Split,
    optimiser,
    schedule,
    recipe: dict,
    device: Device,
    order: Tensor,
    progress: Progress,
    partners: Tensor | None = None,
    gradients: Gradients | None = None,
) -> float:
    """One pass over ``split`` in the given order; the last, incomplete batch is dropped.

    ``partners`` are the labelled clips of a semi-supervised objective, one for each place of
    ``order``; ``gradients`` knows from earlier epochs what memory holds.

    Returns:
        Mean training loss over the pass.

    Raises:
        ValueError: the loss is not finite.
    """
    objective.train()
    # once, so that indexing resident clips never waits for a copy
    order = order.to(split.clips.device)
    size = min(recipe["batch"], len(split))
    total = torch.zeros((), device=device.device)
    batches = len(split) // size
    gradients = gradients or Gradients(device, progress.report)
    for i in range(batches):
        batch = flip_some(split.batch(order[i * size : (i + 1) * size], device), recipe["flip"])
        if partners is not None:
            batch["labelled"] = flip_some(
                split.batch(partners[i * size : (i + 1) * size], device), recipe["flip"]
            )
        loss = gradients.compute(objective, batch)
        if recipe["gradient_clip"]:
            nn.utils.clip_grad_norm_(objective.parameters(), recipe["gradient_clip"])
        optimiser.step()
        schedule.step()
        total += loss
        progress.advance(size)
    mean = total.item() / batches
    if not math.isfinite(mean):
        raise ValueError(
            f"the training loss became {mean}; lower the recipe's lr or set its gradient_clip"
        )
    return mean


@torch.no_grad()
def evaluate(objective, split: Split, device: Device) -> dict[str, float]:
    """Mean of each per-clip score of the objective over a split, computed in float32."""
    objective.eval()
    sums: dict[str, float] = {}
    for batch in split.batches(EVALUATION_BATCH, device):
        for name, values in objective.score(batch).items():
            sums[name] = sums.get(name, 0.0) + values.double().sum().item()
    return {name: value / len(split) for name, value in sums.items()}


def fit(
    objective,
    recipe: dict,
    train: Split,
    validation: Split,
    *,
    seed: int,
    device: Device,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    labelled: Tensor | None = None,
    snapshot: Callable[[int, nn.Module], None] = lambda epoch, objective: None,
) -> Outcome:
    """Train an objective through its stages and leave the weights chosen on validation data in it.

    Every epoch draws its order and seeds torch from named streams of ``seed``, so a run resumed
    from ``checkpoint`` ends with the same weights as one that was never interrupted.

    Args:
        objective: see ``vidrep.objectives``.
        recipe: optimiser, lr, schedule, weight_decay, batch, gradient_clip, epochs (one number a
            stage).
        train, validation: the data.
        seed: seed of this run's streams.
        device: where to compute.
        checkpoint: where progress is kept after each epoch.
        report: receives a line of progress now and then.
        labelled: places of the training clips whose labels may be used; None for all.
        snapshot: called with the number of epochs so far and the objective, before the first epoch
            and after each.

    Raises:
        ValueError: the recipe's epochs or rates do not match the objective's stages, or the loss is
            not finite.
    """
    job = Job(
        objective, recipe, train, validation, seed, device, checkpoint, report, labelled, snapshot
    )
    saved = checkpoint.load()
    before = 0
    for stage in stage_plans(objective, recipe):
        if saved is None or objective.stages.index(stage.name) >= objective.stages.index(
            saved["stage"]
        ):
            run_stage(job, stage, before, saved if saved and saved["stage"] == stage.name else None)
        before += stage.epochs
    objective.eval()
    objective.finish(validation.batches(EVALUATION_BATCH, device))
    job.outcome.train_clips_per_s = job.clips / job.seconds if job.seconds else math.nan
    job.outcome.clips_at_a_time = job.gradients.piece
    return job.outcome


@dataclass
class Job:
    """What all stages of one training share: see ``fit``; and the clips trained on so far, with the
    seconds that took.
    """

    objective: nn.Module
    recipe: dict
    train: Split
    validation: Split
    seed: int
    device: Device
    checkpoint: Checkpoint
    report: Callable[[str], None]
    labelled: Tensor | None = None
    snapshot: Callable[[int, nn.Module], None] = lambda epoch, objective: None
    clips: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.outcome = Outcome([], Selection(*self.objective.selection))
        self.gradients = Gradients(self.device, self.report)

    def orders(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """The order of an epoch's clips and, for a semi-supervised objective, the labelled clip
        that goes with each.

        Where only labelled clips are of use, and they are few, they are repeated: all epochs have
        the same number of steps.
        """
        everything = torch.arange(len(self.train))
        length = len(self.train)
        labelled = everything if self.labelled is None else self.labelled
        seed = stream_seed(self.seed, "order", epoch)
        if self.objective.semi_supervised:
            return epoch_order(everything, length, seed), epoch_order(
                labelled, length, stream_seed(self.seed, "labelled", epoch)
            )
        return epoch_order(labelled, length, seed), None


@dataclass(frozen=True)
class StagePlan:
    """One training stage: its name, number of epochs and learning rate."""

    name: str
    epochs: int
    lr: float


def stage_plans(objective, recipe: dict) -> list[StagePlan]:
    """The recipe's epochs and rates, stage by stage.

    Raises:
        ValueError: not one number for each stage.
    """
    rates = (
        recipe["lr"] if isinstance(recipe["lr"], list) else [recipe["lr"]] * len(objective.stages)
    )
    for key, values in (("epochs", recipe["epochs"]), ("lr", rates)):
        if len(values) != len(objective.stages):
            stages = ", ".join(objective.stages)
            raise ValueError(
                f"recipe: {key} {values} for the training stages {stages}; give one number for each"
            )
    return list(map(StagePlan, objective.stages, recipe["epochs"], rates))


def run_stage(job: Job, stage: StagePlan, before: int, saved: dict | None) -> None:
    """Train one stage, from the checkpoint ``saved`` on if there is one, and leave its best weights
    in the objective.

    ``before`` counts the epochs of earlier stages. A stage of 0 epochs is only prepared: what that
    fits is its result.
    """
    objective = job.objective
    recipe = job.recipe
    outcome = job.outcome
    outcome.selection = selection = Selection(*objective.selection)
    objective.start_stage(stage.name)
    if saved is None:
        objective.prepare(stage.name, job.train.batches(EVALUATION_BATCH, job.device))
    if stage.epochs == 0:
        keep_scores(job, before)
        return
    optimiser = make_optimiser(objective, recipe, stage.lr)
    schedule = make_schedule(
        optimiser, recipe, stage.epochs * max(1, len(job.train) // recipe["batch"])
    )
    done = 0
    if saved is not None:
        outcome.history = restore(saved, objective, optimiser, schedule, selection)
        done = saved["epochs_done"]
    if before + done == 0:
        job.snapshot(0, objective)
    progress = Progress((stage.epochs - done) * len(job.train), job.report)
    for number in range(done + 1, stage.epochs + 1):
        epoch = before + number
        torch.manual_seed(stream_seed(job.seed, "epoch", epoch))
        order, partners = job.orders(epoch)
        started = time.perf_counter()
        loss = train_one_epoch(
            objective,
            job.train,
            optimiser,
            schedule,
            recipe,
            job.device,
            order,
            progress,
            partners,
            job.gradients,
        )
        job.seconds, job.clips = (
            job.seconds + time.perf_counter() - started,
            job.clips + len(job.train),
        )
        outcome.history.append((epoch, "train", "loss", loss))
        scores = keep_scores(job, epoch)
        job.snapshot(epoch, objective)
        job.checkpoint.save(
            stage.name, number, objective, optimiser, schedule, selection, outcome.history
        )
        progress.epoch(stage.name, number, stage.epochs, loss, scores)
    objective.load_state_dict(selection.state)


def keep_scores(job: Job, epoch: int) -> dict[str, float]:
    """Score the objective on the validation clips, note it in the history, and keep its weights if
    they are the best.
    """
    scores = evaluate(job.objective, job.validation, job.device)
    job.outcome.history += [(epoch, "validation", name, value) for name, value in scores.items()]
    job.outcome.selection.offer(epoch, scores, job.objective)
    return scores


def restore(saved: dict, objective, optimiser, schedule, selection: Selection) -> list[tuple]:
    """Bring everything back to where a checkpoint was taken; returns the history so far."""
    objective.load_state_dict(saved["objective"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    for name, value in saved["selection"].items():
        setattr(selection, name, value)
    return [tuple(row) for row in saved["history"]]
