"""Video capsules with dynamic routing (Sabour, Frosst & Hinton, NIPS 2017, arXiv 1710.09829).

The default has the paper's sizes: 256 feature maps, 32 types of 8-d primary capsules, 16-d class
capsules, three rounds of routing. A class counts as present where its capsule is long; losses and
the decoder belong to the objective ``capsule_margin``.

Deviations, all for video:
* the first convolution looks at three frames (3 x 9 x 9);
* the primary capsules of one type and frame are averaged before they predict ("capsule pooling" of
  VideoCapsuleNet, Duarte et al., NeurIPS 2018, arXiv 1805.08162): a matrix for every type, place,
  frame and class would not fit into memory at 64 px;
* so that an average still tells where a digit is, each capsule carries its place, weighted by its
  length;
* matrices start so that unit capsules give a class capsule a raw length near 1 in the first round,
  however many there are;
* no gradient flows through the coefficients, nor through the predictions of rounds before the last.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import Triple, check_clip_shape, convolved, triple

# axes of (B, types, d, T, H, W) that are averaged
POOLS = {"none": (), "time": (3,), "space": (4, 5), "space_time": (3, 4, 5)}
EPSILON = 1e-8  # keeps the gradient of a length finite at 0


def squash(vectors: Tensor, dim: int = -1) -> Tensor:
    """Vectors along ``dim`` with their lengths n brought to n^2 / (1 + n^2), below 1."""
    squared = vectors.square().sum(dim, keepdim=True)
    length = (squared + EPSILON).sqrt()
    return vectors * length / (1 + squared)


def route(predictions: Tensor, iterations: int = 3) -> tuple[Tensor, Tensor]:
    """Dynamic routing: N lower capsules agree on J upper ones.

    Args:
        predictions: (B, N, J, D), what each lower capsule predicts of each upper one.
        iterations: rounds, at least 1.

    Returns:
        Upper capsules (B, J, D) and the coefficients (B, N, J) of the last round, which sum to 1
        over J.
    """
    dtype = predictions.dtype
    logits = predictions.new_zeros(predictions.shape[:3], dtype=torch.float32)
    for remaining in reversed(range(iterations)):
        coefficients = logits.softmax(-1)
        votes = predictions.detach() if remaining else predictions
        total = torch.einsum("bnj,bnjd->bjd", coefficients.to(dtype), votes)
        upper = squash(total.float())
        if remaining:
            agreement = torch.einsum("bnjd,bjd->bnj", votes, upper.to(dtype))
            logits = logits + agreement
    return upper, coefficients


class PrimaryCapsules(nn.Module):
    """A convolution whose channels, ``dimension`` at a time, are squashed vectors.

    (B, C, T, H, W) -> (B, types * dimension, T', H', W'); the channels of a type lie side by side.
    """

    def __init__(
        self,
        channels: int,
        types: int,
        dimension: int,
        kernel: Triple,
        stride: Triple,
    ) -> None:
        super().__init__()
        self.types = types
        self.convolution = nn.Conv3d(channels, types * dimension, triple(kernel), triple(stride))

    def forward(self, maps: Tensor) -> Tensor:
        vectors = self.convolution(maps).unflatten(1, (self.types, -1))  # (B, types, d, T, H, W)
        return squash(vectors.float(), dim=2).flatten(1, 2)


def with_coordinates(vectors: Tensor) -> Tensor:
    """Capsules extended by their row and column, in [-1, 1], times their length.

    An average over space then tells where the long capsules of a type lie: (B, types, d, T, H, W)
    -> (B, types, d + 2, T, H, W).
    """
    height, width = vectors.shape[-2:]
    rows = torch.linspace(-1, 1, height, device=vectors.device)[:, None]
    columns = torch.linspace(-1, 1, width, device=vectors.device)
    lengths = (vectors.square().sum(2, keepdim=True) + EPSILON).sqrt()
    return torch.cat([vectors, lengths * rows, lengths * columns], dim=2)


class ClassCapsules(nn.Module):
    """Pools primary capsules, lets each predict every class capsule, and routes.

    (B, types * dimension, T, H, W) -> (B, J * D).

    Args:
        types, dimension: of the primary capsules.
        positions: (T, H, W) of their maps.
        pool: a key of ``POOLS``.
        coordinates: extend primary capsules by their place, see ``with_coordinates``.
        capsules, size: number and length of the class capsules, J and D.
        iterations: rounds of routing.
    """

    def __init__(
        self,
        types: int,
        dimension: int,
        positions: Sequence[int],
        *,
        pool: str,
        coordinates: bool,
        capsules: int,
        size: int,
        iterations: int,
    ) -> None:
        super().__init__()
        self.types = types
        self.axes = POOLS[pool]
        self.coordinates = coordinates
        self.capsules = capsules
        self.iterations = iterations
        lower = types  # N, capsules that are left after pooling
        for axis, side in enumerate(positions, start=3):
            if axis not in self.axes:
                lower *= side
        length = dimension + 2 if coordinates else dimension
        weight = torch.randn(lower, capsules * size, length)
        self.weight = nn.Parameter(weight * capsules / math.sqrt(lower * size))

    def predictions(self, primary: Tensor) -> Tensor:
        """What each of the N pooled capsules predicts of the upper ones.

        (B, types * dimension, T, H, W) -> (B, N, J, D).
        """
        vectors = primary.unflatten(1, (self.types, -1))  # (B, types, d, T, H, W)
        if self.coordinates:
            vectors = with_coordinates(vectors)
        if self.axes:
            vectors = vectors.mean(self.axes, keepdim=True)
        lower = vectors.movedim(2, -1).flatten(1, 4)  # (B, N, d)
        predicted = torch.einsum("bni,noi->bno", lower, self.weight)  # (B, N, J * D)
        return predicted.unflatten(2, (self.capsules, -1))

    def forward(self, primary: Tensor) -> Tensor:
        upper, _ = route(self.predictions(primary), self.iterations)
        return upper.flatten(1)


class Capsules(nn.Module):
    """Convolution, primary capsules, class capsules.

    Args:
        clip_shape: (C, T, H, W).
        convs: (channels, kernel, stride) of each convolution below the primary capsules; kernel and
            stride are a number or (T, H, W), without padding.
        primary: (types, dimension, kernel, stride) of the primary capsules.
        batch_norm: batch normalisation after each convolution below the primary capsules.
        pool: which axes primary capsules are averaged over: "space", "time", "space_time", or
            "none" for small maps. What is left (every type and frame, type and place, type, or all
            three) has matrices of its own.
        coordinates: give primary capsules their place, see ``with_coordinates``.
        capsules: class capsules, as many as the data has classes.
        size: length of a class capsule's vector.
        iterations: rounds of routing.

    Layers: ``conv1`` ... and ``primary`` (B, C, T, H, W), the latter with all vectors of a place
    side by side; ``class_capsules`` (B, capsules * size), vectors shorter than 1.

    Raises:
        ValueError: the clips are smaller than the kernels, or a parameter is out of range.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        convs: Sequence[Sequence] = ((256, (3, 9, 9), 1),),
        primary: Sequence = (32, 8, (1, 9, 9), (1, 2, 2)),
        batch_norm: bool = False,
        pool: str = "space",
        coordinates: bool = True,
        capsules: int = 10,
        size: int = 16,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        channels_in, *positions = check_clip_shape(clip_shape)
        if pool not in POOLS or min(capsules, size, iterations) < 1:
            raise ValueError(
                f"pool must be one of {', '.join(POOLS)}; capsules, size and iterations positive; "
                f"got {pool!r}, {capsules}, {size}, {iterations}"
            )
        self.capsules = capsules
        self.size = size
        for number, (channels, kernel, stride) in enumerate(convs, start=1):
            convolution = nn.Conv3d(channels_in, channels, triple(kernel), triple(stride))
            layer = nn.Sequential(convolution, nn.ReLU(inplace=True))
            if batch_norm:
                layer.append(nn.BatchNorm3d(channels))
            self.add_module(f"conv{number}", layer)
            channels_in = channels
            positions = convolved(positions, kernel, stride)
        types, dimension, kernel, stride = primary
        positions = convolved(positions, kernel, stride)
        self.primary = PrimaryCapsules(channels_in, types, dimension, kernel, stride)
        self.class_capsules = ClassCapsules(
            types,
            dimension,
            positions,
            pool=pool,
            coordinates=coordinates,
            capsules=capsules,
            size=size,
            iterations=iterations,
        )
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, clip: Tensor) -> Tensor:
        """Class capsules of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, capsules * size).
        """
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features
