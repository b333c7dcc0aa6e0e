"""Claims of "3-D CNN, then LSTM" (Baccouche et al., HBU 2011)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from studies.fidelity.claim import Claim, Finding, all_hold, at_least, greater
from studies.results import Results, Score, cpu_batches
from vidrep.models import create
from vidrep.objectives.windows_then_sequence import accumulated

SOURCE = "sequential_3dcnn_lstm"
SYSTEM = "window_lstm_narrow"
VERSIONS = ("digits_only", "digits_and_velocity", "velocity_only", "velocity_only_slow")
VOTING = "exact_set_voting"
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


@torch.no_grad()
def scored(
    results: Results, dataset: str, read: Callable = window_features, permute: bool = False
) -> dict[str, Score]:
    """Scores of a run on its test clips.

    Args:
        results: the experiment.
        dataset: what the run was trained on.
        read: (objective, clip) -> window features (B, S, F).
        permute: put the windows of each clip in a random order.
    """
    objective = results.load(dataset, SYSTEM)
    split = results.split(dataset)
    sums = {}
    generator = torch.Generator().manual_seed(0)
    for batch in cpu_batches(split):
        features = read(objective, batch["clip"])
        if permute:
            order = torch.rand(features.shape[:2], generator=generator).argsort(1)
            features = features.gather(1, order[..., None].expand_as(features))
        for name, values in objective.score_windows(features, batch["labels"]).items():
            sums[name] = sums.get(name, 0.0) + values.double().sum().item()
    scores = {}
    for name, value in sums.items():
        scores[name] = Score(value / len(split), len(split), f"{SYSTEM} {dataset} {name}")
    return scores


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
    return Finding(f"maps x T x H x W {', '.join(map(str, sizes))}; {features} features", right)


def _lstm_not_below_voting(results: Results) -> Finding:
    findings = []
    for version in VERSIONS:
        voting = results.score(SYSTEM, version, metric=VOTING)
        findings.append(at_least(results.score(SYSTEM, version), voting))
    return all_hold(findings)


def _gap(results: Results) -> Finding:
    gaps = {}
    for version in VERSIONS:
        voting = results.score(SYSTEM, version, metric=VOTING)
        gaps[version] = results.score(SYSTEM, version).value - voting.value
    text = ", ".join(f"{version} {100 * gap:+.1f}" for version, gap in gaps.items())
    widest = max(gaps, key=gaps.get)
    return Finding(f"LSTM minus voting in points: {text}", widest == "velocity_only")


def _by_windows(results: Results, kind: str) -> tuple[list[int], list[float]]:
    """Numbers of windows, and accuracies after them and after all, averaged over the versions."""
    counts = []
    for name in results.table("accuracy")["metric"].unique():
        _, found, count = name.rpartition(f"{kind}_first")
        if found:
            counts.append(int(count))
    counts.sort()
    names = [f"exact_set_{kind}_first{count}" for count in counts]
    names.append(VOTING if kind == "voting" else "exact_set")
    means = []
    for name in names:
        values = [results.score(SYSTEM, version, metric=name).value for version in VERSIONS]
        means.append(sum(values) / len(VERSIONS))
    return counts, means


def _voting_saturates(results: Results) -> Finding:
    counts, values = _by_windows(results, "voting")
    before = values[-2] - values[0]
    last = values[-1] - values[-2]
    text = f"after {', '.join(map(str, counts))} and all windows: {percent(values)}"
    return Finding(text, values[-1] > values[0] and last <= max(before, 0.01))


def _lstm_rises(results: Results) -> Finding:
    counts, values = _by_windows(results, "lstm")
    return Finding(
        f"after {', '.join(map(str, counts))} and all windows: {percent(values)}",
        values == sorted(values),
    )


@torch.no_grad()
def step_scores(results: Results, dataset: str) -> list[Score]:
    """Accuracy of each step of the LSTM alone."""
    objective = results.load(dataset, SYSTEM)
    split = results.split(dataset)
    right = []
    for batch in cpu_batches(split):
        evidence = objective.evidence(objective.logits(batch)[""])
        truth = batch["labels"] > 0
        right.append((objective.decide(evidence) == truth[:, None]).all(-1))  # (B, S)
    scores = []
    for step, share in enumerate(torch.cat(right).double().mean(0).tolist(), start=1):
        scores.append(Score(share, len(split), f"{dataset}, step {step}"))
    return scores


def _last_step_is_best(results: Results) -> Finding:
    findings = []
    for version in VERSIONS:
        scores = step_scores(results, version)
        best = max(scores[:-1], key=lambda score: score.value)
        text = f"{version}, steps 1 to {len(scores)}: {percent(score.value for score in scores)}"
        findings.append(Finding(text, at_least(scores[-1], best).holds))
    return all_hold(findings)


def _windows_see_speed(results: Results) -> Finding:
    version = "velocity_only_slow"
    return greater(
        results.score(SYSTEM, version, metric="exact_set_window"),
        results.score("cnn_lstm_narrow", version),
    )


def _voting_ignores_order(results: Results) -> Finding:
    version = "velocity_only_slow"
    plain = scored(results, version)[VOTING]
    mixed = scored(results, version, permute=True)[VOTING]
    return Finding(
        f"in order {100 * plain.value:.2f} %, shuffled {100 * mixed.value:.2f} %",
        plain.value == mixed.value,
    )


def _lstm_hardly_needs_order(results: Results) -> Finding:
    version = "velocity_only_slow"
    plain = scored(results, version)["exact_set"]
    mixed = scored(results, version, permute=True)["exact_set"]
    text = f"in order {100 * plain.value:.1f} %, shuffled {100 * mixed.value:.1f} %"
    return Finding(text, mixed.value >= plain.value - SLIGHTLY)


def _frames_inside_windows_matter(results: Results) -> Finding:
    findings = []
    for version in ("velocity_only", "velocity_only_slow"):
        plain = scored(results, version)
        mixed = scored(results, version, shuffled_inside)
        for name, label in ((VOTING, "voting"), ("exact_set", "LSTM")):
            in_order = plain[name]
            shuffled = mixed[name]
            text = (
                f"{version}, {label}: in order {100 * in_order.value:.1f} %, shuffled"
                f" {100 * shuffled.value:.1f} %"
            )
            half_lost = shuffled.value <= in_order.value / 2
            findings.append(Finding(text, greater(in_order, shuffled).holds and half_lost))
    return all_hold(findings)


@torch.no_grad()
def _log_odds_against_one_vote(results: Results) -> Finding:
    version = "digits_only"
    objective = results.load(version, SYSTEM)
    by_log_odds = []
    by_votes = []
    for batch in results.batches(version):
        truth = batch["labels"] > 0  # (B, classes)
        evidence = objective.evidence(objective.window_logits(objective.window_features(batch)))
        votes = one_hot(evidence.argmax(-1), truth.shape[1]).sum(1)
        winner = one_hot(votes.argmax(1), truth.shape[1]).bool()
        two_labels = truth.sum(1) > 1
        right = (objective.decide(accumulated(evidence)) == truth).all(1)
        by_log_odds.append(right[two_labels])
        by_votes.append((winner == truth).all(1)[two_labels])

    def share(right: list[Tensor], name: str) -> Score:
        values = torch.cat(right).double()
        return Score(values.mean().item(), len(values), name)

    return greater(
        share(by_log_odds, "log-odds accumulated"),
        share(by_votes, "most votes of single windows"),
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
        "window_lstm_narrow, exact set: steps of the LSTM accumulated against windows accumulated",
        _lstm_not_below_voting,
    ),
    Claim(
        SOURCE,
        "The LSTM helps most where single windows are ambiguous",
        "largest gap on velocity_only (fast)",
        "window_lstm_narrow, LSTM minus voting, version by version",
        _gap,
        if_fails=(
            "after 4 epochs the ConvNet's windows are ambiguous on every version, and points grow"
            " with the accuracy that there is to gain; as a ratio of LSTM to voting velocity_only"
            " (2.2) is not the largest either (velocity_only_slow 3.0)"
        ),
    ),
    Claim(
        SOURCE,
        "Voting gets better with more windows, then saturates",
        "all windows better than one; the last doubling brings no more than those before",
        "window_lstm_narrow, votes of the first windows, mean over four versions",
        _voting_saturates,
        if_fails=(
            "the accuracy of single windows is so low that their votes are mostly 'absent' for"
            " every class, which more windows only confirm; likely, not tested"
        ),
    ),
    Claim(
        SOURCE,
        "The LSTM gets better with more windows",
        "higher with every doubling",
        "window_lstm_narrow, first steps accumulated, mean over four versions",
        _lstm_rises,
    ),
    Claim(
        SOURCE,
        "The LSTM's last step is its best single step",
        "no other step clearly above it, on any version",
        "window_lstm_narrow, exact set of every step alone",
        _last_step_is_best,
    ),
    Claim(
        SOURCE,
        "A window of frames sees slow speeds, a frame does not",
        "single windows above the CNN and LSTM on single frames, on velocity_only_slow",
        "window_lstm_narrow (mean over single windows) and cnn_lstm_narrow, exact set",
        _windows_see_speed,
    ),
    Claim(
        SOURCE,
        "Voting does not depend on the order of windows",
        "exactly the same accuracy",
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
        "Clips of two labels need log-odds of each class, not one vote",
        "accumulated log-odds above a single argmax vote",
        "window_lstm_narrow on the clips of digits_only with two labels, exact set",
        _log_odds_against_one_vote,
        if_fails=(
            "the ConvNet recognises hardly any set of two digits after 4 epochs, so both readings"
            " lie at the floor"
        ),
    ),
]
