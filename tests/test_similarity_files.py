"""Kernel files, the long table, and the two scripts."""

import csv
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
import zarr

from vidrep.result_tables import number
from vidrep.similarity import all_pairs, compare_all, measures
from vidrep.similarity.files import open_kernels, write_kernels
from vidrep.similarity.table import PAIR_COLUMNS

ROOT = Path(__file__).parents[1]
N = 32
LAYERS = {"stem.0": (6, 2, 4), "block": (3, 5), "out": (7,)}


def make_store(path, system="c3d", seed=0, ids=None, dtype="float16", **changed):
    """A small activation store; ``changed`` replaces layers by name."""
    rng = np.random.default_rng(len(system) + (seed if isinstance(seed, int) else 9))
    root = zarr.open_group(str(path), mode="w")
    root.attrs.update(
        layers=list(LAYERS), dataset="digits_only", system=system, seed=seed, pooling="none"
    )
    shared = np.random.default_rng(0).standard_normal((N, 5))
    arrays = {}
    for layer, shape in LAYERS.items():
        values = (
            shared @ rng.standard_normal((5, int(np.prod(shape))))
            + rng.standard_normal((N, int(np.prod(shape))))
            + 2
        )
        arrays[layer] = changed.get(layer, values.reshape(N, *shape)).astype(dtype)
        root.create_array(
            layer, shape=arrays[layer].shape, dtype=dtype, chunks=(16, 2, *shape[1:])
        )[:] = arrays[layer]
    root.create_array("ids", shape=(N,), dtype=str, chunks=(N,))[:] = np.array(
        ids or [f"test/{i:06d}" for i in range(N)], dtype=object
    )
    root.create_group("fit").attrs["layers"] = []
    return {f"digits_only/{system}/seed{seed}/{layer}": array for layer, array in arrays.items()}


def run(script, *arguments):
    """Exit status and message of a script, run inside this process."""
    with mock.patch.object(sys, "argv", [script, *map(str, arguments)]):
        try:
            runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
        except SystemExit as ended:
            return (1, ended.code) if isinstance(ended.code, str) else (ended.code, "")
    return 0, ""


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def kernels(tmp_path):
    """Two kernel files and the activations behind them."""
    arrays = make_store(tmp_path / "a.zarr") | make_store(tmp_path / "b.zarr", "lstm", "untrained")
    for name in "ab":
        write_kernels(tmp_path / f"{name}.zarr", tmp_path / "kernels" / f"{name}.h5")
    return [tmp_path / "kernels" / f"{name}.h5" for name in "ab"], arrays


@pytest.mark.parametrize("name", measures())
def test_kernel_files_give_the_values_of_the_activations(name, kernels):
    paths, arrays = kernels
    stored = open_kernels(paths)
    assert [kernel.rep for kernel in stored] == list(arrays)
    expected = compare_all({rep: array.astype(np.float64) for rep, array in arrays.items()}, name)
    # of a representation to itself: the root of a rounding error
    distance = name in ("procrustes", "shape_angular")
    np.testing.assert_allclose(
        compare_all(stored, name), expected, rtol=1e-6, atol=1e-5 if distance else 1e-6
    )


def test_kernel_file_layout(kernels):
    paths, _ = kernels
    with h5py.File(paths[0]) as file:
        assert list(file.attrs["layers"]) == list(LAYERS) and set(file) == set(LAYERS)
        group = file["stem.0"]
        assert group.attrs["rep"] == "digits_only/c3d/seed0/stem.0"
        assert group["matrix"].shape == (N, N) and group["matrix"].dtype == np.float32
        assert np.trace(group["matrix"]) == pytest.approx(1, abs=1e-6)
        factor = group["factor"][()]
        np.testing.assert_allclose(factor @ factor.T, group["matrix"], atol=1e-7)


def test_constant_layer_survives_into_the_table(tmp_path):
    make_store(tmp_path / "a.zarr", block=np.full((N, 3, 5), 0.25))
    write_kernels(tmp_path / "a.zarr", tmp_path / "a.h5")
    for name in measures():
        result = (
            run(
                "compare.py",
                "--kernels",
                tmp_path / "a.h5",
                "--measure",
                name,
                "--output",
                tmp_path / "t.csv",
            )
            if name == "rsa"
            else None
        )
        flags = all_pairs(open_kernels([tmp_path / "a.h5"]), name).flags
        assert flags[1].tolist() == ["constant"] * 3
        if result:
            assert result == (0, "")
            dead = [
                row for row in read(tmp_path / "t.csv") if "block" in row["rep_a"] + row["rep_b"]
            ]
            assert len(dead) == 3 and all(
                row["value"] == row["null_p"] == row["ci_low"] == "" and row["flag"] == "constant"
                for row in dead
            )


def test_scripts_end_to_end(tmp_path):
    make_store(tmp_path / "a.zarr")
    make_store(tmp_path / "b.zarr", "lstm", "untrained")
    for name in "ab":
        assert run(
            "kernels.py",
            "--stores",
            tmp_path / f"{name}.zarr",
            "--outputs",
            tmp_path / "k" / f"{name}.h5",
        ) == (0, "")
    command = [
        "compare.py",
        "--kernels",
        tmp_path / "k" / "a.h5",
        tmp_path / "k" / "b.h5",
        "--seed",
        3,
    ]
    for name, rows in (("cka_linear_debiased", 21), ("linear_r2", 36)):
        output = tmp_path / "similarity" / f"{name}.csv"
        assert run(*command, "--measure", name, "--output", output) == (0, "")
        first = output.read_bytes()
        table = read(output)
        assert tuple(table[0]) == PAIR_COLUMNS and len(table) == rows
        assert run(*command, "--measure", name, "--output", output) == (0, "")
        assert output.read_bytes() == first
        assert [path.name for path in output.parent.iterdir() if path.name.startswith(".")] == []
    row = read(tmp_path / "similarity" / "cka_linear_debiased.csv")[1]
    assert (
        row["rep_a"] == "digits_only/c3d/seed0/stem.0"
        and row["rep_b"] == "digits_only/c3d/seed0/block"
    )
    assert (
        float(row["ci_low"]) < float(row["value"]) < float(row["ci_high"])
        and row["n"] == str(N)
        and row["chance"] == "0"
    )


def test_options_reach_the_measure(tmp_path):
    make_store(tmp_path / "a.zarr")
    write_kernels(tmp_path / "a.zarr", tmp_path / "a.h5")
    command = [
        "compare.py",
        "--kernels",
        tmp_path / "a.h5",
        "--measure",
        "procrustes",
        "--output",
        tmp_path / "t.csv",
    ]
    assert run(*command, "--option", "variance=0.8", "--option", "form=squared") == (0, "")
    assert {row["flag"] for row in read(tmp_path / "t.csv")} == {"truncated"}
    message = (
        "error: option form: got 'cubic', expected one of distance, squared, cosine, size_and_shape"
    )
    assert run(*command, "--option", "form=cubic") == (1, message)


def test_bad_input_ends_in_one_line(tmp_path):
    make_store(tmp_path / "a.zarr")
    make_store(tmp_path / "b.zarr", "lstm", ids=[f"test/{i:06d}" for i in range(N)][::-1])
    for name in "ab":
        write_kernels(tmp_path / f"{name}.zarr", tmp_path / f"{name}.h5")
    bad = np.zeros((N, 7))
    bad[4, 2] = np.nan
    make_store(tmp_path / "nan.zarr", out=bad)
    (tmp_path / "text.h5").write_text("not HDF5")
    zarr.open_group(str(tmp_path / "empty.zarr"), mode="w")
    output = tmp_path / "out" / "t.csv"

    def line(script, *arguments):
        status, message = run(script, *arguments, "--output", output)
        assert (
            status == 1
            and message.startswith("error: ")
            and "\n" not in message
            and not list(output.parent.glob("*"))
        )
        return message

    compare = ("compare.py", "--measure", "rsa", "--kernels")
    message = line(*compare, tmp_path / "a.h5", tmp_path / "b.h5")
    assert "a.h5" in message and "b.h5" in message and "different clips or another order" in message
    assert "both hold digits_only/c3d/seed0/stem.0" in line(
        *compare, tmp_path / "a.h5", tmp_path / "a.h5"
    )
    assert "gone.h5: no such file" in line(*compare, tmp_path / "gone.h5")
    assert "text.h5: not a file of kernels" in line(*compare, tmp_path / "text.h5")
    assert "unknown measure 'cka'" in line(
        "compare.py", "--measure", "cka", "--kernels", tmp_path / "a.h5"
    )
    assert "gone.zarr: no activation store" in line(
        "kernels.py", "--stores", tmp_path / "gone.zarr"
    )
    assert "empty.zarr: not an activation store, it lacks layers" in line(
        "kernels.py", "--stores", tmp_path / "empty.zarr"
    )
    message = line("kernels.py", "--stores", tmp_path / "nan.zarr")
    assert "nan.zarr: layer 'out': activations of clip 4" in message


def test_layers_of_another_length_are_refused(tmp_path):
    make_store(tmp_path / "a.zarr")
    root = zarr.open_group(str(tmp_path / "a.zarr"), mode="a")
    root.create_array("out", shape=(N - 1, 7), dtype="float16", overwrite=True)
    with pytest.raises(ValueError, match="layer 'out' is float16"):
        write_kernels(tmp_path / "a.zarr", tmp_path / "a.h5")
    assert not list(tmp_path.glob("*.h5"))


def test_by_hand(tmp_path):
    """As a command: help, one line on bad input, exit status."""
    command = [sys.executable, ROOT / "scripts" / "kernels.py"]
    options = {
        "capture_output": True,
        "text": True,
        "cwd": tmp_path,
        "env": {**os.environ, "PYTHONPATH": str(ROOT)},
    }
    assert "--stores" in subprocess.run([*command, "--help"], **options).stdout
    failed = subprocess.run([*command, "--stores", "gone", "--outputs", "k.h5"], **options)
    assert (
        failed.returncode == 1
        and failed.stderr == "error: gone: no activation store there (expected a Zarr group)\n"
    )
    code = (
        "import sys, vidrep.similarity.files, vidrep.similarity.table; sys.exit('torch' in"
        " sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], **options).returncode == 0


def test_numbers_in_the_table():
    assert [number(x) for x in (np.nan, 1, 0.5, -0.0, 1 / 3, 48)] == [
        "",
        "1",
        "0.5",
        "0",
        "0.33333333",
        "48",
    ]
