"""The CNN of TensorFlow's official MNIST example: two 5 x 5 convolutions and a dense layer of 1024.

The public comparison framework of 2018-2020 (gbpcosta/video_representations) takes the dense layer
of this network, trained on still digits, as the feature of a frame. Images are made 28 x 28, also
larger ones.

Deviation: torch's default weight initialisation.
"""

from torch import Tensor, nn

from vidrep.models.trunks.preprocessing import PREPROCESSINGS


class DigitCNN(nn.Module):
    """conv 5x5, pool 2 -> conv 5x5, pool 2 -> dense -> dropout -> class scores.

    Args:
        widths: channels of the convolutions, units of the dense layer.
        classes: outputs (10 digits); 0 leaves the last layer out (trunks of other networks).
        dropout: before the last layer.

    Attributes: as ``VGG19``; ``pool`` yields the dense layer.
    """

    image_px = 28
    fixed_size = True
    classifier_prefix = "scores."
    smallest_px = 1
    takes_clips = False

    def __init__(
        self,
        *,
        widths: tuple[int, int, int] = (32, 64, 1024),
        classes: int = 0,
        dropout: float = 0.4,
    ):
        super().__init__()
        first, second, units = widths
        self.preprocessing = PREPROCESSINGS["grey"]
        self.groups = {"conv1": ("conv1",), "conv2": ("conv2",)}
        self.conv1 = nn.Sequential(nn.Conv2d(1, first, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
        self.conv2 = nn.Sequential(
            nn.Conv2d(first, second, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(second * 7 * 7, units), nn.ReLU())
        self.channels = second
        self.size = units
        if classes:
            self.scores = nn.Sequential(nn.Dropout(dropout), nn.Linear(units, classes))

    def pool(self, maps: Tensor) -> Tensor:
        """The dense layer: (B, C, 7, 7) -> (B, units)."""
        return self.dense(maps)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores: (B, 1, 28, 28) -> (B, classes)."""
        maps = self.conv2(self.conv1(images))  # (B, C, 7, 7)
        return self.scores(self.dense(maps))
