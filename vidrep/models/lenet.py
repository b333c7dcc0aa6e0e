"""A LeNet-like network on every frame: convolution and subsampling in turn, then a dense layer.

The kind of network that Mobahi, Collobert & Weston (ICML 2009, pp. 737-744) train with temporal
coherence; its sizes there are not known to us, so the default has the maps of LeNet-5 (LeCun et
al., Proc. IEEE 86:2278, 1998: 6, 16 and 120, kernels of 5 x 5 without padding, 84 hidden units,
tanh) and a third subsampling, as its frames have twice the side. There is no batch normalisation:
its statistics would let the frames of a batch know of each other.

Deviations from LeNet-5: every map sees all maps before it; subsampling takes the largest value, as
an average leaves too little of a digit that may be anywhere; Glorot's initial weights.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, check_clip_shape, pooled


class LeNet(nn.Module):
    """Convolution -> max pooling -> tanh, as often as ``convs`` says, then a dense layer with tanh.

    Args:
        clip_shape: (C, T, H, W).
        convs: (maps, kernel, pool) of each convolution over H and W.
        hidden: D, units of the dense layer.

    Layers: ``conv1`` ... (B, maps, T, H, W) after their pooling; ``hidden`` (B, T, D) in [-1, 1],
    the embedding of every frame.

    Raises:
        ValueError: the frames are too small for the convolutions.
    """

    inputs = ("clip",)
    frame_wise = True

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        convs: Sequence[Sequence[int]] = ((6, 5, 2), (16, 5, 2), (120, 5, 2)),
        hidden: int = 84,
    ) -> None:
        super().__init__()
        maps_in, _, height, width = check_clip_shape(clip_shape)
        for number, (maps, kernel, pool) in enumerate(convs, start=1):
            convolved = (height - kernel + 1, width - kernel + 1)
            if min(convolved) < 1:
                raise ValueError(
                    f"convolution {number} needs maps of at least {kernel} x {kernel}, it gets"
                    f" {height} x {width}: use larger frames"
                )
            _, height, width = pooled((1, *convolved), (1, pool, pool))
            convolution = nn.Conv3d(maps_in, maps, (1, kernel, kernel))
            layer = nn.Sequential(convolution, nn.MaxPool3d((1, pool, pool)), nn.Tanh())
            self.add_module(f"conv{number}", layer)
            maps_in = maps
        dense = nn.Linear(maps_in * height * width, hidden)
        self.hidden = nn.Sequential(FlattenFrames(), dense, nn.Tanh())
        self.layers = tuple(name for name, _ in self.named_children())
        for part in self.modules():
            if isinstance(part, nn.Conv3d | nn.Linear):
                nn.init.xavier_uniform_(part.weight, nn.init.calculate_gain("tanh"))
                nn.init.zeros_(part.bias)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of every frame: (B, C, T, H, W) in [0, 1] -> (B, T, D)."""
        for layer in self.children():
            clip = layer(clip)
        return clip
