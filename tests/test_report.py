"""Figures: every script draws, bytes repeat, and what is drawn is what the tables say."""

import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results as synthetic
from matplotlib.colors import to_rgb, to_rgba
from sklearn.neighbors import NearestCentroid

from vidrep import code_version, result_tables, systems
from vidrep.clip_scores import write_clip_scores
from vidrep.datasets.store import write_clips
from vidrep.report import (
    accuracy,
    class_confusion,
    controls,
    functional,
    heat_map,
    layer_matches,
    layers,
    map,
    probes,
    projections,
    similarity,
    strips,
    style,
    tables,
    training_time,
    transfer,
    variance_shares,
    versions,
)
from vidrep.report.figures import FIGURES
from vidrep.report.generation import generation_figure
from vidrep.similarity.verdicts import Verdict
from vidrep.statistics import wilson_interval

ROOT = Path(__file__).parent.parent
FIGURE_OF = {figure.name: figure for figure in FIGURES}


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    return synthetic.make_results(tmp_path_factory.mktemp("results"))


def draw(arguments: list[str], monkeypatch) -> None:
    """Call ``scripts/plot.py`` in this process."""
    spec = importlib.util.spec_from_file_location("plot", ROOT / "scripts/plot.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["plot.py", *arguments])
    module.main()


# the made-up results have several labels a clip
SINGLE_LABEL = ("class_confusion",)


@pytest.mark.parametrize("name", [name for name in FIGURE_OF if name not in SINGLE_LABEL])
@pytest.mark.slow
def test_every_declared_figure_is_drawn(name, results, tmp_path, monkeypatch):
    figure = FIGURE_OF[name]
    command = synthetic.figure_command(figure, results, tmp_path / "figures")
    # as the rule passes them: lists of files may be too long for a command line
    arguments = tmp_path / "arguments"
    arguments.write_text("\n".join(command[1:]))
    draw([figure.name, f"@{arguments}"], monkeypatch)
    found = {path.relative_to(tmp_path) for path in tmp_path.glob("figures/**/*.*")}
    declared = figure.files(synthetic.synthetic_experiment())
    assert found == {Path(path.removeprefix("<results>/")) for path in declared} != set()


@pytest.mark.parametrize("name", FIGURE_OF)
def test_a_figure_is_drawn_from_what_it_declares(name):
    figure = FIGURE_OF[name]
    drawn_from = inspect.signature(importlib.import_module(figure.module).draw).parameters
    assert set(drawn_from) == {
        *figure.inputs,
        *figure.own_inputs,
        *figure.settings,
        *figure.per,
    }
    for option, declared in {**figure.inputs, **figure.own_inputs}.items():
        expected = list[Path] if callable(declared) else Path
        assert drawn_from[option].annotation == expected, option


def test_figures_have_names_titles_and_captions_of_their_own():
    for texts in ("name", "title", "caption"):
        assert len({getattr(figure, texts) for figure in FIGURES}) == len(FIGURES), texts
    written = [path for figure in FIGURES for path in figure.paths(("a", "b"))]
    assert len(set(written)) == len(written)


def test_editing_the_module_or_declaration_of_a_figure_makes_no_other_stale():
    declarations = Path(importlib.import_module("vidrep.report.figures").__file__)
    sources = {figure.source for figure in FIGURES}
    for figure in FIGURES:
        behind = code_version.covered(ROOT / "scripts/plot.py", figure.source)
        assert behind & sources == {figure.source}, figure.name
        assert declarations not in behind


def test_what_one_job_draws_is_of_the_same():
    """Its rule has the wildcards of one figure and the digest of one network."""
    for figure in FIGURES:
        together = [other for other in FIGURES if other.part == figure.part]
        assert {other.job_per_file for other in together} == {figure.job_per_file}
        if figure.job_per_file:
            assert {other.per for other in together} == {figure.per}
            assert {other.runs_network for other in together} == {figure.runs_network}


@pytest.mark.slow
def test_one_job_draws_several_figures(results, tmp_path, monkeypatch):
    words = synthetic.figure_command(FIGURE_OF["accuracy"], results, tmp_path)
    words += ["+", *synthetic.figure_command(FIGURE_OF["transfer"], results, tmp_path)]
    (tmp_path / "words").write_text("\n".join(words))
    draw([f"@{tmp_path / 'words'}"], monkeypatch)
    for figure in (FIGURE_OF["accuracy"], FIGURE_OF["transfer"]):
        assert (tmp_path / f"{figure.stem(())}.png").is_file()


def test_missing_files_of_a_figure_are_named(results, tmp_path, monkeypatch):
    command = synthetic.figure_command(FIGURE_OF["map"], results, tmp_path)
    kept = [word for word in command if "velocity_only/places.csv" not in word]
    with pytest.raises(ValueError, match="--places: 0 files for velocity_only"):
        draw(kept, monkeypatch)


@pytest.mark.slow
def test_same_bytes_in_another_process(results, tmp_path):
    for i in (1, 2):
        command = synthetic.figure_command(FIGURE_OF["accuracy"], results, tmp_path / str(i))
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(i),
            "PYTHONPATH": str(ROOT),
            "SOURCE_DATE_EPOCH": str(10**9 * i),
        }
        subprocess.run(
            [sys.executable, ROOT / "scripts/plot.py", *command], check=True, env=environment
        )
    for suffix in ("png", "pdf"):
        first, second = ((tmp_path / str(i) / f"accuracy.{suffix}").read_bytes() for i in (1, 2))
        assert first == second


def test_save_wants_png(tmp_path):
    with pytest.raises(ValueError, match=r"accuracy\.svg"):
        style.save(style.new_figure(1, title="", note=""), tmp_path / "accuracy.svg")


def test_square_fills_both_orders_and_keeps_asymmetry():
    table = pd.DataFrame(
        [("a", "a", 1.0), ("a", "b", 0.4), ("b", "c", 0.1), ("c", "b", 0.7)],
        columns=["rep_a", "rep_b", "value"],
    )
    expected = [[1, 0.4, np.nan], [0.4, np.nan, 0.1], [np.nan, 0.7, np.nan]]
    np.testing.assert_array_equal(result_tables.square(table, ["a", "b", "c"]), expected)


def test_embedding_is_the_last_layer_of_each_run(results):
    table = result_tables.read_table(
        results / "similarity/digits_only/procrustes.csv", ("rep_a", "rep_b", "value")
    )
    reps = result_tables.only_layer_last(result_tables.representations(table), ["run"])
    assert set(reps["layer"]) == {"embedding"}
    assert len(reps) == len(synthetic.runs_on("digits_only"))


def test_missing_column_names_file_and_column(tmp_path):
    (tmp_path / "cost.csv").write_text("system,parameters\n")
    with pytest.raises(ValueError, match=r"cost\.csv: no column macs_per_clip"):
        result_tables.read_table(tmp_path / "cost.csv", ("system", "parameters", "macs_per_clip"))


def test_variants_of_accuracy():
    rows = [
        ("exact_set", 0.1),
        ("exact_set_spatial", 0.2),
        ("loss", 3.0),
        ("top1", 0.3),
        ("not_exact_set", 0.4),
    ]
    found = tables.accuracy_rows(
        pd.DataFrame(rows, columns=["metric", "value"]).assign(split="test")
    )
    assert list(zip(found["variant"], found["value"], strict=True)) == [
        ("", 0.1),
        ("spatial", 0.2),
        ("", 0.3),
    ]


def test_families_keep_their_colour():
    first = style.looks({"a": "two-stream", "b": "3-D CNN"})
    second = style.looks({"x": "3-D CNN", "y": "mine", "z": "3-D CNN", "b": "two-stream"})
    assert first["b"].colour == second["x"].colour == to_rgb(style.FAMILY_COLOURS["3-D CNN"])
    assert second["x"] != second["z"]
    assert second["y"].colour not in {to_rgb(colour) for colour in style.FAMILY_COLOURS.values()}


# Colour blindness of full severity, on linear RGB: Machado, Oliveira & Fernandes, IEEE TVCG 15
# (2009), table of severity 1.0.
VISIONS = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# CIE 1976 distance, three times the smallest that is seen side by side (2.3: Mahy et al. 1994)
NOTICED = 7.0


def lab(colours: list, vision: str) -> np.ndarray:
    """CIE L*a*b* (white D65) of sRGB colours (n, 3) as they look to a kind of eye."""
    rgb = np.array(colours)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.transpose(VISIONS[vision])).clip(0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = seen @ np.transpose(to_xyz) / (0.95047, 1, 1.08883)
    x, y, z = np.moveaxis(
        np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_the_distance_of_colours_is_that_of_cie():
    red, black, white = lab([(1, 0, 0), (0, 0, 0), (1, 1, 1)], "normal")
    # published values of sRGB red
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose([black, white], [[0, 0, 0], [100, 0, 0]], atol=0.02)


@pytest.mark.parametrize("vision", VISIONS)
def test_families_are_told_apart_by_colour_or_marker(vision):
    """Also by colour-blind readers, with four systems of each family and four families of the
    user's.
    """
    families = [*style.FAMILY_COLOURS, *(f"own {i}" for i in range(4))]
    shown = style.looks({f"{family}, system {i}": family for family in families for i in range(4)})
    colours = lab([look.colour for look in shown.values()], vision)
    distance = np.linalg.norm(colours[:, None] - colours, axis=-1)
    markers = np.array([look.marker for look in shown.values()])
    alike = (markers[:, None] == markers) & (distance < NOTICED)
    names = list(shown)
    assert [(names[i], names[j]) for i, j in np.argwhere(alike) if i < j] == []


def test_families_differ_in_colour_for_most_readers():
    """Where names alone are coloured, such as in a legend of patches."""
    colours = lab([to_rgb(colour) for colour in style.FAMILY_COLOURS.values()], "normal")
    distance = np.linalg.norm(colours[:, None] - colours, axis=-1)
    assert distance[~np.eye(len(colours), dtype=bool)].min() > 20


def test_twelve_systems_of_a_family_look_different():
    for family in [*style.FAMILY_COLOURS, "own"]:
        assert len(set(style.looks({str(i): family for i in range(12)}).values())) == 12


def test_no_two_families_of_the_catalogue_share_a_colour():
    """New ones take spare colours, as those of users do, until they have their own."""
    colours = style.family_colours({n: e["family"] for n, e in systems.catalogue().items()})
    assert len(set(colours.values())) == len(colours)


def test_accuracy_dots_stand_where_the_table_says():
    rows = pd.DataFrame(
        [("s", "0", 0.5), ("s", "untrained", 0.1)], columns=["system", "seed", "value"]
    ).assign(variant="", converged=["no", ""], ci_low=np.nan, ci_high=np.nan)
    floor = pd.DataFrame(
        [(tables.FLOOR, "untrained", 0.02, "")], columns=["system", "seed", "value", "variant"]
    )
    axes = style.new_figure(2, title="", note="").subplots()
    shown_as = style.looks({"s": "3-D CNN"})
    accuracy.plot_accuracy(pd.concat([rows, floor]), axes, lines=[("s", "")], looks=shown_as, n=100)
    dots = [container.lines[0] for container in axes.containers]
    assert [dot.get_xdata()[0] for dot in dots] == [50, 10]
    assert [dot.get_markerfacecolor() for dot in dots] == [shown_as["s"].colour, "white"]
    assert axes.lines[0].get_xdata()[0] == 2
    assert [text.get_text() for text in axes.texts] == ["\u2191 50.0"], "it was still rising"
    bars = axes.containers[0].lines[2][0].get_segments()[0][:, 0]
    np.testing.assert_allclose(bars, 100 * np.array(wilson_interval(0.5, 100)))


def test_bars_of_groups_are_those_of_the_table():
    clips = tables.Clips(36)
    clips.groups = 6
    grouped = tables.result_bars(0.5, 0.3, 0.8, clips)
    np.testing.assert_allclose(grouped, [[20], [30]])
    low, high = wilson_interval(0.5, 36)
    plain = tables.result_bars(0.5, 0.3, 0.8, 36)
    np.testing.assert_allclose(plain, [[100 * (0.5 - low)], [100 * (high - 0.5)]])


def test_controls_stand_in_their_lanes_beside_the_intact_clips():
    rows = [
        ("0", "test", 0.8),
        ("1", "test", 0.6),
        ("0", "test_shuffled", 0.2),
        ("1", "test_shuffled", 0.4),
    ]
    rows.append(("untrained", "test", 0.1))
    table = pd.DataFrame(rows, columns=["seed", "split", "value"])
    table = table.assign(system="s", variant="", ci_low=np.nan, ci_high=np.nan)
    axes = style.new_figure(2, title="", note="").subplots()
    look = style.looks({"s": "3-D CNN"})
    controls.plot_controls(
        table, axes, lines=[("s", "")], lanes=["test", "test_shuffled"], looks=look, n=100
    )
    untrained, intact, shuffled = [container.lines[0] for container in axes.containers]
    assert [round(line.get_xdata()[0], 6) for line in (untrained, intact, shuffled)] == [
        10,
        70,
        30,
    ], "means over the trained seeds"
    assert untrained.get_ydata() == intact.get_ydata() < shuffled.get_ydata()
    assert (
        untrained.get_markerfacecolor() == "white"
        and intact.get_markerfacecolor() == look["s"].colour
    )
    ways = [
        segment[:, 0]
        for line in axes.collections
        for segment in line.get_segments()
        if len(line.get_segments()) == 1
    ]
    assert any(np.allclose(way, [30, 70]) for way in ways)
    bars = axes.containers[2].lines[2][0].get_segments()[0][:, 0]
    np.testing.assert_allclose(bars, 100 * np.array(wilson_interval(0.3, 100)))


def test_other_figures_show_intact_clips_alone():
    rows = [("test", 0.5), ("test_shuffled", 0.1), ("test_frozen", 0.2)]
    table = pd.DataFrame(rows, columns=["split", "value"]).assign(metric="exact_set")
    assert tables.accuracy_rows(table)["value"].tolist() == [0.5]


def test_probe_curve_is_the_mean_over_classes():
    rows = [
        ("0", layer, value, 0.5)
        for layer, values in (("first", (0.5, 0.7)), ("last", (0.8, 1.0)))
        for value in values
    ]
    axes = style.new_figure(2, title="", note="").subplots()
    table = pd.DataFrame(rows, columns=["seed", "layer", "value", "chance"])
    probes.plot_probes(table, axes, look=style.looks({"s": "3-D CNN"})["s"])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [60, 90])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["first", "last"]


@pytest.mark.parametrize(
    "draw", [accuracy.accuracy_figure, transfer.transfer_figure, controls.controls_figure]
)
def test_experiments_without_classifiers_have_figures_too(draw):
    columns = ["system", "trained_on", "evaluated_on", "seed", "split", "metric", "value"]
    table = pd.DataFrame([("coder", "clips", "clips", "0", "test", "loss", 1.0)], columns=columns)
    table = table.assign(ci_low=np.nan, ci_high=np.nan)
    draw(table, {"clips": 10}, style.looks({"coder": "LSTM autoencoder"})).draw_without_rendering()


def test_long_names_are_broken_behind_underscores():
    assert style.broken("c3d_narrow", 22) == "c3d_narrow"
    assert style.broken("temporal_coherence_narrow", 22) == "temporal_coherence_\nnarrow"
    assert style.broken("temporal_coherence_narrow", 12) == "temporal_\ncoherence_\nnarrow"


def test_heads_stand_in_columns_and_features_in_rows(results):
    table = result_tables.read_table(
        results / "functional_similarity/digits_only.csv", ("run_a", "run_b", "metric", "value")
    )
    runs = functional.trained_runs(table, ["two_stream_exact_narrow", "c3d_narrow"])
    assert (
        list(dict.fromkeys(runs["system"])) == ["two_stream_exact_narrow", "c3d_narrow"]
        and not (runs["seed"] == "untrained").any()
    )
    a, b = runs["run"].iloc[:2]
    expected = table[
        (table["metric"] == "stitched_accuracy") & (table["run_a"] == a) & (table["run_b"] == b)
    ]["value"].item()
    assert functional.stitched(table, list(runs["run"]))[0, 1] == expected


def test_without_runs_that_answer_the_figure_says_so():
    nothing = pd.DataFrame(columns=["run_a", "run_b", "metric", "value", "n"])
    figure = functional.functional_figure(nothing, "somewhere", {"c3d_narrow": "3-D CNN"})
    assert "Fewer than two" in figure.axes[0].texts[0].get_text()


def test_similarity_colours_are_fixed_and_missing_values_grey():
    axes = style.new_figure(2, title="", note="").subplots()
    scale = heat_map.scale_of("procrustes")
    heat_map.plot_heat_map(np.array([[0.3, np.nan], [np.nan, 0.4]]), axes, scale=scale)
    image = axes.images[0]
    assert image.get_clim() == (0, pytest.approx(2**0.5))
    assert tuple(image.to_rgba(image.get_array())[0, 1]) == pytest.approx(to_rgba(style.PALE))


def test_dark_means_different_for_similarities_and_distances():
    near = heat_map.scale_of("cka_linear")
    far = heat_map.scale_of("procrustes")
    assert near.cmap == far.cmap.removesuffix("_r")
    np.testing.assert_allclose(near.distances(np.array([[1, 0.2], [0.2, 1]])), [[0, 0.8], [0.8, 0]])
    np.testing.assert_allclose(
        far.distances(np.array([[0, np.nan], [np.nan, 0]])), [[0, 2**0.5], [2**0.5, 0]]
    )


def test_dendrogram_puts_like_beside_like():
    place = np.array([0.0, 5.0, 0.1, 5.1, 0.2])
    axes = style.new_figure(2, title="", note="").subplots()
    order = similarity.plot_tree(np.abs(place[:, None] - place), axes)
    groups = "".join("b" if place[i] > 2 else "a" for i in order)
    assert groups in ("aaabb", "bbaaa")


def test_tree_of_the_map_has_the_branches_of_the_table():
    branches = pd.DataFrame(
        [(0, 2, 0.1, 1.0, "a c"), (1, 3, 0.4, 0.5, "b d"), (4, 5, 0.9, 1.0, "a b c d")],
        columns=["left", "right", "height", "support", "members"],
    )
    axes = style.new_figure(2, title="", note="").subplots()
    order = map.plot_branches(branches, axes, label="")
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}
    corners = [line.get_xdata().tolist() for line in axes.lines]
    assert corners == [[0, 0.1, 0.1, 0], [0, 0.4, 0.4, 0], [0.1, 0.9, 0.9, 0.4]]
    rows = axes.lines[0].get_ydata()
    assert sorted((rows[0], rows[-1])) == sorted((order.index(0), order.index(2)))
    assert [line.get_linewidth() > 1 for line in axes.lines] == [
        True,
        False,
        False,
    ], "the root recurs always and says nothing"
    assert [text.get_text() for text in axes.texts] == ["100", "50"]


def test_ellipses_of_the_map_hold_95_percent():
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    ellipse = map._ellipse((1.0, 2.0), covariance, "black")
    cloud = np.random.default_rng(0).multivariate_normal([1, 2], covariance, 4000)
    unit = ellipse.get_patch_transform().inverted().transform(cloud)
    assert np.mean((unit**2).sum(1) < 1) == pytest.approx(0.95, abs=0.015)


def test_matching_layers_stand_at_their_depth_and_value():
    lines = [
        ("best", 0.0, 0.0, 1.0),
        ("best", 1.0, 0.5, 0.5),
        ("equal_depth", 0.0, 0.0, 1.0),
        ("equal_depth", 1.0, 1.0, 0.0),
    ]
    table = pd.DataFrame(lines, columns=["choice", "depth_a", "depth_b", "value"]).assign(
        ci_low=0.0, ci_high=1.0
    )
    axes = style.new_figure(2, title="", note="").subplots()
    layer_matches.plot_match(table, axes, corner=(2, 1), limits=(0, 1), colour="red")
    dots = axes.collections[-1]
    np.testing.assert_array_equal(dots.get_array(), [0.0, 0.5])
    (left, top), (right, middle) = dots.get_offsets()
    assert 2 < left < right < 3 and 1 < top < middle < 2, "values rise upwards, y runs down"
    dashed = axes.lines[1].get_ydata()
    assert middle == pytest.approx((dashed[0] + dashed[1]) / 2)


@pytest.mark.parametrize(
    "measure, sentence",
    [
        ("svcca", "svcca failed 1 of 2 sanity tests on our networks: answers."),
        ("procrustes", None),
        ("rsa", "Not yet judged by sanity tests of measures: rsa."),
    ],
)
def test_every_figure_of_a_measure_tells_that_it_failed_sanity_tests(measure, sentence, results):
    asked = ["noise_monotone", "answers"]
    verdicts = {"svcca": Verdict(asked, ["answers"]), "procrustes": Verdict(asked, [])}
    dataset = synthetic.DATASETS[0]
    families = synthetic.FAMILIES

    def table(path):
        return pd.read_csv(results / path, dtype={"seed": str, "seed_a": str, "seed_b": str})

    pairs = table(f"similarity/{dataset}/{synthetic.MEASURES[0]}.csv")
    places, branches = (
        table(f"similarity_analysis/{dataset}/{name}.csv") for name in ("places", "branches")
    )
    figures = [
        similarity.embedding_figure(pairs, dataset, measure, families, verdicts),
        layers.layer_figure(pairs, dataset, measure, families, verdicts),
        map.map_figure(places, branches, dataset, measure, families, verdicts),
        layer_matches.matches_figure(
            table("tables/layer_matches.csv"), dataset, measure, families, verdicts
        ),
        versions.versions_figure(
            table("tables/versions.csv"), dataset, measure, families, verdicts
        ),
        training_time.training_time_figure(
            table("tables/training_time.csv"), dataset, measure, families, verdicts
        ),
        variance_shares.shares_figure(
            table("tables/variance_shares.csv").assign(measure=measure), verdicts
        ),
    ]
    for figure in figures:
        note = " ".join(figure.get_supxlabel().split())
        assert note.endswith(sentence) if sentence else "sanity tests" not in note


def test_versions_are_drawn_by_relation():
    kinds = {"versions": 0.6, "versions_other_seed": 0.5, "retraining": 0.9, "untrained": 0.2}
    lines = [
        (kind, "y", "x", layer, i, value - i / 10)
        for kind, value in kinds.items()
        for i, layer in enumerate(("a", "b"))
    ]
    rows = pd.DataFrame(
        lines, columns=["relation", "trained_on_a", "trained_on_b", "layer", "depth", "value"]
    )
    axes = style.new_figure(2, title="", note="").subplots()
    versions.plot_versions(rows.assign(ci_low=0.1, ci_high=0.7), axes, colours={("x", "y"): "red"})
    assert [line.get_ydata().tolist() for line in axes.lines] == [
        pytest.approx([0.2, 0.1]),
        pytest.approx([0.6, 0.5]),
        pytest.approx([0.5, 0.4]),
    ]


def test_bars_of_shares_are_as_long_as_the_table_says():
    rows = pd.DataFrame(
        [("family", "cka_linear", 0.5, 0.2, 0.04), ("residual", "cka_linear", 0.3, 0.3, np.nan)]
    )
    rows.columns = ["factor", "measure", "r2", "r2_only", "p"]
    axes = style.new_figure(2, title="", note="").subplots()
    variance_shares.plot_shares(
        rows, axes, factors=["family", "residual"], colours={"cka_linear": "red"}
    )
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([50, 20, 30, 30])
    assert [text.get_text() for text in axes.texts] == ["p = 0.040"]


def test_unknown_measure_is_named():
    with pytest.raises(ValueError, match="no_such_measure"):
        heat_map.scale_of("no_such_measure")


def test_label_slots():
    multi = np.array([[0, 1, 0, 1], [0, 0, 1, 0]])
    np.testing.assert_array_equal(projections.label_slots(multi), [[1, 3], [2, 2]])
    np.testing.assert_array_equal(projections.label_slots(np.eye(3, dtype=int)), [[0], [1], [2]])


def test_lda_shows_no_separation_that_is_not_there():
    """Fitted on the shown clips, LDA would separate pure noise; fitted on others it must not."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 60))
    classes = draw.integers(0, 4, 400)
    halves = features[:200], features[200:]

    def separation(plane: np.ndarray) -> float:
        return NearestCentroid().fit(plane, classes[200:]).score(plane, classes[200:])

    honest = separation(projections.discriminants(halves[0], classes[:200], halves[1]))
    fooled = separation(projections.discriminants(halves[1], classes[200:], halves[1]))
    # chance 0.25, and centroids see the labels they are scored on
    assert honest < 0.4 < 0.55 < fooled


def test_degenerate_embeddings_are_drawn():
    slots = np.zeros((5, 2), int)
    flat = projections.Embedding(
        "flat", np.zeros((6, 1)), np.zeros((6, 2), int), np.zeros((5, 1)), slots
    )
    assert all(
        plane.shape == (5, 2) and np.isfinite(plane).all()
        for plane in projections.project(flat).values()
    )


def test_strip_sets_frames_side_by_side():
    frames = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    picture = strips.strip(frames)
    assert picture.shape == (3, 4 + 2 + 4, 3)
    np.testing.assert_array_equal(picture[:, :4, 0], frames[0])
    np.testing.assert_array_equal(picture[:, 6:, 2], frames[1])
    assert (picture[:, 4:6] == 255).all()


def test_runs_that_only_predict_leave_the_reconstruction_empty():
    generated = {
        "observed": np.zeros((1, 3, 4, 4), np.uint8),
        "future": np.zeros((1, 2, 4, 4), np.uint8),
    }
    figure = generation_figure({**generated, "prediction": generated["future"]}, "a run")
    assert [axes.axison for axes in figure.axes] == [True, True, False, True]


def test_confusion_of_classes_counts_clips_and_tells_both_accuracies(tmp_path):
    """Three classes of 6, 3 and 1 clips: 6 of 10 are right, the mean of classes is 4/9."""
    truth = np.repeat([0, 1, 2], [6, 3, 1])
    answers = np.array([0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    counts = class_confusion.confusion(truth, answers, 3)
    assert counts.tolist() == [[6, 0, 0], [2, 1, 0], [1, 0, 0]]
    assert class_confusion.accuracies(counts) == pytest.approx((0.7, 4 / 9))
    labels = np.eye(3, dtype=np.uint8)[truth]
    scores = {"test": {"probabilities": np.eye(3)[answers]}}
    paths = [tmp_path / f"mine--{name}--seed0.npz" for name in ("c3d_narrow", "pixels")]
    write_clip_scores(paths[0], [str(i) for i in range(10)], labels, scores)
    write_clip_scores(paths[1], [str(i) for i in range(10)], labels, {"test": {}})
    clips = tmp_path / "test.h5"
    content = {"clips": np.zeros((10, 2, 4, 4), np.uint8), "labels": labels, "factors": {}}
    about = {"dataset": "mine", "split": "test", "classes": list("abc"), "multi_label": False}
    write_clips(clips, content, about)
    figure = class_confusion.draw(
        paths, [clips], {"mine": "mine"}, {"c3d_narrow": "3-D CNN", "pixels": "control"}, "mine"
    )
    panel = figure.axes[0]
    assert panel.get_title(loc="left") == "c3d_narrow\n70 %, 44 %"
    assert [text.get_text() for text in panel.texts] == [str(n) for n in counts.ravel()]
    told = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "Guessing: 33 %" in told and "commonest class of the test clips: 60 %" in told
