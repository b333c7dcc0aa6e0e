"""What published weights want done to an image: part of the weights, and seldom said in their file.

A network with the wrong record still answers: MobileNetV2's logits then correlate 0.7 to 0.9 with
the right ones. So the record is named, in the parameter ``preprocessing`` of a trunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image, and how convolutions treat its border.

    Attributes:
        mean, std: taken off, and divided by, for each channel of an image in [0, 1], in the order
            of ``colours``.
        colours: order of the channels, "rgb" or "bgr"; "grey" for a single one.
        same_padding: convolutions of stride 2 are padded like TensorFlow's "SAME", on even sides
            only right and bottom; else on all sides.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    colours: str = "rgb"
    same_padding: bool = False


PREPROCESSINGS = {
    # torchvision's own weights
    "torchvision": Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # [-1, 1]: MobileNetV2 of TensorFlow and Keras, DeepMind's I3D, also under PyTorch's names
    "tensorflow": Preprocessing((0.5,) * 3, (0.5,) * 3, same_padding=True),
    # VGG as its authors released it: blue first, 0 to 255, less the mean of ImageNet
    "caffe": Preprocessing(
        (103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255,) * 3, colours="bgr"
    ),
    "grey": Preprocessing((0.0,), (1.0,), colours="grey"),
}


def preprocessing(name: str, known: Sequence[str]) -> Preprocessing:
    """The record called ``name``.

    Raises:
        ValueError: it is none of those ``known`` for the network.
    """
    if name not in known:
        raise ValueError(f"preprocessing must be one of {', '.join(known)}, got {name!r}")
    return PREPROCESSINGS[name]
