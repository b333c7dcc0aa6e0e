"""What the layers of users' networks yield: taken as it is meant, or refused in one line.

Each network here once left wrong activations and no error; a test says how wrong.
"""

import pytest
import torch
from torch import nn

from vidrep.activations.capture import capturing
from vidrep.activations.pooling import pool
from vidrep.models.layouts import ChannelsLast, FoldedFrames, TimeFirst, Tokens
from vidrep.own_models import check_layers, check_random
from vidrep.similarity import compare

SHAPE = (1, 8, 12, 12)  # of clips: C, T, H, W
CLIPS = 40
OF_FRAMES = {"frame": FoldedFrames(8)}


@pytest.fixture
def clips() -> torch.Tensor:
    """Clips (B, 1, 8, 12, 12), each with a grey, a gradient and a little noise of its own."""
    noise = torch.Generator().manual_seed(0)
    base = torch.rand(CLIPS, 1, 1, 1, 1, generator=noise)
    slope = torch.rand(CLIPS, 1, 1, 1, 1, generator=noise) * torch.linspace(0, 1, 12)
    return base + slope + 0.1 * torch.rand(CLIPS, *SHAPE, generator=noise)


class Network(nn.Module):
    """What the networks here share."""

    inputs = ("clip",)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)


def frames_of(clip: torch.Tensor) -> torch.Tensor:
    return clip.transpose(1, 2).flatten(0, 1)  # (B*T, C, H, W)


@torch.no_grad()
def captured(network: nn.Module, clips: torch.Tensor, *, whole: bool = True) -> dict:
    check_layers(network, SHAPE, whole=whole)
    with capturing(network, network.layers) as kept:
        network(clips)
    return kept


@torch.no_grad()
def hooked(network: nn.Module, clips: torch.Tensor) -> dict:
    """What a plain hook keeps, without any of our care."""
    kept = {}
    for name in network.layers:
        module = network.get_submodule(name)
        module.register_forward_hook(lambda _m, _i, o, name=name: kept.update({name: o.detach()}))
    network(clips)
    return kept


def cka(one: torch.Tensor, two: torch.Tensor) -> float:
    return compare(one.flatten(1).numpy(), two.flatten(1).numpy(), "cka_linear_debiased")


def refused(network: nn.Module) -> str:
    with pytest.raises(ValueError) as error:
        check_layers(network, SHAPE)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- Frames in the batch. ---


class Folded(Network):
    """A network of frames, averaged."""

    layers = ("frame", "embedding")

    def __init__(self):
        super().__init__()
        self.frame = nn.Sequential(nn.Flatten(), nn.Linear(144, 16), nn.Tanh())
        self.embedding = nn.Identity()

    def forward(self, clip):
        by_clip = self.frame(frames_of(clip)).unflatten(0, (-1, clip.shape[2]))
        return self.embedding(by_clip.mean(1))


def test_frames_in_the_batch_are_unfolded_if_declared_and_else_refused(clips):
    network = Folded()
    assert "layer frame outputs (16, 16) for 2 clips" in refused(network)
    assert "FoldedFrames" in refused(network)
    naive = hooked(network, clips)
    assert cka(naive["frame"][:CLIPS], naive["embedding"]) < 0.2, "rows of other clips"
    network.layouts = {"frame": FoldedFrames(8)}
    kept = captured(network, clips)
    assert kept["frame"].shape == (CLIPS, 8, 16)
    assert torch.allclose(kept["frame"].mean(1), kept["embedding"], atol=1e-6)
    assert cka(kept["frame"], kept["embedding"]) > 0.9


class FoldedMaps(Folded):
    """Frame-wise maps."""

    layouts = OF_FRAMES

    def __init__(self):
        super().__init__()
        self.frame = nn.Conv2d(1, 3, 5)

    def forward(self, clip):
        by_clip = self.frame(frames_of(clip)).unflatten(0, (-1, clip.shape[2]))
        return self.embedding(by_clip.mean((1, 3, 4)))


def test_folded_maps_become_maps_in_time(clips):
    network = FoldedMaps()
    kept = captured(network, clips)["frame"]
    assert kept.shape == (CLIPS, 3, 8, 8, 8)
    assert torch.equal(kept[4, :, 5], network.frame(clips[4, :, 5]))
    network.layouts = {}
    assert "layer frame outputs (16, 3, 8, 8) for 2 clips" in refused(network)


# --- Tokens. ---


class Transformer(Network):
    """Tokens of 2 x 6 x 6 pixels, so (4, 2, 2), behind a class token; the mean is the embedding."""

    layers = ("block", "embedding")
    order = "thw"

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv3d(1, 6, (2, 6, 6), (2, 6, 6))
        self.block = nn.Linear(6, 6)
        self.embedding = nn.Identity()

    def forward(self, clip):
        maps = self.patches(clip)  # (B, 6, 4, 2, 2)
        places = [2 + "thw".index(axis) for axis in self.order]
        tokens = maps.permute(0, *places, 1).flatten(1, 3)
        first = torch.full_like(tokens[:, :1], 7.0)
        tokens = self.block(torch.cat([first, tokens], 1))
        return self.embedding(tokens[:, 1:].mean(1))


@pytest.mark.parametrize("order", ["thw", "hwt"])
def test_tokens_lie_on_their_declared_grid(clips, order):
    network = Transformer()
    network.order = order
    assert "layer block outputs (2, 17, 6), more steps than the 8 frames" in refused(network)
    network.layouts = {"block": Tokens((4, 2, 2), before=1, order=order)}
    kept = captured(network, clips)["block"]
    maps = network.patches(clips).permute(0, 2, 3, 4, 1)
    assert torch.allclose(kept, network.block(maps).permute(0, 4, 1, 2, 3), atol=1e-6)
    # as time, the class token and neighbours in space were averaged together
    naive = pool(hooked(network, clips)["block"], [4, 1, 1])
    meant = pool(kept, [4, 1, 1])
    assert (naive.transpose(1, 2) - meant.flatten(2)).abs().max() > 0.1


def test_a_wrong_grid_is_refused():
    network = Transformer()
    network.layouts = {"block": Tokens((4, 2, 2))}
    assert "(2, 17, 6) does not hold the declared tokens, (B, 16, D)" in refused(network)
    with pytest.raises(ValueError, match="order of tokens"):
        Tokens((1, 1, 1), order="thx")


def test_fewer_tokens_than_frames_are_not_taken_for_time():
    """Of a clip of 32 frames, the 17 tokens look like steps."""
    network = Transformer()
    network.patches = nn.Conv3d(1, 6, (8, 6, 6), (8, 6, 6))
    with pytest.raises(
        ValueError, match=r"layer block outputs .*, 17 steps or tokens of clips of 32"
    ):
        check_layers(network, (1, 32, 12, 12))
    network.layouts = {"block": Tokens((17, 1, 1))}
    check_layers(network, (1, 32, 12, 12))


def test_layouts_are_of_modules_and_classes_that_exist():
    network = Transformer()
    network.layouts = {"blok": Tokens((4, 2, 2))}
    assert refused(network) == "its layouts name blok, which is no submodule of it"
    network.layouts = {"block": (4, 2, 2)}
    assert "its layouts give (4, 2, 2) for block" in refused(network)


def test_frames_of_tokens_are_unfolded():
    folded = torch.arange(2.0 * 3 * 5 * 2).reshape(6, 5, 2)  # two clips of three frames
    maps = FoldedFrames(3, Tokens((1, 2, 2), before=1))(folded)
    assert maps.shape == (2, 2, 3, 2, 2)
    assert maps[1, :, 2, 1, 0].equal(folded[5, 3])


# --- In place. ---


class InPlace(Network):
    """A ReLU that works in place on what a listed layer yielded."""

    layers = ("linear", "embedding")

    def __init__(self):
        super().__init__()
        self.linear = nn.Sequential(nn.Flatten(), nn.Linear(8 * 144, 8))
        self.relu = nn.ReLU(inplace=True)
        self.embedding = nn.Identity()

    def forward(self, clip):
        return self.embedding(self.relu(self.linear(clip)))


def test_what_works_in_place_later_does_not_change_what_is_kept(clips):
    network = InPlace()
    with torch.no_grad():
        expected = network.linear(clips)
    assert (expected < 0).any()
    assert torch.equal(captured(network, clips)["linear"], expected)
    assert (hooked(network, clips)["linear"] >= 0).all(), "a plain hook keeps the ReLU's"


# --- One call a frame. ---


class FrameByFrame(Network):
    """Layers that are called for each frame: vectors, and maps; one a cell that gives a tuple."""

    layers = ("maps", "cell", "embedding")

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(1, 2, 5)
        self.cell = nn.LSTMCell(2, 4)
        self.embedding = nn.Identity()

    def forward(self, clip):
        state = None
        for frame in clip.unbind(2):
            state = self.cell(self.maps(frame).mean((2, 3)), state)
        return self.embedding(state[0])


def test_calls_are_steps_in_time(clips):
    network = FrameByFrame()
    kept = captured(network, clips)
    assert kept["maps"].shape == (CLIPS, 2, 8, 8, 8)
    assert torch.equal(kept["maps"][:, :, 3], network.maps(clips[:, :, 3]))
    assert kept["cell"].shape == (CLIPS, 8, 4)
    assert torch.equal(kept["cell"][:, -1], kept["embedding"])
    network.layers = ("maps",)
    assert hooked(network, clips)["maps"].ndim == 4, "a plain hook keeps the last frame alone"


# --- Several parts, and none. ---


class Recurrent(Network):
    """An LSTM of (T, B, D), which gives a tuple."""

    layers = ("lstm", "embedding")

    def __init__(self, batch_first: bool):
        super().__init__()
        self.lstm = nn.LSTM(144, 5, batch_first=batch_first)
        self.batch_first = batch_first
        self.embedding = nn.Identity()

    def forward(self, clip):
        steps = clip.flatten(3).squeeze(1)  # (B, T, 144)
        if self.batch_first:
            return self.embedding(self.lstm(steps)[0][:, -1])
        return self.embedding(self.lstm(steps.transpose(0, 1))[0][-1])


def test_the_sequence_of_a_recurrent_layer_is_kept(clips):
    kept = captured(Recurrent(True), clips)
    assert kept["lstm"].shape == (CLIPS, 8, 5)
    time_first = Recurrent(False)
    assert "layer lstm outputs (8, 2, 5) for 2 clips" in refused(time_first)
    time_first.layouts = {"lstm": TimeFirst()}
    assert torch.allclose(captured(time_first, clips)["lstm"], kept["lstm"], atol=1e-6)


class ReturnsTuple(Folded):
    layouts = OF_FRAMES

    def forward(self, clip):
        return super().forward(clip), None


class ReturnsFrames(Folded):
    layouts = OF_FRAMES

    def forward(self, clip):
        super().forward(clip)
        return frames_of(clip).flatten(1)


class OtherEmbedding(Folded):
    layouts = OF_FRAMES

    def forward(self, clip):
        return 2 * super().forward(clip)


class NeverCalled(Folded):
    layers = ("parts", "embedding")

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(1, 1)])


class OutputsDict(Folded):
    layers = ("part", "embedding")

    class Part(nn.Module):
        def forward(self, clip):
            return {"maps": clip}

    def __init__(self):
        super().__init__()
        self.part = self.Part()

    def forward(self, clip):
        self.part(clip)
        return super().forward(clip)


class NoLayers(Folded):
    layers = ()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (ReturnsTuple, "its forward returns a tuple; return the embedding alone"),
        (ReturnsFrames, "its forward returns (16, 144) for 2 clips"),
        (OtherEmbedding, "its last listed layer, embedding, does not yield what forward returns"),
        (NeverCalled, "layer parts: the forward pass never calls it"),
        (OutputsDict, "layer part outputs a dict, not a tensor"),
        (NoLayers, "its attribute layers is ()"),
    ],
)
def test_what_cannot_be_extracted_is_one_line(network, message):
    assert message in refused(network())


def test_a_list_of_ones_own_need_not_end_in_the_embedding(clips):
    network = OtherEmbedding()
    assert captured(network, clips, whole=False)["frame"].shape == (CLIPS, 8, 16)


def test_maps_with_channels_last():
    maps = torch.rand(2, 3, 4, 5, 6)
    assert ChannelsLast()(maps)[1, 5, 2, 3, 4] == maps[1, 2, 3, 4, 5]


# --- The untrained baseline. ---


class Loads(Folded):
    """Its constructor loads weights, then adds a head that is random."""

    def __init__(self, seed: int):
        super().__init__()
        torch.manual_seed(seed)
        self.head = nn.Linear(16, 2)


def test_a_baseline_that_would_be_pretrained_is_refused():
    with pytest.raises(ValueError, match=r"^99% of its weights are the same under two seeds"):
        check_random(Loads(0), Loads(1))


def test_fixed_parts_and_no_parts_are_no_reason():
    def made(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(100, 100), nn.Linear(20, 20), nn.BatchNorm1d(3))
        network[1].weight.data = torch.arange(400.0).view(20, 20)
        return network

    check_random(made(0), made(1))
    check_random(nn.Flatten(), nn.Flatten())
