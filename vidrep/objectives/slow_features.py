"""Slow feature analysis: the model is fitted in closed form, principal components first, slow
features after them.
"""

from collections.abc import Iterable

from torch import Tensor, nn

from vidrep.objectives.base import Objective


class SlowFeatureAnalysis(Objective):
    """Fits ``vidrep.models.slow_features.SlowFeatures``; two passes over the training clips, one a
    stage, and no gradient steps.

    Args:
        model: a network with ``fit_components`` and ``fit_slow``.
        shape: the data set.

    Raises:
        ValueError: a model without these methods.
    """

    stages = ("components", "slow")
    selection = ("loss", "min")

    def __init__(self, model: nn.Module, shape) -> None:
        super().__init__(model, shape)
        if missing := [name for name in ("fit_components", "fit_slow") if not hasattr(model, name)]:
            raise ValueError(
                f"objective slow_features: model {type(model).__name__} has no {', '.join(missing)}"
            )

    def prepare(self, stage: str, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fit what the stage is named after."""
        getattr(self.model, f"fit_{stage}")(batch["clip"] for batch in batches)

    def slowness(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared difference between neighbouring frames, averaged over features: (B,)."""
        return self.embed(batch).float().diff(dim=1).square().mean((1, 2))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean slowness over clips. For comparison only: minimised by gradient it would have a
        constant as its solution.
        """
        return self.slowness(batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` (B,), the slowness of each clip."""
        return {"loss": self.slowness(batch)}
