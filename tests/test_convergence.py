"""When a run had stopped getting better, and what its record and the table say of it."""

import json
import math

import pandas as pd
import pytest

from vidrep.tables import convergence
from vidrep.training.convergence import converged


def history(scores: list[float], epochs: float, start: int = 0) -> list[tuple]:
    """Validations at equal distances through a stage, beside rows that must not count."""
    rows = [(start, "validation", "exact_set", 0.9), (start + epochs, "train", "exact_set", 1.0)]
    for number, score in enumerate(scores, start=1):
        epoch = start + epochs * number / len(scores)
        rows += [(epoch, "validation", "exact_set", score), (epoch, "validation", "loss", -9.0)]
    return rows


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ([0.1, 0.4, 0.6, 0.7, 0.78, 0.8, 0.81, 0.82], True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], False),
        ([0.1, 0.4, 0.6, 0.7, 0.78, 0.8, 0.8, 0.88], False),  # 0.08 of 0.78 is over a tenth
        ([0.1, 0.4, 0.6, 0.7, 0.78, 0.8, 0.7, 0.6], True),  # it has become worse
        ([0.1] * 8, True),  # it learns nothing, and that has not changed
        ([0.1, 0.2, 0.3, 0.4], None),
        ([], None),
        ([0.1, 0.4, 0.6, 0.7, math.nan, 0.8, 0.81, 0.82], None),
    ],
)
@pytest.mark.parametrize("start", [0, 4])
@pytest.mark.parametrize("epochs", [1, 3])
def test_the_rule(scores, wanted, start, epochs):
    assert converged(history(scores, epochs, start), "exact_set", "max", start) is wanted
    turned = [(epoch, split, name, -value) for epoch, split, name, value in history(scores, epochs)]
    assert converged(turned, "exact_set", "min", 0) is wanted


def test_the_table_says_it_in_words(tmp_path):
    paths = []
    for seed, found in enumerate((True, False, None)):
        folder = tmp_path / "digits_only" / "net" / f"seed{seed}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"converged": found}))
        paths.append(str(folder / "run.json"))
    expected = pd.DataFrame(
        {
            "system": ["net"] * 3,
            "trained_on": ["digits_only"] * 3,
            "seed": ["0", "1", "2"],
            "converged": ["yes", "no", "unknown"],
        },
        dtype=str,
    )
    pd.testing.assert_frame_equal(convergence(paths), expected)
