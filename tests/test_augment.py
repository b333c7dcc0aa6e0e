"""Mirrored training clips: with their flow they stay true to the generator, and targets follow."""

import numpy as np
import pytest
import torch

from vidrep.datasets.bouncing import compose
from vidrep.flow import FLOWS
from vidrep.flow.methods import flow_of_clips
from vidrep.training.augment import crop, crop_some, flip, flip_flow, flip_some
from vidrep.training.split import Split
from vidrep.training.targets import TARGETS, make_target

SIZE = 14
PATCH = 4
GENERATED = ("true", "true_box", "true_backward", "true_box_backward")


def patches_and_corners(mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Two patches in each of five clips of six frames, at random places."""
    rng = np.random.default_rng(0)
    size = (5, 2, PATCH, PATCH)
    values = rng.integers(0, 256, size=size, dtype=np.uint8)
    shown = rng.integers(2, size=size, dtype=np.uint8)
    patches = values * shown
    corners = rng.integers(SIZE - PATCH + 1, size=(5, 6, 2, 2))
    if mirrored:
        patches = patches[..., ::-1]
        corners = corners.copy()
        corners[..., 1] = SIZE - PATCH - corners[..., 1]
    return patches, corners


def batch_of(cpu, mirrored: bool = False, method: str = "true") -> dict[str, torch.Tensor]:
    """The clips with their flow, made anew from mirrored patches and places where ``mirrored``."""
    patches, corners = patches_and_corners(mirrored)
    clips = compose(patches, corners, SIZE)
    flow = torch.from_numpy(flow_of_clips(method, clips, patches, corners))
    split = Split(
        clips=torch.from_numpy(clips),
        labels=torch.eye(5, dtype=torch.uint8),
        flow=flow,
        multi_label=False,
        ids=list("abcde"),
        flow_backward=flow,
    )
    return split.batch(slice(0, 5), cpu)


def test_flipping_twice_changes_nothing(make_split, cpu):
    batch = make_split(6).batch(slice(0, 6), cpu)
    once = flip(batch)
    twice = flip(flip(batch))
    assert set(batch) == set(twice) == {"clip", "labels", "row", "flow", "flow_backward", *TARGETS}
    assert all(torch.equal(batch[name], twice[name]) for name in batch)
    for name in ("clip", "flow", "flow_backward", "directions"):
        assert not torch.equal(batch[name], once[name]), name
    for name in ("labels", "row", "speeds"):
        assert torch.equal(batch[name], once[name]), name


@pytest.mark.parametrize("method", GENERATED)
def test_a_flipped_batch_is_that_of_the_mirrored_world(cpu, method):
    flipped = flip(batch_of(cpu, method=method))
    expected = batch_of(cpu, mirrored=True, method=method)
    assert torch.equal(flipped["clip"], expected["clip"])
    for name in ("flow", "flow_backward"):
        assert expected[name].any()
        assert torch.equal(flipped[name], expected[name])
        uncorrected = batch_of(cpu, method=method)[name].flip(-1)
        assert not torch.equal(uncorrected, expected[name]), (
            "without the change of sign it is another motion"
        )
        assert torch.equal(uncorrected[:, 1], expected[name][:, 1])


def test_the_generated_methods_are_all_tested():
    assert {name for name in FLOWS if name.startswith("true")} == set(GENERATED)


def test_flow_is_turned_round_along_x_alone():
    flow = torch.zeros(1, 2, 1, 2, 3)
    flow[0, :, 0, 1, 0] = torch.tensor([2.0, -5.0])  # right by 2, up by 5, at the left
    flipped = flip_flow(flow)
    assert flipped[0, :, 0, 1, 2].tolist() == [-2, -5]
    assert flipped.count_nonzero() == 2


def test_some_clips_are_flipped_and_each_as_a_whole(make_split, cpu):
    batch = make_split(200).batch(slice(0, 200), cpu)
    torch.manual_seed(0)
    flipped = flip_some(batch, 0.3)
    mirrored = flip(batch)
    is_mirrored = (flipped["clip"] == mirrored["clip"]).flatten(1).all(1)
    assert 40 <= is_mirrored.sum() <= 80  # 60 expected, with a standard deviation of 6.5
    for name in batch:
        shape = (-1, *[1] * (batch[name].ndim - 1))
        expected = torch.where(is_mirrored.view(shape), mirrored[name], batch[name])
        assert torch.equal(flipped[name], expected), name
    torch.manual_seed(0)
    again = flip_some(batch, 0.3)
    assert all(torch.equal(again[name], flipped[name]) for name in batch)


def test_without_flips_nothing_is_drawn(make_split, cpu):
    batch = make_split(3).batch(slice(0, 3), cpu)
    state = torch.random.get_rng_state()
    assert flip_some(batch, 0.0) is batch
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(flip_some(batch, 1.0)["flow"], flip_flow(batch["flow"]))


def test_direction_sectors_are_mirrored_with_the_motion():
    direction = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(40, 2))
    # x turned round, y as it was
    mirrored = np.mod(np.arctan2(np.sin(direction), -np.cos(direction)), 2 * np.pi)
    target, expected = (
        make_target("directions", {"direction_rad": values}) for values in (direction, mirrored)
    )
    batch = {"clip": torch.zeros(40, 1, 2, 2, 2), "directions": torch.from_numpy(target)}
    assert torch.equal(flip(batch)["directions"], torch.from_numpy(expected))


def test_sectors_are_counted_from_the_right_by_way_of_down():
    degrees = np.array([[0, 44], [46, 359], [181, 271]])
    target = make_target("directions", {"direction_rad": np.deg2rad(degrees)})
    assert [np.flatnonzero(row).tolist() for row in target] == [[0], [1, 7], [4, 6]]
    assert target.dtype == np.uint8
    assert target.shape == (3, 8)
    speeds = make_target("speeds", {"speed_class": np.array([[9, 0], [3, 3]])})
    assert [np.flatnonzero(row).tolist() for row in speeds] == [[0, 9], [3]]


def test_targets_that_cannot_be_made_are_named():
    with pytest.raises(
        ValueError, match="target 'speeds' needs the factor speed_class; this data set has start"
    ):
        make_target("speeds", {"start": np.zeros((3, 2))})
    with pytest.raises(
        ValueError,
        match="target 'directions' needs the factor direction_rad; this data set has none",
    ):
        make_target("directions", {})
    with pytest.raises(
        ValueError, match="unknown target 'colours': give one of directions, speeds"
    ):
        make_target("colours", {})


def test_a_crop_is_enlarged_and_its_flow_with_it():
    """A square that moves by (2, 1) pixels shows the same after a crop, scaled by what is kept."""
    clip = torch.zeros(1, 1, 2, 8, 8)
    clip[0, 0, :, 0:4, 0:4] = 1.0
    flow = torch.zeros(1, 2, 1, 8, 8)
    flow[0, 0] = 2.0
    flow[0, 1] = 1.0
    for place, bright in (((0.0, 0.0), 64), ((1.0, 1.0), 0), ((0.5, 0.5), 16)):
        cropped = crop(clip[0], 0.5, place, moving=False)
        assert cropped.shape == (1, 2, 8, 8) and (cropped[0, 0] > 0.5).sum() == bright
        larger = crop(flow[0], 0.5, place, moving=True)
        assert torch.allclose(larger[0], torch.tensor(4.0))
        assert torch.allclose(larger[1], torch.tensor(2.0))
    assert torch.equal(crop(clip[0], 1.0, (0.0, 1.0), moving=False), clip[0])


def test_clips_and_their_flow_are_cropped_alike():
    torch.manual_seed(0)
    ramp = torch.arange(16.0)[None, None, None, None, :].expand(40, 1, 3, 16, 16).contiguous()
    flow = torch.cat([ramp[:, :, :2], ramp[:, :, :2]], 1)
    batch = crop_some({"clip": ramp, "flow": flow, "labels": torch.ones(40, 2)}, [1.0, 0.5])
    scale = batch["flow"][:, :, 0] / batch["clip"][:, :, 0].clamp_min(1e-6)
    scales = scale[:, :, :, -1].flatten(1)
    assert torch.allclose(scales, scales[:, :1].expand_as(scales))  # 1 or 2, one for each clip
    assert sorted({round(value) for value in scales[:, 0].tolist()}) == [1, 2]
    assert torch.equal(batch["labels"], torch.ones(40, 2))
    assert crop_some(batch, []) is batch
