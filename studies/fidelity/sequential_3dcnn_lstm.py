"""Claims of "3-D CNN, then LSTM" (Baccouche et al., HBU 2011)."""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from studies.fidelity.claim import Claim, Finding, all_hold, at_least, decided, greater
from studies.results import Results, cpu_batches
from studies.scores import Score
from vidrep.models import create
from vidrep.objectives.windows_then_sequence import accumulated
from vidrep.readouts import EXACT_SET_MAP, LabelSets, exact_sets

SOURCE = "sequential_3dcnn_lstm"
SYSTEM = "window_lstm_narrow"
VERSIONS = ("digits_only", "digits_and_velocity", "velocity_only", "velocity_only_slow")
VOTING = "voting"
LSTM = "LSTM"
SLIGHTLY = 0.05  # what a shuffled sequence may cost


def window_features(objective, clip: Tensor) -> Tensor:
    """Window features (B, S, F) as the run computes them."""
    return objective.model.window_features(clip)


def window_length(objective) -> int:
    """Frames of a window."""
    return 1 + sum(layer[0].kernel_size[0] - 1 for layer in objective.model.cnn)


def shuffled_inside(objective, clip: Tensor) -> Tensor:
    """Window features of clips whose frames stand, window by window, in a random order.

    (B, C, T, H, W) -> (B, S, F).
    """
    length = window_length(objective)
    generator = torch.Generator().manual_seed(0)
    windows = clip.unfold(2, length, 1)  # (B, C, S, H, W, length)
    windows = windows.permute(0, 2, 1, 5, 3, 4).flatten(0, 1)  # (B*S, C, length, H, W)
    order = torch.rand(len(windows), length, generator=generator).argsort(1)
    rows = torch.arange(len(windows))[:, None]
    shuffled = windows[rows, :, order].transpose(1, 2)
    features = objective.model.window_features(shuffled)  # (B*S, 1, F)
    return features.squeeze(1).unflatten(0, (len(clip), -1))


Read = Callable[[object, Tensor], Tensor]  # (objective, clip) -> window features (B, S, F)


@torch.no_grad()
def evidence_of(objective, split, read: Read, permute: bool) -> dict[str, np.ndarray]:
    """What windows and steps say of each class, (n, S, classes) float64.

    Args:
        objective: of a run.
        split: the clips.
        read: see ``Read``.
        permute: put the windows of each clip in a random order.
    """
    found = {VOTING: [], LSTM: []}
    generator = torch.Generator().manual_seed(0)
    for batch in cpu_batches(split):
        features = read(objective, batch["clip"])
        if permute:
            order = torch.rand(features.shape[:2], generator=generator).argsort(1)
            features = features.gather(1, order[..., None].expand_as(features))
        found[VOTING].append(objective.evidence(objective.window_logits(features)))
        found[LSTM].append(objective.evidence(objective.sequence_logits(features)))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


class Reader:
    """Scores of readings of the runs on their test clips.

    A clip is read as the most probable of the label sets that occur, from what all or some of its
    windows or steps say, accumulated. (The threshold of every class, which the paper's single label
    needs none of, calls most clips empty.)

    Args:
        results: the experiment.
        dataset: what the runs were trained on.
        read: see ``Read``.
        permute: see ``evidence_of``.
    """

    def __init__(
        self, results: Results, dataset: str, read: Read = window_features, permute: bool = False
    ) -> None:
        self.results = results
        self.dataset = dataset
        self.sets = LabelSets.of(results.labels(dataset, "train"))
        self.truth = results.labels(dataset, "test")
        split = results.split(dataset)
        self.evidence = []
        for seed in results.seeds(dataset, SYSTEM):
            objective = results.load(dataset, SYSTEM, seed)
            self.evidence.append(evidence_of(objective, split, read, permute))

    @property
    def steps(self) -> int:
        """Windows of a clip."""
        return self.evidence[0][LSTM].shape[1]

    def right(self, evidence: np.ndarray) -> np.ndarray:
        """Is the most probable set of each clip the right one? (n, S, classes) -> (n,)."""
        mean = accumulated(torch.from_numpy(evidence)).sigmoid().numpy()
        return exact_sets(self.sets.most_probable(mean), self.truth)

    def score(self, kind: str, steps: slice = slice(None), name: str = "") -> Score:
        """A score from some of the windows (``VOTING``) or of the steps (``LSTM``)."""
        values = np.stack([self.right(each[kind][:, steps]) for each in self.evidence])
        return self._named(values, name or f"{self.dataset}, {kind}")

    def single(self, kind: str) -> Score:
        """Share of a clip's windows, or steps, that are right by themselves."""
        rows = []
        for each in self.evidence:
            steps = [self.right(each[kind][:, [step]]) for step in range(self.steps)]
            rows.append(np.mean(steps, axis=0))
        return self._named(np.stack(rows), f"{self.dataset}, single windows")

    def _named(self, values: np.ndarray, name: str) -> Score:
        return Score(
            values,
            name,
            runs=f"{SYSTEM} {self.dataset}",
            clips=self.dataset,
            seeds=self.results.seed_variance(EXACT_SET_MAP),
        )


@cache
def reader(results: Results, dataset: str) -> Reader:
    """Readings of the test clips as they are."""
    return Reader(results, dataset)


def percent(values: Iterable[float]) -> str:
    """Shares as one line of percentages."""
    return ", ".join(f"{100 * value:.1f}" for value in values) + " %"


def _published_sizes(results: Results) -> Finding:
    with torch.device("meta"):
        model = create("window_lstm", clip_shape=(1, 9, 34, 54))
        maps = torch.empty(1, 1, 9, 34, 54)
        sizes = []
        for layer in model.cnn:
            maps = layer(maps)
            sizes.append(tuple(maps.shape[1:]))
    features = model.standardise.mean.numel()
    right = sizes == [(7, 5, 14, 24), (35, 3, 5, 10), (5, 1, 3, 8)] and features == 120
    return decided(f"maps x T x H x W {', '.join(map(str, sizes))}; {features} features", right)


def _lstm_not_below_voting(results: Results) -> Finding:
    findings = []
    for version in VERSIONS:
        read = reader(results, version)
        findings.append(at_least(read.score(LSTM), read.score(VOTING)))
    return all_hold(findings)


def _gap(results: Results) -> Finding:
    """Is the LSTM's share of what voting misses largest where single windows say least?"""
    single = {}
    gained = {}
    for version in VERSIONS:
        read = reader(results, version)
        voting = read.score(VOTING).value
        single[version] = read.single(VOTING).value
        gained[version] = (read.score(LSTM).value - voting) / (1 - voting)
    text = ", ".join(
        f"{version} {100 * single[version]:.1f} % and {100 * gained[version]:+.0f} %"
        for version in VERSIONS
    )
    found = f"single windows right, and share of voting's errors that the LSTM mends: {text}"
    return decided(found, max(gained, key=gained.get) == min(single, key=single.get))


def _by_windows(results: Results, kind: str) -> tuple[list[int], list[float]]:
    """Numbers of windows, and accuracies after them, averaged over the versions."""
    total = reader(results, VERSIONS[0]).steps
    counts = [2**power for power in range(total.bit_length()) if 2**power <= total]
    means = []
    for count in counts:
        values = [reader(results, version).score(kind, slice(count)).value for version in VERSIONS]
        means.append(sum(values) / len(VERSIONS))
    return counts, means


def _voting_saturates(results: Results) -> Finding:
    counts, values = _by_windows(results, VOTING)
    first = values[1] - values[0]
    last = values[-1] - values[-2]
    text = f"after {', '.join(map(str, counts))} windows: {percent(values)}"
    return decided(text, values[-1] > values[0] and last < first)


def _lstm_rises(results: Results) -> Finding:
    counts, values = _by_windows(results, LSTM)
    return decided(
        f"after {', '.join(map(str, counts))} windows: {percent(values)}",
        values == sorted(values),
    )


def _last_step_is_best(results: Results) -> Finding:
    findings = []
    for version in VERSIONS:
        read = reader(results, version)
        scores = []
        for step in range(read.steps):
            name = f"{version}, step {step + 1}"
            scores.append(read.score(LSTM, slice(step, step + 1), name))
        best = max(scores[:-1], key=lambda score: score.value)
        text = f"{version}, steps 1 to {len(scores)}: {percent(score.value for score in scores)}"
        findings.append(Finding(text, at_least(scores[-1], best).verdict))
    return all_hold(findings)


def _windows_see_speed(results: Results) -> Finding:
    version = "velocity_only_slow"
    return greater(
        reader(results, version).single(VOTING), results.score("cnn_lstm_narrow", version)
    )


def _voting_ignores_order(results: Results) -> Finding:
    version = "velocity_only_slow"
    plain = reader(results, version).score(VOTING)
    mixed = Reader(results, version, permute=True).score(VOTING)
    return decided(
        f"in order {100 * plain.value:.2f} %, shuffled {100 * mixed.value:.2f} %",
        bool((plain.values == mixed.values).all()),
    )


def _lstm_hardly_needs_order(results: Results) -> Finding:
    version = "velocity_only_slow"
    mixed = Reader(results, version, permute=True).score(LSTM, name="windows shuffled")
    return at_least(mixed, reader(results, version).score(LSTM), SLIGHTLY)


def _frames_inside_windows_matter(results: Results) -> Finding:
    findings = []
    for version in ("velocity_only", "velocity_only_slow"):
        plain = reader(results, version)
        mixed = Reader(results, version, shuffled_inside)
        for kind in (VOTING, LSTM):
            in_order = plain.score(kind)
            shuffled = mixed.score(kind, name="frames shuffled")
            findings.append(greater(in_order, shuffled))
            half = in_order.value / 2
            findings.append(decided(f"half is {100 * half:.1f} %", shuffled.value <= half))
    return all_hold(findings)


def two_of_votes(evidence: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The two classes that most windows have among their two likeliest, ties drawn at random.

    (n, S, classes) -> (n, classes) bool.
    """
    classes = evidence.shape[-1]
    votes = np.eye(classes)[evidence.argsort(-1)[..., -2:]].sum((1, 2))  # (n, classes)
    return _two_largest(votes + rng.random(votes.shape) / 2)


def _two_largest(scores: np.ndarray) -> np.ndarray:
    """(n, classes) -> (n, classes) bool, two true in each row."""
    chosen = np.zeros(scores.shape, bool)
    np.put_along_axis(chosen, scores.argsort(-1)[:, -2:], True, axis=-1)
    return chosen


def _log_odds_against_votes(results: Results) -> Finding:
    version = "digits_only"
    read = reader(results, version)
    two_labels = read.truth.sum(1) == 2
    truth = read.truth[two_labels]
    rng = np.random.default_rng(0)
    by_log_odds = []
    by_votes = []
    for each in read.evidence:
        evidence = each[VOTING][two_labels]
        by_log_odds.append(exact_sets(_two_largest(evidence.mean(1)), truth))
        by_votes.append(exact_sets(two_of_votes(evidence, rng), truth))
    seeds = results.seed_variance(EXACT_SET_MAP)
    a, b = (
        Score(
            np.stack(rows),
            name,
            runs=f"{SYSTEM} {version}",
            clips=f"pairs of {version}",
            seeds=seeds,
        )
        for rows, name in (
            (by_log_odds, "two largest log-odds accumulated"),
            (by_votes, "two classes with most votes"),
        )
    )
    return greater(a, b)


AT_THE_FLOOR = (
    "the threshold of every class called most clips empty, and what stood below it could not be"
    " compared"
)

CLAIMS = [
    Claim(
        SOURCE,
        "The published network has the published sizes",
        "7, 35 and 5 maps; 120 features",
        "default parameters on a window of 9 frames of 34 x 54 px",
        _published_sizes,
    ),
    Claim(
        SOURCE,
        "The LSTM is at least as good as voting",
        "not below voting on any version",
        "window_lstm_narrow, the most probable label set: steps of the LSTM accumulated against"
        " windows accumulated; the interval of the difference lies above -5 points",
        _lstm_not_below_voting,
        mended=AT_THE_FLOOR,
    ),
    Claim(
        SOURCE,
        "The LSTM helps most where single windows are ambiguous",
        "it mends the largest share of voting's errors on the version whose single windows are"
        " right least often",
        "window_lstm_narrow, version by version, means over seeds",
        _gap,
        mended="the gap in points grew with what there was to gain; " + AT_THE_FLOOR,
    ),
    Claim(
        SOURCE,
        "Voting gets better with more windows, then saturates",
        "all windows better than one; the last doubling brings less than the first",
        "window_lstm_narrow, the first windows accumulated, mean over four versions and seeds",
        _voting_saturates,
        mended=AT_THE_FLOOR,
    ),
    Claim(
        SOURCE,
        "The LSTM gets better with more windows",
        "higher with every doubling",
        "window_lstm_narrow, first steps accumulated, mean over four versions and seeds",
        _lstm_rises,
        mended=AT_THE_FLOOR,
    ),
    Claim(
        SOURCE,
        "The LSTM's last step is its best single step",
        "not more than 5 points below any other step, on any version",
        "window_lstm_narrow, every step alone",
        _last_step_is_best,
        mended=AT_THE_FLOOR,
    ),
    Claim(
        SOURCE,
        "A window of frames sees slow speeds, a frame does not",
        "single windows above the CNN and LSTM on single frames, on velocity_only_slow",
        "window_lstm_narrow (mean over single windows) and cnn_lstm_narrow",
        _windows_see_speed,
    ),
    Claim(
        SOURCE,
        "Voting does not depend on the order of windows",
        "exactly the same answers",
        "window_lstm_narrow on velocity_only_slow, the windows of each clip in random order",
        _voting_ignores_order,
    ),
    Claim(
        SOURCE,
        "The LSTM hardly depends on the order of windows where motion is stationary",
        "at most five points lower",
        "the same, scored by the LSTM",
        _lstm_hardly_needs_order,
    ),
    Claim(
        SOURCE,
        "The order of frames inside windows carries the speed",
        "at most half the accuracy, voting and LSTM, fast and slow",
        "window_lstm_narrow on velocity_only: the frames of every window in random order",
        _frames_inside_windows_matter,
    ),
    Claim(
        SOURCE,
        "Clips of two labels: accumulated log-odds read them better than votes",
        "the two largest accumulated log-odds are right more often than the two classes with most"
        " votes",
        "window_lstm_narrow on the clips of digits_only with two labels; every window votes for its"
        " two likeliest classes, ties are drawn",
        _log_odds_against_votes,
        mended=(
            "log-odds stood against a single vote, which names one class and so is wrong on every"
            " clip of two by construction"
        ),
    ),
]
