"""Video architectures, one per file: clip (and flow) in, named feature maps and one embedding out.

Importing this package costs nothing: torch and the file of an architecture are imported when one is
created.
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidrep.naming import check_arguments, resolve

if TYPE_CHECKING:
    from torch import nn

MODELS = {
    "frame_embedder": "vidrep.models.frame_embedder:FrameEmbedder",
    "c3d": "vidrep.models.c3d:C3D",
    "resnet3d": "vidrep.models.resnet3d:ResNet3D",
    "p3d": "vidrep.models.p3d:P3D",
    "cnn_lstm": "vidrep.models.cnn_lstm:CNNLSTM",
    "conv_lstm": "vidrep.models.conv_lstm:ConvLSTMNet",
    "two_stream": "vidrep.models.two_stream:TwoStream",
    "window_lstm": "vidrep.models.window_lstm:WindowLSTM",
    "temporal_stream": "vidrep.models.two_stream:TemporalStream",
    "fusion": "vidrep.models.fusion:FusionCNN",
    "trunk_fusion": "vidrep.models.trunk_fusion:TrunkFusion",
    "trunk_rnn": "vidrep.models.trunk_rnn:TrunkRNN",
    "frame_pooling": "vidrep.models.frame_pooling:FramePooling",
    "lenet": "vidrep.models.lenet:LeNet",
    "lstm_encoder": "vidrep.models.lstm_encoder:LSTMEncoder",
    "percept_encoder": "vidrep.models.percept_encoder:PerceptEncoder",
    "recurrent_autoencoder": "vidrep.models.recurrent_autoencoder:RecurrentAutoencoder",
    "conv_autoencoder": "vidrep.models.conv_autoencoder:ConvAutoencoder",
    "pixels": "vidrep.models.identity:Pixels",
    "frame_difference": "vidrep.models.identity:FrameDifference",
    "flow": "vidrep.models.identity:Flow",
    "slow_features": "vidrep.models.slow_features:SlowFeatures",
    "capsules": "vidrep.models.capsules:Capsules",
    "video_transformer": "vidrep.models.video_transformer:VideoTransformer",
    "slowfast": "vidrep.models.slowfast:SlowFast",
    "tsm": "vidrep.models.tsm:TSM",
    "st_autoencoder": "vidrep.models.st_autoencoder:SpatioTemporalAutoencoder",
    "simvp": "vidrep.models.simvp:SimVP",
    "pred_rnn": "vidrep.models.pred_rnn:PredRNN",
}


def names() -> list[str]:
    """Names of the architectures; ``create`` also takes any ``module:attribute``."""
    return sorted(MODELS)


def create(name: str, *, clip_shape: Sequence[int], **params) -> "nn.Module":
    """Build an architecture, freshly initialised from torch's global generator.

    Args:
        name: an entry of ``names()``, or ``module:attribute`` of your own class or function that
            takes the clip shape first.
        clip_shape: (C, T, H, W) of the clips it will be fed.
        params: its further arguments.

    Returns:
        The module, with ``inputs`` (names of the arguments of ``forward``) and ``layers``
        (submodules in depth order).

    Raises:
        ValueError: unknown name, module, attribute or parameter, a parameter left out, or sizes
            that do not fit.
    """
    factory = resolve(name, MODELS, "model")
    check_arguments(factory, params, f"model {name!r}", given=1)
    try:
        inspect.signature(factory).bind(clip_shape, **params)
    except TypeError as error:
        raise ValueError(f"model {name!r}: {error}") from None
    try:
        return factory(clip_shape, **params)
    except ValueError as error:
        raise ValueError(f"model {name!r}: {error}") from error
