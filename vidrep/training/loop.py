"""The training loop: one function for an epoch, one for evaluation, one that strings them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidrep.random_streams import stream_seed
from vidrep.training.augment import augment
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.convergence import converged
from vidrep.training.device import Device
from vidrep.training.gradients import Gradients
from vidrep.training.optimisers import make_optimiser, make_schedule
from vidrep.training.order import epoch_order
from vidrep.training.progress import Progress
from vidrep.training.selection import Outcome, Selection
from vidrep.training.split import Split

EVALUATION_BATCH = 100
LOOKS = 8  # validations of a stage at least; those within an epoch choose nothing


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
    look: Callable[[float], None] = lambda share: None,
    looks: int = 1,
) -> float:
    """One pass over ``split`` in the given order; the last, incomplete batch is dropped.

    ``partners`` are the labelled clips of a semi-supervised objective, one for each place of
    ``order``; ``gradients`` knows from earlier epochs what memory holds. Of ``looks`` equal parts
    of the pass each but the last ends with a call of ``look`` with the share of the pass done.

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
    pauses = {round(batches * part / looks): part / looks for part in range(1, looks)}
    taken = [slice(i * size, (i + 1) * size) for i in range(batches)]
    drawn = split.draw((order[places] for places in taken), device)
    labelled = None
    if partners is not None:
        labelled = split.draw((partners[places] for places in taken), device)
    for i, batch in enumerate(drawn):
        batch = augment(batch, recipe)
        if labelled is not None:
            batch["labelled"] = augment(next(labelled), recipe)
        loss = gradients.compute(objective, batch)
        if recipe["gradient_clip"]:
            nn.utils.clip_grad_norm_(objective.parameters(), recipe["gradient_clip"])
        optimiser.step()
        schedule.step()
        total += loss
        progress.advance(size)
        if i + 1 in pauses and i + 1 < batches:
            look(pauses[i + 1])
            objective.train()
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
        objective=objective,
        recipe=recipe,
        train=train,
        validation=validation,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        report=report,
        labelled=labelled,
        snapshot=snapshot,
    )
    saved = checkpoint.load()
    resumed = objective.stages.index(saved["stage"]) if saved else 0  # where training goes on
    before = 0
    for index, stage in enumerate(stage_plans(objective, recipe)):
        start = before
        if index >= resumed:
            run_stage(job, stage, before, saved if index == resumed else None)
        before += stage.epochs
    job.outcome.converged = converged(job.outcome.history, *objective.selection, start)
    objective.eval()
    objective.finish(validation.batches(EVALUATION_BATCH, device))
    job.outcome.train_s = job.seconds
    job.outcome.train_clips_per_s = job.clips / job.seconds if job.seconds else math.nan
    job.outcome.clips_at_a_time = job.gradients.piece
    return job.outcome


@dataclass
class Job:
    """What all stages of one training share.

    Attributes:
        objective, recipe, train, validation, seed, device, checkpoint, report, labelled, snapshot:
            as for ``fit``.
        clips: clips trained on so far.
        seconds: how long that took.
        outcome: what comes of it.
        gradients: knows what memory holds.
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
        self.outcome = Outcome([], Selection.of(self.objective))
        self.gradients = Gradients(self.device, self.report)

    def orders(self, epoch: int) -> tuple[Tensor, Tensor | None]:
        """The order of an epoch's clips, and the labelled partner of each or None.

        Partners are for semi-supervised objectives. Where only labelled clips are of use, and they
        are few, they are repeated: all epochs have the same number of steps.
        """
        length = len(self.train)
        everything = torch.arange(length)
        labelled = everything if self.labelled is None else self.labelled
        seed = stream_seed(self.seed, "order", epoch)
        if not self.objective.semi_supervised:
            return epoch_order(labelled, length, seed), None
        partner_seed = stream_seed(self.seed, "labelled", epoch)
        order = epoch_order(everything, length, seed)
        partners = epoch_order(labelled, length, partner_seed)
        return order, partners


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
    stages = objective.stages
    epochs = recipe["epochs"]
    rates = recipe["lr"] if isinstance(recipe["lr"], list) else [recipe["lr"]] * len(stages)
    for key, values in (("epochs", epochs), ("lr", rates)):
        if len(values) != len(stages):
            raise ValueError(
                f"recipe: {key} {values} for the training stages {', '.join(stages)}; give one"
                " number for each"
            )
    return [StagePlan(*plan) for plan in zip(stages, epochs, rates, strict=True)]


def run_stage(job: Job, stage: StagePlan, before: int, saved: dict | None) -> None:
    """Train one stage and leave its best weights in the objective.

    A stage of 0 epochs is only prepared: what that fits is its result.

    Args:
        job: the training.
        stage: the stage.
        before: epochs of earlier stages.
        saved: the checkpoint to go on from, or None.
    """
    objective = job.objective
    selection = Selection.of(objective)
    job.outcome.selection = selection
    objective.start_stage(stage.name)
    if saved is None:
        objective.prepare(stage.name, job.train.batches(EVALUATION_BATCH, job.device))
    if stage.epochs == 0:
        keep_scores(job, before)
        return
    optimiser = make_optimiser(objective, job.recipe, stage.lr)
    steps = stage.epochs * max(1, len(job.train) // job.recipe["batch"])
    schedule = make_schedule(optimiser, job.recipe, steps)
    done = 0
    if saved is not None:
        job.outcome.history = restore(saved, objective, optimiser, schedule, selection)
        done = saved["epochs_done"]
    if before + done == 0:
        job.snapshot(0, objective)
        if objective.spread:
            spread = evaluate(objective, job.validation, job.device)[objective.spread]
            job.outcome.history.append((0, "validation", objective.spread, spread))
    progress = Progress((stage.epochs - done) * len(job.train), job.report)
    for number in range(done + 1, stage.epochs + 1):
        epoch = before + number
        looks = math.ceil(LOOKS / stage.epochs)
        loss = timed_epoch(job, epoch, optimiser, schedule, progress, looks)
        scores = keep_scores(job, epoch)
        job.snapshot(epoch, objective)
        job.checkpoint.save(
            stage.name, number, objective, optimiser, schedule, selection, job.outcome.history
        )
        progress.epoch(stage.name, number, stage.epochs, loss, scores)
    objective.load_state_dict(selection.weights())
    if selection.apart:  # no epoch had this whole
        scores = evaluate(objective, job.validation, job.device)
        selection.value = scores[selection.metric]


def timed_epoch(job: Job, epoch: int, optimiser, schedule, progress: Progress, looks: int) -> float:
    """One epoch on streams of its own, timed, its mean loss noted in the history and returned."""

    def look(share: float) -> None:
        nonlocal looking
        started = time.perf_counter()
        with torch.random.fork_rng():
            note_scores(job, round(epoch - 1 + share, 3))
        looking += time.perf_counter() - started

    looking = 0.0
    train = job.train.epoch(epoch).move(job.device)
    torch.manual_seed(stream_seed(job.seed, "epoch", epoch))
    order, partners = job.orders(epoch)
    started = time.perf_counter()
    loss = train_one_epoch(
        job.objective,
        train,
        optimiser,
        schedule,
        job.recipe,
        job.device,
        order,
        progress,
        partners,
        job.gradients,
        look,
        looks,
    )
    job.seconds += time.perf_counter() - started - looking
    job.clips += len(train)
    job.outcome.history.append((epoch, "train", "loss", loss))
    return loss


def keep_scores(job: Job, epoch: int) -> dict[str, float]:
    """Score the objective on validation clips, note that, and keep its weights if they are best."""
    scores = note_scores(job, epoch)
    job.outcome.selection.offer(epoch, scores, job.objective)
    return scores


def note_scores(job: Job, epoch: float) -> dict[str, float]:
    """Score the objective on validation clips and note that."""
    scores = evaluate(job.objective, job.validation, job.device)
    for name, value in scores.items():
        job.outcome.history.append((epoch, "validation", name, value))
    return scores


def restore(saved: dict, objective, optimiser, schedule, selection: Selection) -> list[tuple]:
    """Bring everything back to where a checkpoint was taken; returns the history so far."""
    objective.load_state_dict(saved["objective"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    selection.restore(saved["selection"])
    return [tuple(row) for row in saved["history"]]
