"""Digit sources: real images, strict files, disjoint splits, downloads that are whole or
nothing.
"""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vidrep.digits.fetch import FILES, fetch
from vidrep.digits.idx import read_idx
from vidrep.digits.source import SPLITS, load_digits, read_digits, write_digits

SCRIPTS = Path(__file__).parent.parent / "scripts"


def idx_bytes(array: np.ndarray) -> bytes:
    return (
        struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


@pytest.fixture
def pair(tmp_path):
    """Files of 200 random 12 x 12 images, 20 of each class."""
    images = np.random.default_rng(0).integers(0, 256, (200, 12, 12), np.uint8)
    labels = np.arange(200, dtype=np.uint8) % 10
    paths = tmp_path / "images.gz", tmp_path / "labels"
    paths[0].write_bytes(gzip.compress(idx_bytes(images)))
    paths[1].write_bytes(idx_bytes(labels))
    return *paths, images, labels


def assert_partition(digits):
    """Every image is in exactly one split."""
    everything = np.concatenate([digits.splits[name] for name in SPLITS])
    assert np.array_equal(np.sort(everything), np.arange(len(digits.labels)))


def test_sklearn_digits_are_real_disjoint_and_stratified():
    digits = load_digits({"kind": "sklearn"}, seed=3)
    assert digits.images.shape == (1797, 8, 8) and digits.images.dtype == np.uint8
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert_partition(digits)
    whole = np.bincount(digits.labels)
    for name, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        _, labels = digits.split(name)
        assert np.abs(np.bincount(labels, minlength=10) - share * whole).max() <= 1.01


def test_split_follows_the_seed_and_content_hash_does_not():
    first, again, other = (load_digits({"kind": "sklearn"}, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.splits["test"], again.splits["test"])
    assert not np.array_equal(first.splits["test"], other.splits["test"])
    assert first.sha256 == other.sha256 == load_digits({"kind": "sklearn"}, patch=12, seed=1).sha256


@pytest.mark.parametrize("patch", [4, 8, 28])
def test_resampling_keeps_brightness_and_place(patch):
    native, resampled = (
        load_digits({"kind": "sklearn"}, patch=side, seed=1).images / 255 for side in (8, patch)
    )
    assert resampled.shape[1:] == (patch, patch)
    assert np.allclose(native.mean((1, 2)), resampled.mean((1, 2)), atol=0.03)
    for axis in (1, 2):
        centres = [
            (image.sum(3 - axis) @ (np.arange(image.shape[1]) + 0.5)) / image.sum((1, 2))
            for image in (native, resampled)
        ]
        # a quarter of an original pixel
        assert np.abs(centres[0] / 8 - centres[1] / patch).max() < 0.03


def test_file_round_trip_is_exact_and_repeats_its_bytes(tmp_path):
    digits = load_digits({"kind": "sklearn"}, patch=10, seed=1)
    for name in ("a.npz", "b.npz"):
        write_digits(digits, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = read_digits(tmp_path / "a.npz")
    assert (read.name, read.sha256, read.patch) == ("sklearn", digits.sha256, 10)
    assert np.array_equal(read.images, digits.images) and np.array_equal(read.labels, digits.labels)
    assert all(np.array_equal(read.splits[name], digits.splits[name]) for name in SPLITS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"text"])
def test_other_files_are_not_digits(tmp_path, content):
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"d\.npz: not a file of split digits"):
        read_digits(tmp_path / "d.npz")


def test_any_idx_pair(pair):
    images_path, labels_path, images, labels = pair
    digits = load_digits(
        {"kind": "idx", "images": images_path, "labels": labels_path, "name": "runes"}, seed=1
    )
    assert digits.name == "runes"
    assert np.array_equal(digits.images, images) and np.array_equal(digits.labels, labels)
    assert [len(digits.splits[name]) for name in SPLITS] == [140, 20, 40]
    assert_partition(digits)


def test_mnist_folder_tests_on_its_test_files(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count) % 10
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    digits = load_digits({"kind": "mnist", "folder": tmp_path}, seed=1)
    assert [len(digits.splits[name]) for name in SPLITS] == [50, 10, 10]
    assert np.array_equal(digits.splits["test"], np.arange(60, 70))
    assert_partition(digits)


@pytest.mark.skipif(
    "VIDREP_TEST_DATA" not in os.environ,
    reason="VIDREP_TEST_DATA does not name a folder with mnist/",
)
def test_real_mnist():
    digits = load_digits(
        {"kind": "mnist", "folder": Path(os.environ["VIDREP_TEST_DATA"]) / "mnist"}, seed=1
    )
    assert digits.images.shape == (70000, 28, 28)
    assert [len(digits.splits[name]) for name in SPLITS] == [50000, 10000, 10000]
    assert_partition(digits)
    known = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # of the published test set
    assert np.bincount(digits.split("test")[1]).tolist() == known


IMAGES = idx_bytes(np.zeros((3, 4, 4)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (IMAGES[:-1], "truncated"),
        (IMAGES[:7], "truncated"),
        (b"", "truncated"),
        (IMAGES + b"x", "too long"),
        (b"\x00\x00\x0d\x03" + IMAGES[4:], "magic"),
        (idx_bytes(np.zeros(5)) + b" " * 20, "magic"),
        (gzip.compress(IMAGES, mtime=0)[:-9], "truncated or damaged gzip"),
        (
            gzip.compress(IMAGES, mtime=0)[:15] + b"??" + gzip.compress(IMAGES, mtime=0)[17:],
            "truncated or damaged gzip",
        ),
    ],
    ids=[
        "last byte",
        "header",
        "empty",
        "one byte more",
        "type",
        "dimensions",
        "gzip cut",
        "gzip changed",
    ],
)
def test_bad_idx_files_are_named(tmp_path, content, problem):
    path = tmp_path / "images-idx3"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (np.zeros((3, 4, 4)), np.zeros(4), "4 labels for 3 images"),
        (np.zeros((3, 4, 5)), np.zeros(3), "4 x 5 pixels, they must be square"),
        (np.zeros((3, 4, 4)), np.array([0, 1, 26]), "label 26 found"),
        (np.zeros((0, 4, 4)), np.zeros(0), "holds no images"),
    ],
)
def test_bad_pairs_are_named(tmp_path, images, labels, problem):
    (tmp_path / "i").write_bytes(idx_bytes(images))
    (tmp_path / "l").write_bytes(idx_bytes(labels))
    with pytest.raises(ValueError, match=problem):
        load_digits({"kind": "idx", "images": tmp_path / "i", "labels": tmp_path / "l"}, seed=1)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"kind": "letters"}, "choose one of sklearn, mnist, idx"),
        ({}, "choose one of"),
        ({"kind": "mnist"}, "needs folder"),
        ({"kind": "idx", "images": "i"}, "needs labels"),
        ({"kind": "sklearn", "folder": "f"}, "does not know folder"),
    ],
)
def test_bad_sources_are_named(source, problem):
    with pytest.raises(ValueError, match=problem):
        load_digits(source, seed=1)


class Mirror(SimpleHTTPRequestHandler):
    """Serves good/, truncated/, altered/ and endless/; everything else is missing."""

    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def mirrors(tmp_path):
    """Base address of a local server and the table of the one file that it knows."""
    content = np.random.default_rng(0).bytes(5000)
    versions = {
        "good": content,
        "truncated": content[:3000],
        "altered": b"x" + content[1:],
        "endless": content * 3,
    }
    for folder, version in versions.items():
        (tmp_path / "www" / folder).mkdir(parents=True)
        (tmp_path / "www" / folder / "file.gz").write_bytes(version)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, directory=tmp_path / "www"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield (
        f"http://127.0.0.1:{server.server_port}",
        {"file.gz": (len(content), hashlib.sha256(content).hexdigest())},
        content,
    )
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_proxy(monkeypatch):
    """The local server is reached directly, whatever the machine's proxy is."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.usefixtures("no_proxy")
def test_fetch_takes_the_first_mirror_that_delivers_the_file(tmp_path, mirrors):
    base, files, content = mirrors
    addresses = [
        f"{base}/{folder}/" for folder in ("missing", "truncated", "altered", "endless", "good")
    ]
    output = tmp_path / "out" / "file.gz"
    assert (
        fetch("file.gz", ["http://127.0.0.1:9", *addresses], output, files=files)
        == f"{base}/good/file.gz"
    )
    assert output.read_bytes() == content
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.usefixtures("no_proxy")
def test_fetch_keeps_nothing_when_every_mirror_fails(tmp_path, mirrors):
    base, files, _ = mirrors
    output = tmp_path / "out" / "file.gz"
    with pytest.raises(
        ValueError, match=r"could not fetch file\.gz from any of 4 mirrors"
    ) as caught:
        fetch(
            "file.gz",
            [f"{base}/{folder}" for folder in ("missing", "truncated", "altered", "endless")],
            output,
            files=files,
        )
    for reason in ("404", "got 3000 bytes, expected 5000", "sha256", "got more than 5000 bytes"):
        assert reason in str(caught.value)
    assert not output.exists()


@pytest.mark.usefixtures("no_proxy")
def test_fetch_script_fails_in_one_line(tmp_path, mirrors):
    output = tmp_path / "labels.gz"
    command = [
        sys.executable,
        SCRIPTS / "fetch_mnist.py",
        "--file",
        "t10k-labels-idx1-ubyte.gz",
        "--output",
        output,
    ]
    done = subprocess.run([*command, "--mirrors", mirrors[0]], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr.startswith("error: could not fetch t10k-labels-idx1-ubyte.gz")
        and done.stderr.count("\n") == 1
    )
    assert not output.exists()


@pytest.mark.skipif(
    "VIDREP_TEST_DATA" not in os.environ,
    reason="VIDREP_TEST_DATA does not name a folder with mnist/",
)
def test_checksums_are_those_of_the_real_archives(tmp_path):
    mirror = (Path(os.environ["VIDREP_TEST_DATA"]) / "mnist").resolve().as_uri()
    for name in FILES:
        fetch(name, [mirror], tmp_path / name)


def test_split_script(tmp_path, pair):
    command = [
        sys.executable,
        SCRIPTS / "split_digits.py",
        "--seed",
        "1",
        "--output",
        tmp_path / "d.npz",
    ]
    subprocess.run(
        [*command, "--kind", "idx", "--images", pair[0], "--labels", pair[1], "--patch", "6"],
        check=True,
    )
    assert read_digits(tmp_path / "d.npz").images.shape == (200, 6, 6)
    bad = subprocess.run(
        [*command, "--kind", "mnist", "--folder", tmp_path], capture_output=True, text=True
    )
    assert bad.returncode == 1 and bad.stderr.startswith("error: ") and bad.stderr.count("\n") == 1
