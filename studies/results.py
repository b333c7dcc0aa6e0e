"""A finished experiment as studies read it: scores, records, networks and clips."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED
from vidrep.statistics import wilson_interval

CLIPS_AT_A_TIME = 100


class NotRun(Exception):
    """The experiment holds no run that could decide a claim."""


@dataclass(frozen=True)
class Score:
    """A share of test clips.

    Attributes:
        value: in [0, 1], averaged over seeds.
        n: clips it was measured on.
        name: of what.
    """

    value: float
    n: int
    name: str

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval over clips."""
        low, high = wilson_interval(self.value, self.n)
        return float(low), float(high)

    def __str__(self) -> str:
        return f"{self.name} {100 * self.value:.1f} %"


def cpu_batches(split) -> Iterator[dict]:
    """The clips of a split as networks take them on the CPU, some at a time."""
    from vidrep.training.device import choose

    return split.batches(CLIPS_AT_A_TIME, choose(0, "float32"))


class Results:
    """A finished experiment as claims read it.

    Args:
        folder: ``results/<experiment>``.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def table(self, name: str) -> pd.DataFrame:
        """``tables/<name>.csv``.

        Raises:
            NotRun: there is no such table.
        """
        path = self.folder / "tables" / f"{name}.csv"
        if not path.exists():
            raise NotRun(f"no table {path.name}")
        return read_table(path, ())

    @cached_property
    def _accuracy(self) -> pd.DataFrame:
        return (
            self.table("accuracy")
            .set_index(["system", "trained_on", "evaluated_on", "split", "metric"])
            .sort_index()
        )

    @cached_property
    def clips(self) -> dict[str, int]:
        """Test clips of each data set."""
        from vidrep.datasets.store import clip_counts

        return clip_counts(sorted((self.folder / "datasets").glob("*/test.h5")))

    def score(
        self,
        system: str,
        dataset: str,
        *,
        metric: str = "exact_set",
        split: str = "test",
        on: str | None = None,
    ) -> Score:
        """A score of a system's trained runs, averaged over seeds.

        Args:
            system: its name in the experiment; ``<name>@untrained`` for its untrained baseline.
            dataset: what it was trained on.
            metric: see ``metric`` of accuracy.csv.
            split: ``test``, or a manipulated version such as ``test_shuffled``.
            on: data set it is evaluated on; the one it was trained on if left out.

        Raises:
            NotRun: no such row.
        """
        on = on or dataset
        name, _, seed = system.partition("@")
        missing = NotRun(f"{system} on {dataset} ({split}, {metric})")
        try:
            rows = self._accuracy.loc[[(name, dataset, on, split, metric)]]
        except KeyError:
            raise missing from None
        rows = rows[(rows["seed"] == UNTRAINED) == (seed == UNTRAINED)]
        if rows.empty:
            raise missing
        words = [system, dataset]
        if metric != "exact_set":
            words.append(metric)
        if split != "test":
            words.append(split)
        return Score(float(rows["value"].mean()), self.clips[on] * len(rows), " ".join(words))

    def majority(self, dataset: str) -> Score:
        """How often the commonest label set of the training clips is right on the test clips."""
        table = self.table("accuracy")
        rows = table[
            (table["system"] == "majority_set")
            & (table["evaluated_on"] == dataset)
            & (table["split"] == "test")
            & (table["metric"] == "exact_set")
        ]
        if rows.empty or dataset not in self.clips:
            raise NotRun(f"no test clips of {dataset}")
        share = float(rows["value"].mean())
        return Score(share, self.clips[dataset], f"commonest label set of {dataset}")

    def run_folder(self, dataset: str, system: str, seed: int | str = 0) -> Path:
        """A run's folder.

        Raises:
            NotRun: there is none.
        """
        folder = self.folder / "runs" / dataset / system / f"seed{seed}"
        if not (folder / "run.json").exists():
            raise NotRun(f"{system} on {dataset}, seed {seed}")
        return folder

    def history(self, dataset: str, system: str, seed: int = 0) -> pd.DataFrame:
        """Learning curves of a run: epoch, split, metric, value."""
        path = self.run_folder(dataset, system, seed) / "history.csv"
        return read_table(path, ("epoch", "split", "metric", "value"))

    def record(self, dataset: str, system: str, seed: int | str = 0) -> dict:
        """``run.json`` of a run."""
        path = self.run_folder(dataset, system, seed) / "run.json"
        return json.loads(path.read_text())

    def load(self, dataset: str, system: str, seed: int | str = 0):
        """The objective of a run on the CPU, in evaluation mode."""
        from vidrep.training.device import choose
        from vidrep.training.run import load_run

        folder = self.run_folder(dataset, system, seed)
        objective, *_ = load_run(folder, choose(0, "float32"))
        return objective

    def clips_file(self, dataset: str, split: str) -> Path:
        """The file of a data set's split.

        Raises:
            NotRun: there is none.
        """
        path = self.folder / "datasets" / dataset / f"{split}.h5"
        if not path.exists():
            raise NotRun(f"no clips of {dataset}, {split}")
        return path

    def split(
        self,
        dataset: str,
        split: str = "test",
        *,
        system: str | None = None,
        count: int | None = None,
    ):
        """Clips of a data set, with the flow that ``system`` is fed and its targets.

        Returns:
            vidrep.training.split.Split of the first ``count`` clips, all by default.

        Raises:
            NotRun: there is no such data set or run.
        """
        from vidrep.objectives.build import needed_targets
        from vidrep.splits import SplitFiles
        from vidrep.systems import flow_inputs
        from vidrep.training.split import load_split

        clips = self.clips_file(dataset, split)
        if system is None:
            return load_split(SplitFiles(clips), count)
        definition = self.record(dataset, system)["system"]
        methods = flow_inputs(definition["inputs"], definition["flow"])
        flow_folder = self.folder / "flow" / dataset / split
        flows = {name: flow_folder / f"{method}.zarr" for name, method in methods.items()}
        files = SplitFiles(clips, **flows)
        return load_split(files, count, targets=needed_targets(definition))

    def batches(
        self,
        dataset: str,
        split: str = "test",
        *,
        system: str | None = None,
        count: int | None = None,
    ) -> Iterator[dict]:
        """The clips of ``split`` as networks take them on the CPU, some at a time."""
        return cpu_batches(self.split(dataset, split, system=system, count=count))
