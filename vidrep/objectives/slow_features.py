"""Slow feature analysis: fitted in closed form, principal components first, then slow features."""

from collections.abc import Iterable

from torch import Tensor, nn

from vidrep.objectives.base import Objective, check_parts


class SlowFeatureAnalysis(Objective):
    """Fits ``vidrep.models.slow_features.SlowFeatures`` without gradient steps.

    It takes two passes over the training clips, one a stage.

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
        check_parts("slow_features", model, "fit_components", "fit_slow")

    def prepare(self, stage: str, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fit what the stage is named after."""
        fit = self.model.fit_components if stage == "components" else self.model.fit_slow
        fit(batch["clip"] for batch in batches)

    def slowness(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared difference between neighbouring frames, averaged over features: (B,)."""
        steps = self.embed(batch).float().diff(dim=1)  # (B, T-1, D)
        return steps.square().mean((1, 2))

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean slowness over clips, for comparison only.

        Minimised by gradient steps it would have a constant as its solution.
        """
        return self.slowness(batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` (B,), the slowness of each clip."""
        return {"loss": self.slowness(batch)}
