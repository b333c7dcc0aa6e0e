"""VGG19 (Simonyan & Zisserman, ICLR 2015, arXiv 1409.1556), without batch normalisation.

Parameters are called as in torchvision's ``vgg19`` state dict, which can be loaded as it is; with
``preprocessing: caffe`` so can the authors' weights under these names. The map before the
classifier is pooled to 7 x 7, as in torchvision, so any image size works.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.trunks.preprocessing import preprocessing as record

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions


class VGG19(nn.Module):
    """Sixteen 3 x 3 convolutions in five blocks, and three dense layers.

    Each block is closed by 2 x 2 max pooling.

    Args:
        width: multiplies all channels and the dense layers.
        classes: outputs of the classifier; 0 leaves the classifier out (trunks of other networks).
        blocks: (channels, convolutions) of each block; networks for a few thousand small clips need
            fewer.
        preprocessing: that of the weights, torchvision or caffe.

    Attributes:
        image_px: images whose shorter side is smaller are enlarged to it; with ``fixed_size`` all
            are made that large.
        smallest_px: images may not be smaller.
        takes_clips: is it fed (B, C, T, H, W) instead of images?
        classifier_prefix: of the names of the classifier's parameters.
        preprocessing: what is done to images.
        groups: name of a map that can be extracted -> names of the submodules that compute it
            from the one before.
        channels: of the last map.
        size: of the vector ``pool`` makes of it.
    """

    image_px = 96
    fixed_size = False
    classifier_prefix = "classifier."
    takes_clips = False

    def __init__(
        self,
        *,
        width: float = 1.0,
        classes: int = 0,
        blocks: Sequence[Sequence[int]] = BLOCKS,
        preprocessing: str = "torchvision",
    ):
        super().__init__()
        self.preprocessing = record(preprocessing, ("torchvision", "caffe"))
        self.features = nn.Sequential()
        self.groups = {}
        channels = 3
        for number, (base, convolutions) in enumerate(blocks, start=1):
            first = len(self.features)
            wanted = max(1, round(base * width))
            for _ in range(convolutions):
                self.features.append(nn.Conv2d(channels, wanted, 3, padding=1))
                self.features.append(nn.ReLU(inplace=True))
                channels = wanted
            self.features.append(nn.MaxPool2d(2))
            places = range(first, len(self.features))
            self.groups[f"block{number}"] = tuple(f"features.{place}" for place in places)
        self.channels = channels
        self.size = channels
        self.smallest_px = 2 ** len(blocks)
        if classes:
            dense = max(1, round(4096 * width))
            self.classifier = nn.Sequential(
                nn.Linear(channels * 7 * 7, dense),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(dense, dense),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(dense, classes),
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def pool(self, maps: Tensor) -> Tensor:
        """Global average: (B, C, H, W) -> (B, C)."""
        return maps.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of normalised images: (B, 3, H, W) -> (B, classes)."""
        maps = nn.functional.adaptive_avg_pool2d(self.features(images), 7)
        return self.classifier(torch.flatten(maps, 1))
