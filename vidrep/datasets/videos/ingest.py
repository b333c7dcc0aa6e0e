"""From a plan of videos to the files of clips of each split, and a table of every file.

Files are decoded by several processes. What each of them yields is kept until all are done, so that
an interrupted ingestion goes on where it stopped; then the clips are written split by split, one
video after another, so that memory never holds more than one.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np

from vidrep.datasets.store import GZIP_LEVEL, write_names, write_text
from vidrep.datasets.videos.kind import Plan, make_plan
from vidrep.datasets.videos.layout import Item
from vidrep.datasets.videos.work import Settings, window_file, work_on
from vidrep.files import whole
from vidrep.random_streams import stream
from vidrep.result_tables import write_rows
from vidrep.splits import SPLITS
from vidrep.training.progress import Progress

USED = "used"
SKIPPED = "skipped"
COLUMNS = (
    "path",
    "part",
    "label",
    "group",
    "split",
    "status",
    "reason",
    "note",
    "windows",
    "frames",
    "duration_s",
    "fps",
    "timing",
    "width",
    "height",
    "rotation",
    "codec",
    "pixels",
    "colorspace",
    "color_range",
    "damaged",
    "bytes",
    "sha256",
)


@dataclass
class Outcome:
    """What came of one video of the plan.

    Attributes:
        item: the video.
        kept: file with its clips (windows, T, H, W[, 3]) uint8; None if it is skipped.
        windows: number of clips.
        row: what the table says of it, by column.
    """

    item: Item
    kept: Path | None
    windows: int
    row: dict


def ingest(
    definition: dict,
    seed: int,
    outputs: dict[str, Path],
    table: Path,
    *,
    workers: int,
    report: Callable[[str], None],
) -> None:
    """Decode all videos of a data set and write its splits and the table of its files.

    Args:
        definition: ``DataSet.definition()``.
        seed: of the experiment.
        outputs: the .h5 file of each split.
        table: the .csv file of all files.
        workers: processes that decode.
        report: receives lines of progress and of what the user ought to know.

    Raises:
        ValueError: a file cannot be used and may not be skipped; or what is left is no data set.
    """
    recipe = definition["recipe"]
    plan = make_plan(recipe["source"], recipe["split"], seed)
    settings = Settings.of(recipe, seed)
    for note in plan.notes:
        report(note)
    keep = table.parent / ".decoded"
    outcomes = _decode_all(plan, settings, keep, workers, report)
    _check(outcomes, recipe["unreadable"], report)
    attrs = {"seed": seed, "recipe": {"name": definition["name"], **recipe}}
    for split, path in outputs.items():
        chosen = [outcome for outcome in outcomes if outcome.kept and outcome.item.split == split]
        order = stream(seed, "videos", "order", split).permutation(len(chosen))
        about = {"dataset": definition["name"], "split": split, "classes": list(plan.classes)}
        about |= {"multi_label": False, **attrs}
        _write_split(path, [chosen[i] for i in order], about)
    _write_table(table, outcomes, plan)
    shutil.rmtree(keep)


def _decode_all(
    plan: Plan, settings: Settings, keep: Path, workers: int, report: Callable[[str], None]
) -> list[Outcome]:
    """What comes of every video, in the order of the plan.

    Files whose answer lies in ``keep`` from an interrupted ingestion are not decoded again.
    """
    by_file: dict[str, list[Item]] = {}
    for item in plan.items:
        by_file.setdefault(item.path, []).append(item)
    keep.mkdir(parents=True, exist_ok=True)
    bases = {}
    done: dict[str, dict] = {}
    tasks = {}
    for path, items in by_file.items():
        file = plan.folder / path
        bases[path] = keep / _key(file, items, settings)
        answer = bases[path].with_suffix(".json")
        if answer.exists():
            done[path] = json.loads(answer.read_text())
        else:
            tasks[path] = (file, items, settings, bases[path])
    if done:
        report(f"{len(done)} of {len(by_file)} files were decoded before")
    progress = Progress(len(tasks), report, unit="files")
    for path, answer in _run(tasks, workers):
        done[path] = answer
        progress.advance(1)
    if tasks:
        progress.say(f"all {len(by_file)} files decoded")
    outcomes = []
    for path, items in by_file.items():
        for number, (item, row) in enumerate(zip(items, done[path]["rows"], strict=True)):
            kept = window_file(bases[path], number) if row["windows"] else None
            outcomes.append(Outcome(item, kept, row["windows"], row))
    return outcomes


def _run(tasks: dict[str, tuple], workers: int) -> Iterator[tuple[str, dict]]:
    """Each file with what came of it, as soon as it is there."""
    if workers == 1 or len(tasks) < 2:
        for path, task in tasks.items():
            yield path, work_on(*task)
        return
    # not forked: the decoder's threads and locks would be copied in an unknown state
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work_on, *task): path for path, task in tasks.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _key(path: Path, items: list[Item], settings: Settings) -> str:
    """A name for what comes of a file: another one if the file or what is asked for changes."""
    try:
        status = path.stat()
        state = [status.st_size, status.st_mtime_ns]
    except OSError:
        state = []
    parts = [str(path), state, [asdict(item) for item in items], asdict(settings)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _check(outcomes: list[Outcome], unreadable: str, report: Callable[[str], None]) -> None:
    """Raise ValueError where what could be decoded is no data set."""
    skipped = [outcome for outcome in outcomes if not outcome.kept]
    failed = [outcome for outcome in skipped if outcome.row["broken"]]
    if failed and unreadable == "fail":
        first = failed[0]
        raise ValueError(
            f"{first.item.path}: {first.row['reason']}; {len(failed)} of {len(outcomes)} videos"
            " cannot be used, unreadable: skip leaves them out"
        )
    for outcome in skipped:
        report(f"left out: {outcome.item.name}: {outcome.row['reason']}")
    used = [outcome for outcome in outcomes if outcome.kept]
    _check_copies(used)
    for split in SPLITS:
        inside = [outcome for outcome in used if outcome.item.split == split]
        if not inside:
            raise ValueError(f"no video of split {split} can be used; see the reasons in the log")
        for label in sorted({outcome.item.label for outcome in outcomes}):
            if any(outcome.item.label == label for outcome in inside):
                continue
            if split == "train":
                raise ValueError(f"no training video of class {label} can be used")
            report(f"no video of class {label} in split {split}")


def _check_copies(used: list[Outcome]) -> None:
    """Raise ValueError for the same file in two splits or classes, under two names."""
    first_of: dict[str, Outcome] = {}
    for outcome in used:
        first = first_of.setdefault(outcome.row["sha256"], outcome)
        if first.item.path == outcome.item.path:
            continue
        for what in ("split", "label"):
            here = getattr(outcome.item, what)
            there = getattr(first.item, what)
            if here != there:
                raise ValueError(
                    f"{outcome.item.path} ({what} {here}) holds the same bytes as"
                    f" {first.item.path} ({what} {there}); remove one of them"
                )


def _write_split(path: Path, chosen: list[Outcome], attrs: dict) -> None:
    """Write the clips of a split, video by video; see ``vidrep.datasets.store``.

    Beside the usual arrays: ``videos`` (n,), the number of the video that a clip is a window of,
    and ``groups`` (n,), what the video shares with others.
    """
    count = sum(outcome.windows for outcome in chosen)
    shape = np.load(chosen[0].kept, mmap_mode="r").shape[1:]
    place = {label: i for i, label in enumerate(attrs["classes"])}
    labels = np.zeros((count, len(place)), np.uint8)
    videos = np.zeros(count, np.uint32)
    groups: list[str] = []
    ids: list[str] = []
    packed = {"compression": "gzip", "compression_opts": GZIP_LEVEL}
    with whole(path) as beside, h5py.File(beside, "w") as file:
        clips = file.create_dataset(
            "clips", shape=(count, *shape), dtype=np.uint8, chunks=(1, *shape), **packed
        )
        row = 0
        for number, outcome in enumerate(chosen):
            item = outcome.item
            for window, clip in enumerate(np.load(outcome.kept)):
                clips[row] = clip
                labels[row, place[item.label]] = 1
                videos[row] = number
                groups.append(item.group)
                digest = hashlib.sha256(np.ascontiguousarray(clip)).hexdigest()[:8]
                ids.append(f"{attrs['dataset']}/{attrs['split']}/{item.name}#{window}-{digest}")
                row += 1
        file.create_dataset("labels", data=labels, **packed)
        file.create_dataset("videos", data=videos, **packed)
        write_text(file, "groups", groups)
        file.require_group("factors")  # of real videos none are known
        write_names(file, ids, attrs)


def _write_table(table: Path, outcomes: list[Outcome], plan: Plan) -> None:
    """Write what became of every file of the folder."""
    rows = []
    for outcome in outcomes:
        item = outcome.item
        part = item.name.removeprefix(item.path).strip("[]")
        known = {"path": item.path, "part": part, "label": item.label, "group": item.group}
        known |= {"split": item.split, "status": USED if outcome.kept else SKIPPED}
        rows.append([{**outcome.row, **known}.get(column, "") for column in COLUMNS])
    for path, reason in plan.skipped:
        known = {"path": path, "status": SKIPPED, "reason": reason}
        rows.append([known.get(column, "") for column in COLUMNS])
    write_rows(table, COLUMNS, sorted(rows, key=lambda row: row[:2]))
