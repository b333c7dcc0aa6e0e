"""How the layers of one run change while it is trained.

All pairs of times at which its weights were kept are compared.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import zarr

from vidrep.activations.extract import store_activations
from vidrep.activations.pooling import Policy
from vidrep.activations.store import read_array
from vidrep.result_tables import number
from vidrep.similarity.engine import all_pairs
from vidrep.training.device import Device
from vidrep.training.run import load_run, load_weights, snapshot_file
from vidrep.training.split import Split

TRAINING_TIME_COLUMNS = (
    "layer",
    "depth",
    "epoch_a",
    "epoch_b",
    "final",
    "measure",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "flag",
)
# activations (n, features...) of each layer, from the input to the embedding
Layers = dict[str, np.ndarray]


def layers_in_time(
    folder: Path,
    epochs: Sequence[int],
    split: Split,
    rows: int,
    policy: Policy,
    device: Device,
) -> dict[int, Layers]:
    """Activations of a run's layers at each time, by the number of epochs.

    The last one has the weights that the run ended with.

    Args:
        folder: the run's.
        epochs: numbers of epochs after which weights were kept; those that the run never reached
            are left out.
        split: the clips, of which the first ``rows`` count.
        rows, policy, device: see ``vidrep.activations.extract.store_activations``.
    """
    objective, record = load_run(folder, device)
    end = record["selected"]["epoch"]
    times = {epoch: snapshot_file(folder, epoch) for epoch in sorted(epochs) if epoch < end}
    found = {}
    for epoch, weights in [*times.items(), (end, folder / "weights.pt")]:
        load_weights(objective, weights)
        group = zarr.create_group(zarr.storage.MemoryStore())
        store_activations(
            objective, split, group, rows=rows, policy=policy, dtype="float32", device=device
        )
        found[epoch] = {name: read_array(group, name) for name in objective.model.layers}
    return found


def pair_rows(found: dict[int, Layers], measure: str) -> Iterator[tuple]:
    """Rows of ``TRAINING_TIME_COLUMNS``: every layer at every two times, the earlier first.

    ``final``: is the later one the end of training?
    """
    times = list(found)
    end = max(found)
    for depth, layer in enumerate(found[end]):
        result = all_pairs([found[epoch][layer] for epoch in times], measure, intervals=True)
        for i, j in zip(*np.triu_indices(len(times), 1), strict=True):
            yield (
                layer,
                depth,
                times[i],
                times[j],
                times[j] == end,
                measure,
                number(result.values[i, j]),
                number(result.ci_low[i, j]),
                number(result.ci_high[i, j]),
                int(result.n[i, j]),
                result.flags[i, j],
            )
