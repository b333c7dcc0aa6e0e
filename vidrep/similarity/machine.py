"""What a comparison may use: memory, cores and a GPU.

Heavy products run where ``lift`` puts their factors: NumPy arrays, or torch tensors on a GPU. Both
understand the few operations that follow (@, slices, in-place sums), so that there is one code for
all devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

DEVICES = ("cpu", "cuda", "auto")


@dataclass(frozen=True)
class Machine:
    """What the comparison in progress may use.

    Attributes:
        memory_mb: for the arrays that pairs are computed from.
        torch_device: of heavy products, None for NumPy.
    """

    memory_mb: float = 2048.0
    torch_device: str | None = None

    @property
    def bytes(self) -> float:
        return self.memory_mb * 2**20

    def lift(self, array: np.ndarray):
        """The array where products are computed."""
        if self.torch_device is None:
            return array
        import torch  # slow to import, and comparing on the CPU does without

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)

    def lower(self, array) -> np.ndarray:
        """A lifted array as NumPy array."""
        return array if self.torch_device is None else array.cpu().numpy()

    def product(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a @ b^T of NumPy arrays, computed on the device.

        Half the work if they are the same array.
        """
        left = self.lift(a)
        return self.lower(left @ (left if b is a else self.lift(b)).T)


_current: ContextVar[Machine | None] = ContextVar("machine", default=None)


def current() -> Machine:
    """The machine of the comparison in progress."""
    return _current.get() or Machine()


@contextmanager
def using(memory_mb: float, device: str) -> Iterator[None]:
    """Whatever is compared inside keeps to ``memory_mb``, and its heavy products run on ``device``.

    Raises:
        ValueError: no such device.
    """
    token = _current.set(Machine(memory_mb, _torch_device(device)))
    try:
        yield
    finally:
        _current.reset(token)


def _torch_device(device: str) -> str | None:
    """The device of torch that products run on; None for NumPy."""
    if device not in DEVICES:
        raise ValueError(f"device: got {device!r}, expected cpu, cuda or auto")
    if device == "cpu":
        return None
    import torch  # slow to import, and comparing on the CPU does without

    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = False  # float32 products keep their digits
        return "cuda"
    if device == "cuda":
        raise ValueError("device: no GPU here; use cpu or auto")
    return None


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def threads() -> int:
    """Cores that linear algebra may use."""
    return max((library.num_threads for library in _libraries().lib_controllers), default=1)


def spread(function: Callable, items: Sequence) -> list:
    """``[function(item) for item in items]``, on all cores.

    One core for each item serves many items better than all for one.

    What an item yields depends neither on the number of cores nor on the other items.
    """
    workers = min(threads(), len(items))
    with _libraries().limit(limits=1):
        if workers < 2:
            return [function(item) for item in items]
        context = copy_context()
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda item: context.copy().run(function, item), items))
