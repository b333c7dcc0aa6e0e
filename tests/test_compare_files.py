"""``python -m vidrep compare``: anybody's files, the values of the library.

What cannot be compared is told in one line.
"""

import csv
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
import zarr

from vidrep.activations.store import write_ids
from vidrep.similarity import all_pairs, compare, difference
from vidrep.similarity.sources import groups_of, open_sources

pytestmark = pytest.mark.slow  # each test starts a process that imports torch

N = 40


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    first = rng.normal(size=(N, 7)).astype(np.float32)
    return {
        "one": first,
        "two": first @ rng.normal(size=(7, 9)).astype(np.float32),
        "maps": rng.normal(size=(N, 3, 4, 5)),
    }


def write(path, arrays, ids=None):
    """The arrays in one file of the kind that the suffix says."""
    content = {**arrays, **({} if ids is None else {"ids": np.array(ids, dtype="S9")})}
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".zarr":
        group = zarr.open_group(str(path), mode="w")
        for name, value in arrays.items():
            group.create_array(name, data=value)
        if ids is not None:
            write_ids(group, ids)
    else:
        with h5py.File(path, "w") as file:
            for name, value in content.items():
                file[name] = value
    return path


def command(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "vidrep", "compare", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5", ".zarr"])
def test_every_kind_of_file_gives_the_same_kernels(suffix, arrays, tmp_path):
    ids = [f"clip{i}" for i in range(N)]
    found = {
        source.name: source
        for source in open_sources([write(tmp_path / f"f{suffix}", arrays, ids)])
    }
    assert (
        set(found) == {"f/one", "f/two", "f/maps"}
        and len({source.ids for source in found.values()}) == 1
    )
    for name, array in arrays.items():
        kernel = found[f"f/{name}"].load()
        assert (kernel.n, kernel.d) == (N, array[0].size)
        assert compare(kernel, array, "cka_linear") == pytest.approx(1, abs=1e-12)


def test_a_single_array_bears_the_files_name_and_one_of_many_can_be_picked(arrays, tmp_path):
    np.save(tmp_path / "mine.npy", arrays["one"])
    many = write(tmp_path / "many.npz", arrays)
    assert [source.name for source in open_sources([tmp_path / "mine.npy", f"{many}:two"])] == [
        "mine",
        "many/two",
    ]


def test_the_table_is_that_of_the_library(arrays, tmp_path):
    many = write(tmp_path / "many.npz", arrays)
    done = command(
        many, "--measure", "procrustes", "--option", "form=cosine", "--output", tmp_path / "t.csv"
    )
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "t.csv", newline="") as file:
        rows = {(row["rep_a"], row["rep_b"]): row for row in csv.DictReader(file)}
    expected = compare(arrays["one"], arrays["two"], "procrustes", form="cosine")
    assert float(rows["many/one", "many/two"]["value"]) == pytest.approx(expected, rel=1e-6)
    header, *lines = done.stdout.splitlines()
    assert (
        header.split() == ["rep_a", "rep_b", "value", "n", "rank_a", "rank_b"]
        and len(lines) == len(rows) == 6
    )


def test_intervals_and_p_values_on_request(arrays, tmp_path):
    done = command(write(tmp_path / "many.npz", arrays), "--intervals", "--permutations", 99)
    header, first, related, unrelated, *_ = (line.split() for line in done.stdout.splitlines())
    assert header[2:7] == ["value", "ci_low", "ci_high", "null_p", "n"] and first[:3] == [
        "many/one",
        "many/one",
        "1",
    ]
    assert float(related[3]) < float(related[2]) < float(related[4]) and float(
        related[5]
    ) < 0.05 < float(unrelated[5])


@pytest.mark.parametrize("chosen", ["auto", "cuda"])
@pytest.mark.slow
def test_a_gpu_where_there_is_one(chosen, arrays, tmp_path):
    many = write(tmp_path / "many.npz", arrays)
    done = command(many, "--device", chosen, "--memory-mb", 64)
    if chosen == "cuda" and not torch.cuda.is_available():
        assert (
            done.returncode == 1 and done.stderr == "error: device: no GPU here; use cpu or auto\n"
        )
    else:
        assert done.returncode == 0 and done.stdout == command(many).stdout  # six digits


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".zarr"])
def test_groups_beside_the_arrays_name_the_clips(suffix, arrays, tmp_path):
    groups = np.repeat(np.arange(N // 2), 2)
    grouped = write(tmp_path / f"g{suffix}", {"one": arrays["one"], "groups": groups})
    np.save(tmp_path / "two.npy", arrays["two"])
    sources = open_sources([grouped, tmp_path / "two.npy"])
    assert [source.name for source in sources] == ["g", "two"]
    np.testing.assert_array_equal(groups_of(sources), groups)
    assert groups_of(sources[1:]) is None
    other = write(tmp_path / "other.npz", {"three": arrays["one"], "groups": groups[::-1]})
    with pytest.raises(
        ValueError, match=r"g.* and .*other.npz divide the rows into different groups"
    ):
        groups_of(open_sources([grouped, other]))


def test_whole_groups_are_left_out_and_re_paired(arrays, tmp_path):
    groups = np.repeat(np.arange(N // 2), 2)
    many = write(tmp_path / "many.npz", {**arrays, "groups": groups})
    done = command(many, "--intervals", "--permutations", 39, "--output", tmp_path / "t.csv")
    assert done.stderr == f"cka_linear_debiased of {N} rows in {N // 2} groups\n", done.stderr
    expected = all_pairs(
        arrays, "cka_linear_debiased", intervals=True, permutations=39, groups=groups
    )
    with open(tmp_path / "t.csv", newline="") as file:
        row = list(csv.DictReader(file))[1]
    assert [float(row[key]) for key in ("ci_low", "null_p", "chance")] == pytest.approx(
        [expected.ci_low[0, 1], expected.null_p[0, 1], expected.chance[0, 1]], rel=1e-6
    )


def test_differences_on_request(arrays, tmp_path):
    many = write(tmp_path / "many.npz", arrays)
    names = ["many/one", "many/two", "many/maps"]
    done = command(
        many,
        "--difference",
        *names,
        "--difference",
        names[2],
        *names[:2],
        "--output",
        tmp_path / "d.csv",
    )
    with open(tmp_path / "d.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = difference((arrays["one"], arrays["two"]), (arrays["one"], arrays["maps"]))
    assert len(rows) == 2 and float(rows[0]["difference"]) == pytest.approx(
        expected.value, rel=1e-6
    )
    assert (
        float(rows[0]["p"]) == pytest.approx(expected.p, rel=1e-5)
        and float(rows[0]["q"]) <= 2 * float(rows[0]["p"]) + 1e-12
    )
    assert (
        done.stdout.split()[:3] == ["rep_a", "rep_b", "rep_c"]
        and len(done.stdout.splitlines()) == 3
    )
    wrong = command(many, "--difference", "many/one", "two", "many/maps")
    assert wrong.returncode == 1 and wrong.stderr.startswith(
        "error: --difference: no representation two; the files hold many/one"
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["one.npy", "none.npy"], "none.npy: no such file"),
        (["one.npy", "many.npz:four"], "many.npz: no array 'four'; it holds one, two, maps"),
        (["one.npy", "text.csv"], "text.csv: representations are read from .npy, .npz"),
        (["one.npy", "one.npy"], "both called one; give one a name of its own"),
        (
            ["one.npy", "fewer.npy"],
            "one.npy: one has 40 rows, .*fewer.npy: fewer 39; compared are the same",
        ),
        (
            ["many.npz", "shuffled.npz"],
            "many.npz and .*shuffled.npz hold different clips or another order of them",
        ),
        (["one.npy", "broken.npz"], "broken.npz: not a readable .npz file"),
        (["one.npy", "flat.npy"], "flat.npy: no array of numbers with at least two dimensions"),
        (["one.npy", "holes.npy"], "holes.npy: holes: activations of clip 5 .* not finite"),
    ],
)
def test_what_cannot_be_compared_ends_in_one_line(files, message, arrays, tmp_path):
    ids = [f"clip{i}" for i in range(N)]
    np.save(tmp_path / "one.npy", arrays["one"])
    np.save(tmp_path / "fewer.npy", arrays["one"][1:])
    np.save(tmp_path / "flat.npy", arrays["one"][:, 0])
    np.save(tmp_path / "holes.npy", np.where(np.arange(N)[:, None] == 5, np.nan, arrays["one"]))
    write(tmp_path / "many.npz", arrays, ids)
    write(tmp_path / "shuffled.npz", {"other": arrays["one"]}, ids[::-1])
    (tmp_path / "broken.npz").write_bytes(b"PK broken")
    (tmp_path / "text.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=message) as error:
        for source in open_sources([tmp_path / name for name in files]):
            source.load()
    assert "\n" not in str(error.value)


def test_the_command_reports_errors_in_one_line(tmp_path):
    done = command(tmp_path / "none.npy")
    assert done.returncode == 1 and done.stderr == f"error: {tmp_path}/none.npy: no such file\n"
