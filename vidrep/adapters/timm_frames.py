"""Image networks of timm, frame by frame, where it is installed in a working state.

timm wants torchvision. Nothing is downloaded. As a system::

    - name: dino_frames
      model: vidrep.adapters.timm_frames:FrameNetwork
      params: {name: vit_small_patch16_224, image_px: 224}
      weights: models/vit_small_patch16_224.dino.safetensors
      train: false
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.adapters import Images, check_colours, library
from vidrep.adapters.torchvision_videos import HINT
from vidrep.models.blocks import check_clip_shape
from vidrep.models.layouts import ChannelsLast, FoldedFrames, Tokens
from vidrep.models.weights import load_state


class FrameNetwork(nn.Module):
    """A network of timm on every frame, without its head.

    Args:
        clip_shape: (C, T, H, W), grey or RGB.
        name: as for ``timm.create_model``.
        image_px: frames become squares of that side; None leaves them as they are.
        options: further arguments of ``timm.create_model``, such as ``img_size``.

    Layers: those that timm lists in ``feature_info``, each (B, C, T, H, W) without class tokens;
    ``embedding`` (B, T, D), one vector a frame.

    Raises:
        ValueError: timm does not work here, an unknown network, or clips of other colours.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        name: str,
        image_px: int | None = None,
        options: dict | None = None,
    ):
        super().__init__()
        channels, self.frames, *_ = check_clip_shape(clip_shape)
        check_colours(channels)
        timm = library("timm", HINT)
        try:
            self.net = timm.create_model(name, pretrained=False, num_classes=0, **(options or {}))
        except RuntimeError as error:  # an unknown name
            raise ValueError(str(error)) from None
        published = self.net.pretrained_cfg
        size = (image_px, image_px) if image_px else None
        self.images = Images(published["mean"], published["std"], size)
        self.embedding = nn.Identity()
        layers = [info["module"] for info in self.net.feature_info]
        self.layers = (*(f"net.{layer}" for layer in layers), "embedding")
        self.layouts = dict.fromkeys(self.layers[:-1], FoldedFrames(self.frames, self._each()))

    def _each(self) -> Tokens | ChannelsLast | None:
        """The layout of a layer's output for one frame."""
        if hasattr(self.net, "num_prefix_tokens"):
            grid = self.net.patch_embed.grid_size
            return Tokens((1, *grid), before=self.net.num_prefix_tokens)
        if getattr(self.net, "output_fmt", "NCHW") == "NHWC":
            return ChannelsLast()
        return None

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict without its head."""
        head = self.net.pretrained_cfg.get("classifier") or "head"
        kept = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
        load_state(self.net, kept, source)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of every frame: (B, C, T, H, W) in [0, 1] -> (B, T, D)."""
        vectors = self.net(self.images(clip))
        return self.embedding(vectors.unflatten(0, (-1, self.frames)))
