"""A finished experiment as studies read it: scores, records, networks and clips."""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from studies.scores import CONSTANT, Score, SeedVariance, pooled_seed_variance
from vidrep.clip_scores import ClipScores, paired, read_clip_scores, with_exact_set_map
from vidrep.datasets.store import open_clips
from vidrep.readouts import EXACT_SET_MAP, PROBABILITIES, LabelSets, exact_sets
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED

CLIPS_AT_A_TIME = 100
# how metrics begin that say of each clip whether it was right, or which share of its parts
SHARES = ("exact_set", "best_class", "top1", "present_above_half", "likeliest")
# A system has learnt where it differs from its untrained baseline by so many standard errors.
LEARNT = 3


class NotRun(Exception):
    """The experiment holds no run that could decide a claim."""


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
        self._seed_variances: dict[str, SeedVariance] = {}

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
    def _clip_scores(self) -> dict[tuple[str, str, str], dict[str, Path]]:
        """Files of clip scores: (evaluated on, trained on, system) to seed to file."""
        found = {}
        for path in sorted((self.folder / "clip_scores").glob("*/*.npz")):
            trained_on, system, seed = path.stem.split("--")
            runs = found.setdefault((path.parent.name, trained_on, system), {})
            runs[seed.removeprefix("seed")] = path
        return found

    def _read(self, on: str, dataset: str, system: str) -> list[ClipScores]:
        """Scores of a system's runs; those of its untrained baseline if its name says so."""
        name, _, wanted = system.partition("@")
        files = self._clip_scores.get((on, dataset, name), {})
        chosen = [seed for seed in files if (seed == UNTRAINED) == (wanted == UNTRAINED)]
        return [read_clip_scores(files[seed]) for seed in sorted(chosen)]

    def seeds(self, dataset: str, system: str) -> list[int]:
        """The seeds that a system was trained with.

        Raises:
            NotRun: none.
        """
        folder = self.folder / "runs" / dataset / system
        seeds = [path.parent.name.removeprefix("seed") for path in folder.glob("seed*/run.json")]
        trained = sorted(int(seed) for seed in seeds if seed != UNTRAINED)
        if not trained:
            raise NotRun(f"{system} on {dataset}")
        return trained

    def still_rising(self, dataset: str, system: str) -> bool:
        """Did the validation score of any of a system's runs still rise when training ended?"""
        records = [self.record(dataset, system, seed) for seed in self.seeds(dataset, system)]
        return any(record.get("converged") is False for record in records)

    def score(
        self,
        system: str,
        dataset: str,
        *,
        metric: str = EXACT_SET_MAP,
        split: str = "test",
        on: str | None = None,
    ) -> Score:
        """A score of every test clip by a system's trained runs.

        Args:
            system: its name in the experiment; ``<name>@untrained`` for its untrained baseline.
            dataset: what it was trained on.
            metric: see ``metric`` of accuracy.csv; by default whether the most probable of the
                label sets that occur is the right one, which also tells apart networks that stay
                below the threshold of every class.
            split: ``test``, or a manipulated version such as ``test_shuffled``.
            on: data set it is evaluated on; the one it was trained on if left out.

        Raises:
            NotRun: there are no such scores.
        """
        on = on or dataset
        found = self._read(on, dataset, system)
        try:
            values = paired(found, metric, split)
        except (ValueError, IndexError):
            raise NotRun(f"{system} on {dataset} ({split}, {metric})") from None
        words = [system, dataset]
        if on != dataset:
            words.append(f"on {on}")
        if metric != EXACT_SET_MAP:
            words.append(metric)
        if split != "test":
            words.append(split)
        return Score(
            values.astype(np.float64),
            " ".join(words),
            runs=f"{system} {dataset}",
            clips=on,
            seeds=self.seed_variance(metric),
            is_share=metric.startswith(SHARES),
            still_rising=UNTRAINED not in system and self.still_rising(dataset, system),
        )

    def scored_again(
        self,
        system: str,
        dataset: str,
        score: Callable[[object], np.ndarray],
        name: str,
        *,
        on: str | None = None,
        metric: str = EXACT_SET_MAP,
        is_share: bool = True,
    ) -> Score:
        """A score that no table holds, of every trained run of a system.

        Args:
            system, dataset: the runs.
            score: from a run's objective to the score of each clip, (n,).
            name: of what.
            on: the data set of these clips; the one it was trained on if left out.
            metric: the one whose variance between seeds it has.
            is_share: see ``Score``.
        """
        values = []
        for seed in self.seeds(dataset, system):
            values.append(score(self.load(dataset, system, seed)))
        return Score(
            np.stack(values).astype(np.float64),
            name,
            runs=f"{system} {dataset}",
            clips=on or dataset,
            seeds=self.seed_variance(metric),
            is_share=is_share,
            still_rising=self.still_rising(dataset, system),
        )

    def probabilities(self, system: str, dataset: str, seed: int) -> np.ndarray:
        """Of each class for each test clip, (n, classes), by one run.

        Raises:
            NotRun: there is no such run.
        """
        files = self._clip_scores.get((dataset, dataset, system), {})
        if str(seed) not in files:
            raise NotRun(f"{system} on {dataset}, seed {seed}")
        return read_clip_scores(files[str(seed)]).of(PROBABILITIES)

    def most_probable_right(self, probabilities: np.ndarray, dataset: str) -> np.ndarray:
        """Is the most probable label set of each test clip the right one? (n,) of 0 and 1."""
        sets = LabelSets.of(self.labels(dataset, "train"))
        return exact_sets(sets.most_probable(probabilities), self.labels(dataset, "test"))

    def rescored(
        self,
        system: str,
        dataset: str,
        split,
        name: str,
        *,
        on: str | None = None,
        metric: str = EXACT_SET_MAP,
    ) -> Score:
        """A score of other clips than those of the tables, of every trained run of a system.

        Args:
            system, dataset: the runs.
            split: the clips, a ``vidrep.training.split.Split``.
            name: of what.
            on: the data set whose test clips these are, changed or not; the runs' own if left out.
            metric: see ``metric`` of accuracy.csv.
        """
        from vidrep.activations.scores import scores_of_clips
        from vidrep.training.device import choose

        device = choose(0, "float32")
        sets = LabelSets.of(self.labels(dataset, "train"))
        labels = split.labels.numpy()

        def score(objective) -> np.ndarray:
            found = scores_of_clips(objective, split, device)
            return with_exact_set_map(found, labels, sets)[metric]

        return self.scored_again(system, dataset, score, name, on=on, metric=metric)

    def seed_variance(self, metric: str) -> SeedVariance:
        """How much a score varies between seeds, pooled over all systems with several."""
        if metric not in self._seed_variances:
            self._seed_variances[metric] = pooled_seed_variance(self._trained_again(metric))
        return self._seed_variances[metric]

    def _trained_again(self, metric: str) -> Iterator[np.ndarray]:
        """Scores (runs, n) of each system with several seeds that left its untrained baseline."""
        for (on, dataset, system), files in self._clip_scores.items():
            if on != dataset or len(files.keys() - {UNTRAINED}) < 2:
                continue
            try:
                values = paired(self._read(on, dataset, system), metric)
                untrained = paired(self._read(on, dataset, f"{system}@{UNTRAINED}"), metric)
            except (ValueError, IndexError):
                continue
            gained = values.mean(axis=0) - untrained[0]
            error = gained.std() / len(gained) ** 0.5
            if abs(gained.mean()) > LEARNT * error:
                yield values.astype(np.float64)

    def majority(self, dataset: str) -> Score:
        """Is the commonest label set of the training clips right, test clip by test clip?"""
        train = self.labels(dataset, "train")
        sets, counts = np.unique(train, axis=0, return_counts=True)
        right = (self.labels(dataset, "test") == sets[counts.argmax()]).all(axis=1)
        return self.constant(right, f"commonest label set of {dataset}", dataset)

    def constant(self, values: np.ndarray, name: str, clips: str, *, is_share: bool = True):
        """Score of an answer that no network gives, from that of each clip, (n,)."""
        row = np.asarray(values, dtype=np.float64)[None]
        return Score(row, name, runs=CONSTANT, clips=clips, is_share=is_share)

    def labels(self, dataset: str, split: str) -> np.ndarray:
        """Labels (n, classes) of a split."""
        with open_clips(self.clips_file(dataset, split)) as file:
            return file.labels[:]

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
