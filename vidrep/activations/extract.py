"""Extract the activations of a run: score it and store what its layers compute, in one pass."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
import zarr
from torch import Tensor

from vidrep.activations.capture import capturing, reading
from vidrep.activations.pooling import Policy, by_clip, pool
from vidrep.activations.scores import BATCH, ScoreCollector, means
from vidrep.activations.store import (
    AnswerWriter,
    LayerWriter,
    new_store,
    write_groups,
    write_ids,
    write_labels,
)
from vidrep.clip_scores import Scores
from vidrep.training.device import Device
from vidrep.training.split import Split
from vidrep.windows import first_of_videos, mean_of_videos


@torch.no_grad()
def store_activations(
    objective,
    split: Split,
    group: zarr.Group,
    *,
    rows: int,
    policy: Policy,
    dtype: str,
    device: Device,
) -> Scores:
    """Score a run on all clips of a split and store the activations of the first ``rows``.

    Args:
        objective: the run; its ``model.layers`` names what is stored.
        split: the clips; of several windows of one video the mean is stored, as one row.
        group: an empty Zarr group; gets one array (rows, features...) a layer, ``ids`` and
            ``labels``; where clips are not independent ``groups``; and of runs that answer with
            classes the answers (see ``vidrep.activations.store.AnswerWriter``).
        rows: clips or videos whose activations are stored, at most.
        policy: see ``vidrep.activations.pooling``.
        dtype: float16 or float32.
        device: where to compute; always in float32.

    Returns:
        Each of the objective's scores for every clip or video of the split.
    """
    objective.eval()
    names = split.names
    rows = min(rows, len(names))
    layers = tuple(objective.model.layers)
    writers: dict[str, LayerWriter] = {}
    for name in layers:
        earlier = list(writers.values())
        writers[name] = LayerWriter(group, name, rows, dtype, earlier)
    answers = AnswerWriter(group, rows, dtype, list(writers.values()))
    with ExitStack() as until_stored, reading(objective) as read:
        captured = until_stored.enter_context(capturing(objective.model, layers))
        collector = ScoreCollector(objective, read)
        done = 0
        # Objectives that generate may also run parts of the model on frames of their own.
        second_pass = objective.generates
        for cut, batch in zip(split.cuts(BATCH), split.batches(BATCH, device), strict=True):
            videos = None if split.videos is None else split.videos[cut]
            answer = collector.add(batch)
            here = len(first_of_videos(range(cut.start, cut.stop), videos))
            keep = min(here, rows - done)
            done += here
            if keep <= 0:
                until_stored.close()
                continue
            if second_pass:
                scored = dict(captured)
                objective.embed(batch)
                second_pass = not _equal(scored, captured)
            for name, writer in writers.items():
                of_clips = by_clip(captured[name], objective.rows_per_clip)
                pooled = pool(of_clips, policy).cpu().numpy()
                shape = tuple(of_clips.shape[1:])
                writer.add(mean_of_videos(pooled, videos)[:keep], shape)
            if answer is not None:
                of_videos = {name: means(value, videos)[:keep] for name, value in read.items()}
                answers.add(of_videos, answer)
    write_ids(group, names[:rows])
    labels = first_of_videos(split.labels.cpu().numpy(), split.videos)
    write_labels(group, np.array(labels[:rows]))
    if split.groups is not None:
        write_groups(group, first_of_videos(split.groups, split.videos)[:rows])
    return collector.scores()


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Do two passes give every layer the same output?"""
    return all(torch.equal(one[name], other[name]) for name in other)


def extract_run(
    objective,
    test: Split,
    fit: Split,
    path: Path,
    attrs: dict,
    *,
    rows: int,
    policy: Policy,
    dtype: str,
    device: Device,
) -> Scores:
    """Write the activation store of one run on one evaluation set.

    The store's root holds the first ``rows`` test clips; its group ``fit`` holds clips of the
    training split, on which probes are fitted.

    Args:
        objective: the run.
        test, fit: the clips.
        path: the store, written whole or not at all.
        attrs: attributes of the root: dataset, system, seed; evaluated_on, classes.
        rows, policy, dtype, device: see ``store_activations``.

    Returns:
        Each of the run's scores for every test clip.
    """
    attrs = {**attrs, "layers": list(objective.model.layers), "pooling": policy}
    with new_store(path, attrs) as root:
        scores = store_activations(
            objective, test, root, rows=rows, policy=policy, dtype=dtype, device=device
        )
        group = root.create_group("fit")
        store_activations(
            objective, fit, group, rows=len(fit), policy=policy, dtype=dtype, device=device
        )
    return scores
