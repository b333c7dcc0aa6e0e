"""Files of clips of the user's own go through the pipeline as they are, and stay as they are."""

import csv
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from test_workflow import copy_project, snakemake

FRAMES = 6
HEIGHT = 16
WIDTH = 20
COUNTS = {"train": 24, "validation": 9, "test": 12}
CLASSES = ["still", "slow", "fast"]

pytestmark = pytest.mark.workflow


def write_own_clips(folder: Path) -> dict[str, Path]:
    """Colour clips of a square that moves at one of three speeds: files that may only be read."""
    files = {}
    for split, count in COUNTS.items():
        speed = np.arange(count) % len(CLASSES)
        clips = np.zeros((count, FRAMES, HEIGHT, WIDTH, 3), np.uint8)
        for clip in range(count):
            for frame in range(FRAMES):
                left = 2 + frame * speed[clip]
                clips[clip, frame, 5:10, left : left + 4] = 255 - clip
        files[split] = folder / f"{split}.h5"
        with h5py.File(files[split], "w") as file:
            file["clips"] = clips
            file["labels"] = np.eye(len(CLASSES), dtype=np.uint8)[speed]
            file.attrs["classes"] = json.dumps(CLASSES)
            file.attrs["multi_label"] = False
        os.chmod(files[split], 0o444)
    return files


def state(files: dict[str, Path]) -> dict[str, tuple]:
    """What would show that a file was written to."""
    return {
        split: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for split, path in files.items()
    }


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """Clips of the user's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return write_own_clips(folder)


def write_config(path: Path, files: dict[str, Path], *others: dict) -> Path:
    """A configuration with a data set of the user's own, and others."""
    own = {"name": "mine", "clips": {split: str(file) for split, file in files.items()}}
    config = {
        "experiment": "own",
        "video": {"frames": FRAMES, "size_px": 16, "patch_px": 8},
        "datasets": [own, *others],
        "clips": COUNTS,
        "systems": [{"name": "c3d_narrow", "recipe": {"epochs": [1], "batch": 8}}],
        "activations": {"clips": 8, "fit_clips": 12, "pooling": [2, 2, 2]},
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_own_clips_are_trained_on_and_never_written_to(files, tmp_path):
    rendered = {"name": "fast", "recipe": "velocity_only", "step": 0.2, "patch_px": 6}
    config = write_config(tmp_path / "own.yaml", files, rendered)
    before = state(files)
    project = copy_project(tmp_path / "project")
    work = tmp_path / "work"
    work.mkdir()
    arguments = ["--configfile", str(config), "--cores", "2"]
    table = "results/own/tables/accuracy.csv"
    snakemake(project, table, *arguments, work=work)
    with open(work / table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["trained_on"] for row in rows} == {"mine", "fast"}
    # other sizes, channels and classes: no run meets the other data set
    assert all(row["trained_on"] == row["evaluated_on"] for row in rows)
    record = work / "results/own/runs/mine/c3d_narrow/seed0/run.json"
    shape = json.loads(record.read_text())["data_shape"]
    assert shape["clip"] == [3, FRAMES, HEIGHT, WIDTH] and shape["multi_label"] is False
    assert (work / "results/own/digits/digits_6px.npz").exists()
    assert not (work / "results/own/digits/digits.npz").exists()
    # neither made again nor deleted with the results
    snakemake(project, table, *arguments, "--touch", "--force", work=work)
    snakemake(project, table, *arguments, "--delete-all-output", work=work)
    assert not (work / "results/own/datasets/mine/test.h5").exists()
    assert state(files) == before


@pytest.mark.slow
def test_the_whole_report_of_own_clips_is_drawn(files, tmp_path):
    """Figures that need factors, exact flow or several systems are absent or say so."""
    config = write_config(tmp_path / "own.yaml", files)
    project = copy_project(tmp_path / "project")
    work = tmp_path / "work"
    work.mkdir()
    snakemake(project, "--configfile", str(config), "--cores", "2", work=work)
    figures = work / "results/own/figures"
    drawn = {path.relative_to(figures).parts[0] for path in figures.rglob("*.png")}
    per_set = {"confusion", "flow", "functional", "layers", "learning", "map", "probes"}
    per_set |= {"projections", "similarity", "class_confusion"}
    whole = {"accuracy", "clips", "controls", "cost", "transfer", "variance_shares"}
    assert drawn == per_set | {f"{name}.png" for name in whole}
    assert json.loads((work / "results/own/provenance.json").read_text())
