"""Trainings inside a claim: few labelled clips of one data set, and any video without labels."""

import numpy as np
import torch

from vidrep.activations.scores import scores_of_clips
from vidrep.objectives.build import build
from vidrep.random_streams import stream_seed
from vidrep.training.device import choose
from vidrep.training.loop import train_one_epoch
from vidrep.training.optimisers import make_optimiser, make_schedule
from vidrep.training.order import epoch_order, labelled_rows
from vidrep.training.progress import Progress
from vidrep.training.split import Split

STEPS = 1000


def scores_trained_with(
    video: Split | None, train: Split, test: Split, record: dict
) -> dict[str, np.ndarray]:
    """Scores of each clip of ``test`` by a run's system, trained anew.

    Other clips than its own take the place of those without labels.

    Args:
        video: clips without labels; None for the training clips themselves.
        train: the run's training clips, of which some are labelled.
        test: the test clips.
        record: run.json of the run, whose seed is also that of this training.
    """
    device = choose(0, "float32")
    definition = record["system"]
    recipe = definition["recipe"]
    few = recipe["labelled"]
    seed = stream_seed(record["experiment_seed"], "labelled", record["seed"])
    labelled = labelled_rows(train.labels, few, seed)
    video = train if video is None else video
    both = joined(video, train, labelled)

    torch.manual_seed(record["seed"])
    objective = device.place(build(definition, train.shape))
    objective.prepare("train", video.batches(recipe["batch"], device))
    batches = len(both) // recipe["batch"]
    epochs = -(-STEPS // batches)  # rounded up
    optimiser = make_optimiser(objective, recipe, recipe["lr"])
    schedule = make_schedule(optimiser, recipe, epochs * batches)
    for epoch in range(epochs):
        order = epoch_order(torch.arange(len(video)), len(both), seed=epoch)
        partners = epoch_order(len(video) + torch.arange(few), len(both), seed=epoch)
        silent = Progress(epochs * len(both), lambda line: None)
        train_one_epoch(
            objective, both, optimiser, schedule, recipe, device, order, silent, partners
        )
    return scores_of_clips(objective, test, device)


def joined(video: Split, train: Split, rows: torch.Tensor) -> Split:
    """The clips of ``video``, then some ``rows`` of ``train``."""
    clips = torch.cat([video.clips, train.clips[rows]])
    labels = torch.cat([video.labels, train.labels[rows]])
    ids = [str(i) for i in range(len(clips))]
    return Split(clips, labels, None, train.multi_label, ids)
