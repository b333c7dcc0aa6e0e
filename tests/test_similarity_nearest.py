"""The nearest system of every run, beside a runner-up that is as near or far away."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vidrep.similarity import Kernel, compare, summarise
from vidrep.similarity.difference import DIFFERENCE_COLUMNS
from vidrep.similarity.nearest import nearest_rows


@dataclass
class Stored:
    """What ``nearest_rows`` needs of a kernel in a file."""

    rep: str
    kernel: Kernel
    n: int = 60

    @property
    def path(self) -> Path:
        return Path(self.rep).parent

    def load(self) -> Kernel:
        return self.kernel


@pytest.fixture(scope="module")
def kernels() -> list[Stored]:
    """Systems a, b, c alike in this order of nearness to a; d as near to a as c is.

    There are controls that are never trained.
    """
    rng = np.random.default_rng(0)
    base = rng.standard_normal((60, 8))
    noise = {
        "a/seed0": 0.2,
        "a/seed1": 0.2,
        "b/seed2": 0.3,
        "c/seed0": 2,
        "d/seed0": 2,
        "b/seeduntrained": 0.1,
        "pixels/seeduntrained": 5,
    }
    found = []
    for name, amount in noise.items():
        for layer in ("conv", "top"):
            found.append(
                Stored(
                    f"set/{name}/{layer}", summarise(base + amount * rng.standard_normal((60, 8)))
                )
            )
    return [*found, Stored("other/a/seed0/top", summarise(base))]


@pytest.mark.parametrize("measure", ["cka_linear_debiased", "procrustes"])
def test_nearest_system_and_runner_up(measure, kernels):
    lines = nearest_rows(kernels, measure, intervals=True, seed=0, memory_mb=64)
    found = {line[0]: dict(zip(DIFFERENCE_COLUMNS, line, strict=True)) for line in lines}
    assert set(found) == {
        f"set/{name}/top" for name in ("a/seed0", "a/seed1", "b/seed2", "c/seed0", "d/seed0")
    }
    for seed in (0, 1):
        row = found[f"set/a/seed{seed}/top"]
        assert row["rep_b"] == "set/b/seed2/top", (
            "not its own other seed, not b's untrained baseline, not another layer"
        )
        assert row["rep_c"] in ("set/c/seed0/top", "set/d/seed0/top") and float(row["q"]) < 0.01
    assert {found["set/b/seed2/top"]["rep_b"]} == {"set/a/seed0/top"}
    row = found["set/c/seed0/top"]
    assert {row["rep_b"], row["rep_c"]} == {"set/a/seed0/top", "set/b/seed2/top"} and float(
        row["p"]
    ) > 0.01
    by_rep = {kernel.rep: kernel.kernel for kernel in kernels}
    assert float(row["value_ab"]) == pytest.approx(
        compare(by_rep[row["rep_a"]], by_rep[row["rep_b"]], measure), rel=1e-6
    )
    sign = -1 if measure == "procrustes" else 1
    assert all(
        sign * float(row["difference"]) >= 0 and float(row["q"]) >= float(row["p"])
        for row in found.values()
    )


def test_without_intervals_the_names_stay(kernels):
    lines = nearest_rows(kernels, "procrustes", intervals=False, seed=0, memory_mb=64)
    full = nearest_rows(kernels, "procrustes", intervals=True, seed=0, memory_mb=64)
    assert [line[:6] for line in lines] == [line[:6] for line in full] and all(
        line[6:10] == [""] * 4 for line in lines
    )


def test_two_systems_have_no_runner_up(kernels):
    pair = [kernel for kernel in kernels if "/a/" in kernel.rep or "/b/" in kernel.rep]
    assert nearest_rows(pair, "cka_linear_debiased", intervals=True, seed=0, memory_mb=64) == []
