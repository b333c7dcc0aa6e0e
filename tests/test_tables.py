"""Tables from hand-made files of runs."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from vidrep.datasets.store import write_clips
from vidrep.result_tables import write_table
from vidrep.tables import balanced_accuracies, collect, cost, majority_set


def test_parts_become_rows_with_their_names(tmp_path):
    parts = {
        "slow/fast--c3d_narrow--seed0.csv": (
            "split,metric,value\ntest,loss,0.1\ntest,exact_set,0.7133333333333334\n"
        ),
        "fast/fast--c3d_narrow--seeduntrained.csv": "split,metric,value\ntest,loss,2.5\n",
        "fast/fast--pixels--seeduntrained.csv": "split,metric,value\n",
    }
    for name, text in parts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    write_table(collect([str(tmp_path / name) for name in parts]), tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().splitlines() == [
        "system,trained_on,evaluated_on,seed,split,metric,value",
        "c3d_narrow,fast,slow,0,test,loss,0.1",
        "c3d_narrow,fast,slow,0,test,exact_set,0.7133333333333334",
        "c3d_narrow,fast,fast,untrained,test,loss,2.5",
    ]


def test_suffixes_after_the_seed_do_not_count(tmp_path):
    path = tmp_path / "slow" / "fast--c3d--seed12.verdict.csv"
    path.parent.mkdir()
    path.write_text("layer,count\nconv1,3\n")
    assert collect([str(path)]).iloc[0].to_dict() == {
        "system": "c3d",
        "trained_on": "fast",
        "evaluated_on": "slow",
        "seed": "12",
        "layer": "conv1",
        "count": 3,
    }


def test_balanced_accuracy_is_that_of_scikit_learn_and_missing_without_both_answers():
    rng = np.random.default_rng(0)
    truth = rng.random(50) < 0.3
    predicted = rng.random(50) < 0.4
    cells = [(t, p) for t in (0, 1) for p in (0, 1)]
    rows = [("b", "early", t, p, int(((truth == t) & (predicted == p)).sum())) for t, p in cells]
    rows += [("a", "last", t, p, 7 * t) for t, p in cells]
    rows += [("a", "early", t, p, 0) for t, p in cells]
    found = balanced_accuracies(
        pd.DataFrame(rows, columns=["seed", "layer", "truth", "predicted", "count"])
    )
    assert found[["seed", "layer"]].to_numpy().tolist() == [
        ["b", "early"],
        ["a", "last"],
        ["a", "early"],
    ]
    assert (
        found["value"][0] == balanced_accuracy_score(truth, predicted)
        and found["value"][1:].isna().all()
    )
    assert (
        list(found.columns[2:]) == ["metric", "value", "chance"] and (found["chance"] == 0.5).all()
    )


@pytest.mark.parametrize("name", ["fast--c3d.csv", "fast--c3d--0.csv", "fast--c3d--x--seed0.csv"])
def test_other_names_are_refused(tmp_path, name):
    (tmp_path / name).write_text("a\n1\n")
    with pytest.raises(
        ValueError, match=f"{name}: must be called <trained on>--<system>--seed<seed>.csv"
    ):
        collect([str(tmp_path / name)])


def test_the_floor_answers_the_most_frequent_training_set(tmp_path):
    sets = {
        "train": [[1, 0], [1, 1], [1, 1], [0, 1], [1, 1], [0, 1]],
        "test": [[1, 1], [0, 1], [0, 1], [0, 1], [1, 1]],
    }
    for split, labels in sets.items():
        content = {
            "clips": np.zeros((len(labels), 2, 4, 4), np.uint8),
            "labels": np.array(labels, np.uint8),
            "factors": {},
        }
        attrs = {"dataset": "mine", "split": split, "multi_label": True, "classes": ["a", "b"]}
        write_clips(tmp_path / f"{split}.h5", content, attrs)
    rows = majority_set(tmp_path / "train.h5", tmp_path / "test.h5")
    keys = {
        "system": "majority_set",
        "trained_on": "mine",
        "evaluated_on": "mine",
        "seed": "untrained",
        "split": "test",
    }
    shown = (2 / 5 + 5 / 5) / 2  # by one answer for all clips no class can be ranked
    assert rows == [
        {**keys, "metric": "exact_set", "value": 0.4},
        {**keys, "metric": "mean_average_precision", "value": pytest.approx(shown)},
        {**keys, "metric": "exact_set_map", "value": 0.4},
    ]


def test_costs_are_medians_over_runs(tmp_path):
    runs = [
        ("b", 10, 100, 5.0, 50.0, 2**31),
        ("b", 10, 100, 7.0, 10.0, 2**33),
        ("b", 10, 100, 6.0, 20.0, 2**32),
        ("a", 3, 4, math.nan, 1.0, 5),
    ]
    paths = []
    for number, (system, parameters, macs, train, infer, peak) in enumerate(runs):
        record = {
            "system": {"name": system, "flow": "true" if system == "b" else None},
            "parameters": parameters,
            "macs_per_clip": macs,
            "seed": number,
        }
        record |= {"train_clips_per_s": train, "infer_clips_per_s": infer, "peak_bytes": peak}
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps(record))
    write_table(cost([str(path) for path in paths]), tmp_path / "cost.csv")
    assert (tmp_path / "cost.csv").read_text().splitlines() == [
        "system,parameters,macs_per_clip,train_clips_per_s,infer_clips_per_s,peak_bytes,flow",
        "a,3,4,,1.0,5,",
        f"b,10,100,6.0,20.0,{2**32},exact",
    ]


def test_a_resumed_run_without_a_speed_does_not_move_the_median(tmp_path):
    for number, speed in enumerate((4.0, math.nan, 6.0)):
        record = {
            "system": {"name": "a", "flow": None},
            "parameters": 1,
            "macs_per_clip": 1,
            "train_clips_per_s": speed,
            "infer_clips_per_s": 1.0,
        }
        (tmp_path / f"{number}.json").write_text(json.dumps({**record, "peak_bytes": 1}))
    assert cost([str(tmp_path / f"{number}.json") for number in range(3)])[
        "train_clips_per_s"
    ].tolist() == [5.0]


def test_tables_are_written_whole_or_not_at_all(tmp_path):
    class Unwritable:
        def __str__(self):
            raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        write_table(pd.DataFrame({"a": [1, Unwritable()]}), tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())
