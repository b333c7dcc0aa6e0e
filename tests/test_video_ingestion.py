"""From a folder of videos to files of clips: which rows there are, what is listed, and what an
interruption leaves.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.test_video_decoding import bad_files
from tests.videos import numbered, numbers, write
from vidrep.datasets.declared import data_set
from vidrep.datasets.store import open_clips
from vidrep.datasets.videos import ingest as ingestion
from vidrep.datasets.videos.ingest import ingest
from vidrep.splits import SPLITS

ROOT = Path(__file__).parents[1]
CONFIG = {"experiment": "tiny", "seed": 0, "video": {"frames": 16}}
ENTRY = {
    "name": "acts",
    "frames": 4,
    "fps": 10,
    "size_px": 16,
    "clips_per_video": {"train": 2, "test": 3},
    "split": {"by": "group", "pattern": r"_s(\w)", "test": 0.34, "validation": 0.17},
}


def folder_of_videos(folder: Path) -> Path:
    """Two classes, six sessions, a clip of each; heights differ."""
    for number, session in enumerate("abcdeé"):
        for label in ("hug", "kick"):
            frames = numbered(20 + number, height=32 + 2 * number)
            frames[:, :8, :8] = 250 if label == "hug" else 0  # else both files hold the same bytes
            write(folder / label / f"{label}_s{session}.mp4", frames)
    return folder


def run(folder: Path, out: Path, *, workers: int = 1, **changes) -> list[str]:
    """Ingest a folder; returns what was reported."""
    definition = data_set({**ENTRY, "videos": str(folder), **changes}, CONFIG).definition()
    lines: list[str] = []
    outputs = {split: out / f"{split}.h5" for split in SPLITS}
    ingest(definition, 0, outputs, out / "files.csv", workers=workers, report=lines.append)
    return lines


def table(out: Path) -> dict[str, dict]:
    """The table of files by path."""
    with (out / "files.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_clips_labels_names_and_groups_stand_in_the_files(tmp_path):
    folder = folder_of_videos(tmp_path / "videos")
    run(folder, tmp_path / "out")
    rows = table(tmp_path / "out")
    sessions = {}
    for split, windows in (("train", 2), ("validation", 3), ("test", 3)):
        with open_clips(tmp_path / "out" / f"{split}.h5") as file:
            assert file.attrs["classes"] == ["hug", "kick"] and not file.attrs["multi_label"]
            assert file.clips.shape[1:] == (4, 16, 16, 3) and file.clips.chunks[0] == 1
            groups = [group.decode() for group in file.extras["groups"][:]]
            videos = file.extras["videos"][:]
            sessions[split] = set(groups)
            assert len(file) == windows * (videos.max() + 1)
            for row, name in enumerate(file.ids):
                path, window = name.removeprefix(f"acts/{split}/").rsplit("-", 1)[0].split("#")
                assert videos[row] == row // windows and int(window) == row % windows
                assert rows[path]["group"] == groups[row] and rows[path]["split"] == split
                label = file.attrs["classes"][int(file.labels[row].argmax())]
                assert path.startswith(f"{label}/{label}_s{groups[row]}")
                assert (np.diff(numbers(file.clips[row])) == 3).all()  # 30 frames a second
    assert sorted(map(len, sessions.values())) == [1, 2, 3]
    assert len(set.union(*sessions.values())) == 6
    assert {row["status"] for row in rows.values()} == {"used"}
    assert rows["hug/hug_sa.mp4"]["frames"] == "20" and rows["hug/hug_sa.mp4"]["codec"] == "h264"


def test_the_same_bytes_whatever_the_number_of_processes(tmp_path):
    folder = folder_of_videos(tmp_path / "videos")
    run(folder, tmp_path / "one")
    run(folder, tmp_path / "two", workers=2)
    for name in ("train.h5", "validation.h5", "test.h5", "files.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not (tmp_path / "one" / ".decoded").exists()


def test_an_interrupted_ingestion_goes_on_where_it_stopped(tmp_path, monkeypatch):
    folder = folder_of_videos(tmp_path / "videos")
    run(folder, tmp_path / "whole")
    decoded = []
    work = ingestion.work_on

    def stops(path, *rest):
        if len(decoded) == 5:
            raise KeyboardInterrupt
        decoded.append(path)
        return work(path, *rest)

    monkeypatch.setattr(ingestion, "work_on", stops)
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.h5"))
    first = list(decoded)
    monkeypatch.setattr(
        ingestion, "work_on", lambda path, *r: decoded.append(path) or work(path, *r)
    )
    touched = first[0]
    write(touched, numbered(20, height=40))  # a file that changed is decoded again
    lines = run(folder, tmp_path / "out")
    assert "4 of 12 files were decoded before" in lines
    assert set(decoded[5:]) == {*folder.glob("*/*.mp4")} - set(first[1:])
    rows = table(tmp_path / "out")
    assert rows[str(touched.relative_to(folder))]["height"] == "40"


def test_bad_files_are_listed_and_nothing_takes_their_place(tmp_path):
    folder = folder_of_videos(tmp_path / "videos")
    for name in bad_files(tmp_path / "bad"):
        (folder / "kick" / f"bad_sa_{name}").symlink_to(tmp_path / "bad" / name)
    (folder / "kick" / "notes.txt").write_text("hello")
    lines = run(folder, tmp_path / "out")
    rows = table(tmp_path / "out")
    good = {path for path, row in rows.items() if row["status"] == "used"}
    assert good == {str(path.relative_to(folder)) for path in folder.glob("*/*_s?.mp4")}
    skipped = [row for path, row in rows.items() if path not in good]
    assert len(skipped) == len(bad_files(tmp_path / "again")) + 1
    assert all(row["reason"] and row["windows"] in ("", "0") for row in skipped)
    assert any(line.startswith("left out: kick/bad_sa_half.avi: cut") for line in lines)
    with pytest.raises(ValueError, match=r"bad_sa_\w+\.\w+: .*unreadable: skip leaves them out"):
        run(folder, tmp_path / "strict", unreadable="fail")
    assert not list((tmp_path / "strict").glob("*.h5"))


def test_short_videos_are_dropped_or_told(tmp_path):
    folder = folder_of_videos(tmp_path / "videos")
    short = "hug/short_sa.mp4"
    write(folder / short, numbered(8))  # 0.27 s; a clip spans 0.3
    run(folder, tmp_path / "out", short="drop")
    rows = table(tmp_path / "out")
    assert rows[short]["reason"] == "shorter than a clip"
    assert {row["status"] for path, row in rows.items() if path != short} == {"used"}
    run(folder, tmp_path / "loop")
    assert table(tmp_path / "loop")[short]["note"] == "short: 3 of 4 frames, then loop"


@pytest.mark.parametrize("label, split", [("kick", "train"), ("hug", "test")])
def test_copies_in_two_classes_or_splits_are_refused(tmp_path, label, split):
    folder = folder_of_videos(tmp_path / "videos")
    (folder / "copy.mp4").write_bytes((folder / "hug/hug_sa.mp4").read_bytes())
    splits = dict(
        zip("abcdeé", ("train", "train", "train", "validation", "test", "test"), strict=True)
    )
    rows = [
        f"{name}/{name}_s{session}.mp4,{name},{side}"
        for session, side in splits.items()
        for name in ("hug", "kick")
    ]
    rows = ["path,label,split", *rows, f"copy.mp4,{label},{split}"]
    (folder / "manifest.csv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match="holds the same bytes as"):
        run(folder, tmp_path / "out", split={})


def test_a_split_without_readable_videos_is_no_data_set(tmp_path):
    folder = folder_of_videos(tmp_path / "videos")
    out = tmp_path / "out"
    run(folder, out)
    for path, row in table(out).items():
        if row["split"] == "validation":
            (folder / path).write_bytes(b"")
    with pytest.raises(ValueError, match="no video of split validation can be used"):
        run(folder, tmp_path / "again")


def test_the_script_ends_in_one_line(tmp_path):
    folder = folder_of_videos(tmp_path / "videos")
    definition = data_set({**ENTRY, "videos": str(folder)}, CONFIG).definition()
    (folder / "kick" / "kick_sa.mp4").write_bytes(b"")
    definition["recipe"]["unreadable"] = "fail"
    outputs = [f"--{split}={tmp_path / split}.h5" for split in SPLITS]
    command = [sys.executable, str(ROOT / "scripts/ingest_videos.py"), "--seed=0"]
    command += [f"--definition={json.dumps(definition)}", f"--table={tmp_path / 'files.csv'}"]
    done = subprocess.run([*command, *outputs], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("error: kick/kick_sa.mp4: not a video that")
    assert not (tmp_path / "test.h5").exists()
