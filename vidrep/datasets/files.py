"""The kind ``clips``: data sets of the user's own files, which are read and never written to.

Imports nothing heavy until there is such a data set.
"""

from pathlib import Path

from vidrep.datasets.kind import DataSet, Kind
from vidrep.splits import SPLITS


def _clips(name: str, title: str, entry: dict, config: dict) -> DataSet:
    """A data set of three files, as far as their headers tell about it."""
    from vidrep.datasets.links import read_header

    files = entry["clips"]
    if not isinstance(files, dict) or sorted(files) != sorted(SPLITS):
        raise ValueError(f"clips: got {files!r}; give one file for each of {', '.join(SPLITS)}")
    _check_places(files, Path("results", config["experiment"]))
    headers = {split: read_header(files[split]) for split in SPLITS}
    first = headers[SPLITS[0]]
    for split, header in headers.items():
        if header.alike != first.alike:
            raise ValueError(
                f"clips: {files[split]} has {header.describe()}, {files[SPLITS[0]]} has"
                f" {first.describe()}; all splits must agree"
            )
    return DataSet(
        name=name,
        kind=CLIPS_KIND.name,
        title=title,
        frames=first.frames,
        height=first.height,
        width=first.width,
        channels=first.channels,
        classes=first.classes,
        multi_label=first.multi_label,
        truths=frozenset.intersection(*(header.truths for header in headers.values())),
        named_only=False,
        clips={split: header.count for split, header in headers.items()},
        recipe={"files": {split: str(files[split]) for split in SPLITS}},
    )


def _check_places(files: dict[str, str], results: Path) -> None:
    """Raise ValueError for files that results would overwrite, or that serve two splits."""
    places = {split: Path(file).resolve() for split, file in files.items()}
    for split, place in places.items():
        if results.resolve() in place.parents:
            raise ValueError(
                f"clips.{split}: {files[split]} lies in {results}, where the experiment writes;"
                " keep your own files elsewhere"
            )
    if len(set(places.values())) < len(places):
        raise ValueError(f"clips: got {files!r}; splits must be different files")


CLIPS_KIND = Kind(
    name="clips", keys={}, declare=_clips, source="train, validation, test: a file of each"
)
