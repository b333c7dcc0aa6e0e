"""The most probable label set and mean average precision."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from vidrep.clip_scores import ranking_interval, summary, with_exact_set_map
from vidrep.readouts import (
    PROBABILITIES,
    LabelSets,
    exact_sets,
    mean_average_precision,
    weighted_mean_average_precision,
)

PAIRS = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]], np.uint8)


def test_average_precision_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.random((200, 5)) < 0.3
    probabilities = rng.random((200, 5)).round(1)  # with ties
    expected = [average_precision_score(labels[:, i], probabilities[:, i]) for i in range(5)]
    assert mean_average_precision(probabilities, labels) == pytest.approx(np.mean(expected))
    assert mean_average_precision(labels.astype(float), labels) == 1


def test_clips_that_count_twice_are_clips_that_are_there_twice():
    rng = np.random.default_rng(0)
    labels = rng.random((60, 4)) < 0.3
    probabilities = rng.random((60, 4)).round(1)
    counts = rng.integers(0, 3, (5, 60))
    found = weighted_mean_average_precision(probabilities, labels, counts.astype(float))
    for values, draw in zip(found, counts, strict=True):
        rows = np.repeat(np.arange(60), draw)
        assert values == pytest.approx(mean_average_precision(probabilities[rows], labels[rows]))


def test_the_interval_of_a_ranking_holds_it_and_narrows_with_clips():
    rng = np.random.default_rng(0)
    labels = rng.random((400, 5)) < 0.3
    probabilities = 0.3 * labels + 0.7 * rng.random((400, 5))
    widths = []
    for n in (50, 400):
        low, high = ranking_interval(probabilities[:n], labels[:n], None)
        assert low < mean_average_precision(probabilities[:n], labels[:n]) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    assert np.isnan(ranking_interval(probabilities[:5], labels[:5], None)).all()
    videos = [str(i // 10) for i in range(400)]
    whole = np.repeat(probabilities[::10], 10, axis=0), np.repeat(labels[::10], 10, axis=0)
    low, high = ranking_interval(*whole, videos)
    alone_low, alone_high = ranking_interval(*whole, None)
    assert high - low > 2 * (alone_high - alone_low), "ten times the same clip are one clip"


def test_a_constant_answer_has_the_share_of_clips_and_absent_classes_do_not_count():
    labels = np.zeros((8, 3), np.uint8)
    labels[:2, 0] = 1
    labels[:4, 1] = 1
    assert mean_average_precision(np.full((8, 3), 0.3), labels) == pytest.approx((0.25 + 0.5) / 2)
    assert np.isnan(mean_average_precision(np.zeros((2, 3)), np.zeros((2, 3))))


def test_only_sets_that_occur_are_answered_and_the_most_probable_of_them():
    sets = LabelSets.of(PAIRS)
    # by a threshold at a half nothing would be answered
    probabilities = np.array([[0.4, 0.1, 0.2], [0.01, 0.02, 0.3], [0.05, 0.3, 0.06]])
    predicted = sets.most_probable(probabilities)
    assert predicted.astype(int).tolist() == [[1, 0, 1], [0, 1, 1], [0, 1, 1]]
    labels = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1]])
    assert exact_sets(predicted, labels).tolist() == [1, 0, 1]


def test_the_posterior_is_bayes_rule():
    """Of probabilities that are right for classes independent but for the prior of their sets."""
    labels = np.repeat(PAIRS, [6, 3, 1], axis=0)
    sets = LabelSets.of(labels)
    shares = labels.mean(0)
    # what says nothing leaves the commonest set
    assert sets.most_probable(shares[None])[0].astype(int).tolist() == [1, 1, 0]
    # evidence of 3 : 1 for the third class against the second is not enough against 6 : 3 of the
    # sets and what goes with it, evidence of 30 : 1 is
    odds = shares / (1 - shares)

    def told(factor: float) -> list[int]:
        changed = odds * [1, 1 / factor, factor]
        return sets.most_probable((changed / (1 + changed))[None])[0].astype(int).tolist()

    prior = {tuple(row): count for row, count in zip(PAIRS.tolist(), (6, 3, 1), strict=True)}

    def by_hand(factor: float) -> list[int]:
        weights = {
            chosen: count * factor ** (chosen[2] - chosen[1]) for chosen, count in prior.items()
        }
        return list(max(weights, key=weights.get))

    for factor in (1.1, 1.3, 1.5, 3, 30):
        assert told(factor) == by_hand(factor)
    assert told(1.1) == [1, 1, 0] and told(30) == [1, 0, 1]


def test_scores_without_probabilities_stay_as_they_are():
    scores = {"loss": np.ones(3)}
    assert with_exact_set_map(scores, PAIRS, LabelSets.of(PAIRS)) is scores
    assert summary(scores, PAIRS) == {"loss": 1.0}
    answered = {PROBABILITIES: PAIRS * 0.4 + 0.1, **scores}
    told = summary(with_exact_set_map(answered, PAIRS, LabelSets.of(PAIRS)), PAIRS)
    assert told == {"loss": 1.0, "exact_set_map": 1.0, "mean_average_precision": 1.0}
