"""Data sets as the configuration declares them: entries become data sets that know themselves, and
one line says what is wrong with an entry.
"""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from vidrep.datasets.declared import KINDS, data_set, data_sets, names
from vidrep.datasets.kind import MOTION_FACTORS, TRUTHS
from vidrep.datasets.recipes import BouncingRecipe, SequenceRecipe, recipe
from vidrep.digits.source import load_digits
from vidrep.flow import ESTIMATED_FLOWS, FLOWS
from vidrep.flow.estimate import METHODS
from vidrep.naming import resolve

CONFIG = {
    "experiment": "tiny",
    "video": {"frames": 16, "size_px": 20, "patch_px": 8},
    "sequences": {"frames": 32, "jitter": 0.15, "warp": 0.6},
    "clips": {"train": 1500, "validation": 200, "test": 300},
}


@pytest.mark.parametrize("name", names())
def test_every_name_of_the_catalogue_is_a_data_set(name):
    found = data_set(name, CONFIG)
    assert found.name == name and found.title != "" and found.clips == CONFIG["clips"]
    assert found.shape == (1, found.recipe["frames"], 20, 20)
    assert found.classes == tuple("0123456789") and found.truths <= set(TRUTHS)
    assert found.named_only == (found.kind == "sequences") == ("phase" in found.truths)
    assert all(found.has_flow(method) for method in FLOWS)


def test_titles_of_the_catalogue_differ():
    assert len({data_set(name, CONFIG).title for name in names()}) == len(names())


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.renderer])
def test_kinds_that_render_name_their_renderer_and_recipe(kind):
    assert callable(resolve(kind.renderer, {}, "renderer"))
    given = {key.removesuffix("_px") for key in kind.keys}
    assert given <= {field.name for field in fields(kind.recipe)}
    assert all(key.sentence for key in kind.keys.values())


@pytest.mark.parametrize("name", ["velocity_only", "sequences"])
def test_a_definition_is_all_that_rendering_needs(name):
    """What the rule hands to the renderer gives clips of the size that the data set promises."""
    found = data_set({"name": "own", "recipe": name, "frames": 9, "size_px": 24}, CONFIG)
    definition = found.definition()
    kind = KINDS[definition["kind"]]
    digits = load_digits({"kind": "sklearn"}, patch=definition["recipe"]["patch"], seed=0)
    render = resolve(kind.renderer, {}, "renderer")
    content = render(kind.recipe(**definition["recipe"]), digits, "test", 4, 0)
    assert content["clips"].shape == (4, *found.shape[1:])
    assert content["labels"].shape == (4, len(found.classes))
    assert ("motion" in found.truths) == (set(MOTION_FACTORS) <= set(content["factors"]))


def test_an_entry_changes_what_it_names_and_leaves_the_rest():
    entry = {"name": "fast", "recipe": "velocity_only", "step": 0.2, "digits": 3}
    found = data_set({**entry, "size_px": 32, "frames": 24}, CONFIG)
    expected = BouncingRecipe(True, True, 0.2, frames=24, size=32, patch=8, digits=3)
    assert BouncingRecipe(**found.recipe) == expected
    assert (found.name, found.title, found.shape) == ("fast", "fast", (1, 24, 32, 32))
    same = data_set({"name": "velocity_only"}, CONFIG)
    assert same == data_set("velocity_only", CONFIG)
    assert BouncingRecipe(**same.recipe) == recipe("velocity_only", frames=16, size=20, patch=8)
    titled = data_set({"name": "digits_only", "title": "shape", "frames": 8}, CONFIG)
    assert (titled.title, titled.frames) == ("shape", 8)


@pytest.mark.parametrize(
    ("entry", "warp"),
    [
        ("sequences", 0.6),
        ("sequences_unwarped", 0.0),
        ({"name": "a", "recipe": "sequences_unwarped", "warp": 0.3}, 0.3),
    ],
)
def test_sequences_take_their_own_section_and_then_the_entry(entry, warp):
    found = data_set(entry, CONFIG)
    expected = SequenceRecipe(frames=32, size=20, patch=8, jitter=0.15, warp=warp)
    assert SequenceRecipe(**found.recipe) == expected


def test_what_may_meet_agrees_in_size_length_and_classes():
    plain = data_set("digits_only", CONFIG).comparable
    assert plain == data_set("velocity_only_slow", CONFIG).comparable
    for changes in ({"frames": 8}, {"size_px": 24}):
        other = data_set({"name": "a", "recipe": "digits_only", **changes}, CONFIG)
        assert other.comparable != plain
    three = data_set({"name": "a", "recipe": "digits_only", "digits": 3}, CONFIG)
    assert three.comparable == plain


def test_memory_is_that_of_the_clips_and_their_flow():
    found = data_set("digits_only", CONFIG)
    pixels = 1500 * 16 * 20 * 20
    assert found.megabytes("train") == pixels // 10**6
    assert found.megabytes("train", flows=2) == 9 * pixels // 10**6


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "velocity_onli",
            "datasets, velocity_onli: not in the catalogue; did you mean velocity_onl",
        ),
        (
            {"name": "zzz"},
            "datasets, zzz: not in the catalogue; give one of digits_only, .*files: ",
        ),
        ({"name": "a", "recipe": "velocity"}, "datasets, a.recipe: 'velocity' is not in the cat"),
        (
            {"name": "a", "recipe": "sequences", "step": 0.1},
            "a: unknown key 'step' for .* sequences",
        ),
        ({"name": "a", "recipe": "digits_only", "steps": 0.1}, "unknown key 'steps' .* mean step"),
        ({"name": "a", "recipe": "digits_only", "step": "x"}, "a.step: got 'x'; give a number of"),
        ({"name": "a", "recipe": "digits_only", "step": 2}, "a.step: got 2; .* and at most 1"),
        (
            {"name": "a", "recipe": "digits_only", "digits": True},
            "a.digits: got True; give a whole",
        ),
        ({"name": "a", "recipe": "digits_only", "frames": 1.5}, "a.frames: got 1.5; give a whole"),
        ({"name": "a", "recipe": "digits_only", "title": 3}, "a.title: got 3; give text"),
        (
            {"name": "a", "recipe": "digits_only", "patch_px": 30},
            "datasets, a: digit patch of 30 px",
        ),
        ({"name": "a b", "recipe": "digits_only"}, "needs a name of letters, digits and undersc"),
        ({"recipe": "digits_only"}, "needs a name of letters, digits and underscores, got None"),
        ({"name": "a_untrimmed", "recipe": "digits_only"}, "names that end in _untrimmed"),
        ({"name": "digits_only", "recipe": "velocity_only"}, "has a data set of this name; choose"),
        ({"name": "digits_only", "clips": {}}, "has a data set of this name; choose another"),
        (
            {"name": "a", "recipe": "digits_only", "clips": {}},
            "recipe and clips exclude each other",
        ),
        ({"name": "a", "clips": {"train": "a.h5"}}, "give one file for each of train, validation"),
        (
            {"name": "a", "clips": {}, "frames": 8},
            "unknown key 'frames' for a data set of kind clips",
        ),
        (
            {"name": "a", "clips": {"train": "n.h5", "validation": "o.h5", "test": "p.h5"}},
            "datasets, a: n.h5: no such file",
        ),
        (
            {"name": "a", "clips": {"train": "n.h5", "validation": "n.h5", "test": "p.h5"}},
            "splits must be different files",
        ),
        (
            {
                "name": "a",
                "clips": {
                    "train": "results/tiny/datasets/a/train.h5",
                    "validation": "n.h5",
                    "test": "p.h5",
                },
            },
            "clips.train: results/tiny/datasets/a/train.h5 lies in results/tiny, where",
        ),
    ],
)
def test_one_line_says_what_is_wrong_with_an_entry(entry, message):
    with pytest.raises(ValueError, match=message) as error:
        data_set(entry, CONFIG)
    assert str(error.value).startswith("config key datasets") and "\n" not in str(error.value)


def test_two_data_sets_have_two_names():
    entries = ["digits_only", {"name": "a", "recipe": "digits_only"}]
    assert list(data_sets({**CONFIG, "datasets": entries})) == ["digits_only", "a"]
    with pytest.raises(ValueError, match="two are called a; give one another name"):
        data_sets({**CONFIG, "datasets": [*entries, entries[1]]})


def test_estimators_are_named_where_the_snakefile_finds_them():
    assert tuple(METHODS) == ESTIMATED_FLOWS


def test_declarations_import_nothing_heavy():
    """The Snakefile reads them whenever it is parsed."""
    code = (
        "import sys, vidrep.datasets.declared, vidrep.flow;"
        "print(sorted({'numpy', 'h5py', 'cv2', 'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", names())
def test_the_documentation_names_every_recipe_and_its_keys(name):
    page = Path(__file__).parent.parent / "docs" / "extending.md"
    base = name.removesuffix("_slow")
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    row = next(line for line in rows if f"`{base}`" in line)
    keys = KINDS[data_set(name, CONFIG).kind].keys
    assert keys and all(f"`{key}`" in row for key in keys)
