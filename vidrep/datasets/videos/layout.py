"""Which files a folder of videos holds, and what each of them shows. Imports nothing heavy.

Three layouts: a folder for each class (``<class>/<clip>``, deeper folders too); a table
``manifest.csv`` with a row for each clip; a folder with official lists of a published data set
(``vidrep.datasets.videos.official``).
"""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

# What PyAV is allowed to open, see vidrep.datasets.videos.decode.
SUFFIXES = (".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".gif")
MANIFEST = "manifest.csv"
MANIFEST_COLUMNS = ("path", "label", "split", "group", "start", "end")
SECONDS = "s"
FRAMES = "frames"


@dataclass(frozen=True)
class Item:
    """One video: a file, or a part of one, and what is known of it.

    Attributes:
        path: the file, relative to the folder of videos, with ``/``.
        label: its class.
        group: what it shares with other videos: a person, a session, a source; "" if not known.
        split: train, validation or test where a list says so, else "".
        start, end: the part of the file that counts; None for its beginning and its end.
        unit: of both, "s" or "frames" (counted from 0, the end not included).
    """

    path: str
    label: str
    group: str = ""
    split: str = ""
    start: float | None = None
    end: float | None = None
    unit: str = SECONDS

    @property
    def name(self) -> str:
        """The path, and the part of the file where it is not the whole."""
        if self.start is None and self.end is None:
            return self.path
        start = 0 if self.start is None else self.start
        end = "" if self.end is None else f"{self.end:g}"
        return f"{self.path}[{start:g}-{end}{self.unit}]"


@dataclass(frozen=True)
class Found:
    """What a layout makes of a folder.

    Attributes:
        items: the videos, sorted by name.
        skipped: further files and why they are not used: (path, reason).
        notes: lines that the user ought to read.
    """

    items: tuple[Item, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in alphabetical order."""
        return tuple(sorted({item.label for item in self.items}))


def list_files(folder: Path) -> list[str]:
    """All files below a folder, links followed, hidden ones left out: relative paths, sorted.

    Raises:
        ValueError: it is no folder.
    """
    if not folder.is_dir():
        raise ValueError(f"videos: no folder {folder}")
    found = []
    _walk(str(folder), "", (), found)
    return sorted(found)


def _walk(folder: str, prefix: str, above: tuple[str, ...], found: list[str]) -> None:
    """Append the files of a folder and of those below; folders that hold themselves end there."""
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = prefix + entry.name
            try:
                deeper = entry.is_dir()
            except OSError:  # a link to itself, which decoding will tell
                deeper = False
            if deeper:
                _walk(entry.path, f"{path}/", (*above, real), found)
            else:
                found.append(path)


def is_video(path: str) -> bool:
    """Is a file's suffix one of ``SUFFIXES``?"""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def not_a_video(path: str) -> str:
    """Why a file is left out by its name."""
    suffix = os.path.splitext(path)[1] or "no suffix"
    return f"not a video: {suffix}, expected one of {', '.join(SUFFIXES)}"


def class_folders(files: list[str]) -> Found:
    """Videos whose first folder is their class.

    Args:
        files: relative paths, as ``list_files`` gives them.

    Raises:
        ValueError: there is no video in a folder of a class.
    """
    items = []
    skipped = []
    for path in files:
        if not is_video(path):
            skipped.append((path, not_a_video(path)))
        elif "/" not in path:
            skipped.append((path, "in no folder of a class"))
        else:
            items.append(Item(path=path, label=path.split("/", 1)[0]))
    if not items:
        raise ValueError(
            "videos: no <class>/<clip> in it; give a folder with a folder for each class, one with"
            f" a {MANIFEST}, or official lists under split"
        )
    return Found(tuple(items), tuple(skipped))


def read_manifest(table: Path, files: list[str]) -> Found:
    """Videos that a table lists: columns path, label and, where wanted, split, group, start, end.

    Args:
        table: the .csv file; paths are relative to its folder, start and end are seconds.
        files: the files of that folder.

    Raises:
        ValueError: a column, value or row that is not as it should be, with its line.
    """
    with table.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines, restkey="")
        _check_columns(rows.fieldnames or [], table)
        there = set(files)
        items: dict[Item, int] = {}
        for row in rows:
            where = f"{table}, line {rows.line_num}"
            item = _manifest_item(row, where)
            if item.path not in there and not os.path.lexists(table.parent / item.path):
                raise ValueError(f"{where}: no file {item.path} in {table.parent}")
            if item in items:
                raise ValueError(f"{where}: {item.name} stands already in line {items[item]}")
            items[item] = rows.line_num
    if not items:
        raise ValueError(f"{table}: no rows; give path and label of each video")
    _check_splits_agree(items, table)
    listed = {item.path for item in items}
    others = [path for path in files if path not in listed and path != table.name]
    skipped = tuple((path, f"not in {table.name}") for path in others)
    return Found(tuple(sorted(items, key=lambda item: item.name)), skipped)


def _check_columns(columns: list[str], table: Path) -> None:
    """Raise ValueError for a column that is missing or unknown."""
    for needed in ("path", "label"):
        if needed not in columns:
            raise ValueError(f"{table}: no column {needed}; it has {', '.join(columns)}")
    for column in columns:
        if column not in MANIFEST_COLUMNS:
            raise ValueError(
                f"{table}: unknown column {column!r}; there may be {', '.join(MANIFEST_COLUMNS)}"
            )


def _manifest_item(row: dict[str, str], where: str) -> Item:
    """A row of a manifest.

    Raises:
        ValueError: a value that is missing or makes no sense.
    """
    values = {name: (row.get(name) or "").strip() for name in MANIFEST_COLUMNS}
    if row.get("") or None in row.values():
        raise ValueError(f"{where}: not as many values as there are columns")
    for needed in ("path", "label"):
        if not values[needed]:
            raise ValueError(f"{where}: no {needed}")
    if values["split"] not in ("", "train", "validation", "test"):
        raise ValueError(f"{where}: split {values['split']!r}; give train, validation or test")
    times = {}
    for name in ("start", "end"):
        try:
            times[name] = float(values[name]) if values[name] else None
        except ValueError:
            raise ValueError(f"{where}: {name} {values[name]!r}; give seconds") from None
    start = times["start"] or 0.0
    if not 0 <= start < float("inf"):
        raise ValueError(f"{where}: start {values['start']}; give seconds from 0 on")
    if times["end"] is not None and not start < times["end"]:
        raise ValueError(f"{where}: start {start:g} is not before end {times['end']:g}")
    return Item(
        path=Path(values["path"]).as_posix(),
        label=values["label"],
        group=values["group"],
        split=values["split"],
        **times,
    )


def _check_splits_agree(items: dict[Item, int], table: Path) -> None:
    """Raise ValueError where only some rows have a split or a group, or one has two of them."""
    for column in ("split", "group"):
        with_one = [item for item in items if getattr(item, column)]
        if 0 < len(with_one) < len(items):
            line = next(line for item, line in items.items() if not getattr(item, column))
            raise ValueError(f"{table}, line {line}: no {column}, where other rows have one")
    parts: dict[tuple, Item] = {}
    for item, line in items.items():
        first = parts.setdefault((item.path, item.start, item.end), item)
        for column in ("label", "split", "group"):
            if getattr(first, column) != getattr(item, column):
                raise ValueError(
                    f"{table}, line {line}: {item.name} has {column} {getattr(item, column)!r}, in"
                    f" line {items[first]} {getattr(first, column)!r}"
                )
