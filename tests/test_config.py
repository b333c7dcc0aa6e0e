"""The configuration: defaults in one place, mistakes in one line that names the key."""

import copy
from pathlib import Path

import pytest
import yaml

from vidrep import similarity, systems
from vidrep.config import check, complete, read_yaml, reference
from vidrep.config.sections import Recipe
from vidrep.digits import MNIST_FILES, fetch
from vidrep.experiment import Experiment
from vidrep.runs import UNTRAINED, Run
from vidrep.systems import DEFAULT_RECIPE
from vidrep.training import device, optimisers

ROOT = Path(__file__).parent.parent
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
TRAIN = DEFAULT["clips"]["train"]
TEST = DEFAULT["clips"]["test"]


def default(**changes) -> dict:
    """The default configuration with sections changed key by key, other values replaced."""
    config = copy.deepcopy(DEFAULT)
    for key, value in changes.items():
        config[key] = (
            {**config[key], **value} if isinstance(value, dict) and key in config else value
        )
    return config


def test_defaults_are_those_that_config_yaml_documents():
    filled = complete({})
    assert set(filled) == set(DEFAULT), "config.yaml shows every key"
    for key in set(filled) - {"systems"}:
        assert filled[key] == DEFAULT[key], key


def test_all_registered_measures_can_be_chosen():
    chosen = list(similarity.measures())
    filled = complete({"similarity": {"measures": chosen}})
    assert filled["similarity"]["measures"] == chosen


def test_choices_of_a_recipe_are_those_that_training_knows():
    for chosen in optimisers.OPTIMISERS:
        complete({"systems": [{"name": "c3d_narrow", "recipe": {"optimiser": chosen}}]})
    assert set(DEFAULT_RECIPE) == set(Recipe.model_fields)


def test_precisions_are_those_that_devices_know():
    for chosen in device.PRECISIONS:
        complete({"training": {"precision": chosen}})


def test_archives_of_mnist_are_those_that_are_fetched():
    assert set(MNIST_FILES) == set(fetch.FILES)


def test_given_values_stay_as_they_are():
    given = {"probes": {"c": [1], "components": None}, "detection": {"alpha": 1}}
    filled = complete(given)
    assert given == {"probes": {"c": [1], "components": None}, "detection": {"alpha": 1}}
    assert filled["probes"] == {"c": [1], "components": None, "folds": 2}
    assert type(filled["probes"]["c"][0]) is int and type(filled["detection"]["alpha"]) is int
    assert "folder" not in filled["digits"]


def test_a_partial_section_is_completed():
    filled = complete({"clips": {"train": 7}})
    assert filled["clips"] == {**DEFAULT["clips"], "train": 7}


def test_default_and_shipped_experiments_are_legal():
    for path in [ROOT / "config.yaml", *(ROOT / "workflow" / "experiments").glob("*.yaml")]:
        overlay = yaml.safe_load(path.read_text())
        config = {
            **DEFAULT,
            **{
                key: {**DEFAULT[key], **value} if isinstance(value, dict) else value
                for key, value in overlay.items()
            },
        }
        assert check(complete(config)).systems, path.name


@pytest.mark.parametrize(
    ("config", "key", "words"),
    [
        ({"clip": {}}, "(top level)", ["'clip'", "clips"]),
        ({"clips": {"training": 3}}, "clips", ["'training'", "train"]),
        ({"clips": {"train": "many"}}, "clips.train", ["'many'", "integer"]),
        ({"clips": {"train": 0}}, "clips.train", ["0", "1"]),
        ({"seed": True}, "seed", ["True", "integer"]),
        ({"experiment": "a/b"}, "experiment", ["'a/b'"]),
        ({"datasets": []}, "datasets", ["[]"]),
        ({"datasets": ["digit_only"]}, "datasets, digit_only", ["did you mean", "digits_only"]),
        ({"datasets": ["digits_only", "digits_only"]}, "datasets", ["digits_only"]),
        ({"digits": {"kind": "svhn"}}, "digits.kind", ["'svhn'", "mnist"]),
        ({"training": {"precision": "half"}}, "training.precision", ["'half'", "bfloat16"]),
        (
            {"similarity": {"measures": ["cosine"]}},
            "similarity.measures.0",
            ["'cosine'", "cka_linear"],
        ),
        ({"probes": {"c": [0]}}, "probes.c.0", ["0"]),
        ({"flow": {"estimators": ["raft"]}}, "flow.estimators.0", ["'raft'", "dis"]),
        ({"systems": [{"name": "c3d_narrow", "seed": 1}]}, "systems.0", ["'seed'", "seeds"]),
        ({"systems": [{"seeds": [1]}]}, "systems.0", ["name"]),
        (
            {"systems": [{"name": "c3d_narrow", "recipe": {"lr": -1}}]},
            "systems.0.recipe.lr",
            ["-1"],
        ),
        (
            {"systems": [{"name": "c3d_narrow", "recipe": {"optimizer": "adam"}}]},
            "systems.0.recipe",
            ["'optimizer'", "optimiser"],
        ),
        ({"activations": {"pooling": [4, 2]}}, "activations.pooling", ["[4, 2]"]),
        ({"activations": {"pooling": "none_"}}, "activations.pooling", ["did you mean none?"]),
        ({"clips": None}, "clips", ["None", "mapping"]),
        ({"clips": {"test": None}}, "clips.test", ["None", "integer"]),
        ({"systems": [{"name": "c3d_narrow", "seeds": None}]}, "systems.0.seeds", ["None"]),
        ({"similarity": {"measures": ["rsa", "rsa"]}}, "similarity.measures", ["'rsa'", "2 times"]),
        ({"similarty": {}}, "(top level)", ["did you mean similarity?"]),
    ],
)
def test_mistakes_name_key_and_value(config, key, words):
    with pytest.raises(ValueError) as error:
        Experiment(complete(config))
    line = str(error.value)
    assert line.startswith(f"config key {key}: ") and "\n" not in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digits": {"kind": "mnist"}}, "config key digits: kind mnist needs folder"),
        ({"digits": {"kind": "idx", "images": "a"}}, "config key digits: kind idx needs labels"),
        (
            {"video": {"patch_px": 20}},
            (
                "config key video.patch_px: a digit of 20 px does not fit on a canvas of 20 px;"
                " make patch_px smaller"
            ),
        ),
        (
            {"activations": {"clips": TEST + 1}},
            f"config key activations.clips: {TEST + 1} clips wanted, clips.test is {TEST}",
        ),
        (
            {"activations": {"fit_clips": TRAIN + 1}},
            f"config key activations.fit_clips: {TRAIN + 1} clips wanted, clips.train is {TRAIN}",
        ),
        (
            {"systems": ["c3d_narow"]},
            (
                "config key systems: 'c3d_narow' is not in the catalogue and names no model of its"
                " own; did you mean c3d_narrow"
            ),
        ),
        (
            {"systems": ["pixels", {"name": "pixels"}]},
            "config key systems: 'pixels' is listed 2 times; list it once with several seeds",
        ),
        (
            {"video": {"frames": 10}, "systems": ["two_stream_exact_narrow"]},
            (
                "config key video.frames: 10 frames have 9 flow fields, too few for the stack of 10"
                " of system two_stream_exact_narrow"
            ),
        ),
        (
            {"systems": [{"name": "two_stream_exact_narrow", "params": {"stack": 16}}]},
            "config key video.frames: 16 frames have 15 flow fields, too few for the stack of 16",
        ),
        (
            {
                "datasets": [{"name": "short", "recipe": "digits_only", "frames": 8}],
                "systems": ["two_stream_exact_narrow"],
            },
            "config key datasets, short: 8 frames have 7 flow fields, too few for the stack of 10",
        ),
        (
            {"systems": [{"name": "two_stream_exact_narrow", "params": {"bidirectional": True}}]},
            (
                "config key systems, two_stream_exact_narrow: params.bidirectional is True and"
                " inputs are ['clip', 'flow']; bidirectional"
            ),
        ),
        (
            {"systems": [{"name": "temporal_exact_narrow", "inputs": ["flow", "flow_backward"]}]},
            (
                "config key systems, temporal_exact_narrow: params.bidirectional is False and"
                " inputs are ['flow', 'flow_backward']"
            ),
        ),
        (
            {"video": {"frames": 10}, "systems": ["lstm_composite_narrow"]},
            "config key video.frames: system lstm_composite_narrow observes 10 of 10 frames",
        ),
        (
            {"systems": [{"name": "own", "model": "c4d"}]},
            "config key systems, own: unknown model 'c4d': did you mean c3d",
        ),
        (
            {"systems": [{"name": "own", "model": "no_such_file:Net"}]},
            "config key systems, own: model 'no_such_file:Net': there is no module 'no_such_file'",
        ),
        (
            {"systems": [{"name": "own", "model": "c3d", "objective": "clasification"}]},
            "config key systems, own: unknown objective 'clasification': did you mean",
        ),
        (
            {"systems": [{"name": "c3d_narrow", "recipe": {"epochs": [3, 3]}}]},
            (
                "config key systems, c3d_narrow.recipe.epochs: [3, 3] for the training stages train"
                " of objective classification"
            ),
        ),
        (
            {"systems": [{"name": "cnn_lstm_narrow", "recipe": {"lr": [0.1, 0.1, 0.1]}}]},
            (
                "config key systems, cnn_lstm_narrow.recipe.lr: [0.1, 0.1, 0.1] for the training"
                " stages frames, sequence of"
            ),
        ),
    ],
)
def test_mistakes_across_keys_are_named(changes, message):
    with pytest.raises(ValueError) as error:
        check(complete(default(**changes)))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_limits_themselves_are_legal():
    check(
        complete(
            default(
                video={"frames": 11, "patch_px": 19},
                activations={"clips": TEST, "fit_clips": TRAIN},
            )
        )
    )


def test_digits_that_are_missing_are_named_before_the_first_job(tmp_path):
    pair = {"images": str(tmp_path / "images"), "labels": str(tmp_path / "labels")}
    (tmp_path / "images").touch()
    with pytest.raises(ValueError, match=r"^config key digits\.labels: no file .*/labels$"):
        check(complete(default(digits={"kind": "idx", **pair})))
    (tmp_path / "labels").touch()
    check(complete(default(digits={"kind": "idx", **pair})))
    folder = {"kind": "mnist", "folder": str(tmp_path)}
    with pytest.raises(ValueError, match=r"^config key digits\.folder: no file .*train-images"):
        check(complete(default(digits=folder)))
    check(complete(default(digits={**folder, "mirrors": ["https://example.org/mnist"]})))
    for name in MNIST_FILES:
        (tmp_path / name).touch()
    check(complete(default(digits=folder)))


def test_yaml_mistakes_are_named_with_line_and_column(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("experiment: x\nclips: {train: 3\nfoo: [1\n")
    with pytest.raises(ValueError, match=r"bad\.yaml, line \d+, column \d+: this is not YAML: "):
        read_yaml(path)
    path.write_text("- a\n- b\n")
    with pytest.raises(ValueError, match=r"bad\.yaml: give keys with values"):
        read_yaml(path)
    path.write_text("")
    assert read_yaml(path) == {}


def test_the_reference_of_keys_is_current():
    written = (ROOT / "docs" / "configuration.md").read_text()
    assert written == reference.markdown(), "python -m vidrep configuration > docs/configuration.md"


# --- What an experiment consists of. ---


def test_entries_change_the_catalogue_where_they_say_so():
    plain = systems.system("two_stream_exact_narrow")
    changed = systems.system(
        {
            "name": "two_stream_exact_narrow",
            "params": {"stack": 4},
            "recipe": {"lr": 0.1},
            "seeds": [3, 5],
            "flow": "dis",
        }
    )
    assert changed.params == {**plain.params, "stack": 4} and changed.recipe == {
        **plain.recipe,
        "lr": 0.1,
    }
    assert (changed.seeds, changed.flow) == ((3, 5), "dis") and (plain.seeds, plain.flow) == (
        (0,),
        "true",
    )
    assert "stack" not in systems.catalogue()["two_stream_exact_narrow"]["params"], (
        "the catalogue itself stays as it is"
    )
    assert systems.system("two_stream_exact_narrow") == plain


def test_own_systems_get_defaults():
    own = systems.system({"name": "mine", "model": "my_file:Net"})
    assert (own.preset, own.objective, own.inputs, own.flow, own.seeds) == (
        "own",
        "classification",
        ("clip",),
        None,
        (0,),
    )
    assert own.recipe == systems.DEFAULT_RECIPE


def test_definitions_leave_display_fields_out():
    plain, shown = (
        systems.system({"name": "c3d_narrow", **extra})
        for extra in ({}, {"family": "x", "citation": "y", "seeds": [4]})
    )
    assert plain.definition() == shown.definition()
    assert (
        plain.definition()
        != systems.system({"name": "c3d_narrow", "recipe": {"lr": 1.0}}).definition()
    )


def test_runs_of_an_experiment():
    config = default(
        datasets=["digits_only", "velocity_only"],
        systems=[{"name": "c3d_narrow", "seeds": [0, 1]}, "pixels"],
    )
    runs = Experiment(config)
    assert [run.stem for run in runs.trained_runs()] == [
        f"{data}--c3d_narrow--seed{seed}"
        for data in ("digits_only", "velocity_only")
        for seed in (0, 1)
    ]
    baselines = {
        Run(data, name, UNTRAINED)
        for data in ("digits_only", "velocity_only")
        for name in ("c3d_narrow", "pixels")
    }
    assert set(runs.untrained_runs()) == baselines and len(runs.runs()) == 8
    opened = runs.evaluated_on("velocity_only")
    assert [run for run in opened if run.seed != UNTRAINED] == runs.trained_runs(), (
        "transfer: all trained runs on every set"
    )
    assert {run.dataset for run in opened if run.seed == UNTRAINED} == {"velocity_only"}


def test_backward_flow_is_of_the_method_of_the_forward_flow():
    assert systems.flow_inputs(("clip", "flow"), "dis") == {"flow": "dis"}
    assert systems.flow_inputs(("flow", "flow_backward"), "true_box") == {
        "flow": "true_box",
        "flow_backward": "true_box_backward",
    }
    assert systems.flow_inputs(("clip",), None) == {}
    assert (
        systems.system("temporal_bidirectional_exact").flow == "true"
        and systems.system("c3d_narrow").flow is None
    )


def test_flow_methods_are_those_used_or_scored():
    fed = {"name": "two_stream_exact_narrow", "flow": "farneback"}
    plain = Experiment(default(systems=["pixels"], flow={"estimators": []}))
    assert plain.flow_methods("digits_only") == ["true"] and plain.flow_scored_on() == []
    scored = Experiment(default(systems=[fed], flow={"estimators": ["dis"]}))
    assert scored.flow_methods("digits_only") == ["dis", "farneback", "true"]
    assert scored.flow_scored_on() == scored.datasets


STARTER = {
    "name": "tuned",
    "model": "lstm_encoder",
    "params": {"units": 256},
    "weights": "run:lstm_composite_narrow",
}


def test_a_system_starts_from_the_runs_of_another():
    tuned = check(default(systems=["lstm_composite_narrow", STARTER])).systems["tuned"]
    assert tuned.starts_from == "lstm_composite_narrow" and "weights" in tuned.definition()
    assert systems.system("c3d_narrow").starts_from is None


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        (
            ["c3d_narrow", STARTER],
            "'lstm_composite_narrow' is no other trained system of this experiment",
        ),
        ([{**STARTER, "weights": "run:tuned"}], "'tuned' is no other trained system"),
        (
            ["c3d_narrow", {**STARTER, "weights": "run:c3d_narrow"}],
            "c3d_narrow has model c3d, not lstm_encoder",
        ),
        (
            ["lstm_composite_narrow", {**STARTER, "seeds": [0, 3]}],
            "not trained on digits_only with seed 3",
        ),
        (
            [{"name": "lstm_composite_narrow", "datasets": ["digits_only"]}, STARTER],
            "not trained on velocity_only with seed 0",
        ),
    ],
)
def test_what_cannot_be_started_from_ends_in_one_line(systems, message):
    with pytest.raises(ValueError, match=r"^config key systems, tuned\.weights: .*" + message):
        check(default(systems=systems))


def test_more_labels_than_clips_end_in_one_line():
    with pytest.raises(
        ValueError, match=rf"c3d_narrow.recipe.labelled: {TRAIN + 1} clips, clips.train is {TRAIN}"
    ):
        check(default(systems=[{"name": "c3d_narrow", "recipe": {"labelled": TRAIN + 1}}]))


def test_tasks_that_a_data_set_cannot_teach_are_found_before_any_job():
    entry = {"name": "temporal_multi_task_exact_narrow", "datasets": ["sequences"]}
    changes = {"datasets": [*DEFAULT["datasets"], "sequences"]}
    message = (
        r"systems, temporal_multi_task_exact_narrow: objective multi_task also learns speeds, and"
        r" sequences has not the factors direction_rad and speed_class"
    )
    with pytest.raises(ValueError, match=message):
        check(default(systems=[entry], **changes))
    check(default(systems=[{**entry, "objective_params": {"tasks": ["labels"]}}], **changes))
    check(default(systems=["temporal_multi_task_exact_narrow"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "pixels"}, ["a system of the experiment has this name"]),
        ({"evaluated_on": "sequences"}, ["evaluated_on: sequences", "digits_only, velocity_only"]),
        ({"file": "there.npy"}, ["file: there.npy", ".npz, .h5"]),
        ({"file": "none.h5"}, ["no file none.h5"]),
        ({}, ["listed twice for digits_only"]),
        ({"seed": 1, "family": "other"}, ["another family"]),
    ],
)
def test_external_activations_are_checked(change, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.npz", "there.npy"):
        (tmp_path / name).touch()
    first = {"name": "mine", "file": "mine.npz", "evaluated_on": "digits_only"}
    with pytest.raises(ValueError, match=r"^config key external, (mine|pixels)") as error:
        check(complete(default(external=[first, {**first, **change}])))
    for word in words:
        assert word in str(error.value)


def test_external_activations_stand_beside_the_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.npz").touch()
    first = {"name": "mine", "file": "mine.npz", "evaluated_on": "digits_only", "family": "mine"}
    made = check(
        complete(default(external=[first, {**first, "seed": 3, "trained_on": "kinetics"}]))
    )
    assert made.compared_on("digits_only")[-2:] == [
        Run("external", "mine", 0),
        Run("kinetics", "mine", 3),
    ]
    assert made.compared_on("velocity_only") == made.evaluated_on("velocity_only")
    assert made.families()["mine"] == "mine" and set(made.families()) == {*made.systems, "mine"}


OWN_NETWORKS = """
class Stacks:
    inputs = ("clip", "flow")
    stacks_flow = True
    def __init__(self, clip_shape, *, stack=10, bidirectional=False): pass
    def load_pretrained(self, state, source): pass
class Frames:
    inputs = ("clip",)
"""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": {"stack": 16}}, "16 frames have 15 flow fields, too few for the stack of 16"),
        ({"params": {"bidirectional": True}}, "params.bidirectional is True and inputs are"),
        ({"inputs": ["clip"]}, r"own.inputs: \['clip'\]; its model own_networks:Stacks is fed"),
        (
            {"model": "own_networks:Frames"},
            r"own.inputs: \['clip', 'flow'\]; its model own_networks:Frames is fed \['clip'\]",
        ),
        (
            {"model": "own_networks:Frames", "inputs": ["clip"], "weights": "still_digits"},
            "model 'own_networks:Frames' cannot start from a CNN of still digits",
        ),
        ({"weights": "nowhere.pt"}, "own.weights: no file nowhere.pt"),
        (
            {"objective": "frames_then_sequence", "recipe": {"epochs": [1, 1, 1]}},
            "for the training stages frames, sequence",
        ),
    ],
)
def test_own_models_are_checked_as_those_of_the_library(changes, message, tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(OWN_NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"name": "own", "model": "own_networks:Stacks", "inputs": ["clip", "flow"]}
    check(default(systems=[own]))
    with pytest.raises(ValueError, match=r"^config key .*" + message):
        check(default(systems=[{**own, **changes}]))
