"""Which video goes into which split: whole groups, so that no two splits share one.

Clips of one person, session or source are alike in more than what they show. A test on clips whose
siblings were trained on measures memory, so that a split of single files has to be asked for by
name.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from vidrep.datasets.videos.layout import Item
from vidrep.random_streams import stream
from vidrep.splits import SPLITS

MOST_TRIES = 200  # random orders of groups, of which the best is taken
MOST_PLACED = 20_000  # groups placed in all tries together: this runs whenever rules are read


def with_groups(items: Iterable[Item], pattern: str | None) -> list[Item]:
    """The videos, each with its group: what the pattern finds in its path.

    Args:
        items: videos; those that have a group keep it where there is no pattern.
        pattern: a regular expression with at least one (group); several are put together.

    Raises:
        ValueError: the pattern is none, or does not fit a path.
    """
    if pattern is None:
        return [replace(item, group=item.group or item.path) for item in items]
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"split.pattern: {pattern!r} is no regular expression: {error}") from None
    if not expression.groups:
        raise ValueError(
            f"split.pattern: {pattern!r} has no (...) around what tells the group, such as"
            r" '_g(\d+)_'"
        )
    found = []
    for item in items:
        match = expression.search(item.path)
        if match is None:
            raise ValueError(f"split.pattern: {pattern!r} fits nothing in {item.path}")
        parts = [part for part in match.groups() if part is not None]
        found.append(replace(item, group="_".join(parts)))
    return found


def split_at_random(items: list[Item], *, test: float, validation: float, seed: int) -> list[Item]:
    """Whole groups to test and validation, the rest to training.

    Of many random choices the one is taken that lacks the fewest classes in any split, and among
    these the one whose shares are nearest to those asked for.

    Args:
        items: videos with groups.
        test, validation: shares of the videos.
        seed: of the experiment; the same groups fall into the same splits.

    Raises:
        ValueError: fewer than three groups, or no choice that leaves every class in training.
    """
    groups = _groups(items)
    _check_enough(groups, 3)
    side = _best_sides(items, groups, test, validation, stream(seed, "videos", "split"))
    return _assigned(items, groups, side)


def split_in_folds(
    items: list[Item], *, folds: int, fold: int, validation: float, seed: int
) -> list[Item]:
    """One of several splits whose test videos are together all videos, each once.

    Args:
        items: videos with groups.
        folds: number of splits.
        fold: which of them, from 1.
        validation: share of the videos, taken from the groups that are not tested.
        seed: of the experiment.

    Raises:
        ValueError: fewer groups than folds and one.
    """
    groups = _groups(items)
    _check_enough(groups, max(3, folds))
    rng = stream(seed, "videos", "folds")
    sizes = _counts(items, groups).sum(1)
    order = rng.permutation(len(groups))
    largest_first = order[np.argsort(-sizes[order], kind="stable")]
    held = np.zeros(folds)
    tested = set()
    for group in largest_first:
        smallest = int(np.argmin(held))
        held[smallest] += sizes[group]
        if smallest == fold - 1:
            tested.add(groups[group])
    others = [item for item in items if item.group not in tested]
    share = validation * len(items) / len(others)
    rest = take_validation(others, share=share, seed=seed)
    test = [replace(item, split="test") for item in items if item.group in tested]
    return sorted(rest + test, key=_name)


def take_validation(items: list[Item], *, share: float, seed: int) -> list[Item]:
    """Training videos of which whole groups are put aside for validation.

    Args:
        items: videos with groups; those of other splits stay there.
        share: of the training videos.
        seed: of the experiment.

    Raises:
        ValueError: one group only.
    """
    training = [item for item in items if item.split in ("", "train")]
    others = [item for item in items if item.split not in ("", "train")]
    groups = _groups(training)
    if len(groups) < 2:
        raise ValueError(
            f"split: training has {len(groups)} group, none can be put aside for validation; give"
            " a pattern that tells more groups apart"
        )
    side = _best_sides(training, groups, 0.0, share, stream(seed, "videos", "validation"))
    return sorted(others + _assigned(training, groups, side), key=_name)


def check_splits(items: list[Item], *, shared: bool = False) -> None:
    """Raise ValueError unless all splits have videos, training all classes, and groups one side.

    Args:
        items: videos with groups and splits.
        shared: groups on two sides are accepted, as an official list has them.
    """
    by_split = {split: [item for item in items if item.split == split] for split in SPLITS}
    for split, inside in by_split.items():
        if not inside:
            raise ValueError(f"split: no video is left for {split}; there are {len(items)} in all")
    classes = sorted({item.label for item in items})
    if len(classes) < 2:
        raise ValueError(f"videos: one class only, {classes[0]}; there must be two at least")
    trained = {item.label for item in by_split["train"]}
    for label in classes:
        if label not in trained:
            raise ValueError(
                f"split: no training video of class {label}; its groups are all in other splits"
            )
    if not shared:
        _check_apart(by_split)


def _check_apart(by_split: dict[str, list[Item]]) -> None:
    """Raise ValueError for a group on two sides."""
    side: dict[str, Item] = {}
    for split, inside in by_split.items():
        for item in inside:
            first = side.setdefault(item.group, item)
            if first.split != split:
                raise ValueError(
                    f"split: group {item.group} is in {first.split} ({first.path}) and in {split}"
                    f" ({item.path}); put whole groups on one side"
                )


def _check_enough(groups: list[str], needed: int) -> None:
    """Raise ValueError for fewer groups than sides."""
    if len(groups) < needed:
        raise ValueError(
            f"split: {len(groups)} groups ({', '.join(groups[:4])}), at least {needed} are needed"
            " so that no two splits share one; give a pattern that tells more apart"
        )


def _name(item: Item) -> str:
    """What videos are sorted by."""
    return item.name


def _groups(items: list[Item]) -> list[str]:
    """The groups, sorted."""
    return sorted({item.group for item in items})


def _counts(items: list[Item], groups: list[str]) -> np.ndarray:
    """(groups, classes) number of videos."""
    classes = sorted({item.label for item in items})
    counted = Counter((item.group, item.label) for item in items)
    return np.array([[counted[group, label] for label in classes] for group in groups])


def _best_sides(
    items: list[Item],
    groups: list[str],
    test: float,
    validation: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """The best of many random choices of a side for each group, see ``_cost``."""
    tables = _counts(items, groups)
    sizes = tables.sum(1)
    tries = max(1, min(MOST_TRIES, MOST_PLACED // len(groups)))
    best = None
    for _ in range(tries):
        order = rng.permutation(len(groups))
        side = _sides(order, sizes, test=test, validation=validation)
        cost = _cost(side, tables, test=test, validation=validation)
        if best is None or cost < best[0]:
            best = (cost, side)
    return best[1]


def _sides(order: np.ndarray, sizes: np.ndarray, *, test: float, validation: float) -> np.ndarray:
    """The side of each group, as its number in ``SPLITS``: test is filled first, training last.

    A group joins a side as long as that brings the side nearer to its share; a side that is wanted
    gets one group at least, and training keeps one.
    """
    side = np.zeros(len(sizes), int)  # training
    left = len(sizes)
    for name, share in (("test", test), ("validation", validation)):
        wanted = share * sizes.sum()
        held = 0
        for group in order:
            nearer = abs(held + sizes[group] - wanted) < abs(held - wanted)
            first = held == 0 and share > 0
            if side[group] == 0 and left > 1 and (nearer or first):
                side[group] = SPLITS.index(name)
                held += sizes[group]
                left -= 1
    return side


def _cost(
    side: np.ndarray, tables: np.ndarray, *, test: float, validation: float
) -> tuple[int, int, float]:
    """How bad a choice is: classes that training lacks, that others lack, distance from shares."""
    shares = dict(zip(SPLITS, (1 - test - validation, validation, test), strict=True))
    missing = {}
    away = 0.0
    for number, split in enumerate(SPLITS):
        shown = tables[side == number].sum(0)  # (classes,)
        wanted = shares[split] > 0
        missing[split] = int((shown == 0).sum()) if wanted else 0
        away += abs(shown.sum() / tables.sum() - shares[split])
    return missing["train"], missing["validation"] + missing["test"], away


def _assigned(items: list[Item], groups: list[str], side: np.ndarray) -> list[Item]:
    """The videos with their splits."""
    split_of = {group: SPLITS[number] for group, number in zip(groups, side, strict=True)}
    return [replace(item, split=split_of[item.group]) for item in items]
