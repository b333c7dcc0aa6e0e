"""Trunks: networks published for images or clips, which work inside video models here."""

from vidrep.models.trunks.digit_cnn import DigitCNN
from vidrep.models.trunks.i3d import I3D
from vidrep.models.trunks.mobilenet_v2 import MobileNetV2
from vidrep.models.trunks.vgg19 import VGG19

TRUNKS = {"vgg19": VGG19, "mobilenet_v2": MobileNetV2, "i3d": I3D, "digit_cnn": DigitCNN}
