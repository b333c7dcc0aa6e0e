"""The official splits of published data sets of actions, read from their own files.

Each function takes the files of the folder of videos, the lists, and the number of the split; a
video that stands in no list is left out. Splits are never put together: the test videos of one are
training videos of another. What the lists look like was read off the published ones.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from vidrep.datasets.videos.layout import FRAMES, Found, Item, is_video, not_a_video

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"

KTH_LIST = "00sequences.txt"
KTH_PERSONS = {
    TRAIN: (11, 12, 13, 14, 15, 16, 17, 18),
    VALIDATION: (19, 20, 21, 23, 24, 25, 1, 4),
    TEST: (22, 2, 3, 5, 6, 7, 8, 9, 10),
}


def ucf101(files: list[str], lists: Path, number: int) -> Found:
    """UCF101: ``trainlist01.txt`` with a label a line, ``testlist01.txt`` without.

    The group is the source video: ``ApplyEyeMakeup_g08`` of ``v_ApplyEyeMakeup_g08_c01.avi``.

    Reference: Soomro, Zamir and Shah, CRCV-TR-12-01 (2012).
    """
    places = _by_name(files)
    items = []
    for split in (TRAIN, TEST):
        table = lists / f"{split}list{number:02d}.txt"
        for where, line in _lines(table):
            name = line.rsplit(" ", 1)[0] if split == TRAIN else line
            found = re.fullmatch(r"(.+)/v_((.+)_g\d+)_c\d+\.\w+", name)
            if found is None:
                raise ValueError(f"{where}: {line!r} is no Class/v_Class_g01_c01.avi")
            path = _place(PurePosixPath(name).name, places, where)
            label = found.group(1)
            items.append(Item(path=path, label=label, group=found.group(2), split=split))
    return _found(items, files)


def hmdb51(files: list[str], lists: Path, number: int) -> Found:
    """HMDB51: ``<class>_test_split1.txt`` with ``name.avi 1``; 1 is training, 2 test, 0 unused.

    The group is what stands before ``_<class>_`` in a name. Training and test share some of them,
    in different classes.

    Reference: Kuehne et al., ICCV 2011.
    """
    places = _by_folder_and_name(files)
    ending = f"_test_split{number}.txt"
    tables = sorted(path for path in lists.iterdir() if path.name.endswith(ending))
    if not tables:
        raise ValueError(f"split.lists: no <class>{ending} in {lists}")
    splits = {"1": TRAIN, "2": TEST}
    items = []
    for table in tables:
        label = table.name.removesuffix(ending)
        for where, line in _lines(table):
            name, _, code = line.rpartition(" ")
            if not name or code not in ("0", "1", "2"):
                raise ValueError(f"{where}: {line!r}; expected a name, a blank, and 0, 1 or 2")
            if code == "0":
                continue
            path = _place((label, name.strip()), places, where)
            group = name.split(f"_{label}_", 1)[0]
            items.append(Item(path=path, label=label, group=group, split=splits[code]))
    shared = _shared_groups(items)
    notes = ()
    if shared:
        tests = [item for item in items if item.split == TEST]
        touched = sum(item.group in shared for item in tests)
        notes = (
            f"{touched} of {len(tests)} test videos come from a source that training has too, as"
            " the official lists of HMDB51 have it",
        )
    return _found(items, files, notes)


def kth(files: list[str], lists: Path, number: int) -> Found:
    """KTH: split by person; ``00sequences.txt`` names the frames of each repetition of an action.

    Frames count from 1 there, and the last one belongs to the range. Ranges that run backwards are
    left out.

    Reference: Schuldt, Laptev and Caputo, ICPR 2004.
    """
    if number != 1:
        raise ValueError(f"split.number: {number}; KTH has one split, by person")
    split_of = {person: split for split, persons in KTH_PERSONS.items() for person in persons}
    places = {}
    for path in files:
        found = re.match(r"person\d+_\w+?_d\d", PurePosixPath(path).name)
        if found and is_video(path):
            places[found.group()] = path
    items = []
    skipped = []
    for where, line in _lines(lists / KTH_LIST):
        found = re.match(r"(person(\d+)_(\w+?)_d\d)\s+frames\s+(.+)", line)
        if found is None:
            continue  # the text before the list
        name, person, label, ranges = found.groups()
        if name not in places and "missing" in ranges:
            continue
        path = _place(name, places, where)
        for first, last in re.findall(r"(\d+)\s*-\s*(\d+)", ranges):
            if int(first) > int(last):
                skipped.append((path, f"frames {first}-{last} run backwards in {KTH_LIST}"))
                continue
            items.append(
                Item(
                    path=path,
                    label=label,
                    group=f"person{person}",
                    split=split_of[int(person)],
                    start=int(first) - 1,
                    end=int(last),
                    unit=FRAMES,
                )
            )
    if not items:
        raise ValueError(f"{lists / KTH_LIST}: no lines such as person01_boxing_d1 frames 1-95")
    found = _found(items, files)
    return Found(found.items, tuple(sorted({*found.skipped, *skipped})))


def yup(files: list[str], lists: Path, number: int) -> Found:
    """YUP++: ``10_90_randsplit_1.txt`` with ``name static_train`` or ``moving_test`` a line.

    Videos lie in ``camera_stationary/<Class>/`` and ``camera_moving/<Class>/``; each is a source
    of its own.

    Reference: Feichtenhofer, Pinz and Wildes, CVPR 2017.
    """
    cameras = {"static": "camera_stationary", "moving": "camera_moving"}
    places = {}
    for path in filter(is_video, files):
        parts = PurePosixPath(path).parts
        if len(parts) >= 3:
            places[parts[-3], PurePosixPath(path).stem] = path
    table = lists / f"10_90_randsplit_{number}.txt"
    items = []
    for where, line in _lines(table):
        name, _, word = line.rpartition(" ")
        camera, _, split = word.partition("_")
        if camera not in cameras or split not in (TRAIN, TEST):
            raise ValueError(f"{where}: {line!r}; expected a name and static_train or the like")
        stem = PurePosixPath(name.strip()).name
        key = (cameras[camera], PurePosixPath(stem).stem if is_video(stem) else stem)
        path = _place(key, places, where)
        label = PurePosixPath(path).parts[-2]
        items.append(Item(path=path, label=label, group=path, split=split))
    return _found(items, files)


OFFICIAL: dict[str, Callable[[list[str], Path, int], Found]] = {
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kth": kth,
    "yup": yup,
}


def _lines(table: Path) -> Iterator[tuple[str, str]]:
    """Where each line of a list stands, and the line; empty ones are left out.

    Raises:
        ValueError: there is no such file, or it is no text.
    """
    try:
        text = table.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"split.lists: no file {table}") from None
    except UnicodeDecodeError:
        raise ValueError(f"split.lists: {table} is no text in UTF-8") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{table}, line {number}", line.strip()


def _by_name(files: list[str]) -> dict[str, str]:
    """Videos by name: their folder is spelt another way in lists than on some disks."""
    return {PurePosixPath(path).name: path for path in files if is_video(path)}


def _by_folder_and_name(files: list[str]) -> dict[tuple[str, str], str]:
    """Videos by the name of their folder and their own."""
    videos = (PurePosixPath(path) for path in files if is_video(path))
    return {(path.parent.name, path.name): str(path) for path in videos}


def _place(name, places: dict, where: str) -> str:
    """The file that a line of a list is about."""
    if name not in places:
        shown = "/".join(name) if isinstance(name, tuple) else name
        raise ValueError(f"{where}: no video {shown} in the folder")
    return places[name]


def _shared_groups(items: list[Item]) -> set[str]:
    """Groups on both sides."""
    train = {item.group for item in items if item.split == TRAIN}
    test = {item.group for item in items if item.split == TEST}
    return train & test


def _found(items: list[Item], files: list[str], notes: tuple[str, ...] = ()) -> Found:
    """The items, sorted, and the files that stand in no list."""
    seen: dict[tuple, Item] = {}
    for item in items:
        first = seen.setdefault((item.path, item.start, item.end), item)
        if first.split != item.split:
            raise ValueError(
                f"split.lists: {item.name} is in {first.split} and in {item.split}; give the lists"
                " of one split"
            )
    listed = {item.path for item in items}
    skipped = []
    for path in files:
        if path not in listed:
            reason = "not in the official lists" if is_video(path) else not_a_video(path)
            skipped.append((path, reason))
    return Found(tuple(sorted(seen.values(), key=lambda item: item.name)), tuple(skipped), notes)
