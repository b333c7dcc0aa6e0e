"""Files of clips: what is not as the layout wants it is named in one line, and files of the user's
own are linked, never written to.
"""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from vidrep.datasets.declared import data_set
from vidrep.datasets.kind import MOTION_FACTORS, SCRIPT_FACTORS
from vidrep.datasets.links import link_clips, read_header
from vidrep.datasets.store import open_clips, write_clips

CLASSES = ["left", "right", "up"]
ATTRS = {"dataset": "mine", "split": "test", "classes": CLASSES, "multi_label": False}
CONFIG = {
    "experiment": "tiny",
    "video": {"frames": 16, "size_px": 20, "patch_px": 8},
    "sequences": {"frames": 32, "jitter": 0.15, "warp": 0.6},
    "clips": {"train": 30, "validation": 10, "test": 20},
}


def make_content(count: int = 6, **changes) -> dict:
    """A few colour clips that are not square, with exclusive labels."""
    rng = np.random.default_rng(count)
    labels = np.eye(len(CLASSES), dtype=np.uint8)[np.arange(count) % len(CLASSES)]
    content = {
        "clips": rng.integers(0, 256, (count, 4, 6, 9, 3), dtype=np.uint8),
        "labels": labels,
        "factors": {"pace": rng.random(count)},
    }
    return content | changes


def write_raw(path: Path, content: dict, attrs: dict = ATTRS) -> Path:
    """A file as a user makes it, without our checks."""
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if name == "factors":
                for factor, values in value.items():
                    file[f"factors/{factor}"] = values
            else:
                file[name] = value
        for name, value in attrs.items():
            file.attrs[name] = value
    return path


def with_label(row: int, values: list) -> np.ndarray:
    labels = make_content()["labels"].copy()
    labels[row] = values
    return labels


def without(name: str) -> dict:
    return {key: value for key, value in ATTRS.items() if key != name}


CLIPS = make_content()["clips"]
LABELS = make_content()["labels"]
BAD = [
    ({"clips": CLIPS[..., 0] / 255}, ATTRS, "clips must be uint8 from 0 to 255, got float64"),
    ({"clips": CLIPS.astype(np.int64)}, ATTRS, "clips must be uint8 from 0 to 255, got int64"),
    ({"clips": CLIPS[..., :2]}, ATTRS, r"clips have shape \(6, 4, 6, 9, 2\), expected"),
    ({"clips": CLIPS[:, 0, ..., 0]}, ATTRS, r"clips have shape \(6, 6, 9\), expected"),
    ({"clips": CLIPS[:, :1]}, ATTRS, "clips have 1 frame; a clip needs at least 2"),
    (
        {"labels": LABELS.argmax(1)[:, None]},
        ATTRS,
        r"labels have shape \(6, 1\), expected \(6, 3\)",
    ),
    ({"labels": LABELS[:, :2]}, ATTRS, r"labels have shape \(6, 2\), expected \(6, 3\)"),
    ({"labels": LABELS[:5]}, ATTRS, "5 rows for 6 clips|labels have shape"),
    (
        {"labels": LABELS * 255},
        ATTRS,
        "labels must be 0 or 1 in whole numbers, got uint8 from 0 to",
    ),
    ({"labels": LABELS * 0.9}, ATTRS, "labels must be 0 or 1 in whole numbers, got float64 from 0"),
    ({"labels": with_label(4, [0, 0, 0])}, ATTRS, "labels of clip 4 are all 0; each needs a class"),
    (
        {"labels": with_label(2, [1, 0, 1])},
        ATTRS,
        "labels of clip 2 name 2 classes, but multi_label",
    ),
    ({"factors": {"pace": np.ones(5)}}, ATTRS, "factors/pace has 5 rows|pace has 5 rows"),
    ({}, without("classes"), "no attribute classes"),
    ({}, without("multi_label"), "no attribute multi_label"),
    ({}, {**ATTRS, "classes": ["left", "left", "up"]}, "classes is .*; give a list of different"),
]


@pytest.mark.parametrize(("changes", "attrs", "message"), BAD)
def test_the_writer_refuses_what_does_not_fit(tmp_path, changes, attrs, message):
    with pytest.raises(ValueError, match=rf"test\.h5: .*({message})") as error:
        write_clips(tmp_path / "test.h5", make_content(**changes), attrs)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("changes", "attrs", "message"), BAD)
def test_the_reader_and_the_link_refuse_what_does_not_fit(tmp_path, changes, attrs, message):
    path = write_raw(tmp_path / "test.h5", make_content(**changes), attrs)
    with pytest.raises(ValueError, match=rf"test\.h5: .*({message})"), open_clips(path):
        pass
    with pytest.raises(ValueError, match=rf"test\.h5: .*({message})"):
        link_clips(path, tmp_path / "linked.h5", dataset="mine", split="test")
    assert not (tmp_path / "linked.h5").exists()


def test_clips_from_0_to_1_are_not_linked(tmp_path):
    path = write_raw(tmp_path / "test.h5", make_content(clips=CLIPS // 128))
    with pytest.raises(
        ValueError, match=r"test\.h5: clips go from 0 to 1; pixels go from 0 to 255"
    ):
        link_clips(path, tmp_path / "linked.h5", dataset="mine", split="test")


def test_a_linked_file_reads_as_the_file_itself_under_its_own_name(tmp_path):
    content = make_content(boxes=np.zeros((6, 4, 1, 4), np.int16))
    attrs = {"classes": CLASSES, "multi_label": False, "source": "camera", "dataset": "digits_only"}
    path = write_raw(tmp_path / "a.h5", content, attrs)
    link_clips(path, tmp_path / "results" / "test.h5", dataset="mine", split="test")
    with open_clips(tmp_path / "results" / "test.h5") as read:
        assert np.array_equal(read.clips[:], content["clips"])
        assert np.array_equal(read.labels, content["labels"])
        assert np.array_equal(read.factors["pace"], content["factors"]["pace"])
        assert set(read.extras) == {"boxes"} and read.extras["boxes"].shape == (6, 4, 1, 4)
        found = {name: read.attrs[name] for name in ("dataset", "split", "classes", "source")}
        digest = hashlib.sha256(content["clips"][5].tobytes()).hexdigest()
        assert read.ids[5] == f"mine/test/000005-{digest[:8]}"
    assert found == {"dataset": "mine", "split": "test", "classes": CLASSES, "source": "camera"}
    # what is linked is small: the clips are not copied
    assert (tmp_path / "results" / "test.h5").stat().st_size < 20_000


def test_a_file_without_names_of_its_clips_gets_the_same_ones(tmp_path):
    content = make_content()
    write_clips(tmp_path / "ours.h5", content, ATTRS)
    write_raw(tmp_path / "raw.h5", content)
    with open_clips(tmp_path / "ours.h5") as ours, open_clips(tmp_path / "raw.h5") as raw:
        assert ours.ids == raw.ids
        assert ours.ids[0].startswith("mine/test/000000-")


def test_a_link_to_a_file_that_is_gone_names_it(tmp_path):
    path = write_raw(tmp_path / "a.h5", make_content())
    link_clips(path, tmp_path / "test.h5", dataset="mine", split="test")
    path.unlink()
    with pytest.raises(ValueError, match=r"test\.h5: .*a\.h5, which is gone"):  # noqa: SIM117
        with open_clips(tmp_path / "test.h5"):
            pass


def test_linking_never_touches_the_file(tmp_path):
    path = write_raw(tmp_path / "a.h5", make_content())
    os.chmod(path, 0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    link_clips(path, tmp_path / "test.h5", dataset="mine", split="test")
    with open_clips(tmp_path / "test.h5") as read:
        assert len(read) == 6
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_data_set_of_files_knows_what_the_files_tell(tmp_path):
    files = {}
    for split, count in (("train", 9), ("validation", 6), ("test", 3)):
        files[split] = str(write_raw(tmp_path / f"{split}.h5", make_content(count)))
    found = data_set({"name": "mine", "clips": files}, CONFIG)
    assert found.shape == (3, 4, 6, 9)
    assert (found.kind, found.title, found.named_only) == ("clips", "mine", False)
    assert found.clips == {"train": 9, "validation": 6, "test": 3}
    assert (found.classes, found.multi_label) == (tuple(CLASSES), False)
    assert found.truths == {"factors"}
    assert not found.has_flow("true_backward") and found.has_flow("dis")
    assert found.recipe == {"files": files}


def test_splits_of_a_data_set_must_agree(tmp_path):
    files = {}
    for split in ("train", "validation", "test"):
        clips = CLIPS if split != "test" else CLIPS[..., 0]
        files[split] = str(write_raw(tmp_path / f"{split}.h5", make_content(clips=clips)))
    with pytest.raises(
        ValueError,
        match=r"datasets, mine: clips: .*test\.h5 has grey clips of 4 x 6 x 9, .* colour",
    ):
        data_set({"name": "mine", "clips": files}, CONFIG)


def test_a_header_is_read_without_pixels(tmp_path):
    corners = {"corners": np.zeros((6, 4, 1, 2), np.int16), "patches": np.zeros((6, 1, 3, 3))}
    path = write_raw(tmp_path / "a.h5", make_content(**corners))
    assert read_header(path).truths == {"factors", "flow"}


def test_videos_follow_a_script_where_all_is_known_that_alignment_asks_for(tmp_path):
    script = {name: np.zeros((6, 4)) for name in SCRIPT_FACTORS}
    path = write_raw(tmp_path / "a.h5", make_content(factors=script))
    assert read_header(path).truths == {"factors", "phase"}
    some = {"phase": script["phase"]}
    path = write_raw(tmp_path / "b.h5", make_content(factors=some))
    assert read_header(path).truths == {"factors"}
    motion = {name: np.zeros((6, 1)) for name in MOTION_FACTORS}
    path = write_raw(tmp_path / "c.h5", make_content(factors=motion))
    assert read_header(path).truths == {"factors", "motion"}
