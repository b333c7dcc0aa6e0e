"""One run from data to files, and back from files to a network."""

import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from vidrep.files import whole
from vidrep.models.weights import load_state
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.provenance import provenance
from vidrep.random_streams import stream_seed
from vidrep.result_tables import write_rows
from vidrep.runs import UNTRAINED
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.collapse import collapse, warning
from vidrep.training.cost import count_macs, count_parameters, inference_clips_per_s, peak_bytes
from vidrep.training.device import Device
from vidrep.training.loop import EVALUATION_BATCH, evaluate, fit
from vidrep.training.order import labelled_rows
from vidrep.training.pretrained import read_state, start_from
from vidrep.training.selection import Outcome, Selection
from vidrep.training.split import Split


def train_run(
    definition: dict,
    train: Split,
    validation: Split,
    *,
    seed: int,
    run_seed: int | str,
    device: Device,
    folder: Path,
    fingerprint: str,
    about: dict,
    report: Callable[[str], None],
    weights: Path | None = None,
    snapshots: Sequence[int] = (),
) -> None:
    """Train a system, or only initialise it, and write its three files into ``folder``.

    These are ``weights.pt``, ``history.csv`` and ``run.json``. The initial weights depend on the
    system and the seed, not on the data set, and an untrained baseline has those of the first seed.
    Only trained runs start from pretrained weights: the untrained baseline of such a system stays
    random, as the control for them.

    Args:
        definition: ``System.definition()``, and ``first_seed``.
        train, validation: the data.
        seed: the experiment's seed.
        run_seed: the run's, or "untrained".
        device: where to compute.
        folder: the run's folder; also keeps its checkpoint.
        fingerprint: digest of code, recipe and data that a checkpoint must agree with.
        about: further facts for ``run.json``.
        report: receives lines of progress.
        weights: file of pretrained weights that the model starts from.
        snapshots: numbers of epochs after which the weights are kept as ``epoch<number>.pt``.
    """
    started = time.monotonic()
    trained = run_seed != UNTRAINED
    weights_seed = run_seed if trained else definition["first_seed"]
    stream_name = ("run", definition["name"], weights_seed)
    torch.manual_seed(stream_seed(seed, *stream_name, "init"))
    objective = build(definition, train.shape)
    if weights and trained:
        about = {"weights_sha256": start_from(objective.model, weights), **about}
    device.place(objective)
    train = train.move(device)
    validation = validation.move(device)
    checkpoint = Checkpoint(folder / "checkpoint.pt", fingerprint)

    def snapshot(epoch: int, objective) -> None:
        if epoch in snapshots:
            write_weights(objective, snapshot_file(folder, epoch))

    if trained and objective.stages:
        outcome = fit(
            objective,
            definition["recipe"],
            train,
            validation,
            seed=stream_seed(seed, *stream_name),
            device=device,
            checkpoint=checkpoint,
            report=report,
            labelled=labelled_clips(train, definition["recipe"], seed, run_seed),
            snapshot=snapshot,
        )
    else:
        outcome = unfitted(objective, validation, device)
    collapsed = collapse(outcome.history, objective.spread, outcome.selection.epoch)
    if line := warning(collapsed):
        report(line)
    record = {
        "system": definition,
        "seed": run_seed,
        "experiment_seed": seed,
        **measurements(objective, outcome, validation, device, trained=trained),
        "collapse": collapsed if trained else None,
        "wall_s": round(time.monotonic() - started, 3),
        **about,
        **provenance(),
    }
    write_run(folder, objective, outcome.history, record)
    checkpoint.remove()


def labelled_clips(train: Split, recipe: dict, seed: int, run_seed: int) -> Tensor | None:
    """Places of the clips whose labels a run may use, the same for all systems; None for all."""
    if not recipe["labelled"]:
        return None
    draw = stream_seed(seed, "labelled", run_seed)
    return labelled_rows(train.labels.cpu(), recipe["labelled"], draw)


def unfitted(objective, validation: Split, device: Device) -> Outcome:
    """The outcome of a run that is not trained: its validation scores, as of epoch 0.

    What trained runs fit on validation data afterwards, it is fitted too: it lacks training alone.
    """
    objective.eval()
    objective.finish(validation.batches(EVALUATION_BATCH, device))
    scores = evaluate(objective, validation, device)
    history = [(0, "validation", name, value) for name, value in scores.items()]
    return Outcome(history, Selection(*objective.selection, epoch=0))


def measurements(
    objective,
    outcome: Outcome,
    validation: Split,
    device: Device,
    *,
    trained: bool,
) -> dict:
    """What ``run.json`` measures of a run: data, selected epoch, cost, device and precision."""
    return {
        "data_shape": asdict(validation.shape),
        "selected": outcome.selection.record(),
        "converged": outcome.converged,
        "parameters": count_parameters(objective),
        "macs_per_clip": count_macs(objective, validation, device),
        "train_s": round(outcome.train_s, 3),
        "train_clips_per_s": (
            None if math.isnan(outcome.train_clips_per_s) else outcome.train_clips_per_s
        ),
        "clips_at_a_time": outcome.clips_at_a_time,
        "peak_bytes": peak_bytes(device),
        "device": torch.cuda.get_device_name() if device.device.type == "cuda" else "cpu",
        "precision": device.precision,
        "threads": torch.get_num_threads(),
        "infer_clips_per_s": (
            inference_clips_per_s(objective, validation, device) if trained else None
        ),
    }


def write_run(folder: Path, objective, history: list[tuple], record: dict) -> None:
    """Write the three files of a run; the record last, as it says that the run is complete."""
    write_weights(objective, folder / "weights.pt")
    write_rows(folder / "history.csv", ("epoch", "split", "metric", "value"), history)
    with whole(folder / "run.json") as path:
        path.write_text(json.dumps(record, indent=1) + "\n")


def write_weights(objective, file: Path) -> None:
    """Write a state dict."""
    state = {name: tensor.cpu() for name, tensor in objective.state_dict().items()}
    # torch puts a file's name into its bytes; from memory they depend on the weights alone
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with whole(file) as path:
        path.write_bytes(buffer.getvalue())


def snapshot_file(folder: Path, epoch: int) -> Path:
    """The weights of a run after so many epochs."""
    return folder / f"epoch{epoch}.pt"


def load_run(folder: Path, device: Device):
    """The objective of a finished run, its weights loaded, in evaluation mode; and its record.

    Raises:
        ValueError: the weights do not fit the system that ``run.json`` describes.
        OSError: a file is missing.
    """
    record = json.loads((folder / "run.json").read_text())
    data = record["data_shape"]
    shape = DataShape(tuple(data["clip"]), data["classes"], data["multi_label"])
    objective = build(record["system"], shape)
    load_weights(objective, folder / "weights.pt")
    return device.place(objective).eval(), record


def load_weights(network, path: Path) -> None:
    """Load a state dict, saying in one line what does not fit.

    Raises:
        ValueError: a damaged file, missing or unexpected names, or tensors of another shape.
    """
    load_state(network, read_state(path), path)


def digest(*parts) -> str:
    """Short digest of JSON-able values."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
