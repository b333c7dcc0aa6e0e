"""Results appear whole or not at all."""

import os

import pytest

from vidrep.files import whole
from vidrep.result_tables import write_rows


def content(folder) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "deep" / "down" / "table.csv"
    with whole(target) as beside:
        assert beside.parent == target.parent and beside.suffix == ".csv", (
            "on the same disk, and writers choose formats by it"
        )
        assert beside.name.startswith(".") and str(os.getpid()) in beside.name
        beside.write_text("new")
        assert not target.exists()
    assert content(tmp_path) == {"deep/down/table.csv": "new"}


def test_a_folder_appears_when_the_block_ends(tmp_path):
    with whole(tmp_path / "store.zarr") as beside:
        (beside / "inner").mkdir(parents=True)
        (beside / "inner" / "a").write_text("1")
        assert not (tmp_path / "store.zarr").exists()
    assert content(tmp_path) == {"store.zarr/inner/a": "1"}


@pytest.mark.parametrize("old", ["file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_what_stood_there_is_replaced(tmp_path, old, new):
    target = tmp_path / "result"
    make(target, old, "old")
    with whole(target) as beside:
        make(beside, new, "new")
    assert content(tmp_path) == ({"result": "new"} if new == "file" else {"result/new": "new"})


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_half_written_when_the_block_raises(tmp_path, kind, error):
    make(tmp_path / "result", kind, "old")
    before = content(tmp_path)
    with pytest.raises(error), whole(tmp_path / "result") as beside:
        make(beside, kind, "new")
        raise error
    assert content(tmp_path) == before
    with pytest.raises(error), whole(tmp_path / "other") as beside:
        make(beside, kind, "new")
        raise error
    assert content(tmp_path) == before and [path.name for path in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_left_overs_of_a_killed_process_of_the_same_number_are_cleared(tmp_path, kind):
    with whole(tmp_path / "result") as beside:
        name = beside.name
        beside.write_text("x")
    make(tmp_path / name, kind, "half")
    with whole(tmp_path / "result") as beside:
        assert not beside.exists()
        beside.mkdir()
        (beside / "a").write_text("1")
    assert content(tmp_path) == {"result/a": "1"}


def make(path, kind: str, text: str) -> None:
    if kind == "file":
        path.write_text(text)
    else:
        path.mkdir()
        (path / text).write_text(text)


def test_rows_are_csv_and_whole(tmp_path):
    path = tmp_path / "history.csv"
    write_rows(path, ("epoch", "name"), [(1, "loss"), (2, 'a "b", c')])
    assert path.read_bytes() == b'epoch,name\n1,loss\n2,"a ""b"", c"\n'

    def breaking():
        yield (3, "x")
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        write_rows(path, ("epoch", "name"), breaking())
    assert path.read_text().startswith("epoch,name\n1,loss") and len(list(tmp_path.iterdir())) == 1
