"""Data sets of videos: which file shows what, what goes where, and one line for what is wrong."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from vidrep import statistics
from vidrep.config import check, complete
from vidrep.datasets.declared import data_set
from vidrep.datasets.videos.kind import FEWEST_GROUPS, make_plan
from vidrep.datasets.videos.layout import list_files

CONFIG = {"experiment": "tiny", "seed": 0, "video": {"frames": 16}}
SESSION = r"_s(\d+)"


def touch(folder: Path, *names: str) -> Path:
    """A folder with empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def sessions(folder: Path, count: int = 10) -> Path:
    """Two classes, a clip of each in every session."""
    names = [f"{label}/{label}_s{i}.avi" for label in ("hug", "kick") for i in range(count)]
    return touch(folder, *names)


def sides(plan) -> dict[str, set[str]]:
    """The groups of each split."""
    return {split: {i.group for i in plan.of(split)} for split in ("train", "validation", "test")}


def manifest(folder: Path, rows: list[str], columns: str = "path,label") -> Path:
    """A folder with a table of videos."""
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]) + "\n")
    return folder


def test_a_folder_for_each_class_with_odd_names(tmp_path):
    names = ["a b/[x] (1).avi", "a b/deep/ü;~@&+.MP4", "kick!/c#d.webm"]
    touch(tmp_path, *names, "a b/notes.txt", "loose.avi", "kick!/.hidden.avi")
    (tmp_path / "kick!" / "link.avi").symlink_to(tmp_path / names[0])
    (tmp_path / "kick!" / "self").symlink_to(tmp_path / "kick!", target_is_directory=True)
    plan = make_plan(str(tmp_path), {"by": "file", "validation": 0.25, "test": 0.25}, 0)
    assert {item.path: item.label for item in plan.items} == {
        "a b/[x] (1).avi": "a b",
        "a b/deep/ü;~@&+.MP4": "a b",
        "kick!/c#d.webm": "kick!",
        "kick!/link.avi": "kick!",
    }
    reasons = dict(plan.skipped)
    assert set(reasons) == {"a b/notes.txt", "loose.avi"}
    assert reasons["a b/notes.txt"].startswith("not a video: .txt")


def test_splits_take_whole_groups_near_their_shares(tmp_path):
    split = {"by": "group", "pattern": SESSION, "test": 0.2, "validation": 0.1}
    plan = make_plan(str(sessions(tmp_path)), split, 0)
    found = sides(plan)
    assert [len(found[name]) for name in ("train", "validation", "test")] == [7, 1, 2]
    assert set.union(*found.values()) == {str(i) for i in range(10)}  # nothing in common: 7+1+2
    for name in found:
        assert {item.label for item in plan.of(name)} == {"hug", "kick"}
    assert plan == make_plan(str(tmp_path), split, 0)
    others = [sides(make_plan(str(tmp_path), split, seed))["test"] for seed in range(1, 8)]
    assert any(other != found["test"] for other in others)


def test_classes_count_more_than_shares(tmp_path):
    """Three groups alone show the class "rare": one of them goes into each split."""
    names = [f"common/c_s{i}.avi" for i in range(30)] + [f"rare/r_s{i}.avi" for i in (3, 7, 11)]
    split = {"by": "group", "pattern": SESSION, "test": 0.2, "validation": 0.2}
    plan = make_plan(str(touch(tmp_path, *names)), split, 0)
    for name in ("train", "validation", "test"):
        assert Counter(item.label for item in plan.of(name))["rare"] == 1


def test_folds_test_every_video_once(tmp_path):
    sessions(tmp_path)
    tested = []
    for fold in range(1, 6):
        split = {"by": "group", "pattern": SESSION, "folds": 5, "fold": fold, "validation": 0.1}
        found = sides(make_plan(str(tmp_path), split, 0))
        assert len(found["test"]) == 2 and len(found["validation"]) == 1
        assert len(set.union(*found.values())) == 10
        tested += found["test"]
    assert sorted(tested) == sorted(map(str, range(10)))


def test_a_split_of_files_says_how_many_siblings_it_tears_apart(tmp_path):
    plan = make_plan(str(sessions(tmp_path)), {"by": "file", "pattern": SESSION, "test": 0.3}, 0)
    trained = sides(plan)["train"]
    shared = sum(item.group in trained for item in plan.of("test"))
    assert shared > 0 and f"{shared} of 6 test videos" in plan.notes[0]


def test_a_manifest_gives_labels_groups_splits_and_parts_of_files(tmp_path):
    touch(tmp_path, "a.avi", "b.avi", "c.avi", "d.avi", "e.avi")
    rows = ["a.avi,x,train,p1,0,2", "a.avi,y,train,p1,2,4.5", "b.avi,y,train,p2,,"]
    rows += ["c.avi,x,test,p3,1,", "d.avi,y,test,p3,,"]
    manifest(tmp_path, rows, "path,label,split,group,start,end")
    plan = make_plan(str(tmp_path), {"validation": 0.4}, 0)
    assert [item.name for item in plan.items] == [
        "a.avi[0-2s]",
        "a.avi[2-4.5s]",
        "b.avi",
        "c.avi[1-s]",
        "d.avi",
    ]
    assert sides(plan) == {"train": {"p1"}, "validation": {"p2"}, "test": {"p3"}}
    assert plan.skipped == (("e.avi", "not in manifest.csv"),)
    assert plan.items == make_plan(str(tmp_path / "manifest.csv"), {"validation": 0.4}, 0).items


def ucf(folder: Path) -> Path:
    """Three groups of two classes, and lists with the line ends and spellings of the real ones."""
    videos = folder / "videos"
    for label, stem in (("Archery", "Archery"), ("HandstandPushups", "HandStandPushups")):
        touch(videos, *(f"{label}/v_{stem}_g0{g}_c0{c}.avi" for g in (1, 2, 3) for c in (1, 2)))
    lists = folder / "lists"
    lists.mkdir()
    for number, test in ((1, 1), (2, 2)):
        train = [g for g in (1, 2, 3) if g != test]
        both = [(1, "Archery", "Archery"), (2, "HandstandPushups", "HandStandPushups")]
        for name, chosen, ending in (("train", train, True), ("test", [test], False)):
            lines = [
                f"{label}/v_{stem}_g0{g}_c0{c}.avi" + (f" {code}" if ending else "")
                for code, label, stem in both
                for g in chosen
                for c in (1, 2)
            ]
            text = "\r\n".join(lines) + "\r\n"
            (lists / f"{name}list0{number}.txt").write_bytes(text.encode())
    return videos


def test_ucf101(tmp_path):
    videos = ucf(tmp_path)
    split = {"by": "list", "list": "ucf101", "lists": str(tmp_path / "lists")}
    plan = make_plan(str(videos), {**split, "validation": 0.5}, 0)
    found = sides(plan)
    assert found["test"] == {"Archery_g01", "HandStandPushups_g01"}
    assert len(found["train"]) == len(found["validation"]) == 2
    assert plan.classes == ("Archery", "HandstandPushups")
    with pytest.raises(ValueError, match=r"trainlist03\.txt"):
        make_plan(str(videos), {**split, "number": 3}, 0)
    both = tmp_path / "lists" / "trainlist01.txt"
    both.write_bytes(both.read_bytes() + (tmp_path / "lists" / "trainlist02.txt").read_bytes())
    with pytest.raises(ValueError, match="is in train and in test; give the lists of one split"):
        make_plan(str(videos), split, 0)


def test_hmdb51(tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    for label in ("shake_hands", "run"):
        names = [f"Film!{i % 4}_{label}_u_cm_np1_({i}).avi" for i in range(6)]
        touch(tmp_path / "videos", *(f"{label}/{name}" for name in names))
        lines = [f"{name} {code} " for name, code in zip(names, (1, 1, 1, 1, 2, 0), strict=True)]
        (lists / f"{label}_test_split1.txt").write_text("\n".join(lines) + "\n")
    split = {"by": "list", "list": "hmdb51", "lists": str(lists), "validation": 0.25}
    plan = make_plan(str(tmp_path / "videos"), split, 0)
    assert len(plan.of("test")) == 2 and {item.group for item in plan.items} == {
        f"Film!{i}" for i in range(4)
    }
    assert plan.notes[0].startswith("2 of 2 test videos come from a source that training has too")
    assert Counter(reason for _, reason in plan.skipped) == {"not in the official lists": 2}


def test_kth(tmp_path):
    people = (11, 12, 19, 22)
    for action in ("boxing", "running"):
        touch(tmp_path, *(f"{action}/person{p:02d}_{action}_d1_uncomp.avi" for p in people))
    lines = ["Sequences of frames", ""]
    for p in people:
        lines += [f"person{p:02d}_boxing_d1\t\tframes\t1-95, 96-185", ""]
        lines += [f"person{p:02d}_running_d1\t\tframes\t20-60, 90-80"]
    lines.append("person13_running_d1\t\tframes\t*missing*")
    (tmp_path / "00sequences.txt").write_text("\n".join(lines))
    plan = make_plan(str(tmp_path), {"list": "kth"}, 0)
    assert sides(plan) == {
        "train": {"person11", "person12"},
        "validation": {"person19"},
        "test": {"person22"},
    }
    first = plan.items[0]
    assert (first.start, first.end, first.unit) == (0, 95, "frames")
    assert len(plan.items) == 4 * 3
    backwards = [path for path, reason in plan.skipped if "90-80 run backwards" in reason]
    assert len(backwards) == 4


def test_yup(tmp_path):
    lines = []
    for camera, folder in (("static", "camera_stationary"), ("moving", "camera_moving")):
        for label in ("Beach", "Fountain"):
            for i in range(4):
                touch(tmp_path, f"{folder}/{label}/{label}_{i}.mp4")
                lines.append(f"{label}_{i} {camera}_{'train' if i < 3 else 'test'}")
    (tmp_path / "10_90_randsplit_1.txt").write_text("\n".join(lines))
    plan = make_plan(str(tmp_path), {"list": "yup"}, 0)
    assert plan.classes == ("Beach", "Fountain")
    assert {item.path for item in plan.of("test")} == {
        f"{folder}/{label}/{label}_3.mp4"
        for folder in ("camera_stationary", "camera_moving")
        for label in ("Beach", "Fountain")
    }


@pytest.mark.parametrize(
    "split, message",
    [
        ({}, "needs a pattern such as"),
        ({"by": "group", "pattern": "_s"}, "has no (...)"),
        ({"by": "group", "pattern": "_(s"}, "no regular expression"),
        ({"by": "group", "pattern": r"_g(\d+)_"}, "fits nothing in hug/hug_s0.avi"),
        ({"by": "group", "pattern": r"_(s)"}, "1 groups (s), at least 3 are needed"),
        ({"by": "group", "pattern": r"_s(\d)", "folds": 11, "fold": 1}, "at least 11 are needed"),
        ({"by": "group", "pattern": SESSION, "folds": 5}, "folds and fold together"),
        ({"by": "group", "pattern": SESSION, "folds": 5, "fold": 6}, "6 of 5"),
        ({"by": "group", "pattern": SESSION, "test": 0.95}, "no share for training"),
        ({"by": "manifest"}, "manifest.csv with a column split"),
        ({"by": "list"}, "give one of ucf101, hmdb51, kth, yup"),
        ({"list": "hmdb51"}, "no <class>_test_split1.txt"),
        ({"by": "file", "number": 1}, "means nothing with by: file"),
        ({"by": "group", "pattern": r"^(\w+)/"}, "2 groups (hug, kick)"),
    ],
)
def test_splits_that_cannot_be_are_refused_in_one_line(tmp_path, split, message):
    with pytest.raises(ValueError) as error:
        make_plan(str(sessions(tmp_path)), split, 0)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_class_that_no_training_video_shows_is_refused(tmp_path):
    touch(tmp_path, *(f"a/a_s{i}.avi" for i in range(4)), "b/b_s9.avi")
    manifest(
        tmp_path,
        [f"a/a_s{i}.avi,a,{split}" for i, split in enumerate(("train", "train", "validation"))]
        + ["a/a_s3.avi,a,test", "b/b_s9.avi,b,test"],
        "path,label,split",
    )
    with pytest.raises(ValueError, match="no training video of class b"):
        make_plan(str(tmp_path), {}, 0)


@pytest.mark.parametrize(
    "columns, rows, message",
    [
        ("path,class", ["a.avi,x"], "no column label"),
        ("path,label,colour", ["a.avi,x,red"], "unknown column 'colour'"),
        ("path,label", ["a.avi,x", "z.avi,x"], "line 3: no file z.avi"),
        ("path,label", ["a.avi,x", "a.avi,x"], "line 3: a.avi stands already in line 2"),
        ("path,label", ["a.avi,x", "a.avi,y"], "line 3: a.avi has label 'y', in line 2 'x'"),
        ("path,label", ["a.avi"], "line 2: not as many values"),
        ("path,label", ["a.avi,"], "line 2: no label"),
        ("path,label", [], "no rows"),
        ("path,label,start,end", ["a.avi,x,3,2"], "line 2: start 3 is not before end 2"),
        ("path,label,start,end", ["a.avi,x,soon,2"], "line 2: start 'soon'; give seconds"),
        ("path,label,split", ["a.avi,x,dev"], "line 2: split 'dev'; give train"),
        ("path,label,split", ["a.avi,x,train", "b.avi,x,"], "line 3: no split"),
        (
            "path,label,split,group",
            ["a.avi,x,train,p", "b.avi,x,test,p", "c.avi,y,train,q", "d.avi,y,train,r"],
            "group p is in",
        ),
    ],
)
def test_tables_that_cannot_be_are_refused_with_the_line(tmp_path, columns, rows, message):
    touch(tmp_path, "a.avi", "b.avi", "c.avi", "d.avi")
    manifest(tmp_path, rows, columns)
    with pytest.raises(ValueError) as error:
        make_plan(str(tmp_path), {}, 0)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_entry_of_the_configuration_is_a_data_set(tmp_path):
    entry = {
        "name": "actions",
        "videos": str(sessions(tmp_path)),
        "colour": "rgb",
        "frames": 12,
        "fps": 8,
        "size_px": 32,
        "resize": "crop",
        "clips_per_video": {"train": 4, "test": 3},
        "split": {"by": "group", "pattern": SESSION, "test": 0.2, "validation": 0.1},
        "short": "loop",
        "unreadable": "skip",
    }
    found = data_set(entry, CONFIG)
    assert found.shape == (3, 12, 32, 32) and found.classes == ("hug", "kick")
    assert not found.multi_label and not found.truths and not found.clips_known
    assert found.clips == {"train": 14 * 4, "validation": 2 * 3, "test": 4 * 3}
    assert found.has_flow("dis") and not found.has_flow("true")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"videos": "/nowhere"}, "no folder /nowhere"),
        ({"videos": 3}, "give a folder of videos"),
        ({"stride": 2, "fps": 8}, "fps and stride exclude each other"),
        ({"fps": 0}, "fps: got 0"),
        ({"colour": "red"}, "colour: got 'red'; give grey or rgb"),
        ({"clips_per_video": {"trian": 4}}, "clips_per_video: unknown key 'trian'; did you mean"),
        ({"split": {"by": "person"}}, "split: by: got 'person'"),
        ({"split": "group"}, "split: got 'group'; give a mapping of by"),
        ({"recipe": "digits_only"}, "recipe and videos exclude each other"),
    ],
)
def test_entries_that_cannot_be_are_refused_in_one_line(tmp_path, changes, message):
    entry = {"name": "actions", "videos": str(sessions(tmp_path))}
    entry |= {"split": {"by": "group", "pattern": SESSION}} | changes
    with pytest.raises(ValueError) as error:
        data_set(entry, CONFIG)
    assert message in str(error.value) and "config key datasets, actions" in str(error.value)


def experiment(folder, *systems):
    """A whole configuration, digits and videos together."""
    videos = {"name": "actions", "videos": str(sessions(folder)), "fps": 8}
    videos["split"] = {"by": "group", "pattern": SESSION}
    return complete({"datasets": ["velocity_only", videos], "systems": list(systems)})


def test_digits_and_videos_in_one_experiment(tmp_path):
    """Each system is trained on both, or on the one that it names; transfer stays among digits."""
    two_stream = {"name": "two_stream_dis_narrow", "datasets": ["actions"]}
    found = check(experiment(tmp_path, "c3d_narrow", two_stream))
    runs = {(run.system, run.dataset) for run in found.trained_runs()}
    assert runs == {
        ("c3d_narrow", "velocity_only"),
        ("c3d_narrow", "actions"),
        ("two_stream_dis_narrow", "actions"),
    }
    assert found.groups() == [["velocity_only"], ["actions"]]
    assert found.flow_scored_on() == ["velocity_only"]
    notes = found.notes()
    assert notes[0] == (
        "actions: videos: train 14 in 7 groups, validation 2 in 1 groups, test 4 in 2 groups;"
        " 0 other files"
    )
    assert "2 test groups are too few for intervals, 6 are needed" in notes[1]
    assert FEWEST_GROUPS == statistics.FEWEST_GROUPS


def test_exact_flow_of_videos_is_refused(tmp_path):
    two_stream = "two_stream_exact_narrow"
    with pytest.raises(ValueError, match="the exact flow of actions is not known"):
        check(experiment(tmp_path, two_stream))


def test_thousands_of_files_are_listed_and_split_quickly(tmp_path):
    """What is planned whenever rules are read must not depend on the square of the files."""
    for label in range(20):
        touch(tmp_path, *(f"c{label:02d}/v_g{i // 4:02d}_c{i}.avi" for i in range(100)))
    assert len(list_files(tmp_path)) == 2000
    plan = make_plan(str(tmp_path), {"by": "group", "pattern": r"_g(\d+)_"}, 0)
    assert len(plan.items) == 2000 and len(sides(plan)["test"]) == 5


def test_csv_is_read_as_spreadsheets_write_it(tmp_path):
    """A byte order mark, quotes, and commas within names."""
    touch(tmp_path, "a, b.avi", "c.avi", "d.avi", "e.avi")
    with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group"])
        names = ("a, b.avi", "c.avi", "d.avi", "e.avi")
        writer.writerows([name, "xy"[i % 2], f"p{i // 2}{i}"] for i, name in enumerate(names))
    plan = make_plan(str(tmp_path), {"by": "group", "test": 0.25, "validation": 0.25}, 0)
    assert plan.items[0].path == "a, b.avi"
