"""The LSTM encoder on percepts, the features that a frozen image network finds in each frame.

Srivastava et al., ICML 2015, arXiv 1502.04681, section 4: 4096 features (fc6) of a VGG net trained
on ImageNet.

Deviations: VGG19 here gives the mean of its last map (512 features). The small version reads the
CNN that the experiment trains on still digits (1024 features).
"""

from collections.abc import Sequence

from torch import Tensor

from vidrep.models.blocks import check_clip_shape
from vidrep.models.lstm_encoder import LSTMEncoder
from vidrep.models.trunks.trunk import Trunk


class PerceptEncoder(LSTMEncoder):
    """A frozen trunk on every frame, stacked LSTM layers over its vectors.

    Args:
        clip_shape: (C, T, H, W), grey or RGB.
        trunk: an image network, see ``vidrep.models.trunks``.
        image_px: frames with a smaller shorter side are enlarged to it; None takes the network's
            own number.
        trunk_params: of the trunk's constructor, e.g. ``width``.
        units, num_layers, init: of the LSTM, see ``LSTMEncoder``.

    Layers: ``trunk.maps.*`` (B, C, T, H, W), ``trunk.pooled`` (B, T, F), then those of
    ``LSTMEncoder``.

    Raises:
        ValueError: unknown names, or sizes that do not fit.
    """

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        trunk: str = "digit_cnn",
        image_px: int | None = None,
        trunk_params: dict | None = None,
        units: int = 2048,
        num_layers: int = 2,
        init: str = "published",
    ):
        channels, frames, *size = check_clip_shape(clip_shape)
        if trunk == "i3d":
            raise ValueError("trunk must be an image network, got 'i3d'")
        network = Trunk(trunk, (channels, *size), image_px=image_px, params=trunk_params)
        percepts = (network.size, frames, 1, 1)  # frames of one pixel and many channels
        super().__init__(percepts, units=units, num_layers=num_layers, init=init)
        self.trunk = network
        self.layers = (*(f"trunk.{name}" for name in network.layers), *self.layers)

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict into the trunk; its class scores are left out."""
        self.trunk.load_pretrained(state, source)

    def frame_vectors(self, clip: Tensor) -> Tensor:
        """The percepts of all frames: (B, C, T, H, W) in [0, 1] -> (B, T, F)."""
        return self.trunk(clip)
