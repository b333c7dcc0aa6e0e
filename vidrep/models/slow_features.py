"""Slow feature analysis: functions of single frames that vary slowly over a clip.

Wiskott & Sejnowski, Neural Computation 14, 2002. In closed form: frames -> whitened principal
components -> all products of pairs -> whitening -> the directions whose differences from frame to
frame are smallest. The default follows Berkes & Wiskott (Journal of Vision 5, 2005): 100
components, quadratic expansion. Directions in which the expanded data hardly vary are dropped
before the second whitening, which keeps rank-deficient data stable (Konen, arXiv 0912.1064).

Deviations: frames are read one at a time, not in pairs; slowness is the mean squared difference
between neighbouring frames of one clip, and clips are never joined.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.blocks import FlattenFrames, check_clip_shape

NEGLIGIBLE = 1e-7  # variance, relative to the largest, below which a direction counts as constant


class Moments:
    """Sums over batches from which mean and covariance follow, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.products = 0.0

    def add(self, rows: Tensor) -> None:
        """Count in ``rows`` (n, F)."""
        rows = rows.double()
        self.count += len(rows)
        self.total = self.total + rows.sum(0)
        self.products = self.products + rows.T @ rows

    @property
    def mean(self) -> Tensor:
        """(F,)."""
        return self.total / self.count

    @property
    def second(self) -> Tensor:
        """Mean product (F, F), around zero."""
        return self.products / self.count

    @property
    def covariance(self) -> Tensor:
        """(F, F), around the mean."""
        return self.second - torch.outer(self.mean, self.mean)


def whitening(covariance: Tensor) -> Tensor:
    """Rows that give unit variance and no correlation: (F, F) -> (k, F).

    They are ordered by falling variance; negligible directions are left out.
    """
    variances, directions = torch.linalg.eigh(covariance)  # ascending
    kept = variances > NEGLIGIBLE * variances[-1].clamp_min(0)
    columns = directions[:, kept] / variances[kept].sqrt()  # (F, k)
    return columns.T.flip(0)


def quadratic(values: Tensor) -> Tensor:
    """Values and their products of pairs: (..., k) -> (..., k + k (k + 1) / 2)."""
    count = values.shape[-1]
    first, second = torch.triu_indices(count, count, device=values.device)
    products = values[..., first] * values[..., second]
    return torch.cat([values, products], dim=-1)


class Projection(nn.Module):
    """Centred linear map: (B, T, F) -> (B, T, features).

    Its weights are fitted, not trained, and random until then.
    """

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("weight", torch.randn(features, inputs) / inputs**0.5)

    def forward(self, values: Tensor) -> Tensor:
        dtype = values.dtype
        return F.linear(values - self.mean.to(dtype), self.weight.to(dtype))

    def fit(self, mean: Tensor, rows: Tensor) -> None:
        """Take over a mean (F,) and rows (features, F).

        Each row is turned so that its largest weight is positive.
        """
        place_of_largest = rows.abs().argmax(1, keepdim=True)
        largest = rows.gather(1, place_of_largest)  # (features, 1)
        self.mean.copy_(mean)
        self.weight.copy_(rows * largest.sign())


class SlowFeatures(nn.Module):
    """Slow features of every frame.

    Args:
        clip_shape: (C, T, H, W).
        components: principal components of a frame.
        features: slow features.
        expansion: "quadratic", or "linear" for none.

    Layers: ``components`` (B, T, components); ``slow`` (B, T, features), slowest first, with unit
    variance over the training clips and without correlation. Both are random projections until they
    are fitted.

    Attributes:
        deltas: (features,) mean squared difference of each slow feature between neighbouring frames
            of the training clips.

    Raises:
        ValueError: a single frame, more components than values in a frame, or more features than
            the expansion has.
    """

    inputs = ("clip",)
    layers = ("components", "slow")

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        components: int = 100,
        features: int = 64,
        expansion: str = "quadratic",
    ) -> None:
        super().__init__()
        channels, frames, height, width = check_clip_shape(clip_shape)
        if expansion not in ("linear", "quadratic"):
            raise ValueError(f"expansion must be linear or quadratic, got {expansion!r}")
        if frames < 2:
            raise ValueError("slowness needs at least 2 frames, got 1")
        values = channels * height * width
        expanded = components
        if expansion == "quadratic":
            expanded += components * (components + 1) // 2
        if not 1 <= components <= values or not 1 <= features <= expanded:
            raise ValueError(
                f"frames of {values} values give at most as many components, and these {expanded}"
                f" functions at most as many features; got components {components}, features"
                f" {features}"
            )
        self.flatten = FlattenFrames()
        self.expand = quadratic if expansion == "quadratic" else nn.Identity()
        self.components = Projection(values, components)
        self.slow = Projection(expanded, features)
        self.register_buffer("deltas", torch.zeros(features))

    def forward(self, clip: Tensor) -> Tensor:
        """Slow features of every frame: (B, C, T, H, W) in [0, 1] -> (B, T, features)."""
        components = self.components(self.flatten(clip))  # (B, T, components)
        return self.slow(self.expand(components))

    @torch.no_grad()
    def fit_components(self, clips: Iterable[Tensor]) -> None:
        """Fit the principal components to the frames of batches of clips (B, C, T, H, W).

        Raises:
            ValueError: the frames have fewer independent components.
        """
        frames = Moments()
        for clip in clips:
            frames.add(self.flatten(clip).flatten(0, 1))
        rows = whitening(frames.covariance)
        self._check(rows, self.components, "components")
        self.components.fit(frames.mean, rows[: len(self.components.weight)])

    @torch.no_grad()
    def fit_slow(self, clips: Iterable[Tensor]) -> None:
        """Fit the slow features to batches of clips (B, C, T, H, W), the components being fitted.

        Raises:
            ValueError: the expanded components have fewer independent directions than there are
                features.
        """
        values = Moments()
        differences = Moments()
        for clip in clips:
            components = self.components(self.flatten(clip).double())
            expanded = self.expand(components)  # (B, T, expanded)
            values.add(expanded.flatten(0, 1))
            differences.add(expanded.diff(dim=1).flatten(0, 1))
        rows = whitening(values.covariance)
        self._check(rows, self.slow, "features")
        whitened = rows @ differences.second @ rows.T
        deltas, directions = torch.linalg.eigh(whitened)  # ascending: slowest first
        count = len(self.slow.weight)
        self.slow.fit(values.mean, directions[:, :count].T @ rows)
        self.deltas.copy_(deltas[:count])

    def _check(self, rows: Tensor, projection: Projection, name: str) -> None:
        wanted = len(projection.weight)
        if len(rows) < wanted:
            raise ValueError(
                f"the training clips have {len(rows)} independent {name}, not {wanted}; lower the"
                f" model's {name}"
            )
