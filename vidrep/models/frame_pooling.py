"""Frames one by one, then a pooling that does not know their order.

It is the control for everything that claims to use time.

``mean`` averages the vectors of the frames; ``attention`` weighs them by a small gate over each
vector (Ilse et al., ICML 2018, arXiv 1802.04712). Shuffling the frames changes nothing in either.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import TimeMean, check_clip_shape, frame_cnn
from vidrep.models.trunks.trunk import Trunk

POOLINGS = ("mean", "attention")


class AttentionPool(nn.Module):
    """Average over frames, weighed by softmax(w tanh(V h)): (B, T, D) -> (B, D)."""

    def __init__(self, size: int, units: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(size, units), nn.Tanh(), nn.Linear(units, 1, bias=False)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        weights = self.gate(vectors).float().softmax(1)  # (B, T, 1)
        return (weights * vectors).sum(1)


class FramePooling(nn.Module):
    """A network on every frame and an order-free pooling.

    Args:
        clip_shape: (C, T, H, W).
        trunk: cnn (own convolutions, those of ``CNNLSTM``), or vgg19, mobilenet_v2, digit_cnn,
            which take grey or RGB.
        pooling: mean or attention.
        attention_units: of the gate.
        convs: of the own CNN: (channels, kernel, pool) each.
        momentum: of the own CNN's running statistics.
        image_px, train_trunk, trunk_params: of the others, see ``TrunkRNN``.

    Layers: ``cnn.conv1`` ... or ``trunk.maps.*`` (B, C, T, H, W) and ``trunk.pooled`` (B, T, D);
    ``embedding`` (B, D).

    Raises:
        ValueError: unknown names, or sizes that do not fit.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        trunk: str = "cnn",
        pooling: str = "mean",
        attention_units: int = 128,
        convs: Sequence[Sequence[int]] = (
            (64, 7, 2),
            (64, 3, 1),
            (128, 3, 2),
            (128, 3, 2),
            (256, 3, 2),
        ),
        momentum: float = 0.01,
        image_px: int | None = None,
        train_trunk: bool = False,
        trunk_params: dict | None = None,
    ):
        super().__init__()
        channels, _, *size = check_clip_shape(clip_shape)
        if trunk == "i3d" or pooling not in POOLINGS:
            raise ValueError(
                f"trunk must be cnn or an image network, pooling one of {', '.join(POOLINGS)}; got"
                f" {trunk!r}, {pooling!r}"
            )
        if trunk == "cnn":
            self.cnn, features = frame_cnn(clip_shape, convs, momentum)
            self.layers = tuple(
                f"cnn.{name}" for name, _ in self.cnn.named_children() if name != "flatten"
            )
        else:
            self.trunk = Trunk(
                trunk,
                (channels, *size),
                image_px=image_px,
                trained=train_trunk,
                params=trunk_params,
            )
            features = self.trunk.size
            self.layers = tuple(f"trunk.{name}" for name in self.trunk.layers)
        if pooling == "mean":
            self.embedding = TimeMean()
        else:
            self.embedding = AttentionPool(features, attention_units)
        self.layers += ("embedding",)

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict into the trunk; its class scores are left out.

        Raises:
            ValueError: the network has convolutions of its own, or the state does not fit the
                trunk.
        """
        if not hasattr(self, "trunk"):
            raise ValueError(
                f"{source}: frame pooling with trunk cnn takes no pretrained weights; name a"
                " published trunk"
            )
        self.trunk.load_pretrained(state, source)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D).
        """
        frames = self.trunk if hasattr(self, "trunk") else self.cnn
        return self.embedding(frames(clip))
