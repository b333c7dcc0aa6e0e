"""Extract the activations of a run: score it and store what its layers compute, in one pass."""

from pathlib import Path

import torch
import zarr

from vidrep.activations.capture import capturing, reading
from vidrep.activations.pooling import Policy, by_clip, pool
from vidrep.activations.scores import BATCH, ScoreCollector
from vidrep.activations.store import (
    AnswerWriter,
    LayerWriter,
    new_store,
    write_ids,
    write_labels,
)
from vidrep.clip_scores import Scores
from vidrep.training.device import Device
from vidrep.training.split import Split


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
        split: the clips.
        group: an empty Zarr group; gets one array (rows, features...) a layer, ``ids`` and
            ``labels``, and of runs that answer with classes the answers (see
            ``vidrep.activations.store.AnswerWriter``).
        rows: clips whose activations are stored, at most.
        policy: see ``vidrep.activations.pooling``.
        dtype: float16 or float32.
        device: where to compute; always in float32.

    Returns:
        Each of the objective's scores for every clip of the split.
    """
    objective.eval()
    rows = min(rows, len(split))
    layers = tuple(objective.model.layers)
    writers: dict[str, LayerWriter] = {}
    for name in layers:
        earlier = list(writers.values())
        writers[name] = LayerWriter(group, name, rows, dtype, earlier)
    answers = AnswerWriter(group, rows, dtype, list(writers.values()))
    with capturing(objective.model, layers) as captured, reading(objective) as read:
        collector = ScoreCollector(objective, read)
        for start in range(0, len(split), BATCH):
            batch = split.batch(slice(start, start + BATCH), device)
            answer = collector.add(batch)
            if objective.generates:  # whose scores also run parts of the model on frames of its own
                objective.embed(batch)
            keep = min(BATCH, rows - start)
            if keep <= 0:
                continue
            for name, writer in writers.items():
                kept = by_clip(captured[name], objective.rows_per_clip)[:keep]
                pooled = pool(kept, policy)
                writer.add(pooled.cpu().numpy(), tuple(kept.shape[1:]))
            if answer is not None:
                kept_read = {name: value[:keep] for name, value in read.items()}
                answers.add(kept_read, answer)
    write_ids(group, split.ids[:rows])
    write_labels(group, split.labels[:rows].cpu().numpy())
    return collector.scores()


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
