"""Networks of a user's own: what would give wrong numbers in silence is found in the first seconds.

A network of the library is held to the contract by tests; a user's is run on a few random clips.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vidrep import models
from vidrep.activations.capture import capturing
from vidrep.experiment import Experiment
from vidrep.models.layouts import Layout
from vidrep.naming import resolve
from vidrep.objectives import OBJECTIVES
from vidrep.objectives.base import streams
from vidrep.systems import STILL_DIGITS
from vidrep.training.pretrained import start_from

# Two numbers of clips: what is as long as one of them by chance is not as long as the other.
CLIPS = (2, 3)
LARGEST_SHARE = 0.5  # of a network's weights that may be the same whatever the seed


def open_network(
    name: str,
    *,
    clip_shape: Sequence[int],
    params: Mapping | None = None,
    weights: str | None = None,
    layers: Sequence[str] = (),
) -> nn.Module:
    """A network with its weights, ready to be extracted from.

    Args:
        name: as for ``vidrep.models.create``.
        clip_shape: (C, T, H, W) of the clips it will be fed.
        params: its further arguments.
        weights: a file, as for ``vidrep.training.pretrained.start_from``; None leaves the network
            as its constructor made it.
        layers: names of modules in place of its own list, which then need not end in the embedding.

    Returns:
        The network in evaluation mode, its ``layers`` checked.

    Raises:
        ValueError: it cannot be built, the weights do not fit, or a layer cannot be extracted.
        OSError: a file cannot be read.
    """
    network = models.create(name, clip_shape=clip_shape, **(params or {}))
    if layers:
        network.layers = tuple(layers)
    if weights:
        start_from(network, weights)
    try:
        check_layers(network, clip_shape, whole=not layers)
    except ValueError as error:
        raise ValueError(f"model {name!r}: {error}") from error
    return network.eval()


def check_networks(experiment: Experiment) -> None:
    """Check the networks of an experiment that are users' own, and whether weights fit.

    Raises:
        ValueError: one line that names the system and what is wrong.
        OSError: a file of weights cannot be read.
    """
    for system in experiment.systems.values():
        shapes = {experiment.sets[name].shape for name in experiment.made_for(system)}
        for shape in sorted(shapes):
            check_own_model(system.definition(), shape)
            if system.weights and not system.starts_from and system.weights != STILL_DIGITS:
                start_from(_build(system.definition(), shape), system.weights)


def check_own_model(definition: dict, clip_shape: Sequence[int]) -> None:
    """Build a system's network, run it, and look at what it would leave; none of the library's.

    Args:
        definition: ``System.definition()``.
        clip_shape: (C, T, H, W) of the data set.

    Raises:
        ValueError: one line that names the system and what is wrong.
    """
    if definition["model"] in models.MODELS:
        return
    networks = []
    with torch.random.fork_rng(devices=()):
        for seed in (0, 1):
            torch.manual_seed(seed)
            networks.append(_build(definition, clip_shape))
    try:
        check_random(*networks)
        check_layers(networks[0], _seen(definition, clip_shape))
    except ValueError as error:
        key = f"config key systems, {definition['name']}"
        raise ValueError(f"{key}: model {definition['model']!r}: {error}") from error


def _build(definition: dict, clip_shape: Sequence[int]) -> nn.Module:
    """A system's network, without its objective."""
    shape = _seen(definition, clip_shape)
    return models.create(definition["model"], clip_shape=shape, **definition["params"])


def _seen(definition: dict, clip_shape: Sequence[int]) -> Sequence[int]:
    """The part of a clip that a system's network sees, (C, T, H, W)."""
    objective = resolve(definition["objective"], OBJECTIVES, "objective")
    return objective.model_clip_shape(clip_shape, **definition["objective_params"])


def check_random(one: nn.Module, two: nn.Module) -> None:
    """Are the weights of two networks that were built under different seeds different?

    Raises:
        ValueError: most are the same.
    """
    other = dict(two.named_parameters())
    same = 0
    total = 0
    for name, weights in one.named_parameters():
        if weights.ndim < 2 or weights.unique().numel() < 2:  # biases, and what starts constant
            continue
        total += weights.numel()
        if torch.equal(weights, other[name]):
            same += weights.numel()
    if same > LARGEST_SHARE * total:
        raise ValueError(
            f"{same / total:.0%} of its weights are the same under two seeds, so the untrained"
            " baseline would not be random: its constructor loads weights or sets the seed; let it"
            " start at random and give the file under the key weights"
        )


@torch.no_grad()
def check_layers(network: nn.Module, clip_shape: Sequence[int], *, whole: bool = True) -> None:
    """Run a network on random clips and see whether what its layers yield can be stored.

    Args:
        network: with ``layers``, ``inputs`` and perhaps ``layouts``.
        clip_shape: (C, T, H, W) of its clips.
        whole: the last layer must yield the embedding.

    Raises:
        ValueError: see ``vidrep.activations.capture.capturing``; or no embedding, or another one.
    """
    layers = getattr(network, "layers", ())
    if not layers or isinstance(layers, str) or len(set(layers)) < len(layers):
        raise ValueError(
            f"its attribute layers is {layers!r}; list the names of submodules in depth order, each"
            " once, the embedding last"
        )
    _check_layouts(network)
    training = network.training
    network.eval()
    for clips in CLIPS:
        inputs = _random_inputs(network.inputs, clips, clip_shape)
        with capturing(network, tuple(layers)) as captured, _counting(network, layers) as calls:
            output = network(*inputs)
        _check_sequences(network, captured, calls, inputs)
        if whole:
            _check_embedding(output, layers[-1], captured[layers[-1]], clips)
    network.train(training)


def _random_inputs(names: Sequence[str], clips: int, clip_shape: Sequence[int]) -> list[Tensor]:
    """Noise of the shapes that a network is fed: clips (B, C, T, H, W), flow (B, 2, T-1, H, W)."""
    channels, frames, height, width = clip_shape
    noise = torch.Generator().manual_seed(clips)
    shapes = {"clip": (clips, channels, frames, height, width)}
    for name in ("flow", "flow_backward"):
        shapes[name] = (clips, 2, frames - 1, height, width)
    return [torch.rand(shapes[name], generator=noise) for name in names]


def _check_layouts(network: nn.Module) -> None:
    """Layouts of modules that exist, and of the classes there are."""
    modules = dict(network.named_modules())
    for name, layout in getattr(network, "layouts", {}).items():
        if name not in modules:
            raise ValueError(f"its layouts name {name}, which is no submodule of it")
        if not isinstance(layout, Layout):
            raise ValueError(
                f"its layouts give {layout!r} for {name}; give one of the classes of"
                " vidrep/models/layouts.py"
            )


@contextmanager
def _counting(network: nn.Module, layers: Sequence[str]) -> Iterator[Counter]:
    """How often each layer is called within the block."""
    calls = Counter()

    def count(name: str):
        return lambda *_: calls.update([name])

    modules = dict(network.named_modules())
    handles = [modules[name].register_forward_hook(count(name)) for name in layers]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _check_sequences(
    network: nn.Module, captured: Mapping[str, Tensor], calls: Counter, inputs: list[Tensor]
) -> None:
    """Sequences that are as long as the clip, or declared: tokens look like steps in time."""
    lengths = {part.shape[2] for part in inputs}
    layouts = getattr(network, "layouts", {})
    for name, output in captured.items():
        declared = name in layouts or calls[name] > 1
        if output.ndim == 3 and not declared and output.shape[1] not in lengths:
            steps = output.shape[1]
            raise ValueError(
                f"layer {name} outputs {tuple(output.shape)}, {steps} steps or tokens of clips of"
                f" {max(lengths)} frames; declare which in layouts (docs/extending.md):"
                f" {{{name!r}: Tokens(({steps}, 1, 1))}} for steps in time, Tokens((t, h, w)) for a"
                " grid"
            )


def _check_embedding(output, last: str, captured: Tensor, clips: int) -> None:
    """A tensor a clip, or several by name, one of them what the last layer yields."""
    embeddings = list(streams(output).values())
    for embedding in embeddings:
        if not isinstance(embedding, Tensor):
            raise ValueError(
                f"its forward returns a {type(output).__name__}; return the embedding alone,"
                " (B, D) or (B, steps, D), or a dict of such tensors"
            )
        if embedding.ndim not in (2, 3) or len(embedding) != clips:
            raise ValueError(
                f"its forward returns {tuple(embedding.shape)} for {clips} clips; the embedding is"
                " (B, D) or (B, steps, D)"
            )
    if not any(torch.equal(captured, embedding.float()) for embedding in embeddings):
        raise ValueError(
            f"its last listed layer, {last}, does not yield what forward returns; end layers with"
            " the module that does (nn.Identity serves where there is none)"
        )
