"""What an experiment selects from its runs and data sets, without Snakemake."""

import re
from pathlib import Path

import pytest
import yaml

from vidrep.experiment import Experiment
from vidrep.report import selection
from vidrep.runs import UNTRAINED, Run, first_seeds, trained_on
from vidrep.splits import SplitFiles

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


def test_what_runs_learnt_is_drawn_of_data_sets_that_some_are_trained_on():
    one = {"name": "c3d_narrow", "datasets": ["digits_only"]}
    assert selection.trained_sets(experiment(systems=[one])) == [("digits_only",)]
    assert selection.embedded_sets(experiment(systems=[one])) == [("digits_only",)]
    layers = selection.embedded_sets_and_first_measure(experiment(systems=[one]))
    assert [dataset for dataset, _ in layers] == ["digits_only"]
    with_control = experiment(systems=[one, "pixels"])
    assert selection.trained_sets(with_control) == [("digits_only",)]
    assert selection.embedded_sets(with_control) == [(name,) for name in TWO_SETS]


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


@pytest.mark.parametrize(("count", "extra"), [(0, []), (20, ["test_two_activities"])])
def test_splits_of_untrimmed_videos(count, extra):
    videos = {**DEFAULT["detection"]["videos"], "test_two_activities": count}
    made = experiment(detection={**DEFAULT["detection"], "videos": videos})
    assert made.detection_splits() == ["train", "validation", "test", *extra]


def test_only_comparable_data_sets_meet():
    larger = {"name": "larger", "recipe": "digits_only", "size_px": 24}
    made = experiment(datasets=[*TWO_SETS, larger], systems=["c3d_narrow", "pixels"])
    assert made.groups() == [TWO_SETS, ["larger"]]
    assert made.group_of("larger") == ["larger"]
    assert {run.dataset for run in made.evaluated_on("larger")} == {"larger"}
    assert {run.dataset for run in made.evaluated_on("digits_only")} == set(TWO_SETS)
    assert experiment(transfer=False).groups() == [[name] for name in TWO_SETS]


def test_each_run_is_extracted_by_exactly_one_kind_of_job():
    one = {"name": "r3d_narrow", "datasets": ["digits_only"]}
    longer = {"name": "longer", "recipe": "digits_only", "frames": 24}
    for transfer in (True, False):
        made = experiment(
            datasets=[*TWO_SETS, longer], systems=["c3d_narrow", one, "pixels"], transfer=transfer
        )
        found = []
        for jobs in made.extractions():
            for run in made.runs():
                wildcards = {"dataset": run.dataset, "system": run.system, "seed": run.seed}
                values = zip(
                    (jobs.trained_on, jobs.systems, jobs.seeds), wildcards.values(), strict=True
                )
                if all(re.fullmatch(pattern, str(value)) for pattern, value in values):
                    found.append(run)
                    files = [name.format(**wildcards) for name in jobs.files("transfer", ".csv")]
                    own = f"<results>/transfer/{run.dataset}/{run.stem}.csv"
                    assert own in files
                    if not jobs.untrained:
                        assert list(jobs.sets) == made.group_of(run.dataset)
        assert sorted(found, key=str) == sorted(made.runs(), key=str)


def test_files_of_jobs():
    one = {"name": "lstm_composite_narrow", "datasets": ["velocity_only"]}
    made = experiment(systems=["c3d_narrow", one, "c3d_small"])
    trained, small, untrained = made.extractions()
    rules = [jobs.rule("extract") for jobs in (trained, small, untrained)]
    assert rules == ["extract", "extract_untrained", "extract_untrained_0"]
    assert small.files("transfer", ".csv") == [
        "<results>/transfer/digits_only/digits_only--c3d_narrow--seeduntrained.csv",
        "<results>/transfer/velocity_only/velocity_only--c3d_narrow--seeduntrained.csv",
        "<results>/transfer/velocity_only/velocity_only--lstm_composite_narrow--seeduntrained.csv",
    ]
    assert trained.files("kernels", ".h5") == [
        f"<results>/kernels/{name}/{{dataset}}--{{system}}--seed{{seed}}.h5" for name in TWO_SETS
    ]
    assert untrained.files("kernels", ".h5") == [
        f"<results>/kernels/{name}/{name}--{{system}}--seeduntrained.h5" for name in TWO_SETS
    ]
    assert untrained.run_files("run.json") == [
        f"<results>/runs/{name}/{{system}}/seeduntrained/run.json" for name in TWO_SETS
    ]
    each, *_ = made.trainings()
    assert each.run_files("run.json") == ["<results>/runs/{dataset}/{system}/seed{seed}/run.json"]


def test_where_runs_start_from():
    tuned = {
        "name": "tuned",
        "model": "lstm_encoder",
        "params": {"units": 256},
        "weights": "run:lstm_composite_narrow",
    }
    made = experiment(systems=["lstm_composite_narrow", tuned])
    first = "<results>/runs/digits_only/lstm_composite_narrow/seed0/weights.pt"
    assert made.initial_weights(Run("digits_only", "tuned", 0)) == [first]
    assert made.initial_weights(Run("digits_only", "tuned", UNTRAINED)) == []
    assert made.initial_weights(Run("digits_only", "lstm_composite_narrow", 0)) == []


def test_tables_are_those_that_something_fills():
    plain = experiment(systems=["c3d_narrow"]).tables()
    assert "prediction" not in plain and "alignment" not in plain and "flow_error" in plain
    generating = experiment(systems=["lstm_composite_narrow"], flow={"estimators": []}).tables()
    assert "prediction" in generating and "flow_error" not in generating


def test_a_split_is_one_value_of_a_command_line():
    alone = SplitFiles(Path("a/test.h5"))
    fed = SplitFiles(Path("a/test.h5"), flow_backward=Path("b/dis_backward.zarr"))
    both = SplitFiles(Path("a=1/test.h5"), Path("dis.zarr"), Path("b.zarr"))
    for files in (alone, fed, both):
        assert SplitFiles.parse(str(files)) == files
    assert str(fed) == "a/test.h5,flow_backward=b/dis_backward.zarr"
    for text in ("a.h5,dis.zarr", "a.h5,flow=", "a.h5,flow=a,flow=b", "a.h5,clips=b.h5"):
        with pytest.raises(ValueError, match=r"give CLIPS\.h5"):
            SplitFiles.parse(text)
