"""Activations of other networks: the same kernels whatever the order of clips.

What does not fit is told in one line.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from vidrep.activations.store import open_store, write_ids
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render
from vidrep.datasets.store import open_clips, write_clips, write_text
from vidrep.report.layers import layer_figure
from vidrep.report.similarity import embedding_figure
from vidrep.similarity import compare, compare_all
from vidrep.similarity.external import import_activations
from vidrep.similarity.files import open_kernels, write_kernels
from vidrep.windows import names_of_videos

ROOT = Path(__file__).parent.parent
STORED = 90  # more rows than are copied at a time
COMPARED = 70
DIGEST = hashlib.sha256(bytes(3 * 2 * 2)).hexdigest()[:8]
ATTRS = {"dataset": "external", "system": "mine", "seed": 2}


@pytest.fixture
def test_clips(tmp_path) -> Path:
    path = tmp_path / "test.h5"
    content = {
        "clips": np.zeros((STORED, 3, 2, 2), np.uint8),
        "labels": np.ones((STORED, 2), np.uint8),
        "factors": {},
    }
    write_clips(
        path,
        content,
        {"dataset": "digits_only", "split": "test", "classes": ["0", "1"], "multi_label": True},
    )
    return path


@pytest.fixture
def layers() -> dict[str, np.ndarray]:
    """Layers of the compared clips whose names do not stand in alphabetical order."""
    rng = np.random.default_rng(5)
    return {
        "stem": rng.normal(size=(COMPARED, 2, 3, 4)).astype(np.float16),
        "middle": rng.integers(255, size=(COMPARED, 9), dtype=np.uint8),
        "embedding": rng.normal(size=(COMPARED, 6)),
    }


def names(count: int) -> list[str]:
    """The ids of the first clips, all of which are black and so have one digest."""
    return [f"digits_only/test/{i:06d}-{DIGEST}" for i in range(count)]


def write(path: Path, arrays: dict, ids) -> Path:
    """A file of the kind that the suffix says, which lists its layers in their order."""
    if path.suffix == ".npz":
        np.savez(path, **arrays, **({} if ids is None else {"ids": ids}))
    elif path.suffix == ".zarr":
        group = zarr.open_group(str(path), mode="w")
        for name, value in arrays.items():
            group.create_array(name, data=value)
        write_ids(group, ids)
        group.attrs["layers"] = list(arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, value in arrays.items():
                file[name] = value
            file["ids"] = ids
            file.attrs["layers"] = list(arrays)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".zarr"])
def test_rows_are_put_in_the_order_of_the_clips(suffix, layers, test_clips, tmp_path):
    order = np.random.default_rng(1).permutation(STORED)
    padded = {
        name: np.concatenate([x, np.full_like(x, 7)[: STORED - COMPARED]])
        for name, x in layers.items()
    }
    file = write(
        tmp_path / f"a{suffix}",
        {name: x[order] for name, x in padded.items()},
        [names(STORED)[i] for i in order],
    )
    import_activations(file, test_clips, tmp_path / "store.zarr", count=COMPARED, attrs=ATTRS)
    store = open_store(tmp_path / "store.zarr")
    assert store["ids"][:].tolist() == names(COMPARED) and store.attrs["layers"] == list(layers)
    with open_clips(test_clips) as clips:
        assert (store["labels"][:] == clips.labels[:COMPARED]).all() and store.attrs[
            "evaluated_on"
        ] == clips.attrs["dataset"]
    assert [store[name].dtype for name in layers] == [np.float16, np.float64, np.float64]
    for name, expected in layers.items():
        np.testing.assert_array_equal(store[name][:], expected)


@pytest.fixture
def windows(tmp_path) -> Path:
    """Two windows of each of five videos, of two sources."""
    path = tmp_path / "windows.h5"
    draw = np.random.default_rng(2)
    content = {
        "clips": draw.integers(256, size=(10, 3, 2, 2), dtype=np.uint8),
        "labels": np.repeat(np.eye(5, dtype=np.uint8), 2, axis=0),
        "factors": {},
        "videos": np.repeat(np.arange(5), 2),
        "groups": np.repeat(np.array([b"a", b"b", b"a", b"b", b"b"]), 2),
    }
    attrs = {"dataset": "kicks", "split": "test", "classes": list("01234"), "multi_label": False}
    write_clips(path, content, attrs)
    with h5py.File(path, "r+") as file:
        del file["ids"]
        write_text(file, "ids", [f"kicks/test/{i // 2}.avi#{i % 2}" for i in range(10)])
    return path


@pytest.mark.parametrize("named_by", ["windows", "videos"])
def test_windows_of_a_video_are_averaged_into_its_row(named_by, windows, tmp_path):
    with open_clips(windows) as clips:
        ids = clips.ids
        videos = names_of_videos(ids, clips.extras["videos"][:])
    values = np.random.default_rng(3).normal(size=(10, 4))
    means = values.reshape(5, 2, 4).mean(1)
    order = np.random.default_rng(4).permutation(10 if named_by == "windows" else 5)
    names = np.array(ids if named_by == "windows" else videos)[order]
    rows = values if named_by == "windows" else means
    file = write(tmp_path / "a.npz", {"embedding": rows[order]}, names)
    import_activations(file, windows, tmp_path / "store.zarr", count=4, attrs=ATTRS)
    store = open_store(tmp_path / "store.zarr")
    np.testing.assert_allclose(store["embedding"][:], means[:4])
    assert store["ids"][:].tolist() == videos[:4] and store["groups"][:].tolist() == list("abab")
    assert store["labels"][:].tolist() == np.eye(5)[:4].tolist()


@pytest.mark.parametrize(
    ("made_on", "message"),
    [
        (
            ("digits_only", 1),
            r"of other clips: ids names digits_only/test/000000-\w+, but",
        ),
        (("velocity_only", 0), "3 of the 3 clips .* ids names velocity_only/test/000000-"),
    ],
)
def test_activations_of_another_seed_or_version_are_refused(made_on, message, tmp_path):
    """As they were made when a seed was changed since, or for another data set by mistake."""
    for name, seed in (("digits_only", 0), made_on):
        source = recipe(name, frames=4, size=20, patch=8)
        clips, labels, _ = render(source, split="test", count=3, seed=seed)
        attrs = {"dataset": name, "split": "test", "multi_label": True}
        write_clips(
            tmp_path / f"{name}{seed}.h5",
            {"clips": clips, "labels": labels, "factors": {}},
            {**attrs, "classes": list("0123456789")},
        )
    with open_clips(tmp_path / "{}{}.h5".format(*made_on)) as made:
        layers = {"pixels": made.clips[:].reshape(3, -1)}
        file = write(tmp_path / "a.npz", layers, made.ids)
    with pytest.raises(ValueError, match=message):
        import_activations(
            file, tmp_path / "digits_only0.h5", tmp_path / "store.zarr", count=3, attrs=ATTRS
        )


def test_a_store_of_them_is_compared_as_any_other(layers, test_clips, tmp_path):
    file = write(tmp_path / "a.npz", layers, names(COMPARED))
    import_activations(file, test_clips, tmp_path / "store.zarr", count=COMPARED, attrs=ATTRS)
    write_kernels(tmp_path / "store.zarr", tmp_path / "kernels.h5")
    kernels = open_kernels([tmp_path / "kernels.h5"])
    assert [kernel.rep for kernel in kernels] == [f"external/mine/seed2/{name}" for name in layers]
    for measure in ("cka_linear_debiased", "pwcca"):  # the second reads the activations again
        expected = compare(layers["middle"], layers["embedding"], measure)
        assert compare_all(kernels, measure)[1, 2] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, ids: (x, None),
            r"a.npz: it does not say which clips .*/test/000000-\w{8}, .*savez\(file, ids=ids",
        ),
        (
            lambda x, ids: (x[:-5], ids[:-5]),
            (
                "a.npz: 5 of the 70 clips .* missing from ids: .*/000065-.*, .*/test/000066-.*,"
                " .*/test/000067-.*, ...; needed are .*/test/000000-.* to .*/test/000069-.*, in any"
                " order; ids names .*/test/000000-"
            ),
        ),
        (
            lambda x, ids: (x, [f"train/{i:06d}" for i in range(COMPARED)]),
            "70 of the 70 clips .* missing .*test/000000.* ids names train/000000, train/000001",
        ),
        (
            lambda x, ids: (x, [name.replace("digits_only", "velocity_only") for name in ids]),
            "70 of the 70 clips .* needed are digits_only/.* ids names velocity_only/test/000000-",
        ),
        (
            lambda x, ids: (x, [name.replace(DIGEST, "01234567") for name in ids]),
            (
                "a.npz: its activations are of other clips: ids names"
                f" digits_only/test/000000-01234567, but .* digits_only/test/000000-{DIGEST};"
            ),
        ),
        (lambda x, ids: (x, [*ids[:-1], ids[3]]), r"a.npz: ids name \S+/test/000003-\w+ twice"),
        (lambda x, ids: (x[:-1], ids), "a.npz: array 'embedding' has 69 rows, ids name 70 clips"),
        (
            lambda x, ids: (x.astype("U5"), ids),
            "a.npz: array 'embedding' is <U5 .* expected numbers",
        ),
        (
            lambda x, ids: (np.where(np.arange(COMPARED)[:, None] == 66, np.nan, x), ids),
            "a.npz: array 'embedding': activations of clip .*/test/000066-.* are not finite",
        ),
    ],
)
def test_what_does_not_fit_ends_in_one_line_and_leaves_nothing(
    change, message, layers, test_clips, tmp_path
):
    values, ids = change(layers["embedding"], names(COMPARED))
    file = write(tmp_path / "a.npz", {"embedding": values}, ids)
    with pytest.raises(ValueError, match=message) as error:
        import_activations(file, test_clips, tmp_path / "store.zarr", count=COMPARED, attrs=ATTRS)
    assert "\n" not in str(error.value) and [path.name for path in tmp_path.glob("*.zarr")] == []


def test_the_script_reports_in_one_line(test_clips, tmp_path):
    command = [
        sys.executable,
        ROOT / "scripts/import_activations.py",
        "--file",
        "none.npz",
        "--test",
        test_clips,
        "--rows",
        "5",
    ]
    command += [
        "--dataset",
        "external",
        "--system",
        "mine",
        "--seed",
        "0",
        "--output",
        "store.zarr",
    ]
    done = subprocess.run([*map(str, command)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "error: none.npz: no such file\n"


def test_figures_show_them_in_the_colour_of_their_family():
    reps = [f"digits_only/c3d_narrow/seed0/{name}" for name in ("conv1", "embedding")]
    reps += ["velocity_only/c3d_narrow/seed0/embedding"]
    reps += [f"external/mine/seed0/{name}" for name in ("stem", "embedding")]
    pairs = [(a, b) for i, a in enumerate(reps) for b in reps[i:]]
    table = pd.DataFrame(pairs, columns=["rep_a", "rep_b"]).assign(value=0.5, n=20)
    families = {"c3d_narrow": "3-D CNN", "mine": "mine"}
    runs = embedding_figure(table, "digits_only", "cka_linear", families, {})
    labels = {
        label.get_text().split("  ")[1]: label.get_color()
        for label in runs.axes[1].get_yticklabels()
    }
    assert "mine ← external #0" in labels and len(set(labels.values())) == 2
    layers = layer_figure(table, "digits_only", "cka_linear", families, {})
    assert [label.get_text() for label in layers.axes[0].get_yticklabels()] == [
        "conv1",
        "embedding",
        "stem",
        "embedding",
    ]
