"""Activations: what is stored is what layers compute, in order, within rounding of its type."""

import math
import zipfile

import numpy as np
import pytest
import torch
import zarr
from torch import nn

from vidrep.activations import extract, store
from vidrep.activations.capture import capturing
from vidrep.activations.extract import extract_run, store_activations
from vidrep.activations.pooling import by_clip, pool
from vidrep.activations.store import (
    LayerWriter,
    read_labels,
    read_layer,
    write_ids,
    write_labels,
)
from vidrep.objectives.base import Objective
from vidrep.objectives.build import build
from vidrep.training.loop import evaluate

HALF = 2.0**-11  # largest relative rounding error of float16


@pytest.fixture
def objective(tiny_system, make_split):
    """A C3D with random weights on tiny clips."""
    torch.manual_seed(0)
    params = {"stem": [3, 3, [1, 2, 2]], "stages": [[4, 1, 2]]}
    definition = {**tiny_system("c3d_narrow").definition(), "params": params}
    return build(definition, make_split().shape).eval()


# --- Pooling. ---


def cells(size: int, count: int) -> list[slice]:
    """The cells of an adaptive average: they may share a border element."""
    return [
        slice(math.floor(i * size / count), math.ceil((i + 1) * size / count)) for i in range(count)
    ]


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((6, 4, 8), [2, 2, 4]),
        ((7, 5, 9), [3, 2, 4]),
        ((2, 1, 3), [4, 2, 2]),
        ((3, 3, 3), [1, 1, 1]),
    ],
)
def test_grids_against_a_loop(size, grid):
    maps = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    reached = [min(pair) for pair in zip(size, grid, strict=True)]
    expected = np.empty((2, 3, *reached))
    for t, times in enumerate(cells(size[0], reached[0])):
        for y, rows in enumerate(cells(size[1], reached[1])):
            for x, columns in enumerate(cells(size[2], reached[2])):
                expected[:, :, t, y, x] = maps.numpy()[:, :, times, rows, columns].mean(
                    (2, 3, 4), dtype=np.float64
                )
    pooled = pool(maps, grid)
    assert pooled.shape == expected.shape
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [10, 7, 3])
def test_grids_of_sequences_pool_time_only(steps):
    sequence = torch.randn(2, steps, 5, generator=torch.Generator().manual_seed(0))
    pooled = pool(sequence, [4, 2, 2])
    expected = [sequence.numpy()[:, part].mean(1) for part in cells(steps, min(4, steps))]
    np.testing.assert_allclose(pooled, np.stack(expected, 1), rtol=1e-5, atol=1e-6)


def test_other_policies():
    maps = torch.rand(2, 3, 4, 5, 6)
    sequence = torch.rand(2, 4, 5)
    vector = torch.rand(2, 7)
    for activation in (maps, sequence, vector):
        assert pool(activation, "none") is activation
    np.testing.assert_allclose(pool(maps, "space_mean"), maps.numpy().mean((3, 4)), rtol=1e-5)
    assert pool(sequence, "space_mean") is sequence
    for policy in ("space_mean", [4, 2, 2]):
        assert pool(vector, policy) is vector
    with pytest.raises(
        ValueError,
        match=(
            r"config key activations.pooling: 'mean'; give none, space_mean or a grid \[t, h, w\]"
        ),
    ):
        pool(maps, "mean")
    with pytest.raises(
        ValueError,
        match=r"must be \(B, C, T, H, W\), \(B, T, D\) or \(B, D\); got shape \(2, 3, 4, 5\)",
    ):
        pool(maps[..., 0], "none")


def test_windows_of_a_clip_follow_one_another_in_time():
    """Three windows of each of two clips; every value tells its clip, window and time."""
    clip = torch.arange(2)[:, None, None]
    window = torch.arange(3)[:, None]
    time = torch.arange(2)
    told = (100 * clip + 10 * window + time).flatten(0, 1)  # (B*rows, T)
    maps = told[:, None, :, None, None].expand(-1, 4, -1, 5, 5)  # (B*rows, C, T, H, W)
    vectors = told[:, :, None].expand(-1, -1, 4)  # (B*rows, T, D)
    in_order = torch.tensor([[0, 1, 10, 11, 20, 21], [100, 101, 110, 111, 120, 121]])
    assert torch.equal(by_clip(maps, 3), in_order[:, None, :, None, None].expand(-1, 4, -1, 5, 5))
    assert torch.equal(by_clip(vectors, 3), in_order[:, :, None].expand(-1, -1, 4))
    of_each_window = in_order[:, ::2, None].expand(-1, -1, 4)  # (B, rows, D)
    assert torch.equal(by_clip(vectors[:, 0], 3), of_each_window)
    assert by_clip(maps, 1) is maps


# --- Capturing. ---


def test_hooks_go_with_the_block_even_when_it_fails(objective):
    with pytest.raises(KeyError), capturing(objective.model, ("conv1",)) as captured:
        raise KeyError
    objective.model(torch.rand(1, 1, 8, 16, 16))
    assert captured == {}
    assert not objective.model.conv1._forward_hooks
    with (
        pytest.raises(ValueError, match="model C3D lists layers it does not have: conv9, fc1"),
        capturing(objective.model, ("conv9", "conv1", "fc1")),
    ):
        pass


def test_captured_maps_are_float32_also_under_autocast(objective):
    with (
        torch.no_grad(),
        torch.autocast("cpu", torch.bfloat16),
        capturing(objective.model, ("conv1",)) as captured,
    ):
        objective.model(torch.rand(1, 1, 8, 16, 16))
    assert captured["conv1"].dtype == torch.float32
    assert not captured["conv1"].requires_grad


# --- Writing layers. ---


def write(group: zarr.Group, values: np.ndarray, batch: int, dtype: str = "float32") -> None:
    writer = LayerWriter(group, "layer", len(values), dtype)
    for start in range(0, len(values), batch):
        writer.add(values[start : start + batch], (9,))


@pytest.mark.parametrize("batch", [50, 256, 300, 1000])
@pytest.mark.parametrize(
    ("rows", "features"), [(600, (3,)), (512, (2, 2)), (17, (3, 2, 2, 2)), (1, (4,))]
)
def test_rows_arrive_in_order_whatever_the_batches(tmp_path, batch, rows, features):
    values = np.random.default_rng(0).normal(size=(rows, *features)).astype(np.float32)
    write(zarr.open_group(tmp_path / "s.zarr", mode="w"), values, batch)
    read = zarr.open_group(tmp_path / "s.zarr", mode="r")["layer"]
    assert np.array_equal(read[:], values)
    assert read.attrs["original_shape"] == [9]
    assert np.array_equal(read_layer(tmp_path / "s.zarr", "layer"), values.reshape(rows, -1))


def test_each_chunk_is_written_once_and_full(tmp_path, monkeypatch):
    """What is written twice stands in a zip twice."""
    written = []
    setitem = zarr.Array.__setitem__
    monkeypatch.setattr(
        zarr.Array,
        "__setitem__",
        lambda self, key, value: (written.append(key), setitem(self, key, value))[1],
    )
    write(zarr.open_group(tmp_path / "s.zarr", mode="w"), np.ones((600, 2), np.float32), 50)
    starts = [key.start for key in written]
    assert all(start % store.ROWS_PER_CHUNK == 0 for start in starts)
    assert [key.stop for key in written] == [*starts[1:], 600]


def test_wide_layers_are_cut_into_feature_blocks(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 20000)).astype(np.float32)
    write(zarr.open_group(tmp_path / "s.zarr", mode="w"), values, 2)
    read = zarr.open_group(tmp_path / "s.zarr", mode="r")["layer"]
    assert np.array_equal(read[:], values)
    assert read.chunks == (5, store.FEATURES_PER_CHUNK)
    assert np.array_equal(read[:, 16000:17000], values[:, 16000:17000])


def fill(path, layers: dict[str, np.ndarray], batch: int) -> None:
    """Write layers (n, ...) batch by batch, as an extraction does."""
    rows = len(next(iter(layers.values())))
    with store.new_store(path, {"layers": list(layers)}) as group:
        writers = []
        for name in layers:
            writers.append(LayerWriter(group, name, rows, "float32", list(writers)))
        for start in range(0, rows, batch):
            for writer in writers:
                values = layers[writer.name][start : start + batch]
                writer.add(values, values.shape[1:])


@pytest.mark.parametrize("batch", [3, 7, 20])
def test_of_equal_arrays_one_is_stored(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(store, "ROWS_PER_CHUNK", 8)
    draw = np.random.default_rng(0)
    last = draw.normal(size=(20, 4, 2)).astype(np.float32)
    # equal in all, in the first batch, in all but the last row
    layers = {"map": last, "flat": last.reshape(20, 8), "start": last.copy(), "end": last.copy()}
    layers["start"][batch:] = 0
    layers["end"][19, 3, 1] = 0
    fill(tmp_path / "s.zarr.zip", layers, batch)
    root = store.open_store(tmp_path / "s.zarr.zip")
    for name, values in layers.items():
        read = store.read_array(root, name)
        assert read.shape == values.shape
        assert np.array_equal(read, values), name
    stored = set(root.array_keys())
    assert stored == ({"map", "end", "start"} if batch < 20 else {"map", "end"})
    assert dict(root["flat"].attrs) == {"equal_to": "map", "shape": [8], "original_shape": [8]}


@pytest.mark.slow
def test_a_store_is_one_file_of_the_same_bytes_each_time(tmp_path):
    wide = np.random.default_rng(0).normal(size=(300, 40000)).astype(np.float32)
    layers = {"wide": wide, "narrow": wide[:, :5]}
    for name in ("a.zarr.zip", "b.zarr.zip"):
        fill(tmp_path / name, layers, 50)
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()
    entries = zipfile.ZipFile(tmp_path / "a.zarr.zip").infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    names = [entry.filename for entry in entries]
    assert len(names) == len(set(names))


def test_a_store_whose_writing_stops_is_not_there(tmp_path):
    with pytest.raises(KeyError), store.new_store(tmp_path / "s.zarr.zip", {}) as group:
        write_ids(group, ["a"])
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_named(tmp_path):
    path = tmp_path / "s.zarr.zip"
    fill(path, {"layer": np.ones((9, 3), np.float32)}, 9)
    path.write_bytes(path.read_bytes()[:-40])
    for wrong in (path, tmp_path / "gone.zarr.zip"):
        with pytest.raises(ValueError, match=f"{wrong.name}: no activation store there"):
            store.open_store(wrong)


def test_float16_rounds_to_the_nearest(tmp_path):
    values = (
        np.random.default_rng(0).normal(size=(200, 50)) * 10.0 ** np.arange(-6, 4).repeat(5)
    ).astype(np.float32)
    write(zarr.open_group(tmp_path / "s.zarr", mode="w"), values, 64, "float16")
    read = read_layer(tmp_path / "s.zarr", "layer")
    assert zarr.open_group(tmp_path / "s.zarr")["layer"].dtype == np.float16
    assert read.dtype == np.float32
    # the last term: below the normal range
    assert (np.abs(read - values) <= HALF * np.abs(values) + 2.0**-25).all()


@pytest.mark.parametrize(
    ("bad", "dtype"),
    [
        (7e4, "float16"),
        (-7e4, "float16"),
        (math.inf, "float32"),
        (math.nan, "float32"),
        (math.nan, "float16"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, bad, dtype):
    values = np.ones((70, 2, 3), np.float32)
    values[63, 1, 2] = bad
    with pytest.raises(ValueError) as error:
        write(zarr.open_group(tmp_path / "s.zarr", mode="w"), values, 20, dtype)
    assert str(error.value).startswith(
        f"layer layer, clip 63: activation of size {abs(bad):g} does not fit {dtype}; set config"
        " key activations.dtype"
    )
    assert "\n" not in str(error.value)


def test_the_largest_float16_fits(tmp_path):
    write(
        zarr.open_group(tmp_path / "s.zarr", mode="w"),
        np.full((2, 2), 65504, np.float32),
        2,
        "float16",
    )
    assert (read_layer(tmp_path / "s.zarr", "layer") == 65504).all()


def test_ids_and_labels_survive(tmp_path):
    group = zarr.open_group(tmp_path / "s.zarr", mode="w").create_group("fit")
    write_ids(group, ["test/000004", "test/000010"])
    write_labels(group, np.array([[0, 1, 1], [1, 0, 0]]))
    assert group["ids"][:].tolist() == ["test/000004", "test/000010"]
    assert group["labels"].dtype == np.uint8
    assert read_labels(tmp_path / "s.zarr", "fit").tolist() == [
        [False, True, True],
        [True, False, False],
    ]


# --- Opening up a run. ---


@pytest.mark.parametrize("clips", [15, 17, 13])
@pytest.mark.parametrize("policy", ["none", "space_mean", [2, 2, 2]])
def test_a_store_holds_what_the_layers_compute(
    objective, make_split, cpu, tmp_path, monkeypatch, policy, clips
):
    monkeypatch.setattr(extract, "BATCH", 5)
    monkeypatch.setattr(store, "ROWS_PER_CHUNK", 4)
    test = make_split(clips)
    fit = make_split(9, split="train", seed=1)
    attrs = {"dataset": "d", "system": "s", "seed": 3}
    options = {"rows": 13, "policy": policy, "dtype": "float16", "device": cpu}
    scores = extract_run(objective, test, fit, tmp_path / "run.zarr.zip", attrs, **options)

    root = store.open_store(tmp_path / "run.zarr.zip")
    assert dict(root.attrs) == {
        **attrs,
        "layers": ["conv1", "conv2", "embedding"],
        "pooling": policy,
    }
    assert root["ids"][:].tolist() == test.ids[:13]
    assert root["fit/ids"][:].tolist() == fit.ids
    assert (read_labels(tmp_path / "run.zarr.zip") == (test.labels[:13] > 0).numpy()).all()
    assert (read_labels(tmp_path / "run.zarr.zip", "fit") == (fit.labels > 0).numpy()).all()
    for split, group, rows in ((test, "", 13), (fit, "fit", 9)):
        maps = split.batch(slice(0, rows), cpu)["clip"]
        for name in objective.model.layers:
            with torch.no_grad():
                maps = objective.model.get_submodule(name)(maps)
            expected = pool(maps, policy).flatten(1).numpy()
            read = read_layer(tmp_path / "run.zarr.zip", name, group)
            assert read.shape == expected.shape
            assert (root[group] if group else root)[name].attrs["original_shape"] == list(
                maps.shape[1:]
            )
            # batches of 5 sum in another order
            assert (np.abs(read - expected) <= HALF * np.abs(expected) + 1e-6).all(), name
    assert policy != "none" or root["conv1"].shape == (13, 3, 8, 8, 8)
    assert scores.keys() - {"probabilities"} == evaluate(objective, test, cpu).keys()
    for name, value in evaluate(objective, test, cpu).items():
        assert scores[name].shape == (len(test),)
        assert scores[name].mean() == pytest.approx(value, rel=1e-5), "all clips, stored or not"


def test_layers_are_computed_once_where_scoring_computes_them(
    tiny_system, make_split, cpu, tmp_path, monkeypatch
):
    """An objective that generates is only asked to embed as well where its scores do not end so."""
    monkeypatch.setattr(extract, "BATCH", 5)
    split = make_split(20)
    objective = build(tiny_system("lstm_composite_narrow").definition(), split.shape).eval()
    passes = []
    objective.model.register_forward_hook(lambda *_: passes.append(1))
    group = zarr.create_group(zarr.storage.MemoryStore())
    how = {"rows": 15, "policy": "none", "dtype": "float32", "device": cpu}
    store_activations(objective, split, group, **how)
    assert len(passes) == 4 + 1, "four batches, the first one twice"
    with torch.no_grad(), capturing(objective.model, objective.model.layers) as captured:
        objective.embed(split.batch(slice(0, 15), cpu))
    for name in objective.model.layers:
        values = store.read_array(group, name).reshape(15, -1)
        np.testing.assert_allclose(values, captured[name].flatten(1), atol=1e-6)


@pytest.mark.slow
def test_every_narrow_system_can_be_opened_up(narrow, tiny_system, make_split, cpu, tmp_path):
    split = make_split(4)
    torch.manual_seed(0)
    objective = build(tiny_system(narrow).definition(), split.shape)
    extract_run(
        objective,
        split,
        split,
        tmp_path / "run.zarr.zip",
        {},
        rows=9,
        policy=[2, 2, 2],
        dtype="float32",
        device=cpu,
    )
    for name in objective.model.layers:
        values = read_layer(tmp_path / "run.zarr.zip", name)
        assert (
            len(values) == 4 and np.isfinite(values).all() and (values.std() > 0 or name == "flow")
        ), name  # flow starts at zero
        assert np.array_equal(values, read_layer(tmp_path / "run.zarr.zip", name, "fit"))


def test_controls_are_opened_up_without_scores(make_split, cpu, tmp_path):
    split = make_split(3)
    definition = {"model": "pixels", "params": {}, "objective": "none", "objective_params": {}}
    options = {"rows": 3, "policy": "none", "dtype": "float32", "device": cpu}
    assert (
        extract_run(
            build(definition, split.shape), split, split, tmp_path / "run.zarr.zip", {}, **options
        )
        == {}
    )
    np.testing.assert_allclose(
        read_layer(tmp_path / "run.zarr.zip", "pixels"), split.clips.flatten(1) / 255, rtol=1e-6
    )


class Growing(nn.Module):
    """The last clip's activation is too large for float16."""

    inputs = ("clip",)
    layers = ("small", "large")

    def __init__(self):
        super().__init__()
        self.small = nn.Flatten()
        self.large = nn.Identity()

    def forward(self, clip):
        return self.large(self.small(clip) * 1e6)


def test_nothing_half_written_when_a_value_does_not_fit(make_split, cpu, tmp_path):
    split = make_split(6)
    split.clips[:5] = 0
    split.clips[5] = 255
    options = {"rows": 6, "policy": "none", "dtype": "float16", "device": cpu}
    with pytest.raises(
        ValueError, match=r"^layer large, clip 5: activation of size 1e\+06 does not fit float16"
    ):
        extract_run(
            Objective(Growing(), split.shape),
            split,
            split,
            tmp_path / "run.zarr.zip",
            {},
            **options,
        )
    assert not list(tmp_path.iterdir())
    extract_run(
        Objective(Growing(), split.shape),
        split,
        split,
        tmp_path / "run.zarr.zip",
        {},
        **{**options, "dtype": "float32"},
    )
    assert read_layer(tmp_path / "run.zarr.zip", "large")[5].tolist() == [1e6] * 8 * 16 * 16


def test_same_run_same_bytes(objective, make_split, cpu, tmp_path):
    split = make_split(5)
    for name in ("a", "b"):
        group = zarr.open_group(tmp_path / name, mode="w")
        store_activations(
            objective, split, group, rows=5, policy=[2, 2, 2], dtype="float16", device=cpu
        )
    files = sorted(
        path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()
    )
    assert files
    assert all(
        (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        for file in files
    )
