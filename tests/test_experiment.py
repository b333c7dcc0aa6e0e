"""What an experiment selects from its runs and data sets, without Snakemake."""

from pathlib import Path

import pytest
import yaml

from vidrep.experiment import Experiment
from vidrep.runs import UNTRAINED, Run, first_seeds, trained_on

DEFAULT = yaml.safe_load((Path(__file__).parent.parent / "config.yaml").read_text())
TWO_SETS = ["digits_only", "velocity_only"]


def experiment(**changes) -> Experiment:
    """An experiment with some sections of the default configuration replaced."""
    return Experiment({**DEFAULT, "datasets": TWO_SETS, **changes})


def test_the_first_seed_of_each_system_and_data_set():
    runs = [Run("a", "x", 3), Run("a", "x", 1), Run("b", "x", 2), Run("a", "y", 0)]
    assert first_seeds(runs) == [runs[0], runs[2], runs[3]]
    assert trained_on(runs) == ["a", "b"]


def test_layers_are_matched_where_two_networks_meet():
    alone = experiment(systems=["c3d_narrow"])
    two_seeds = experiment(systems=[{"name": "c3d_narrow", "seeds": [0, 1]}])
    elsewhere = {"name": "r3d_narrow", "datasets": ["velocity_only"]}
    assert alone.matched_sets() == []
    assert two_seeds.matched_sets() == TWO_SETS
    assert experiment(systems=["c3d_narrow", elsewhere]).matched_sets() == ["velocity_only"]


def test_training_versions_are_compared_where_a_system_comes_from_two_data_sets():
    both = experiment(systems=["c3d_narrow"])
    assert both.version_sets() == TWO_SETS
    assert experiment(systems=["c3d_narrow"], transfer=False).version_sets() == []
    one = {"name": "c3d_narrow", "datasets": ["digits_only"]}
    # its baseline on the other data set does not exist, its trained run is compared on both
    assert experiment(systems=[one]).version_sets() == []


def test_training_is_followed_only_where_snapshots_ask_for_it():
    never_trained = {"name": "slow_features_narrow", "recipe": {"epochs": [0]}}
    asked = experiment(
        systems=["c3d_narrow", never_trained],
        training={**DEFAULT["training"], "snapshots": [0, 1]},
    )
    assert [run.system for run in asked.followed_runs()] == ["c3d_narrow"] * 2
    assert asked.followed_sets() == TWO_SETS
    assert experiment().followed_runs() == [] and experiment().followed_sets() == []


def test_runs_that_generate_frames():
    composite = {"name": "lstm_composite_narrow", "datasets": ["digits_only"]}
    made = experiment(systems=["c3d_narrow", composite])
    assert made.generates("lstm_composite_narrow") and not made.generates("c3d_narrow")
    trained = Run("digits_only", "lstm_composite_narrow", 0)
    assert made.generating_runs() == [trained]
    assert made.generating_sets() == ["digits_only"]
    untrained = Run("digits_only", "lstm_composite_narrow", UNTRAINED)
    assert made.generating_on("digits_only") == [trained, untrained]
    assert made.generating_on("velocity_only") == [trained]


def test_a_run_is_evaluated_on_its_own_data_set_first():
    made = experiment(systems=["c3d_narrow"])
    trained = Run("velocity_only", "c3d_narrow", 0)
    untrained = Run("velocity_only", "c3d_narrow", UNTRAINED)
    assert made.evaluation_sets(trained) == ["velocity_only", "digits_only"]
    assert made.evaluation_sets(untrained) == ["velocity_only"]
    alone = experiment(systems=["c3d_narrow"], transfer=False)
    assert alone.evaluation_sets(trained) == ["velocity_only"]


def test_sequences_are_aligned_by_the_runs_evaluated_on_them():
    aligning = {"name": "tcc_narrow", "datasets": ["sequences"], "seeds": [2, 5]}
    made = experiment(datasets=["digits_only", "sequences"], systems=["c3d_narrow", aligning])
    runs = [Run("sequences", "tcc_narrow", seed) for seed in (2, 5, UNTRAINED)]
    assert made.alignment_runs() == [("sequences", run) for run in runs]
    assert made.matched_runs() == [runs[0]]
    assert made.first_run("tcc_narrow", "sequences") == runs[0]


@pytest.mark.parametrize(("count", "extra"), [(0, []), (20, ["test_two_activities"])])
def test_splits_of_untrimmed_videos(count, extra):
    videos = {**DEFAULT["detection"]["videos"], "test_two_activities": count}
    made = experiment(detection={**DEFAULT["detection"], "videos": videos})
    assert made.detection_splits() == ["train", "validation", "test", *extra]
