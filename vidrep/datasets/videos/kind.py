"""What an entry of ``datasets`` may say of videos, and which clips come of it.

The Snakefile reads this whenever it is parsed; the folder is listed then, but no file opened.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from vidrep.datasets.kind import Choice, DataSet, Key, Kind, Part, Text
from vidrep.datasets.videos.layout import (
    MANIFEST,
    Found,
    Item,
    class_folders,
    list_files,
    read_manifest,
)
from vidrep.datasets.videos.official import OFFICIAL
from vidrep.naming import nearest
from vidrep.splits import SPLITS

FEWEST_GROUPS = 6  # as vidrep.statistics has it, which takes long to import
COLOURS = {"grey": 1, "rgb": 3}
RESIZE = ("crop", "pad", "stretch")
SHORT = ("pad", "loop", "drop")
UNREADABLE = ("skip", "fail")
BY = ("group", "file", "manifest", "list")

_SHARE = {"minimum": 0.0, "maximum": 1.0}
SPLIT_KEYS = {
    "by": Choice(
        "what never stands on two sides: the group of a pattern or of the manifest, or only the"
        " file; or whose split it is: the manifest's or an official list's",
        BY,
    ),
    "pattern": Text("group, file: a regular expression, whose (...) finds the group in a path"),
    "test": Key("group, file: share of the videos that is tested on; 0.2", float, **_SHARE),
    "validation": Key(
        "share of the videos that weights are chosen on, whole groups; 0.1", float, **_SHARE
    ),
    "folds": Key("group, file: number of splits that together test every video once", int, 2),
    "fold": Key("which of the folds this data set is, from 1", int, 1),
    "list": Choice("list: whose official lists", tuple(OFFICIAL)),
    "lists": Text("list: the folder in which they lie; the folder of videos where not given"),
    "number": Key("list: which of the official splits", int, 1),
}
KEYS = {
    "colour": Choice("colour of the clips; rgb where not given", tuple(COLOURS)),
    "frames": Key("frames per clip", int, 2),
    "fps": Key("frames a second, taken by their time; 8 where no stride is given", float, 0.001),
    "stride": Key("every so many frames of the file, whatever their rate", int, 1),
    "size_px": Key("side of the square clips in pixels; 64", int, 8),
    "resize": Choice("how other shapes become square; crop", RESIZE),
    "clips_per_video": Part(
        "windows taken of each video; 1",
        {
            "train": Key("training videos: in each of so many equal parts one, at random", int, 1),
            "test": Key("other videos: spread evenly, results averaged", int, 1),
        },
    ),
    "split": Part("which video goes where", SPLIT_KEYS),
    "short": Choice("videos shorter than a clip: last frame held, repeated, left out; loop", SHORT),
    "unreadable": Choice("files that cannot be decoded; skip lists them in a table", UNREADABLE),
}


@dataclass(frozen=True)
class Plan:
    """What shall be decoded.

    Attributes:
        folder: to which paths are relative.
        items: the videos with groups and splits, sorted by name.
        skipped: other files and why they are not used.
        notes: lines that the user ought to read.
        classes: names of the classes.
    """

    folder: Path
    items: tuple[Item, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    classes: tuple[str, ...]

    def of(self, split: str) -> list[Item]:
        """The videos of a split."""
        return [item for item in self.items if item.split == split]


def make_plan(source: str, split: dict, seed: int) -> Plan:
    """Which video is of which class, group and split.

    Args:
        source: a folder, or a table of videos.
        split: as the configuration gives it.
        seed: of the experiment.

    Raises:
        ValueError: one line that names the key or file, what is wrong and what would be right.
    """
    from vidrep.datasets.videos import groups

    folder, found = _find(source, split)
    by = _by(split, found)
    _check_keys(by, split, found)
    pattern = split.get("pattern")
    own_groups = any(item.group for item in found.items)
    if by == "group" and pattern is None and not own_groups:
        raise ValueError(
            r"split.pattern: by group needs a pattern such as '_g(\d+)_', or a manifest with a"
            " column group; by: file splits single files, whose siblings may then be on both sides"
        )
    items = groups.with_groups(found.items, pattern)
    notes = found.notes
    validation = split.get("validation", 0.1)
    if by in ("manifest", "list"):
        if not any(item.split == "validation" for item in items):
            items = groups.take_validation(items, share=validation, seed=seed)
    else:
        siblings = items
        if by == "file":
            items = [_alone(item) for item in items]
        items = _split(items, split, validation, seed)
        if by == "file" and (pattern or own_groups):
            items, note = _with_siblings(items, siblings)
            notes = (*notes, note)
    groups.check_splits(items, shared=by == "file" or split.get("list") == "hmdb51")
    return Plan(folder, tuple(items), found.skipped, notes, found.classes)


def files_state(source: str) -> str:
    """Digest of names, sizes and times of all files of a folder, to see that some have changed."""
    folder = Path(source).parent if source.endswith(".csv") else Path(source)
    digest = hashlib.sha256()
    for path in list_files(folder):
        digest.update(path.encode(errors="surrogateescape"))
        try:
            status = os.stat(folder / path)
        except OSError:  # a link to nothing
            continue
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def _find(source: str, split: dict) -> tuple[Path, Found]:
    """The folder, and what its layout makes of it."""
    place = Path(source)
    if place.suffix == ".csv":
        if not place.is_file():
            raise ValueError(f"videos: no file {place}")
        return place.parent, read_manifest(place, list_files(place.parent))
    files = list_files(place)
    if split.get("by") == "list" or "list" in split:
        if "list" not in split:
            raise ValueError(f"split.list: give one of {', '.join(OFFICIAL)}")
        lists = Path(split.get("lists", place))
        if not lists.is_dir():
            raise ValueError(f"split.lists: no folder {lists}")
        return place, OFFICIAL[split["list"]](files, lists, split.get("number", 1))
    if MANIFEST in files:
        return place, read_manifest(place / MANIFEST, files)
    return place, class_folders(files)


def _by(split: dict, found: Found) -> str:
    """How the videos are split: as said, else as what is there tells."""
    if "by" in split:
        return split["by"]
    if "list" in split:
        return "list"
    return "manifest" if any(item.split for item in found.items) else "group"


def _check_keys(by: str, split: dict, found: Found) -> None:
    """Raise ValueError for keys that mean nothing together, or that the files do not bear out."""
    used = {
        "group": ("pattern", "test", "validation", "folds", "fold"),
        "file": ("pattern", "test", "validation", "folds", "fold"),
        "manifest": ("pattern", "validation"),
        "list": ("list", "lists", "number", "validation"),
    }[by]
    for key in split:
        if key != "by" and key not in used:
            raise ValueError(f"split.{key}: means nothing with by: {by}; {nearest(key, used)}")
    if by == "manifest" and not any(item.split for item in found.items):
        raise ValueError(f"split.by: manifest needs a {MANIFEST} with a column split")
    if ("folds" in split) != ("fold" in split):
        raise ValueError("split: give folds and fold together, such as folds: 5, fold: 1")
    if "folds" in split and "test" in split:
        raise ValueError("split: folds say what is tested; leave test out")
    if split.get("fold", 0) > split.get("folds", 0):
        raise ValueError(f"split.fold: {split['fold']} of {split['folds']}; they count from 1")
    if split.get("test", 0.2) + split.get("validation", 0.1) >= 1:
        raise ValueError("split: test and validation leave no share for training")


def _split(items: list[Item], split: dict, validation: float, seed: int) -> list[Item]:
    """The videos with the splits that shares or folds give them."""
    from vidrep.datasets.videos import groups

    if "folds" in split:
        return groups.split_in_folds(
            items, folds=split["folds"], fold=split["fold"], validation=validation, seed=seed
        )
    test = split.get("test", 0.2)
    return groups.split_at_random(items, test=test, validation=validation, seed=seed)


def _alone(item: Item) -> Item:
    """A video as a group of its own."""
    return replace(item, group=item.path)


def _with_siblings(items: list[Item], siblings: list[Item]) -> tuple[list[Item], str]:
    """The videos with the groups that the pattern tells, and how many tests have siblings."""
    group_of = {item.name: item.group for item in siblings}
    items = [replace(item, group=group_of[item.name]) for item in items]
    trained = {item.group for item in items if item.split == "train"}
    tested = [item for item in items if item.split == "test"]
    shared = sum(item.group in trained for item in tested)
    note = (
        f"by: file: {shared} of {len(tested)} test videos have a sibling of their group in"
        " training; scores on them tell little about new groups"
    )
    return items, note


def _videos(name: str, title: str, entry: dict, config: dict) -> DataSet:
    """A data set of videos."""
    source = entry["videos"]
    if not isinstance(source, str) or not source:
        raise ValueError(f"videos: got {source!r}; give a folder of videos, or a {MANIFEST}")
    if "fps" in entry and "stride" in entry:
        raise ValueError("fps and stride exclude each other; give one of them")
    plan = make_plan(source, entry.get("split", {}), config["seed"])
    windows = {"train": 1, "test": 1, **entry.get("clips_per_video", {})}
    per_video = {split: windows["train" if split == "train" else "test"] for split in SPLITS}
    colour = entry.get("colour", "rgb")
    frames = entry.get("frames", config["video"]["frames"])
    size = entry.get("size_px", 64)
    stride = entry.get("stride")
    recipe = {
        "source": source,
        "split": entry.get("split", {}),
        "colour": colour,
        "frames": frames,
        "fps": None if stride else entry.get("fps", 8),
        "stride": stride,
        "size": size,
        "resize": entry.get("resize", "crop"),
        "windows": per_video,
        "short": entry.get("short", "loop"),
        "unreadable": entry.get("unreadable", "skip"),
    }
    return DataSet(
        name=name,
        kind=VIDEOS_KIND.name,
        title=title,
        frames=frames,
        height=size,
        width=size,
        channels=COLOURS[colour],
        classes=plan.classes,
        multi_label=False,
        truths=frozenset(),
        named_only=False,
        clips={split: len(plan.of(split)) * per_video[split] for split in SPLITS},
        clips_known=False,
        recipe=recipe,
        notes=_notes(plan),
    )


def _notes(plan: Plan) -> tuple[str, ...]:
    """What is in the splits, what that does not bear, and what real videos lack."""
    told = []
    for split in SPLITS:
        videos = plan.of(split)
        told.append(f"{split} {len(videos)} in {len({item.group for item in videos})} groups")
    notes = [f"videos: {', '.join(told)}; {len(plan.skipped)} other files"]
    tested = plan.of("test")
    groups = len({item.group for item in tested})
    if groups < len(tested) and groups < FEWEST_GROUPS:
        notes.append(
            f"{groups} test groups are too few for intervals, {FEWEST_GROUPS} are needed: give test"
            " a larger share"
        )
    notes.append("no factors, boxes or exact flow are known of them: what needs these is absent")
    return (*notes, *plan.notes)


VIDEOS_KIND = Kind(
    name="videos",
    keys=KEYS,
    declare=_videos,
    source=f"a folder with a folder for each class, one with a {MANIFEST}, or the .csv itself",
)
