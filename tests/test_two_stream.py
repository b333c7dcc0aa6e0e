"""Two-stream networks: stacks of flow, the paper's table of layers, multi-task training."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from vidrep import models
from vidrep.flow.exact import exact_flow
from vidrep.models.flow_stacks import FlowStacks, follow
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build, needed_targets
from vidrep.objectives.multi_task import MultiTask
from vidrep.systems import system
from vidrep.training.split import Split

# --- Stacks of flow. ---

FRAMES = 8
SIDE = 7


def random_flow(seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(
        2, 2, FRAMES - 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)
    )


def bilinear(field: np.ndarray, x: float, y: float) -> np.ndarray:
    """A field (2, H, W) read at a place between pixels, held at the border."""
    height, width = field.shape[1:]
    x = min(max(x, 0), width - 1)
    y = min(max(y, 0), height - 1)
    left = min(int(x), width - 2)
    top = min(int(y), height - 2)
    a = x - left
    b = y - top
    upper = (1 - a) * field[:, top, left] + a * field[:, top, left + 1]
    lower = (1 - a) * field[:, top + 1, left] + a * field[:, top + 1, left + 1]
    return (1 - b) * upper + b * lower


def stack_slowly(
    flow: np.ndarray, fields: list[int], *, trajectory: bool, subtract_mean: bool
) -> np.ndarray:
    """One stack (2L, H, W) of the fields of one clip (2, T-1, H, W), pixel by pixel."""
    height, width = flow.shape[2:]
    stack = np.zeros((2 * len(fields), height, width))
    for v, u in itertools.product(range(height), range(width)):
        x = float(u)
        y = float(v)
        for k, field in enumerate(fields):
            value = bilinear(flow[:, field], x, y)
            if trajectory:
                x = x + value[0]
                y = y + value[1]
            mean = flow[:, field].mean((1, 2)) if subtract_mean else 0
            stack[2 * k : 2 * k + 2, v, u] = value - mean
    return stack


@pytest.mark.parametrize("subtract_mean", [False, True])
@pytest.mark.parametrize("trajectory", [False, True])
@pytest.mark.parametrize(
    ("length", "bidirectional"), [(1, False), (3, False), (7, False), (4, True)]
)
def test_stacks_against_a_loop_over_pixels(length, bidirectional, trajectory, subtract_mean):
    # places are chaotic in rough flow
    forward = random_flow(0).double()
    backward = random_flow(1).double()
    kind = {"trajectory": trajectory, "subtract_mean": subtract_mean}
    stacks = FlowStacks(FRAMES, length, bidirectional=bidirectional, **kind)
    assert stacks.count == FRAMES - length and stacks.channels == 2 * length
    starts = torch.tensor([[0, FRAMES - length - 1], [(FRAMES - length) // 2, 0]])
    inputs = (forward, backward) if bidirectional else (forward,)
    assert stacks.inputs == ("flow", "flow_backward")[: len(inputs)]
    result = stacks(starts, *inputs)
    assert result.shape == (2, 2 * length, 2, SIDE, SIDE)
    for clip, sample in itertools.product(range(2), range(2)):
        start = int(starts[clip, sample])
        if bidirectional:
            tau = start + 2  # half of the four fields lie before it
            halves = [(forward, [tau, tau + 1]), (backward, [tau - 1, tau - 2])]
        else:
            halves = [(forward, list(range(start, start + length)))]
        expected = [stack_slowly(flow[clip].numpy(), fields, **kind) for flow, fields in halves]
        np.testing.assert_allclose(result[clip, :, sample], np.concatenate(expected), atol=1e-9)


def indexed_flow(fields: int, sign: int = 1) -> torch.Tensor:
    """(2, 2, fields, 3, 3): x of field t is 100 clip + t, y its negative, or the reverse."""
    value = sign * (torch.arange(fields)[None, :] + 100.0 * torch.arange(2)[:, None])  # (B, T-1)
    return torch.stack([value, -value], 1)[..., None, None].expand(-1, -1, -1, 3, 3)


def test_plain_stacks_hold_consecutive_fields():
    stacks = FlowStacks(8, 3, subtract_mean=False)(torch.tensor([[0, 4], [1, 2]]), indexed_flow(7))
    assert stacks.shape == (2, 6, 2, 3, 3)
    assert stacks[0, :, 1, 0, 0].tolist() == [4, -4, 5, -5, 6, -6]
    assert stacks[1, :, 0, 2, 1].tolist() == [101, -101, 102, -102, 103, -103]


def test_bidirectional_stacks_go_away_from_their_frame():
    stacks = FlowStacks(8, 4, bidirectional=True, subtract_mean=False)
    result = stacks(torch.tensor([[0, 3], [1, 2]]), indexed_flow(7), indexed_flow(7, sign=-1))
    # The second stack is that of frame 5: frames 5 -> 6 -> 7 and 5 -> 4 -> 3, and field t lies
    # between t and t+1.
    assert result[0, ::2, 1, 0, 0].tolist() == [5, 6, -4, -3]
    assert result[1, ::2, 0, 0, 0].tolist() == [103, 104, -102, -101]


def bouncing_square() -> tuple[np.ndarray, np.ndarray]:
    """Exact flow (1, 2, T-1, 20, 20) of a square that bounces, and its moves (T-1, 2), x first."""
    patches = np.full((1, 1, 4, 4), 255, np.uint8)
    left = [0, 4, 8, 12, 16, 12, 8, 4, 0]
    top = [10, 12, 14, 16, 14, 12, 10, 8, 6]
    corners = np.stack([top, left], -1)[None, :, None]
    flow = exact_flow(patches, corners, 20).astype(np.float32)
    return np.moveaxis(flow, 2, 1), np.diff(np.stack([left, top], -1), axis=0)


def test_trajectories_of_constant_motion_are_constant_except_at_bounces():
    flow, moves = bouncing_square()
    starts = torch.tensor([[0]])  # where it is at first
    square = (slice(10, 14), slice(0, 4))
    stack, plain = (
        FlowStacks(9, 8, trajectory=trajectory, subtract_mean=False)(
            starts, torch.from_numpy(flow)
        ).unflatten(1, (8, 2))[0, :, :, 0]
        for trajectory in (True, False)
    )
    seen = stack[(slice(None), slice(None), *square)].flatten(2)  # (L, 2, pixels)
    assert np.array_equal(seen, np.repeat(moves[:, :, None], 16, 2)), (
        "every pixel of the square tells its motion"
    )
    changes = (np.diff(seen, axis=0) != 0).any(1)  # (L-1, pixels)
    assert changes.all(1).tolist() == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
    ], "y turns, then x"
    assert not changes[[0, 1, 4, 5, 6]].any()
    assert not plain[1:, :, *square].any(), "a plain stack loses it at once"
    assert not stack[:, :, 0, 10:].any(), "nothing moves up there"


def test_trajectories_stay_inside_the_picture():
    flow = torch.full((1, 3, 2, 4, 5), 100.0)
    flow[:, 1:] = torch.arange(5.0)  # further fields tell the column
    columns = follow(flow)[0, 1:, 0]
    assert (columns == 4).all() and follow(-flow)[0, 1:, 0].abs().max() == 0
    assert follow(torch.ones(2, 3, 2, 1, 1)).shape == (2, 3, 2, 1, 1), "pictures of one pixel"


@pytest.mark.parametrize("trajectory", [False, True])
def test_mean_subtraction_removes_a_camera_pan(trajectory):
    stacks = FlowStacks(FRAMES, 5, trajectory=trajectory)
    starts = torch.tensor([[0, 2], [1, 1]])
    flow = random_flow()
    pan = torch.randn(2, 2, FRAMES - 1, 1, 1)
    if not trajectory:  # a pan leads trajectories elsewhere
        torch.testing.assert_close(
            stacks(starts, flow), stacks(starts, flow + pan), rtol=0, atol=1e-5
        )
    still = torch.zeros_like(flow)
    assert stacks(starts, still + pan).abs().max() < 1e-5
    assert (
        FlowStacks(FRAMES, 5, trajectory=trajectory, subtract_mean=False)(starts, still + pan)
        .abs()
        .max()
        > 0.5
    )


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (0, {}, "clips of 8 frames have 7 flow fields; a stack of 0 does not fit"),
        (8, {}, "clips of 8 frames have 7 flow fields; a stack of 8 does not fit"),
        (5, {"bidirectional": True}, "as many fields after its frame as before it; 5 is odd"),
    ],
)
def test_stacks_that_do_not_fit(length, options, message):
    with pytest.raises(ValueError, match=message):
        FlowStacks(8, length, **options)


# --- The networks. ---


class Record:
    """Stands in for a stream's network and keeps the images it was fed."""

    def __call__(self, images):
        self.images = images
        return images.flatten(3).mean(-1).transpose(1, 2)


def recording(**params) -> nn.Module:
    model = models.create(
        "two_stream", clip_shape=(1, 16, 3, 3), convs=[[2, 3, 1, 1]], dense=[2], **params
    )
    model.spatial.features = Record()
    model.temporal.features = Record()
    return model


def test_two_stream_samples_evenly_in_evaluation_and_at_random_in_training():
    model = recording(stack=4, samples=3, subtract_mean=False).eval()
    clip = torch.arange(16.0)[None, None, :, None, None].expand(2, 1, 16, 3, 3)
    model(clip, indexed_flow(15))
    assert model.spatial.features.images[:, 0, :, 0, 0].tolist() == [[0, 8, 15], [0, 8, 15]]
    # the last stack ends in field 14
    assert model.temporal.features.images[1, 0, :, 0, 0].tolist() == [100, 106, 111]
    model.train()
    frames = set()
    starts = set()
    for _ in range(200):
        model(clip, indexed_flow(15))
        images = model.spatial.features.images, model.temporal.features.images
        assert images[0].shape == (2, 1, 1, 3, 3) and images[1].shape == (2, 8, 1, 3, 3)
        frames |= set(images[0].flatten(1)[:, 0].tolist())
        starts.add(images[1][0, 0, 0, 0, 0].item())
    assert frames == set(range(16)) and starts == set(range(12))


def test_the_temporal_stream_by_itself_is_that_of_the_two_stream_network():
    params = {
        "stack": 4,
        "bidirectional": True,
        "trajectory": True,
        "samples": 2,
        "convs": [[3, 3, 1, 2]],
        "dense": [5],
    }
    both, alone = (
        models.create(name, clip_shape=(1, 8, 9, 9), **params).eval()
        for name in ("two_stream", "temporal_stream")
    )
    assert both.inputs == ("clip", "flow", "flow_backward") and alone.inputs == (
        "flow",
        "flow_backward",
    )
    alone.load_state_dict(both.temporal.state_dict())
    clip = torch.rand(2, 1, 8, 9, 9)
    flow = torch.randn(2, 2, 7, 9, 9)
    backward = torch.randn(2, 2, 7, 9, 9)
    assert torch.equal(alone(flow, backward), both(clip, flow, backward)["temporal"])
    assert alone.layers == ("conv1", "full2") and both.layers[2:4] == (
        "temporal.conv1",
        "temporal.full2",
    )


CONVS = 256 * (96 * 25 + 1) + 512 * (256 * 9 + 1) + 2 * 512 * (512 * 9 + 1)


@pytest.mark.parametrize(("side", "last"), [(224, 7), (64, 2)])
@pytest.mark.parametrize("stack", [1, 5, 10])
def test_parameters_of_the_reference_networks(side, last, stack):
    with torch.device("meta"):
        model = models.create("two_stream", clip_shape=(3, 16, side, side), stack=stack)
    shared = CONVS + 4096 * (512 * last**2 + 1) + 2048 * (4096 + 1)
    expected = (shared + 96 * (3 * 49 + 1), shared + 96 * (2 * stack * 49 + 1))
    assert (
        tuple(
            sum(p.numel() for p in stream.parameters())
            for stream in (model.spatial, model.temporal)
        )
        == expected
    )


def test_layer_table_of_cnn_m_2048():
    """The layers of the paper's section 4, and their maps of a 224 px crop."""
    with torch.device("meta"):
        model = models.create("two_stream", clip_shape=(3, 11, 224, 224)).eval()
    table = [
        (96, 7, 2, True, True),
        (256, 5, 2, True, True),
        (512, 3, 1, False, False),
        (512, 3, 1, False, False),
        (512, 3, 1, False, True),
    ]
    sizes = [(96, 56), (256, 14), (512, 14), (512, 14), (512, 7)]
    for stream, channels in ((model.spatial, 3), (model.temporal, 20)):
        maps = torch.empty(1, channels, 1, 224, 224, device="meta")
        for number, (row, size) in enumerate(zip(table, sizes, strict=True), start=1):
            layer = stream.get_submodule(f"conv{number}")
            maps = layer(maps)
            assert maps.shape == (1, size[0], 1, size[1], size[1])
            convolution = layer[0]
            kinds = [type(part) for part in layer]
            width, kernel, stride, normalised, pooled = row
            assert (convolution.out_channels, convolution.kernel_size, convolution.stride) == (
                width,
                (1, kernel, kernel),
                (1, stride, stride),
            )
            assert (nn.LocalResponseNorm in kinds) == (
                normalised and (stream is model.spatial or number == 1)
            ), "conv2 of the temporal net"
            assert (nn.MaxPool3d in kinds) == pooled
            if pooled:
                assert (layer[-1].kernel_size, layer[-1].stride) == ((1, 3, 3), (1, 2, 2))
        dense = [part for part in stream.modules() if isinstance(part, nn.Linear)]
        assert [part.out_features for part in dense] == [4096, 2048] and dense[
            0
        ].in_features == 512 * 7 * 7
        assert [part.p for part in stream.modules() if isinstance(part, nn.Dropout)] == [0.9, 0.9]


def test_local_response_normalisation_of_krizhevsky():
    model = models.create(
        "temporal_stream", clip_shape=(1, 3, 2, 2), stack=1, convs=[[9, 1, 1, 1]], dense=[2]
    )
    norm = model.conv1[2]
    maps = 30 * torch.rand(1, 9, 1, 2, 2)
    for channel, y, x in itertools.product(range(9), range(2), range(2)):
        near = maps[0, max(0, channel - 2) : channel + 3, 0, y, x].double()
        expected = maps[0, channel, 0, y, x].item() / (2 + 1e-4 * (near**2).sum().item()) ** 0.75
        assert norm(maps)[0, channel, 0, y, x].item() == pytest.approx(expected, rel=1e-5)


def test_recipe_of_the_paper():
    recipe = system("two_stream_exact").recipe
    assert (recipe["optimiser"], recipe["lr"], recipe["schedule"], recipe["batch"]) == (
        "sgd",
        1e-2,
        "steps",
        256,
    )
    assert recipe["epochs"][0] * (8000 // 256) == pytest.approx(80_000, rel=0.01)


def test_flow_of_one_pixel_is_no_input():
    with pytest.raises(
        ValueError, match="flow of a single pixel is nothing once its mean is subtracted"
    ):
        models.create("temporal_stream", clip_shape=(1, 16, 1, 1))
    models.create(
        "temporal_stream",
        clip_shape=(1, 16, 1, 1),
        subtract_mean=False,
        convs=[[2, 1, 1, 1]],
        dense=[2],
    )


# --- Two tasks. ---

SHAPE = DataShape((1, 6, 5, 5), 4, multi_label=True)


def multi_task(
    tasks=("labels", "directions"), shape: DataShape = SHAPE, every: int = 3
) -> MultiTask:
    torch.manual_seed(0)
    params = {
        "stack": 2,
        "samples": 2,
        "convs": [[3, 3, 1, 1]],
        "dense": [5],
        "norm": "batch",
        "dropout": 0.0,
    }
    return MultiTask(
        models.create("temporal_stream", clip_shape=shape.clip, **params), shape, tasks, every
    )


def task_batch(count: int = 7, multi_label: bool = True) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = (torch.rand(count, 4, generator=generator) < 0.5).float()
    if not multi_label:
        labels = torch.eye(4)[torch.randint(4, (count,), generator=generator)]
    return {
        "clip": torch.rand(count, *SHAPE.clip, generator=generator),
        "flow": torch.randn(count, 2, 5, 5, 5, generator=generator),
        "labels": labels,
        "directions": (torch.rand(count, 8, generator=generator) < 0.3).float(),
        "row": torch.tensor([0, 1, 2, 3, 10, 9, 11])[:count],
    }


def entropy_by_hand(logits: torch.Tensor, target: torch.Tensor) -> float:
    """Cross-entropy in nats of one clip: (S, classes), (classes,)."""
    total = 0.0
    for step, index in itertools.product(range(len(logits)), range(len(target))):
        probability = 1 / (1 + math.exp(-logits[step, index].item()))
        total -= math.log(probability if target[index] else 1 - probability)
    return total / len(logits)


def test_each_clip_adds_to_the_loss_of_its_own_task():
    objective = multi_task().eval()
    batch = task_batch()
    logits = objective.logits(batch)
    assert {name: tuple(value.shape) for name, value in logits.items()} == {
        "labels": (7, 2, 4),
        "directions": (7, 2, 8),
    }
    own = [
        "labels",
        "directions",
        "directions",
        "labels",
        "directions",
        "labels",
        "directions",
    ]  # rows 0, 3 and 9 are divisible by 3
    expected = (
        sum(entropy_by_hand(logits[task][i], batch[task][i]) for i, task in enumerate(own)) / 7
    )
    assert objective.loss(batch).item() == pytest.approx(expected, rel=1e-5)
    for task, other in (("labels", "directions"), ("directions", "labels")):
        changed = {**batch, task: batch[task].clone()}
        changed[task][[i for i, name in enumerate(own) if name == other]] = 0.5
        assert objective.loss(changed) == objective.loss(batch), (
            "targets of the other task's clips are never read"
        )


def test_the_control_learns_from_the_same_few_clips():
    objective = multi_task(["labels"]).eval()
    batch = task_batch()
    logits = objective.logits(batch)["labels"]
    expected = sum(entropy_by_hand(logits[i], batch["labels"][i]) for i in (0, 3, 5)) / 7
    assert objective.loss(batch).item() == pytest.approx(expected, rel=1e-5)
    assert set(objective.score(batch)) == {"loss", "exact_set"}
    none = {name: value[1:3] for name, value in batch.items()}
    assert objective.loss(none) == 0, "a batch without a clip of the task"


@pytest.mark.parametrize("multi_label", [True, False])
def test_scores_cover_all_tasks_on_all_clips(multi_label):
    shape = DataShape(SHAPE.clip, 4, multi_label)
    batch = task_batch(multi_label=multi_label)
    objective = multi_task(shape=shape).eval()
    scores = objective.score(batch)
    logits = objective.logits(batch)
    assert set(scores) == {"loss", "exact_set", "exact_directions"}
    for i in range(7):
        both = sum(
            entropy_by_hand(logits[task][i], batch[task][i]) for task in ("labels", "directions")
        )
        assert scores["loss"][i].item() == pytest.approx(both, rel=1e-5)
        mean = logits["labels"][i].sigmoid().mean(0)
        answer = (mean > 0.5).float() if multi_label else torch.eye(4)[mean.argmax()]
        assert scores["exact_set"][i] == float((answer == batch["labels"][i]).all())
        directions = logits["directions"][i].sigmoid().mean(0) > 0.5
        assert scores["exact_directions"][i] == float(
            (directions == batch["directions"][i].bool()).all()
        )
    right = {**batch, "directions": (logits["directions"].sigmoid().mean(1) > 0.5).float()}
    assert objective.score(right)["exact_directions"].tolist() == [1] * 7


def test_both_heads_and_the_trunk_learn():
    objective = multi_task().train()
    batch = task_batch()
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.02)
    before = objective.eval().loss(batch).item()
    for _ in range(60):
        optimiser.zero_grad()
        objective.train().loss(batch).backward()
        assert all(parameter.grad.any() for parameter in objective.heads.parameters())
        optimiser.step()
    assert objective.eval().loss(batch).item() < 0.7 * before


@pytest.mark.parametrize(
    ("tasks", "every", "message"),
    [
        (
            ["directions"],
            10,
            r"tasks are \['directions'\], every is 10; give labels and at most one further target",
        ),
        (["labels", "directions", "speeds"], 10, "at most one further target"),
        (["labels"], 1, "every at least 2"),
        (["labels", "colours"], 10, "unknown target 'colours': give one of directions, speeds"),
    ],
)
def test_tasks_that_cannot_be(tasks, every, message):
    with pytest.raises(ValueError, match=message):
        multi_task(tasks, every=every)


def test_two_streams_cannot_share_a_head():
    model = models.create(
        "two_stream", clip_shape=SHAPE.clip, stack=2, convs=[[3, 3, 1, 1]], dense=[5]
    )
    with pytest.raises(
        ValueError, match="needs a model of one stream, this one has spatial, temporal"
    ):
        MultiTask(model, SHAPE)


def test_systems_say_which_targets_they_want():
    wanted = {
        name: needed_targets(system(name).definition())
        for name in ("c3d_narrow", "temporal_multi_task_exact_narrow", "pixels")
    }
    assert wanted == {
        "c3d_narrow": (),
        "temporal_multi_task_exact_narrow": ("speeds",),
        "pixels": (),
    }
    assert needed_targets(system("temporal_single_task_exact_narrow").definition()) == ()


def test_a_multi_task_system_runs_on_a_split(make_split, cpu, tiny_system):
    split: Split = make_split(12)
    objective = build(tiny_system("temporal_multi_task_exact_narrow").definition(), split.shape)
    assert objective.loss(split.batch(slice(0, 12), cpu)).isfinite()
    assert set(objective.eval().score(split.batch(slice(0, 12), cpu))) == {
        "loss",
        "exact_set",
        "exact_speeds",
    }
