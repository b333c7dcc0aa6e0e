"""Layers of a run in the course of its training: weights kept on the way, and what is made of
them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vidrep.report.training_time import training_time_figure
from vidrep.similarity import compare
from vidrep.similarity_analysis.training_time import (
    TRAINING_TIME_COLUMNS,
    layers_in_time,
    pair_rows,
)
from vidrep.tables import collect
from vidrep.training.run import snapshot_file, train_run

EPOCHS = [0, 1, 2, 9]  # the last one is never reached


@pytest.fixture(scope="module")
def followed(tmp_path_factory, make_split, tiny_system, cpu) -> Path:
    """A run of three epochs, or two where validation says so, whose weights were kept."""
    folder = tmp_path_factory.mktemp("run")
    definition = {
        **tiny_system("c3d_narrow", recipe={"epochs": [3], "batch": 8}).definition(),
        "first_seed": 0,
    }
    splits = make_split(32, split="train"), make_split(16, split="validation", seed=1)
    options = {
        "seed": 0,
        "run_seed": 0,
        "device": cpu,
        "folder": folder,
        "fingerprint": "",
        "about": {"dataset": "d"},
    }
    train_run(definition, *splits, **options, report=lambda line: None, snapshots=EPOCHS)
    return folder


def test_weights_are_kept_at_the_epochs_asked_for(followed):
    assert {path.name for path in followed.glob("epoch*.pt")} == {
        "epoch0.pt",
        "epoch1.pt",
        "epoch2.pt",
    }
    states = [torch.load(snapshot_file(followed, epoch), weights_only=True) for epoch in (0, 1, 2)]
    for one, two in ((0, 1), (1, 2)):
        assert any(not torch.equal(states[one][name], states[two][name]) for name in states[one])


def test_a_snapshot_at_the_chosen_epoch_has_the_weights_of_the_run(followed):
    chosen = json.loads((followed / "run.json").read_text())["selected"]["epoch"]
    if chosen == 3:
        pytest.skip("the last epoch was chosen, of which no snapshot was asked for")
    ours, theirs = (
        torch.load(path, weights_only=True)
        for path in (snapshot_file(followed, chosen), followed / "weights.pt")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_rows_compare_each_layer_with_itself_at_other_times(followed, make_split, cpu):
    test = make_split(30, seed=2)
    found = layers_in_time(followed, EPOCHS, test, 30, [4, 2, 2], cpu)
    end = json.loads((followed / "run.json").read_text())["selected"]["epoch"]
    times = [epoch for epoch in (0, 1, 2) if epoch < end] + [end]
    assert list(found) == times
    table = pd.DataFrame(pair_rows(found, "cka_linear_debiased"), columns=TRAINING_TIME_COLUMNS)
    layers = list(found[end])
    assert (
        len(table) == len(layers) * len(times) * (len(times) - 1) // 2
        and table["layer"].iloc[-1] == layers[-1]
    )
    row = table[(table["layer"] == layers[-1]) & (table["epoch_a"] == 0) & table["final"]].iloc[0]
    assert float(row["value"]) == pytest.approx(
        compare(found[0][layers[-1]], found[end][layers[-1]]), rel=1e-6
    )
    assert (
        row["epoch_b"] == end
        and row["n"] == 30
        and float(row["ci_low"]) <= float(row["value"]) <= float(row["ci_high"])
    )
    assert not np.array_equal(found[0][layers[0]], found[end][layers[0]])


def test_figure_has_a_panel_a_system(followed, make_split, cpu, tmp_path):
    rows = list(
        pair_rows(
            layers_in_time(followed, EPOCHS, make_split(30, seed=2), 30, [4, 2, 2], cpu),
            "cka_linear_debiased",
        )
    )
    parts = [tmp_path / "d" / f"d--{name}--seed0.csv" for name in ("one", "two")]
    parts[0].parent.mkdir()
    for part in parts:
        pd.DataFrame(rows, columns=TRAINING_TIME_COLUMNS).to_csv(part, index=False)
    figure = training_time_figure(
        collect(list(map(str, parts))), "d", "cka_linear_debiased", ["two", "one", "absent"], {}
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == ["two", "one"]
    assert len(figure.axes[0].lines) == len({row[0] for row in rows})
