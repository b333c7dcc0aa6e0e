"""What systems learn by their recipes, or by others, in how many CPU seconds.

    python benchmarks/recipes.py results/default c3d_narrow r3d_narrow --datasets digits_only
    python benchmarks/recipes.py results/default c3d_narrow --recipe '{"batch": 16, "epochs": [3]}'
    python benchmarks/recipes.py results/default c3d_narrow --clips 1500

The folder is that of an experiment whose clips (and flow) are made. Each system is trained on each
data set as the workflow trains it, in this process and on one thread. A line a run, of
tab-separated values: what was trained, CPU seconds of training with its validation, the score that
chose the weights on validation clips, all scores on test clips, whether the run had converged, and
the course of that score. Compare recipes by the validation score alone.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from vidrep.datasets.recipes import CATALOGUE
from vidrep.datasets.store import open_clips
from vidrep.objectives.build import build, needed_targets
from vidrep.random_streams import stream_seed
from vidrep.splits import SplitFiles
from vidrep.systems import System, flow_inputs, system
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.device import Device
from vidrep.training.endless import endless_clips
from vidrep.training.loop import evaluate, fit
from vidrep.training.run import labelled_clips
from vidrep.training.split import Split, load_split

DEVICE = Device(torch.device("cpu"), "float32")


def read_split(folder: Path, dataset: str, name: str, wanted: System, clips: int | None) -> Split:
    """The first ``clips`` clips of a split with the flow that a system is fed; None for all."""
    flows = {}
    for key, method in flow_inputs(wanted.inputs, wanted.flow).items():
        flows[key] = folder / "flow" / dataset / name / f"{method}.zarr"
    files = SplitFiles(folder / "datasets" / dataset / f"{name}.h5", **flows)
    split = load_split(files, clips, targets=needed_targets(wanted.definition()))
    if name == "train" and wanted.recipe["endless"]:
        with open_clips(files.clips) as file:
            recipe = dict(file.attrs["recipe"])
            seed = int(file.attrs["seed"])
        kind = CATALOGUE[recipe.pop("name")].kind
        about = {"kind": kind, "recipe": recipe, "multi_label": split.multi_label}
        split.new_clips = endless_clips(
            about,
            folder / "digits" / "digits.npz",
            wanted.definition(),
            count=len(split),
            seed=seed,
        )
    return split


def train(wanted: System, train: Split, validation: Split, test: Split, seed: int) -> dict:
    """Train one run and score it."""
    stream_name = ("run", wanted.name, seed)
    torch.manual_seed(stream_seed(0, *stream_name, "init"))
    objective = DEVICE.place(build(wanted.definition(), train.shape))
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        outcome = fit(
            objective,
            wanted.recipe,
            train,
            validation,
            seed=stream_seed(0, *stream_name),
            device=DEVICE,
            checkpoint=Checkpoint(Path(folder) / "checkpoint.pt", ""),
            report=lambda line: None,
            labelled=labelled_clips(train, wanted.recipe, 0, seed),
        )
        seconds = time.process_time() - started
    chosen = outcome.selection
    course = []
    for _, split, metric, value in outcome.history:
        if split == "validation" and metric == chosen.metric:
            course.append(round(value, 4))
    return {
        "cpu_s": round(seconds, 1),
        "metric": chosen.metric,
        "validation": round(chosen.value, 4),
        "test": {k: round(v, 4) for k, v in evaluate(objective, test, DEVICE).items()},
        "converged": outcome.converged,
        "epoch": chosen.epoch,
        "course": course,
    }


def main() -> None:
    """Read the command line, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="results of an experiment")
    parser.add_argument("systems", nargs="+", help="names of the catalogue")
    parser.add_argument("--datasets", nargs="+", default=["digits_only"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--recipe", type=json.loads, default={}, help="changes, as JSON")
    parser.add_argument("--params", type=json.loads, default={}, help="changes, as JSON")
    parser.add_argument("--objective-params", type=json.loads, default={}, help="changes, as JSON")
    parser.add_argument("--clips", type=int, help="training clips (default: all)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = {
        "recipe": args.recipe,
        "params": args.params,
        "objective_params": args.objective_params,
    }
    for name in args.systems:
        wanted = system({"name": name, **changes})
        for dataset in args.datasets:
            splits = [
                read_split(args.folder, dataset, split, wanted, count)
                for split, count in (("train", args.clips), ("validation", None), ("test", None))
            ]
            for seed in args.seeds:
                found = train(wanted, *splits, seed)
                given = json.dumps({key: value for key, value in changes.items() if value})
                values = (name, dataset, seed, given, *found.values())
                print(*values, sep="\t", flush=True)


if __name__ == "__main__":
    main()
