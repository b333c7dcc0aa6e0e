"""Video networks of torchvision, where it is installed in a working state; never downloaded.

As a system::

    - name: r2plus1d
      model: vidrep.adapters.torchvision_videos:VideoNetwork
      params: {name: r2plus1d_18, image_px: 112}
      weights: models/r2plus1d_18-91a641e6.pth
      train: false
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.adapters import Images, check_colours, library
from vidrep.models.blocks import check_clip_shape
from vidrep.models.layouts import ChannelsLast
from vidrep.models.weights import load_state

HINT = "; it must fit torch: PyPI has wheels for CUDA, which do not work with a torch for CPUs"
RESNET_LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4")
SWIN_LAYERS = ("features.0", "features.2", "features.4", "features.6")
# of each network its layers and the name of its head
NETWORKS = {
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), (RESNET_LAYERS, "fc")),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (SWIN_LAYERS, "head")),
}


class VideoNetwork(nn.Module):
    """One of these networks without its head.

    Args:
        clip_shape: (C, T, H, W), grey or RGB.
        name: a key of ``NETWORKS``.
        image_px: frames become squares of that side; None leaves them as they are. The published
            networks saw 112 (ResNets) and 224 pixels (Swin).

    Layers: of ``SWIN_LAYERS`` or ``RESNET_LAYERS``, each (B, C, T, H, W); ``embedding`` (B, D).

    Raises:
        ValueError: torchvision does not work here, an unknown network, or clips of other colours.
    """

    inputs = ("clip",)

    def __init__(self, clip_shape: Sequence[int], *, name: str, image_px: int | None = None):
        super().__init__()
        channels, self.frames, *_ = check_clip_shape(clip_shape)
        check_colours(channels)
        if name not in NETWORKS:
            raise ValueError(f"name must be one of {', '.join(NETWORKS)}, got {name!r}")
        layers, self.head = NETWORKS[name]
        torchvision = library("torchvision", HINT)
        self.net = torchvision.models.get_model(name, weights=None)
        setattr(self.net, self.head, nn.Identity())
        published = torchvision.models.get_model_weights(name).DEFAULT.transforms()
        size = (image_px, image_px) if image_px else None
        self.images = Images(published.mean, published.std, size)
        self.embedding = nn.Identity()
        self.layers = (*(f"net.{layer}" for layer in layers), "embedding")
        self.layouts = (
            dict.fromkeys(self.layers[:-1], ChannelsLast()) if self.head == "head" else {}
        )

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict without its head."""
        kept = {key: value for key, value in state.items() if not key.startswith(f"{self.head}.")}
        load_state(self.net, kept, source)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip: (B, C, T, H, W) in [0, 1] -> (B, D)."""
        images = self.images(clip).unflatten(0, (-1, self.frames))  # (B, T, 3, H, W)
        return self.embedding(self.net(images.transpose(1, 2)))
