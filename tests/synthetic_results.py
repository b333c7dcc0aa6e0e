"""A results folder that follows the file contracts without training anything, for tests of what
only reads results.
"""

import json
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import yaml
import zarr

from vidrep import systems
from vidrep.activations.store import write_ids, write_labels
from vidrep.datasets.store import write_clips
from vidrep.detection import job
from vidrep.detection.features import Videos
from vidrep.detection.labeller import HEADS
from vidrep.experiment import Experiment
from vidrep.flow.store import write_flow
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.report.declaration import Figure
from vidrep.result_tables import read_table, square, write_rows
from vidrep.runs import Run
from vidrep.similarity_analysis import scaling
from vidrep.similarity_analysis.collect import collect
from vidrep.similarity_analysis.distances import as_distances, defined
from vidrep.similarity_analysis.files import write_map
from vidrep.similarity_analysis.training_time import TRAINING_TIME_COLUMNS
from vidrep.training.run import write_run

DEFAULT = yaml.safe_load((Path(__file__).parent.parent / "config.yaml").read_text())
DATASETS = ("digits_only", "velocity_only")
FAMILIES = {
    "c3d_narrow": "3-D CNN",
    "two_stream_exact_narrow": "two-stream",
    "lstm_composite_narrow": "LSTM autoencoder",
    "pixels": "control",
}
SEEDS = {
    "c3d_narrow": ("0", "1"),
    "two_stream_exact_narrow": ("0",),
    "lstm_composite_narrow": ("0",),
    "pixels": (),
}
EXTRA_METRICS = {
    "two_stream_exact_narrow": ("exact_set", "exact_set_spatial"),
    "lstm_composite_narrow": (),
}
LAYERS = ("stem", "middle", "embedding")
MEASURES = ("cka_linear_debiased", "procrustes")
CONTROLS = ("test_shuffled", "test_reversed", "test_frozen", "test_one_frame")
CLASSES = 10
TEST = 40
FIT = 60
FRAMES = 6
SIZE = 12


def make_results(root: Path) -> Path:
    """Write everything that figures read below ``root``."""
    draw = np.random.default_rng(0)
    for dataset in DATASETS:
        _data(root, dataset, draw)
        _weights(root, dataset)
        _runs(root, dataset, draw)
        _similarity(root, dataset, draw)
        _functional(
            root / f"functional_similarity/{dataset}.csv", dataset, np.random.default_rng(1)
        )
    _tables(root / "tables", draw)
    _structure(root)
    _alignment(root)
    _detection(root / "detection" / "velocity_only--c3d_narrow--seed0", np.random.default_rng(1))
    return root


def runs_on(evaluated: str) -> list[tuple[str, str, str]]:
    """(data set, system, seed) of the runs evaluated on a set: trained ones, its baselines."""
    trained = [
        (dataset, system, seed)
        for dataset in DATASETS
        for system, seeds in SEEDS.items()
        for seed in seeds
    ]
    return trained + [(evaluated, system, "untrained") for system in FAMILIES]


def _labels(count: int, draw: np.random.Generator) -> np.ndarray:
    labels = np.zeros((count, CLASSES), np.uint8)
    for row in labels:
        row[draw.choice(CLASSES, 2, replace=False)] = 1
    return labels


def _detection(stem: Path, draw: np.random.Generator) -> None:
    """Videos of 5 clips, clips 1 and 2 active; probabilities at random."""
    videos = 8
    clips = 5
    labels = np.zeros((videos, clips), int)
    classes = draw.integers(0, CLASSES, (videos, 1))
    labels[:, 1:3] = classes + 1
    segments = np.tile([[16, 48]], (videos, 1, 1))
    test = Videos(
        np.zeros((videos * clips, 1), np.float32),
        np.full(videos, clips),
        labels.ravel(),
        segments,
        classes,
        CLASSES,
        16,
        0,
        25.0,
    )
    probabilities = {
        f"test_{head}": draw.dirichlet(np.ones(CLASSES + 1), videos * clips) for head in HEADS
    }
    settings = job.Settings(1, 0.4, (0, 1), (0.2, 0.4))
    job.write_probabilities(stem.with_suffix(".npz"), {"test": test}, probabilities)
    job.write_detections(stem.with_suffix(".json"), test, probabilities, settings, {})
    write_rows(
        stem.with_suffix(".csv"),
        job.DETECTION_COLUMNS,
        job.score_rows({"test": test}, probabilities, settings),
    )


def _data(root: Path, dataset: str, draw: np.random.Generator) -> None:
    attrs = {"dataset": dataset, "classes": [str(i) for i in range(CLASSES)], "multi_label": True}
    for split, count in (("test", TEST), ("train", FIT)):
        clips = draw.integers(0, 256, (count, FRAMES, SIZE, SIZE)).astype(np.uint8)
        content = {
            "clips": clips,
            "labels": _labels(count, draw),
            "factors": {"digit": np.zeros(count)},
        }
        write_clips(root / f"datasets/{dataset}/{split}.h5", content, {**attrs, "split": split})
    shape = (TEST, FRAMES - 1, 2, SIZE, SIZE)
    for method in ("true", "dis"):
        path = root / f"flow/{dataset}/test/{method}.zarr"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flow(path, [draw.normal(size=shape).astype(np.float16)], shape, {"method": method})


def _runs(root: Path, dataset: str, draw: np.random.Generator) -> None:
    for system, seeds in SEEDS.items():
        for seed in seeds:
            folder = root / f"runs/{dataset}/{system}/seed{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            metrics = [("train", "loss"), ("validation", "loss")]
            metrics += [] if system == "lstm_composite_narrow" else [("validation", "exact_set")]
            rows = [(epoch, *metric, draw.random()) for epoch in (1, 2, 3) for metric in metrics]
            pd.DataFrame(rows, columns=["epoch", "split", "metric", "value"]).to_csv(
                folder / "history.csv", index=False
            )
            file = folder / "run.json"
            record = json.loads(file.read_text()) if file.exists() else {}
            file.write_text(json.dumps({**record, "converged": system != "c3d_narrow"}))
    frames = {"observed": 4, "reconstruction": 4, "future": 2, "prediction": 2}
    path = root / f"generation/{dataset}/lstm_composite_narrow/seed0.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for name, count in frames.items():
            file[name] = draw.integers(0, 256, (3, count, SIZE, SIZE)).astype(np.uint8)
    for trained_on, system, seed in runs_on(dataset):
        store = root / f"activations/{dataset}/{trained_on}--{system}--seed{seed}.zarr.zip"
        group = zarr.open_group(str(store), mode="w")
        group.attrs.update(
            {
                "layers": list(LAYERS),
                "dataset": trained_on,
                "system": system,
                "seed": seed,
                "evaluated_on": dataset,
                "classes": list(map(str, range(CLASSES))),
            }
        )
        for target, split, count in (
            (group, "test", TEST),
            (group.create_group("fit"), "train", FIT),
        ):
            write_ids(target, [f"{split}/{i:06d}" for i in range(count)])
            write_labels(target, _labels(count, draw))
            for layer in LAYERS:
                target[layer] = draw.normal(size=(count, 8)).astype(np.float16)


def _similarity(root: Path, dataset: str, draw: np.random.Generator) -> None:
    reps = [f"{d}/{s}/seed{k}/{layer}" for d, s, k in runs_on(dataset) for layer in LAYERS]
    for measure in MEASURES:
        rows = [
            (a, b, 1.0 if a == b else draw.random(), TEST)
            for i, a in enumerate(reps)
            for b in reps[i:]
        ]
        table = pd.DataFrame(rows, columns=["rep_a", "rep_b", "value", "n"])
        table.loc[1, "value"] = np.nan
        table["ci_low"], table["ci_high"] = table["value"] - 0.1, table["value"] + 0.1
        path = root / f"similarity/{dataset}/{measure}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)


def _functional(path: Path, dataset: str, draw: np.random.Generator) -> None:
    """Answers of all runs but those of the LSTM composite, which gives no classes."""
    runs = [f"{d}/{s}/seed{k}" for d, s, k in runs_on(dataset) if s != "lstm_composite_narrow"]
    rows = [(a, b, "kappa", draw.random(), TEST) for i, a in enumerate(runs) for b in runs[i + 1 :]]
    rows += [(a, b, "stitched_accuracy", draw.random(), TEST) for a in runs for b in runs]
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=["run_a", "run_b", "metric", "value", "n"]).to_csv(path, index=False)


def _structure(root: Path) -> None:
    """Maps with made-up stability, and the tables of what the similarity tables mean."""
    factors = {
        system: {"family": family, "objective": family} for system, family in FAMILIES.items()
    }
    for name, table in collect(
        sorted(root.glob("similarity/*/*.csv")), factors, MEASURES[0], seed=0
    ).items():
        table.to_csv(root / f"tables/{name}.csv", index=False)
    for dataset in DATASETS:
        table = read_table(
            root / f"similarity/{dataset}/{MEASURES[0]}.csv", ("rep_a", "rep_b", "value")
        )
        reps = [f"{d}/{s}/seed{k}/{LAYERS[-1]}" for d, s, k in runs_on(dataset)]
        values = square(table, reps)
        kept = defined(values)
        distances = as_distances(values[np.ix_(kept, kept)], MEASURES[0])
        points = scaling.plane(distances)
        links = scaling.tree(distances)
        spread = np.tile(0.01 * np.eye(2), (len(kept), 1, 1))
        support = np.linspace(0, 1, len(links))
        made = scaling.SystemMap(
            kept, points, spread, scaling.stress(distances, points), links, support, TEST
        )
        write_map(
            made,
            reps,
            root / f"similarity_analysis/{dataset}/places.csv",
            root / f"similarity_analysis/{dataset}/branches.csv",
        )


def _tables(folder: Path, draw: np.random.Generator) -> None:
    accuracy = []
    probes = []
    confusion = []
    for evaluated in DATASETS:
        for trained_on, system, seed in runs_on(evaluated):
            run = (system, trained_on, evaluated, seed)
            extra = {
                "two_stream_exact_narrow": ("exact_set", "exact_set_spatial"),
                "lstm_composite_narrow": (),
            }.get(system, ("exact_set",))
            splits = ("test", *CONTROLS) if trained_on == evaluated else ("test",)
            accuracy += [
                (*run, split, metric, draw.random())
                for split in splits
                for metric in ("loss", *extra)
            ]
            for layer in LAYERS if trained_on == evaluated else LAYERS[-1:]:
                for digit in range(CLASSES):
                    factor = f"class_{digit}"
                    probes.append(
                        (*run, layer, factor, "balanced_accuracy", 0.5 + draw.random() / 2, 0.5)
                    )
                    counts = draw.multinomial(TEST, [0.25] * 4)
                    confusion += [(*run, layer, factor, i // 2, i % 2, counts[i]) for i in range(4)]
        accuracy.append(
            ("majority_set", evaluated, evaluated, "untrained", "test", "exact_set", 0.02)
        )
    run = ["system", "trained_on", "evaluated_on", "seed"]
    cost = {
        "system": list(SEEDS)[:3],
        "parameters": [10**5, 10**6, 10**6],
        "macs_per_clip": [10**7, 10**8, 10**8],
    }
    tables = {
        **_prediction(),
        "accuracy": pd.DataFrame(accuracy, columns=[*run, "split", "metric", "value"]).assign(
            ci_low=np.nan, ci_high=np.nan, converged="no"
        ),
        "probes": pd.DataFrame(
            probes, columns=[*run, "layer", "factor", "metric", "value", "chance"]
        ),
        "confusion": pd.DataFrame(
            confusion, columns=[*run, "layer", "factor", "truth", "predicted", "count"]
        ),
        "cost": pd.DataFrame(cost),
        "training_time": _training_time(),
        "flow_error": pd.DataFrame(
            [(name, "test", method, 0.5) for name in DATASETS for method in ("dis", "zero")],
            columns=["dataset", "split", "method", "epe_px"],
        ),
    }
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)


def _training_time() -> pd.DataFrame:
    """Every layer of the systems at two earlier times, compared with each other and with the
    end.
    """
    rows = [
        (
            system,
            dataset,
            dataset,
            "0",
            layer,
            depth,
            a,
            b,
            b == 4,
            MEASURES[0],
            0.5,
            0.4,
            0.6,
            TEST,
            "",
        )
        for dataset in DATASETS
        for system in list(SEEDS)[:2]
        for depth, layer in enumerate(LAYERS)
        for a, b in ((0, 2), (0, 4), (2, 4))
    ]
    return pd.DataFrame(
        rows, columns=["system", "trained_on", "evaluated_on", "seed", *TRAINING_TIME_COLUMNS]
    )


def _prediction() -> dict[str, pd.DataFrame]:
    """Scores and verdicts of the system that generates frames, of its untrained baseline, and of a
    baseline.
    """
    rows = []
    verdicts = []
    for dataset in DATASETS:
        for system, seed in (
            ("lstm_composite_narrow", "0"),
            ("lstm_composite_narrow", "untrained"),
            ("black", "untrained"),
        ):
            keys = {"system": system, "trained_on": dataset, "evaluated_on": dataset, "seed": seed}
            verdicts.append({**keys, "verdict": "fails"})
            for part, horizons in (("reconstruction", range(4)), ("prediction", (1, 2))):
                for metric in ("squared_error_per_frame", "ssim"):
                    scores = {"part": part, "observed": 4, "metric": metric}
                    rows += [
                        {**keys, **scores, "horizon": horizon, "value": 0.5 + horizon}
                        for horizon in horizons
                    ]
    return {"prediction": pd.DataFrame(rows), "prediction_verdict": pd.DataFrame(verdicts)}


def _alignment(root: Path) -> None:
    """Scores of a system, its untrained baseline and a baseline; and matched videos."""
    rows = [
        (system, dataset, dataset, seed, metric, videos, 0.5, 0.4, 0.6)
        for dataset in DATASETS
        for system, seed in (
            ("lstm_composite_narrow", "0"),
            ("lstm_composite_narrow", "untrained"),
            ("chance", "untrained"),
        )
        for metric in (
            "kendall_tau",
            "alignment_error",
            "progression_r2",
            "phase_accuracy",
            "digit_linear",
            "few_shot_accuracy",
        )
        for videos in ((1, 10) if metric == "few_shot_accuracy" else (10,))
    ]
    columns = [
        *("system", "trained_on", "evaluated_on", "seed"),
        *("metric", "labelled_videos", "value", "ci_low", "ci_high"),
    ]
    pd.DataFrame(rows, columns=columns).to_csv(root / "tables/alignment.csv", index=False)
    run = f"{DATASETS[0]}--lstm_composite_narrow--seed0"
    path = root / f"alignment/{DATASETS[0]}/{run}.h5"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file["clips"], file["digit"] = np.zeros((2, 3, 5, 8, 8), np.uint8), np.ones((2, 3), int)
        file["phase"], file["progress"] = np.zeros((2, 3, 5), int), np.zeros((2, 3, 5))


def _weights(root: Path, dataset: str) -> None:
    """Weights of a small LSTM autoencoder for clips of ``_data``, trained and untrained."""
    shape = DataShape((1, FRAMES, SIZE, SIZE), CLASSES, multi_label=True)
    changes = {"params": {"units": 8}, "objective_params": {"observed": FRAMES - 2}}
    definition = systems.system({"name": "lstm_composite_narrow", **changes}).definition()
    for seed in (0, "untrained"):
        write_run(
            root / f"runs/{dataset}/lstm_composite_narrow/seed{seed}",
            build(definition, shape),
            [],
            {"system": definition, "data_shape": asdict(shape)},
        )


class SyntheticExperiment(Experiment):
    """The experiment that these results seem to come from: it has something of every kind."""

    def sequences(self) -> list[str]:
        return list(DATASETS)

    def matched_runs(self) -> list[Run]:
        return [Run(DATASETS[0], "lstm_composite_narrow", 0)]

    def detection_runs(self) -> list[Run]:
        return [Run("velocity_only", "c3d_narrow", 0)]


def synthetic_experiment() -> SyntheticExperiment:
    """The experiment, with two systems that use few labels, so that there is every figure."""
    systems = [
        {"name": "c3d_narrow", "seeds": [0, 1], "recipe": {"labelled": 10}},
        {"name": "two_stream_exact_narrow", "recipe": {"labelled": 100}},
        "lstm_composite_narrow",
        "pixels",
    ]
    changes = {
        "datasets": list(DATASETS),
        "systems": systems,
        "flow": {"estimators": ["dis"]},
        "similarity": {**DEFAULT["similarity"], "measures": list(MEASURES)},
        "training": {**DEFAULT["training"], "snapshots": [0, 2]},
    }
    return SyntheticExperiment({**DEFAULT, **changes})


def figure_command(figure: Figure, root: Path, folder: Path) -> list[str]:
    """The command line that draws all files of a figure from the results below ``root``."""
    experiment = synthetic_experiment()
    items = figure.of(experiment)
    files = {
        name: [path.replace("<results>", str(root)) for path in paths]
        for name, paths in figure.input_files(experiment, items).items()
    }
    options = figure.arguments(experiment, items, files)
    return [figure.name, *options, "--output", str(folder)]
