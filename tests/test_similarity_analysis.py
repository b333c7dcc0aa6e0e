"""Maps, variance shares, agreement and matching layers of systems.

Expected values are derived another way.
"""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.manifold import smacof

from vidrep.similarity import summarise
from vidrep.similarity.files import open_kernels
from vidrep.similarity_analysis import TABLES, agreement, collect, files, layers, scaling, shares
from vidrep.similarity_analysis.distances import as_distances, defined
from vidrep.similarity_analysis.exchange import exchanged, permuted_sums, shuffled


def apart(points: np.ndarray) -> np.ndarray:
    return squareform(pdist(points))


def test_distances_are_angles_of_similarities_and_distances_themselves():
    values = np.array([[1, 0.5], [0.5, 1]])
    np.testing.assert_allclose(
        as_distances(values, "cka_linear_debiased"), [[0, np.pi / 3], [np.pi / 3, 0]]
    )
    np.testing.assert_allclose(as_distances(1 - values, "procrustes"), [[0, 0.5], [0.5, 0]])


def test_angles_of_debiased_cka_obey_the_triangle_inequality():
    draw = np.random.default_rng(0)
    base = draw.normal(size=(12, 30))
    kernels = [
        summarise(base[:, :k] + share * draw.normal(size=(12, k)))
        for k in (3, 9, 30)
        for share in (0, 0.5, 2)
    ]
    d = as_distances(scaling.compare_all(kernels, "cka_linear_debiased"), "cka_linear_debiased")
    assert (d[:, :, None] <= d[:, None, :] + d.T[None] + 1e-7).all()


def test_representations_without_values_are_left_out():
    values = np.ones((4, 4))
    values[2] = values[:, 2] = np.nan
    np.testing.assert_array_equal(defined(values), [0, 1, 3])


def test_a_plane_is_found_again():
    points = np.random.default_rng(0).normal(size=(9, 2))
    for found in (scaling.classical(apart(points)), scaling.plane(apart(points))):
        np.testing.assert_allclose(apart(found), apart(points), atol=1e-9)
    assert scaling.stress(apart(points), scaling.plane(apart(points))) < 1e-9


def test_places_are_those_of_another_implementation():
    distances = apart(np.random.default_rng(1).normal(size=(10, 6)))
    start = scaling.classical(distances)
    theirs, raw = smacof(
        distances, init=start, n_init=1, max_iter=3000, eps=1e-12, normalized_stress=False
    )
    ours = scaling.plane(np.array([distances, 2 * distances]), start)
    np.testing.assert_allclose(apart(ours[0]), apart(theirs), atol=2e-2)
    assert np.sum((pdist(ours[0]) - squareform(distances)) ** 2) == pytest.approx(raw, rel=1e-4)
    stress_1 = np.sqrt(raw / np.sum(pdist(theirs) ** 2))
    assert (
        scaling.stress(distances, ours[0]) == pytest.approx(stress_1, rel=1e-4) and stress_1 > 0.1
    )


def test_aligned_points_lie_on_their_turned_and_mirrored_selves():
    points = scaling.plane(apart(np.random.default_rng(2).normal(size=(7, 2))))
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])
    np.testing.assert_allclose(scaling.align(points @ turn, points), points, atol=1e-9)


def test_clades_are_the_leaves_below_each_branch():
    tree = scaling.tree(apart(np.array([[0.0], [0.1], [5.0], [5.3], [9.0]])))
    assert set(scaling.clades(tree)) == {
        frozenset(c) for c in ({0, 1}, {2, 3}, {2, 3, 4}, {0, 1, 2, 3, 4})
    }


def families_of_noise(n: int = 40, noise: float = 0.3) -> list:
    """Two families of three representations of ``n`` clips, and a third of unrelated ones."""
    draw = np.random.default_rng(3)
    centres = [draw.normal(size=(n, 5)) for _ in range(2)]
    related = [centre + noise * draw.normal(size=(n, 5)) for centre in centres for _ in range(3)]
    return [summarise(x) for x in (*related, *(draw.normal(size=(n, 5)) for _ in range(3)))]


def test_planted_families_are_stable_branches_and_noise_is_not():
    found = scaling.map_systems(
        families_of_noise(), "cka_linear_debiased", samples=50, rng=np.random.default_rng(0)
    )
    support = dict(zip(scaling.clades(found.links), found.support, strict=True))
    assert support[frozenset({0, 1, 2})] > 0.95 and support[frozenset({3, 4, 5})] > 0.95
    assert min(support.values()) < 0.6 and support[frozenset(range(9))] == 1
    middles = found.points[:3].mean(0), found.points[3:6].mean(0)
    assert (
        np.linalg.norm(middles[0] - middles[1])
        > 3 * np.linalg.norm(found.points[:3] - middles[0], axis=1).max()
    )


def test_half_samples_are_the_measure_of_these_clips_alone():
    draw = np.random.default_rng(4)
    raw = [draw.normal(size=(30, 4)) for _ in range(3)]
    halves = list(
        scaling.half_samples(
            [summarise(x) for x in raw],
            "cka_linear_debiased",
            samples=2,
            rng=np.random.default_rng(7),
        )
    )
    again = np.random.default_rng(7)
    for half in halves:
        rows = np.sort(again.permutation(30)[:15])
        expected = scaling.compare_all([x[rows] for x in raw], "cka_linear_debiased")
        np.testing.assert_allclose(half, as_distances(expected, "cka_linear_debiased"), atol=1e-9)


def test_half_samples_spread_as_all_clips_do():
    """The spread over halves of one sample is that between samples of the full size."""
    draw = np.random.default_rng(5)

    def sample() -> list:
        x = draw.normal(size=(60, 4))
        return [summarise(x), summarise(x + draw.normal(size=(60, 4)))]

    def angle(kernels: list) -> float:
        return as_distances(
            scaling.compare_all(kernels, "cka_linear_debiased"), "cka_linear_debiased"
        )[0, 1]

    truth = np.std([angle(sample()) for _ in range(60)])
    spreads = [
        np.std(
            [half[0, 1] for half in scaling.half_samples(sample(), "cka_linear_debiased", 40, draw)]
        )
        for _ in range(10)
    ]
    assert 0.75 < np.mean(spreads) / truth < 1.35  # the truth itself is known to a tenth


def test_few_clips_and_few_representations_give_maps_without_support():
    found = scaling.map_systems(
        families_of_noise(n=12)[:2], "cka_linear_debiased", samples=10, rng=np.random.default_rng(0)
    )
    assert np.isnan(found.support).all() and np.isnan(found.spread).all()
    assert np.linalg.norm(found.points[0] - found.points[1]) > 0
    alone = scaling.map_systems(
        families_of_noise(n=12)[:1], "cka_linear_debiased", samples=10, rng=np.random.default_rng(0)
    )
    assert alone.points.shape == (1, 2) and len(alone.links) == 0


def test_map_on_disk_names_runs_and_members(tmp_path):
    found = scaling.map_systems(
        families_of_noise()[:4], "cka_linear_debiased", samples=5, rng=np.random.default_rng(0)
    )
    reps = [f"data/system{i}/seed0/embedding" for i in range(4)]
    files.write_map(found, reps, tmp_path / "places.csv", tmp_path / "branches.csv")
    places = pd.read_csv(tmp_path / "places.csv")
    branches = pd.read_csv(tmp_path / "branches.csv")
    assert tuple(places) == files.PLACES and tuple(branches) == files.BRANCHES
    np.testing.assert_allclose(places[["x", "y"]], found.points, atol=1e-6)
    np.testing.assert_allclose(files.links(branches), found.links, atol=1e-6)
    assert branches["members"].iloc[-1].split(" ") == [f"data/system{i}/seed0" for i in range(4)]


# variance shares


def design(systems: int, families: int, datasets: int = 2, seeds: int = 1) -> pd.DataFrame:
    """Systems of families in turn and of two objectives in halves, on every data set."""
    return pd.DataFrame(
        [
            {
                "system": f"s{s}",
                "family": f"f{s % families}",
                "objective": f"o{2 * s // systems}",
                "trained_on": f"d{d}",
            }
            for s in range(systems)
            for d in range(datasets)
            for _ in range(seeds)
        ]
    )


def explain(points: np.ndarray, runs: pd.DataFrame, draws: int = 99, seed: int = 0) -> pd.DataFrame:
    factors = ["family", "objective", "trained_on"]
    found = shares.variance_shares(
        apart(points), runs, factors, permutations=draws, rng=np.random.default_rng(seed)
    )
    return found.set_index("factor")


def test_shares_are_those_of_the_coordinates():
    """With Euclidean distances the shares are sums of squares of group means, here by pandas."""
    runs = design(8, 4)
    points = np.random.default_rng(0).normal(size=(16, 5))
    found = explain(points, runs)
    centred = pd.DataFrame(points - points.mean(0))
    whole = (centred**2).to_numpy().sum()
    for factor in ("family", "objective", "trained_on"):
        between = (centred.groupby(runs[factor]).transform("mean") ** 2).to_numpy().sum()
        assert found.loc[factor, "r2"] == pytest.approx(between / whole)
        assert found.loc[factor, "r2_only"] == pytest.approx(between / whole), (
            "a balanced design has no overlap"
        )
    total = found.loc[["family", "objective", "trained_on", "residual"], "r2"].sum()
    assert total == pytest.approx(1) and found["n"].eq(16).all()


def test_a_factor_that_follows_from_another_explains_nothing_more():
    runs = design(6, 6)
    runs["objective"] = (runs["family"] == "f0").map({True: "draws", False: "tells"})
    found = explain(np.random.default_rng(0).normal(size=(12, 4)), runs)
    assert (
        found.loc["objective", "df"] == 0
        and found.loc["objective", "r2_only"] == 0 < found.loc["objective", "r2"]
    )
    assert np.isnan(found.loc["family", "p"]), (
        "a family for each system: exchanging systems changes nothing"
    )
    assert found.loc["objective", "p"] > 1 / 6 - 0.06, (
        "one exchange in six leaves the objective where it was"
    )


def test_seeds_do_not_count_as_systems():
    runs = design(6, 3)
    points = np.random.default_rng(1).normal(size=(12, 4))
    twice = pd.concat([runs, runs], ignore_index=True)
    pd.testing.assert_frame_equal(
        explain(points, runs), explain(np.concatenate([points, points]), twice)
    )


@pytest.mark.slow
def test_planted_factors_are_found_and_others_at_their_level():
    """Family planted, objective and data set not: over 120 experiments these are found in 5 %."""
    runs = design(12, 3)
    draw = np.random.default_rng(2)
    place = draw.normal(size=(3, 6))
    found = []
    for i in range(120):
        # what a system is: shared by its two runs
        own = np.repeat(draw.normal(size=(12, 6)), 2, axis=0)
        points = place[runs["family"].str[1:].astype(int)] + own + 0.5 * draw.normal(size=(24, 6))
        found.append(explain(points, runs, draws=39, seed=i)[["p", "p_only"]].stack())
    rejected = (pd.DataFrame(found) <= 0.05).mean()
    assert rejected["family", "p"] > 0.8 and rejected["family", "p_only"] > 0.8
    for factor in ("objective", "trained_on"):
        for kind in ("p", "p_only"):
            # 5 % of 120: 1 to 14 at 99.7 %
            assert 0.005 <= rejected[factor, kind] <= 0.12, (factor, kind)


def test_runs_as_witnesses_would_find_what_is_not_there():
    """Why systems are permuted and not their runs.

    Free permutations find an objective that means nothing.
    """
    runs = design(12, 12)
    draw = np.random.default_rng(3)
    found = []
    for _ in range(60):
        points = np.repeat(draw.normal(size=(12, 3)), 2, axis=0) + 0.1 * draw.normal(size=(24, 3))
        cells, products = shares.cell_products(apart(points), runs)
        alone = shares.projector([pd.get_dummies(cells["objective"]).to_numpy(float)], 24)
        free = np.array([draw.permutation(24) for _ in range(39)])
        found.append(shares.share_p(alone, products, free) <= 0.05)
    assert np.mean(found) > 0.15


def test_exchanges_keep_the_design():
    blocks = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    draw = np.random.default_rng(0)
    orders = set(map(tuple, exchanged(6, blocks, ["a", "a", "b"], 50, draw)))
    assert orders == {(0, 1, 2, 3, 4, 5), (2, 3, 0, 1, 4, 5)}
    within = set(map(tuple, shuffled(4, blocks[:2], 99, draw)))
    assert within == {(*a, *b) for a in ((0, 1), (1, 0)) for b in ((2, 3), (3, 2))}
    assert set(
        map(tuple, exchanged(3, [np.array([i]) for i in range(3)], [0, 0, 0], 99, draw))
    ) == set(permutations(range(3)))


def test_permuted_sums_are_sums_over_permuted_matrices():
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(5, 5))
    values = draw.normal(size=(5, 5))
    orders = shuffled(5, [np.arange(5)], 7, draw)
    expected = [
        sum(weights[i, j] * values[o[i], o[j]] for i in range(5) for j in range(5)) for o in orders
    ]
    np.testing.assert_allclose(permuted_sums(weights, values, orders), expected)


# agreement


def matrices(noise: float, seed: int = 0) -> dict:
    """Two evaluation sets; six systems on two data sets.

    The second set sees the values of the first with noise.
    """
    draw = np.random.default_rng(seed)
    runs = design(6, 3)[["system", "trained_on"]].replace({"d0": "a", "d1": "b"})
    first = apart(np.repeat(draw.normal(size=(6, 3)), 2, axis=0) + 0.2 * draw.normal(size=(12, 3)))
    upset = draw.normal(size=(12, 12))
    return {
        "a": (runs, first),
        "b": (runs.iloc[::-1], (first + noise * (upset + upset.T))[::-1, ::-1]),
    }


def test_agreement_is_spearman_of_the_pairs_whatever_their_order():
    found = agreement.rank_agreements(
        matrices(0.2), permutations=99, rng=np.random.default_rng(0)
    ).set_index("runs")
    (_, x), (_, y) = matrices(0.2).values()
    above = np.triu_indices(12, 1)
    assert found.loc["same", "spearman"] == pytest.approx(
        spearmanr(x[above], y[::-1, ::-1][above]).statistic
    )
    assert (
        found.loc["same", "ci_low"]
        < found.loc["same", "spearman"]
        < found.loc["same", "ci_high"]
        <= 1
    )
    assert found.loc["same", "p"] < 0.05 and tuple(found.loc["same", ["systems", "pairs"]]) == (
        6,
        66,
    )
    own = np.ix_(range(0, 12, 2), range(0, 12, 2)), np.ix_(range(1, 12, 2), range(1, 12, 2))
    few = np.triu_indices(6, 1)
    expected = spearmanr(x[own[0]][few], y[::-1, ::-1][own[1]][few]).statistic
    assert found.loc["own", "spearman"] == pytest.approx(expected)


@pytest.mark.slow
def test_unrelated_sets_agree_in_five_percent():
    p = []
    for seed in range(100):
        sets = {"a": matrices(0, seed)["a"], "b": matrices(0, 1000 + seed)["b"]}
        found = agreement.rank_agreements(sets, permutations=39, rng=np.random.default_rng(seed))
        p.append(found.set_index("runs").loc["same", "p"])
    assert 0.005 <= np.mean(np.array(p) <= 0.05) <= 0.13


# layers


def small_table(measure_values: dict[tuple[str, str], float]) -> pd.DataFrame:
    rows = [(a, b, value, value - 0.1, value + 0.1) for (a, b), value in measure_values.items()]
    return pd.DataFrame(rows, columns=["rep_a", "rep_b", "value", "ci_low", "ci_high"])


A = [f"d/a/seed0/l{i}" for i in range(2)]
B = [f"d/b/seed0/m{i}" for i in range(3)]
CROSS = np.array([[0.9, 0.3, 0.2], [0.1, 0.8, 0.4]])


def two_systems() -> pd.DataFrame:
    pairs = {(rep, rep): 1.0 for rep in (*A, *B)} | {
        (A[0], A[1]): 0.5,
        (B[0], B[1]): 0.5,
        (B[0], B[2]): 0.5,
        (B[1], B[2]): 0.5,
    }
    return small_table(
        pairs | {(a, b): CROSS[i, j] for i, a in enumerate(A) for j, b in enumerate(B)}
    )


def test_best_layers_and_layers_at_equal_depth():
    found = layers.layer_matches(two_systems(), "d", "cka_linear_debiased", ["a", "b"])
    told = found.set_index(["system_a", "layer_a", "choice"])[
        ["layer_b", "depth_b", "value", "ci_low"]
    ]
    assert told.loc["a", "l1", "best"].tolist() == pytest.approx(["m1", 0.5, 0.8, 0.7])
    assert told.loc["a", "l1", "equal_depth"].tolist() == pytest.approx(["m2", 1.0, 0.4, 0.3])
    assert told.loc["b", "m1", "best"].tolist() == pytest.approx(["l1", 1.0, 0.8, 0.7])
    assert set(found["system_a"] + found["system_b"]) == {
        "ab",
        "ba",
    }, "no second seed, no panel of a system with itself"
    far = layers.layer_matches(two_systems(), "d", "procrustes", ["a", "b"]).set_index(
        ["system_a", "layer_a", "choice"]
    )
    assert far.loc[("a", "l0", "best"), "layer_b"] == "m2", (
        "the nearest, where values are distances"
    )


def test_a_system_is_matched_with_its_second_seed():
    reps = ["d/a/seed0/l", "d/a/seed1/l", "d/a/seed2/l"]
    table = small_table(
        {(a, b): 1.0 if a == b else 0.6 for i, a in enumerate(reps) for b in reps[i:]}
    )
    found = layers.layer_matches(table, "d", "cka_linear_debiased", ["a"])
    assert found[["seed_a", "seed_b", "value"]].drop_duplicates().to_numpy().tolist() == [
        ["0", "1", 0.6]
    ]


def test_relations_of_runs():
    base = layers.Run("x", "s", "0")
    others = {
        "seed": layers.Run("x", "s", "1"),
        "data": layers.Run("y", "s", "0"),
        "both": layers.Run("y", "s", "1"),
        "baseline": layers.Run("x", "s", "untrained"),
    }
    assert {name: layers.relation(base, run) for name, run in others.items()} == {
        "seed": "retraining",
        "data": "versions",
        "both": "versions_other_seed",
        "baseline": "untrained",
    }


def test_versions_compare_like_layers():
    reps = [f"{d}/a/seed0/{layer}" for d in ("x", "y") for layer in ("first", "last")]
    values = {(a, b): 10 * i + j for i, a in enumerate(reps) for j, b in enumerate(reps) if i <= j}
    found = layers.version_rows(small_table(values), ["a"])
    assert found[["layer", "depth", "value"]].to_numpy().tolist() == [
        ["first", 0.0, 2],
        ["last", 1.0, 13],
    ]


def test_tables_tell_what_was_planted(tmp_path):
    """All four tables from similarity tables on disk.

    Systems of a family are alike, whatever the data.
    """
    draw = np.random.default_rng(0)
    factors = {f"s{i}": {"family": f"f{i % 2}", "objective": "same"} for i in range(6)}
    for evaluated in ("x", "y"):
        reps = [f"{d}/{s}/seed0/embedding" for d in ("x", "y") for s in factors]
        family = [factors[rep.split("/")[1]]["family"] for rep in reps]
        table = [
            (
                a,
                b,
                1.0 if i == j else (0.8 if family[i] == family[j] else 0.1) + 0.02 * draw.random(),
            )
            for i, a in enumerate(reps)
            for j, b in enumerate(reps)
            if i <= j
        ]
        (tmp_path / evaluated).mkdir()
        frame = pd.DataFrame(table, columns=["rep_a", "rep_b", "value"]).assign(
            ci_low=0.0, ci_high=1.0
        )
        frame.to_csv(tmp_path / evaluated / "cka_linear.csv", index=False)
    paths = sorted(tmp_path.glob("*/*.csv"))
    found = collect.collect(paths, factors, "cka_linear", seed=0)
    assert set(found) == set(TABLES)
    family = found["variance_shares"].set_index(["evaluated_on", "factor"]).loc["x"]
    assert list(family.index) == [
        "family",
        "trained_on",
        "residual",
    ], "a single objective explains nothing and is left out"
    assert family.loc["family", "r2"] > 0.5 > 0.2 > family.loc["trained_on", "r2"]
    assert family.loc["family", "p"] == pytest.approx(0.1, abs=0.04), (
        "two of the twenty splits of six systems in halves"
    )
    assert found["agreement"].set_index("runs").loc["same", "spearman"] > 0.5
    again = collect.collect(paths, factors, "cka_linear", seed=0)
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_systems_of_unknown_properties_are_left_out(tmp_path):
    (tmp_path / "x").mkdir()
    two_systems().to_csv(tmp_path / "x/cka_linear.csv", index=False)
    found = collect.collect(
        [tmp_path / "x/cka_linear.csv"], {"a": {"family": "f"}}, "cka_linear", seed=0
    )
    assert {*found["layer_matches"]["system_a"], *found["layer_matches"]["system_b"]} <= {"a"}
    assert set(found["versions"]["system"]) <= {"a"}


def test_kernels_of_maps_are_those_of_the_last_layers(tmp_path):
    import zarr

    from vidrep.activations.store import write_ids
    from vidrep.similarity.files import write_kernels

    group = zarr.open_group(str(tmp_path / "store.zarr"), mode="w")
    group.attrs.update({"layers": ["a_first", "last"], "dataset": "d", "system": "s", "seed": 0})
    write_ids(group, [str(i) for i in range(6)])
    for layer in ("a_first", "last"):
        group[layer] = np.random.default_rng(0).normal(size=(6, 2))
    write_kernels(tmp_path / "store.zarr", tmp_path / "k.h5")
    assert [kernel.layer for kernel in open_kernels([tmp_path / "k.h5"])] == ["a_first", "last"]
