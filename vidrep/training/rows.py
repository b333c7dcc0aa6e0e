"""Rows that are read or made when a batch asks for them, and batches that are read ahead."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
import torch
from torch import Tensor

AHEAD = 3  # batches that wait, read
T = TypeVar("T")


@dataclass(frozen=True)
class Rows:
    """Stands for a tensor whose rows lie in a file, or are made of others.

    Attributes:
        shape: of the whole, (n, ...).
        read: from places (b,) to an array (b, ...).
    """

    shape: tuple[int, ...]
    read: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def device(self) -> torch.device:
        """Where rows appear."""
        return torch.device("cpu")

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Some rows, in memory."""
        if isinstance(index, slice):
            places = np.arange(*index.indices(len(self)))
        else:
            places = index.cpu().numpy()
        return torch.from_numpy(self.read(places))


def stored_clips(path: Path, count: int) -> Rows:
    """The first clips of a file (.h5), which stays open as long as they are used."""
    array = h5py.File(path, "r")["clips"]

    def read(places: np.ndarray) -> np.ndarray:
        rows = np.empty((len(places), *array.shape[1:]), array.dtype)
        for i, place in enumerate(places):  # one by one: lists of places take h5py 15 ms a clip
            array.read_direct(rows, np.s_[place], np.s_[i])
        return rows

    return Rows((count, *array.shape[1:]), read)


def stored_flow(path: Path, count: int) -> Rows:
    """The flow of the first clips of a store (.zarr)."""
    from vidrep.flow.store import open_flow  # imports zarr, and most systems read no flow

    array = open_flow(path).flow

    def read(places: np.ndarray) -> np.ndarray:
        rows = np.empty((len(places), *array.shape[1:]), array.dtype)
        for i, place in enumerate(places.tolist()):  # lists of places take Zarr twice as long
            rows[i] = array[place]
        return rows

    return Rows((count, *array.shape[1:]), read)


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, made by another thread a few ahead of what is asked for.

    Reading and unpacking files leave Python's lock to the thread that computes. What goes wrong
    over there is raised here.
    """
    waiting: queue.Queue = queue.Queue(AHEAD)
    stop = threading.Event()
    end = object()

    def put(item) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((end, None))
        except BaseException as error:
            put((end, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()
