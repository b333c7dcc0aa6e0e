"""What runs answer on the same clips, read from their activation stores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vidrep.activations.store import find_array, read_array
from vidrep.similarity.files import open_store

NO_CLASSES = "no_classes"


@dataclass
class Answers:
    """One run on n test clips, and on m clips of the training split for fitting.

    Attributes:
        run: ``<dataset>/<system>/seed<k>``.
        scores: (n, classes) float64, probabilities of classes.
        sets: (n, classes) bool, predicted label sets.
        shapes: stream -> (S, D): what its class heads read.
        test, fit: (n, p) and (m, p) float64, all streams' readouts side by side.
    """

    run: str
    scores: np.ndarray
    sets: np.ndarray
    shapes: dict[str, tuple[int, int]]
    test: np.ndarray
    fit: np.ndarray

    def streams(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Readouts (n, p) cut into streams (n, S, D)."""
        ends = np.cumsum([steps * width for steps, width in self.shapes.values()])
        parts = np.split(flat, ends[:-1], axis=1)
        streams = {}
        for (name, shape), part in zip(self.shapes.items(), parts, strict=True):
            streams[name] = part.reshape(-1, *shape)
        return streams


@dataclass(frozen=True)
class EvaluationClips:
    """The n clips that runs answer on.

    Attributes:
        ids: their names.
        truth: (n, classes) bool, which classes they show.
        groups: what each shares with others, None where they are independent.
    """

    ids: list[str]
    truth: np.ndarray
    groups: list[str] | None


def load_answers(
    stores: Sequence[str | os.PathLike],
) -> tuple[dict[str, Answers], list[str], EvaluationClips]:
    """The answers of all runs that answer with classes.

    Returns:
        Answers by run, in the order of the stores; runs without classes; the test clips.

    Raises:
        ValueError: no activation store, or stores of different clips or of different classes; the
            line names them.
    """
    found: dict[str, Answers] = {}
    without: list[str] = []
    clips: dict[str, list] = {}
    for store in stores:
        root = open_store(store)
        run = f"{root.attrs['dataset']}/{root.attrs['system']}/seed{root.attrs['seed']}"
        ids = [root["ids"][:].tolist(), root["fit"]["ids"][:].tolist()]
        if clips and ids != next(iter(clips.values())):
            raise ValueError(
                f"{next(iter(clips))} and {store} hold different clips or another order of them"
            )
        clips[str(store)] = ids
        if "scores" not in root:
            without.append(run)
            continue
        found[run] = _read(root, run)
        first = next(iter(found.values()))
        if found[run].sets.shape != first.sets.shape:
            raise ValueError(
                f"{store}: answers with {found[run].sets.shape[1]} classes, {first.run} with"
                f" {first.sets.shape[1]}"
            )
    return found, without, _test_clips(stores[0])


def _test_clips(store: str | os.PathLike) -> EvaluationClips:
    """The test clips of a store."""
    root = open_store(store)
    groups = root["groups"][:].tolist() if "groups" in root else None
    return EvaluationClips(root["ids"][:].tolist(), root["labels"][:] > 0, groups)


def _read(root, run: str) -> Answers:
    shapes = {}
    for name in sorted(root["readout"]):
        _, (_, *shape) = find_array(root, f"readout/{name}")
        shapes[name] = tuple(shape)
    return Answers(
        run,
        scores=root["scores"][:].astype(np.float64),
        sets=root["answers"][:],
        shapes=shapes,
        test=_readouts(root, shapes),
        fit=_readouts(root["fit"], shapes),
    )


def _readouts(group, streams: Iterable[str]) -> np.ndarray:
    """(n, p) float64, all streams' readouts side by side."""
    parts = []
    for name in streams:
        readout = read_array(group, f"readout/{name}")  # (n, S, D)
        parts.append(readout.reshape(len(readout), -1))
    return np.concatenate(parts, axis=1).astype(np.float64)
