"""Files of activations: what each format yields, what is refused, and how much memory it takes."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from vidrep.activations.store import open_store
from vidrep.config.checks import EXTERNAL_SUFFIXES
from vidrep.datasets.store import open_clips, write_clips
from vidrep.similarity.arrays import RawArray, read_blocks, spooled
from vidrep.similarity.contents import open_file
from vidrep.similarity.formats import FORMATS
from vidrep.similarity.sources import open_sources

N = 20


def numbers(shape=(N, 3, 5), dtype=np.float32, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def text(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- what the formats hold


@pytest.mark.parametrize("order", ["C", "F"])
def test_windows_of_a_raw_array_are_those_of_the_array(order, tmp_path, monkeypatch):
    monkeypatch.setattr("vidrep.similarity.arrays.TOUCHED_BYTES", 50)  # several pieces a window
    array = np.asarray(numbers(), order=order)
    np.save(tmp_path / "a.npy", array)
    found = open_file(tmp_path / "a.npy").arrays["a"]
    rows = np.array([1, 4, 5, 19])
    for window in ((slice(None), slice(1, 3)), (rows,), (slice(2, 9), slice(None), slice(1, 4))):
        np.testing.assert_array_equal(found[window], array[window])


def test_blocks_of_all_kinds_hold_every_number_once(tmp_path):
    array = numbers()
    np.save(tmp_path / "a.npy", array)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=array, chunks=(7, 2, 5), compression="gzip")
    with h5py.File(tmp_path / "a.h5") as file:
        kinds = [open_file(tmp_path / "a.npy").arrays["a"], file["a"], spooled(file["a"]), array]
        for kind in kinds:
            blocks = np.concatenate(list(read_blocks(kind, block_bytes=700)), axis=1)
            np.testing.assert_allclose(
                blocks @ blocks.T, array.reshape(N, -1) @ array.reshape(N, -1).T, rtol=1e-5
            )


@pytest.mark.slow
def test_tensors_of_torch_lie_where_they_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    array = torch.from_numpy(numbers((N, 8)))
    content = {
        "ids": [f"clip{i}" for i in range(N)],
        "whole": array,
        "turned": torch.from_numpy(numbers((8, N))).T,
        "block": {"part": array[:, 2:6], "half": array.bfloat16()},
        "epoch": 3,
    }
    torch.save(content, tmp_path / "a.pt")
    found = open_file(tmp_path / "a.pt")
    assert list(found.arrays) == ["whole", "turned", "block/part", "block/half"]
    assert found.ids == content["ids"] and found.ordered
    np.testing.assert_array_equal(found.arrays["turned"][:], content["turned"].numpy())
    np.testing.assert_array_equal(found.arrays["block/part"][:], array[:, 2:6].numpy())
    half = content["block"]["half"].float().numpy()
    np.testing.assert_array_equal(found.arrays["block/half"][:], half)
    torch.save(array, tmp_path / "one.pth")
    assert list(open_file(tmp_path / "one.pth").arrays) == ["one"]


def write_safetensors(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """A .safetensors file, by its specification: length, JSON header, numbers."""
    header = {"__metadata__": metadata}
    start = 0
    for name, array in arrays.items():
        end = start + array.nbytes
        kind = {"float32": "F32", "float16": "F16", "uint16": "BF16"}[array.dtype.name]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    body = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_safetensors_with_names_in_the_metadata(tmp_path):
    array = numbers((N, 4))
    halves = (array.view(np.uint32) >> 16).astype(np.uint16)
    ids = [f"clip{i}" for i in range(N)]
    metadata = {"ids": json.dumps(ids), "layers": json.dumps(["late", "early"])}
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"early": array, "late": halves}, metadata)
    found = open_file(path)
    assert list(found.arrays) == ["late", "early"] and found.ids == ids and found.ordered
    np.testing.assert_array_equal(found.arrays["early"][:], array)
    np.testing.assert_allclose(found.arrays["late"][:], array, rtol=2**-7)
    write_safetensors(path, {"early": array, "late": halves}, {})
    assert not open_file(path).ordered


def test_safetensors_as_its_own_library_writes_them(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    library.save_file({"x": numbers((N, 4))}, tmp_path / "a.safetensors", {"ids": "[0, 1]"})
    with pytest.raises(ValueError, match="array 'x' has 20 rows, ids name 2 clips"):
        open_file(tmp_path / "a.safetensors")


@pytest.mark.parametrize("suffix", [".h5", ".zarr"])
def test_nested_groups_are_read_by_path(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    root = h5py.File(path, "w") if suffix == ".h5" else zarr.open_group(str(path), mode="w")
    for name in ("stem", "block/conv"):
        root.create_dataset(name, data=numbers()) if suffix == ".h5" else root.create_array(
            name, data=numbers()
        )
    if suffix == ".h5":
        root.close()
    found = open_file(path)
    assert set(found.arrays) == {"stem", "block/conv"} and not found.ordered
    (source,) = open_sources([f"mine={path}:block/conv"])
    assert source.name == "mine" and source.array.shape == (N, 3, 5)


def test_hdf5_that_tracks_the_order_of_writing_tells_it(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", track_order=True) as file:
        for name in ("layer2", "layer10", "embedding"):
            file[name] = numbers()
    found = open_file(tmp_path / "a.h5")
    assert list(found.arrays) == ["layer2", "layer10", "embedding"] and found.ordered


def test_names_of_ones_own(tmp_path):
    np.savez(tmp_path / "a.npz", x=numbers(), y2=numbers(seed=1))
    np.savez(tmp_path / "one.npz", x=numbers())
    given = [f"mine={tmp_path}/a.npz", f"other={tmp_path}/one.npz", f"{tmp_path}/a.npz:x"]
    names = [source.name for source in open_sources(given)]
    assert names == ["mine/x", "mine/y2", "other", "a/x"]


def test_labels_are_no_layer_unless_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, labels=np.eye(N), x=numbers(), Targets=numbers())
    assert list(open_file(path).arrays) == ["x"]
    assert list(open_file(path, ["labels", "x"]).arrays) == ["labels", "x"]
    np.savez(path, labels=np.eye(N))
    with pytest.raises(ValueError, match=r"two dimensions but labels; ask for it as \S+:labels"):
        open_file(path)


# ---------------------------------------------------------------- rows that may not belong together


def ids_of(count=N) -> np.ndarray:
    return np.array([f"clip{i}" for i in range(count)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": numbers(), "clip_ids": ids_of()}, "no array ids, but 'clip_ids' seems to name"),
        ({"x": numbers(), "ID": np.arange(N)}, "no array ids, but 'ID' seems to name the rows"),
        ({"x": numbers(), "who": ids_of()}, "no array ids, but 'who' seems to name the rows"),
        ({"x": numbers(), "ids": ids_of()[[0, *range(N - 1)]]}, "ids name clip0 twice"),
        ({"x": numbers(), "ids": ids_of(N - 3)}, "'x' has 20 rows, ids name 17 clips$"),
        (
            {"x": numbers((7, N)), "ids": ids_of()},
            r"'x' has 7 rows, ids name 20 clips; its shape is \(7, 20\), so axis 1 may be",
        ),
        ({"x": numbers(), "ids": np.linspace(0, 1, N)}, "ids is float64 .* expected names or"),
        ({"x": numbers(), "ids": ids_of().astype(object)}, "ids: an array of Python objects"),
    ],
)
def test_ids_that_do_not_name_the_rows_are_refused(content, message, tmp_path):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(ValueError, match=message) as error:
        open_file(tmp_path / "a.npz")
    assert "a.npz" in text(error)


def test_names_of_classes_are_no_names_of_rows(tmp_path):
    np.savez(tmp_path / "a.npz", x=numbers(), classes=np.array(["run", "walk"]))
    np.savez(tmp_path / "b.npz", x=numbers(), said=np.array(["run", "walk"] * (N // 2)))
    assert open_file(tmp_path / "a.npz").ids is None and open_file(tmp_path / "b.npz").ids is None


def test_rows_with_names_are_not_paired_with_rows_without(tmp_path):
    np.savez(tmp_path / "a.npz", x=numbers(), ids=ids_of())
    np.save(tmp_path / "b.npy", numbers())
    with pytest.raises(ValueError, match=r"a.npz names its rows, \S+b.npy does not") as error:
        open_sources([tmp_path / "a.npz", tmp_path / "b.npy"])
    text(error)


def test_a_transposed_array_is_recognised_beside_another(tmp_path):
    np.save(tmp_path / "a.npy", numbers((N, 7)))
    np.save(tmp_path / "b.npy", numbers((9, N)))
    with pytest.raises(ValueError, match=r"b 9; .* its shape is \(9, 20\), so axis 1 may be"):
        open_sources([tmp_path / "a.npy", tmp_path / "b.npy"])


def test_the_configuration_knows_the_formats_that_can_hold_names():
    assert set(EXTERNAL_SUFFIXES) == set(FORMATS) - {".npy"}


# ---------------------------------------------------------------- damaged files


def damaged(folder: Path) -> dict[str, str]:
    """File name -> what must be said of it; the files are written."""
    array = numbers((N, 400))
    np.save(folder / "cut.npy", array)
    np.save(folder / "objects.npy", np.array([{}, []], dtype=object))
    np.savez(folder / "cut.npz", a=array)
    np.savez_compressed(folder / "flipped.npz", a=array)
    with h5py.File(folder / "cut.h5", "w") as file:
        file["a"] = array
    with h5py.File(folder / "unwritten.h5", "w") as file:
        chunked = file.create_dataset("a", array.shape, "f4", chunks=(5, 400))
        chunked[:5] = array[:5]
    write_safetensors(folder / "cut.safetensors", {"a": array}, {})
    for name in ("cut.npy", "cut.npz", "cut.h5", "cut.safetensors"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    with zipfile.ZipFile(folder / "flipped.npz") as archive:
        middle = archive.infolist()[0].compress_size // 2
    content = bytearray((folder / "flipped.npz").read_bytes())
    content[middle : middle + 20] = bytes(20)
    (folder / "flipped.npz").write_bytes(content)
    huge = np.lib.format.header_data_from_array_1_0(array) | {"shape": (10**6, 10**5)}
    with open(folder / "huge.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, huge)
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.h5").write_text("not HDF5")
    return {
        "cut.npy": "cut short: it has 16064 bytes where 32128 are announced",
        "objects.npy": "an array of Python objects",
        "cut.npz": "not a readable .npz file",
        "flipped.npz": "not a readable .npz file",
        "cut.h5": "not a readable .h5 file",
        "unwritten.h5": "a: only 1 of its 4 chunks were ever written",
        "cut.safetensors": "cut short",
        "huge.npy": "cut short: it has 128 bytes where 400000000128 are announced",
        "empty.npz": "not a readable .npz file",
        "text.h5": "not a readable .h5 file",
    }


def test_damaged_files_end_in_one_line(tmp_path):
    for name, message in damaged(tmp_path).items():
        with pytest.raises(ValueError, match=message) as error:
            open_file(tmp_path / name)
        assert name in text(error)


def test_damaged_files_of_torch_end_in_one_line(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(N, 400)}, tmp_path / "cut.pt")
    content = (tmp_path / "cut.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    torch.save({"a": np.zeros((N, 2)), "b": Path("x")}, tmp_path / "objects.pt")
    torch.save(torch.zeros(N, 2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "empty.pt").write_bytes(b"")
    messages = {
        "cut.pt": "cut short",
        "objects.pt": "holds other things than tensors",
        "old.pt": "not written by torch.save of torch 1.6 or later",
        "empty.pt": "cut short",
    }
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message) as error:
            open_file(tmp_path / name)
        assert name in text(error)


def test_what_breaks_while_it_is_read_ends_in_one_line(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        chunked = file.create_dataset("a", data=numbers((N, 4000)), compression="gzip")
        chunk = chunked.id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 50] = bytes(50)
    path.write_bytes(content)
    (source,) = open_sources([path])
    with pytest.raises(ValueError, match=r"a.h5: a: it cannot be read to its end") as error:
        source.load()
    text(error)


def test_a_raw_array_that_the_file_cannot_hold(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    assert RawArray(tmp_path / "a", np.float32, (5, 5))[:].shape == (5, 5)
    with pytest.raises(ValueError, match="cut short: it has 100 bytes where 104 are announced"):
        RawArray(tmp_path / "a", np.float32, (5, 5), offset=4)


# ---------------------------------------------------------------- memory

CLIPS = 40
FEATURES = 1_000_000  # 153 MiB in float32
PEAK = """
import atexit, runpy, sys

def peak():
    with open("/proc/self/status") as file:
        lines = [line.split() for line in file]
    print(*[line[1] for line in lines if line and line[0] == "VmHWM:"])

atexit.register(peak)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ROOT = Path(__file__).parent.parent


def peak_mb(script: Path, *arguments) -> float:
    """Largest resident memory of a script in a process of its own, in MiB."""
    command = [sys.executable, "-c", PEAK, str(script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024


def mostly_zero(features: int = FEATURES) -> np.ndarray:
    """Activations that compress quickly."""
    array = np.zeros((CLIPS, features), np.float32)
    array[:, ::64] = np.random.default_rng(0).normal(size=(CLIPS, len(range(0, features, 64))))
    return array


def write_by_rows(path: Path, array: np.ndarray, **options) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=array, chunks=(1, array.shape[1]), **options)


def write_torch(path: Path, array: np.ndarray) -> None:
    import torch

    torch.save({"a": torch.from_numpy(array)}, path)


LARGE = {
    "rows.npy": np.save,
    "columns.npy": lambda path, array: np.save(path, np.asfortranarray(array)),
    "four.npz": lambda path, array: np.savez(path, *np.split(array, 4, axis=1)),
    "compressed.npz": lambda path, array: np.savez_compressed(path, a=array),
    "rows.h5": write_by_rows,
    "compressed.h5": lambda path, array: write_by_rows(path, array, compression="gzip"),
    "rows.zarr": lambda path, array: zarr.create_array(str(path), data=array, chunks=(1, FEATURES)),
    "a.safetensors": lambda path, array: write_safetensors(path, {"a": array}, {}),
    "a.pt": write_torch,
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("name", LARGE)
def test_a_comparison_keeps_to_its_memory_in_every_format(name, tmp_path):
    """What Python, NumPy and (for .pt) torch take by themselves is counted in."""
    path = tmp_path / name
    LARGE[name](path, mostly_zero())
    imported = 350 if name == "a.pt" else 100
    budget = 400 if name == "a.pt" else 180
    assert budget * 1.2 < imported + CLIPS * FEATURES * 4 / 2**20  # it cannot have been read whole
    command = ROOT / "vidrep" / "__main__.py"
    assert peak_mb(command, "compare", path, "--memory-mb", budget) < 1.2 * budget


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_activations_are_imported_without_being_read_whole(tmp_path):
    """A layer of 153 MiB, whose rows lie in many chunks."""
    clips = {"clips": np.zeros((CLIPS, 3, 2, 2), np.uint8), "labels": np.ones((CLIPS, 1), np.uint8)}
    attrs = {"dataset": "d", "split": "test", "classes": ["0"], "multi_label": True}
    write_clips(tmp_path / "test.h5", {**clips, "factors": {}}, attrs)
    with open_clips(tmp_path / "test.h5") as file:
        ids = file.ids
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("layer", data=mostly_zero(), chunks=(CLIPS, FEATURES // 100))
        file["ids"] = ids
    command = [ROOT / "scripts" / "import_activations.py", "--file", tmp_path / "a.h5"]
    command += ["--test", tmp_path / "test.h5", "--rows", CLIPS, "--dataset", "external"]
    command += ["--system", "mine", "--seed", 0, "--output", tmp_path / "store.zarr.zip"]
    assert peak_mb(*command) < 250  # 100 of them are Python's and its libraries'
    assert open_store(tmp_path / "store.zarr.zip")["layer"].shape == (CLIPS, FEATURES)
