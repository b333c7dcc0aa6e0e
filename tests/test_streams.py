"""Random streams: stable values, one stream a name."""

import itertools

import numpy as np

from vidrep.random_streams import stream, stream_seed


def test_seed_is_the_head_of_a_sha256():
    # printf '[7, "train", "trajectory", 3]' | sha256sum, first 16 hex digits, lowest bit dropped
    assert stream_seed(7, "train", "trajectory", 3) == 0x1C72FF0196548E55 >> 1
    expected = np.random.default_rng(0x1C72FF0196548E55 >> 1).integers(1000, size=3)
    assert np.array_equal(stream(7, "train", "trajectory", 3).integers(1000, size=3), expected)


def test_seeds_fit_torch_and_numpy():
    seeds = [stream_seed(seed, "epoch", index) for seed in (0, 2**40) for index in range(500)]
    assert all(0 <= seed < 2**63 for seed in seeds) and max(seeds) > 2**62
    assert len(set(seeds)) == 1000


def test_every_part_of_a_name_counts():
    names = [
        (0, "a", 1),
        (1, "a", 1),
        (0, "b", 1),
        (0, "a", 2),
        (0, "a", 11),
        (0, "a", 1, 1),
        (0, "a"),
        (0, 1, "a"),
    ]
    assert len({stream_seed(*name) for name in names}) == len(names)


def test_streams_of_different_names_are_unrelated():
    draws = [stream(0, "order", epoch).normal(size=4000) for epoch in range(4)]
    for one, two in itertools.combinations(draws, 2):
        assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(4000)  # four standard errors


def test_streams_do_not_touch_the_global_generator():
    np.random.seed(1)  # noqa: NPY002 - the state that must stay as it is
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = stream(0, "a").random(5)
    stream(0, "b").random(7)
    assert np.array_equal(first, stream(0, "a").random(5))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
