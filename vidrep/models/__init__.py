"""Video architectures, one per file: clip (and flow) in, named feature maps and one embedding out.

Importing this package costs nothing: torch and the file of an architecture are imported when one is
created. What must be known of an architecture before that stands in its declaration in ``MODELS``;
a test holds it equal to what the class says.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from vidrep.naming import Declared, check_arguments, resolve, resolve_own

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelTraits(Declared):
    """What configuration and rules need to know of an architecture.

    Attributes:
        inputs: what it is fed with its default parameters, in the order of the arguments of
            ``forward``; None where only an instance can tell.
        takes_weights: has it a method ``load_pretrained(state, source)``?
        flow_stack: for architectures that cut stacks of fields out of the flow, the default of
            their parameter ``stack``, the number of fields; None for all others. Those with
            ``bidirectional`` among their parameters read backward flow too when it is set.
    """

    inputs: tuple[str, ...] | None = ("clip",)
    takes_weights: bool = False
    flow_stack: int | None = None

    def inputs_with(self, params: Mapping) -> tuple[str, ...] | None:
        """What it is fed with ``params``."""
        if self.inputs and self.flow_stack and params.get("bidirectional"):
            return (*self.inputs, "flow_backward")
        return self.inputs


MODELS = {
    "frame_embedder": ModelTraits("vidrep.models.frame_embedder:FrameEmbedder"),
    "c3d": ModelTraits("vidrep.models.c3d:C3D"),
    "resnet3d": ModelTraits("vidrep.models.resnet3d:ResNet3D"),
    "p3d": ModelTraits("vidrep.models.p3d:P3D"),
    "cnn_lstm": ModelTraits("vidrep.models.cnn_lstm:CNNLSTM"),
    "conv_lstm": ModelTraits("vidrep.models.conv_lstm:ConvLSTMNet"),
    "two_stream": ModelTraits(
        "vidrep.models.two_stream:TwoStream", inputs=("clip", "flow"), flow_stack=10
    ),
    "window_lstm": ModelTraits("vidrep.models.window_lstm:WindowLSTM"),
    "temporal_stream": ModelTraits(
        "vidrep.models.two_stream:TemporalStream", inputs=("flow",), flow_stack=10
    ),
    "fusion": ModelTraits("vidrep.models.fusion:FusionCNN"),
    "trunk_fusion": ModelTraits("vidrep.models.trunk_fusion:TrunkFusion", takes_weights=True),
    "trunk_rnn": ModelTraits("vidrep.models.trunk_rnn:TrunkRNN", takes_weights=True),
    "frame_pooling": ModelTraits("vidrep.models.frame_pooling:FramePooling", takes_weights=True),
    "lenet": ModelTraits("vidrep.models.lenet:LeNet"),
    "lstm_encoder": ModelTraits("vidrep.models.lstm_encoder:LSTMEncoder"),
    "percept_encoder": ModelTraits(
        "vidrep.models.percept_encoder:PerceptEncoder", takes_weights=True
    ),
    "recurrent_autoencoder": ModelTraits(
        "vidrep.models.recurrent_autoencoder:RecurrentAutoencoder"
    ),
    "conv_autoencoder": ModelTraits("vidrep.models.conv_autoencoder:ConvAutoencoder"),
    "pixels": ModelTraits("vidrep.models.identity:Pixels"),
    "frame_difference": ModelTraits("vidrep.models.identity:FrameDifference"),
    "flow": ModelTraits("vidrep.models.identity:Flow", inputs=("flow",)),
    "slow_features": ModelTraits("vidrep.models.slow_features:SlowFeatures"),
    "capsules": ModelTraits("vidrep.models.capsules:Capsules"),
    "video_transformer": ModelTraits("vidrep.models.video_transformer:VideoTransformer"),
    "slowfast": ModelTraits("vidrep.models.slowfast:SlowFast"),
    "tsm": ModelTraits("vidrep.models.tsm:TSM"),
    "st_autoencoder": ModelTraits("vidrep.models.st_autoencoder:SpatioTemporalAutoencoder"),
    "simvp": ModelTraits("vidrep.models.simvp:SimVP"),
    "pred_rnn": ModelTraits("vidrep.models.pred_rnn:PredRNN"),
}


def names() -> list[str]:
    """Names of the architectures; ``create`` also takes any ``module:attribute``."""
    return sorted(MODELS)


@cache
def traits(name: str) -> ModelTraits:
    """The traits of an architecture.

    Those of ``MODELS`` are declared there, so that reading a configuration imports no torch. A
    user's own class or function is imported and asked.

    Raises:
        ValueError: unknown name, module or attribute, or a module that lacks another one.
    """
    if name in MODELS:
        return MODELS[name]
    own = resolve_own(name, MODELS, "model")
    inputs = getattr(own, "inputs", None)
    return ModelTraits(
        place=name,
        inputs=inputs if isinstance(inputs, tuple) else None,
        takes_weights=hasattr(own, "load_pretrained"),
        flow_stack=_default_stack(own) if getattr(own, "stacks_flow", False) is True else None,
    )


def _default_stack(factory: Callable) -> int:
    """The default of the parameter ``stack`` of an architecture that stacks flow.

    Raises:
        ValueError: it has no such parameter, or one without a default.
    """
    stack = inspect.signature(factory).parameters.get("stack")
    if stack is None or not isinstance(stack.default, int):
        raise ValueError(
            f"model {factory.__module__}:{factory.__qualname__}: stacks_flow is True, so its"
            " constructor must take stack, a number of flow fields, with a default"
        )
    return stack.default


def create(name: str, *, clip_shape: Sequence[int], **params) -> "nn.Module":
    """Build an architecture, freshly initialised from torch's global generator.

    Args:
        name: an entry of ``names()``, or ``module:attribute`` or ``file.py:attribute`` of your own
            class or function that takes the clip shape first.
        clip_shape: (C, T, H, W) of the clips it will be fed.
        params: its further arguments.

    Returns:
        The module, with ``inputs`` (names of the arguments of ``forward``; the clip where it does
        not say) and ``layers`` (submodules in depth order).

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
        network = factory(clip_shape, **params)
    except ValueError as error:
        raise ValueError(f"model {name!r}: {error}") from error
    if not hasattr(network, "named_modules"):
        raise ValueError(f"model {name!r}: it makes a {type(network).__name__}, no torch module")
    if not hasattr(network, "inputs"):
        network.inputs = ("clip",)
    return network
