"""The ids of representations, ``<dataset>/<system>/seed<k>/<layer>``."""

from __future__ import annotations

from typing import NamedTuple

from vidrep.runs import UNTRAINED


class Rep(NamedTuple):
    """The parts of the id of a representation; an id of another form is all layer.

    Attributes:
        dataset: trained on.
        system: its name.
        seed: as text, ``UNTRAINED`` for untrained baselines.
        layer: its name.
    """

    dataset: str
    system: str
    seed: str
    layer: str

    @classmethod
    def parse(cls, text: str) -> Rep:
        """The parts of an id."""
        if text.count("/") < 3:
            return cls("", "", "", text)
        dataset, system, seed, layer = text.split("/", 3)
        return cls(dataset, system, seed.removeprefix("seed"), layer)

    @property
    def run(self) -> str:
        """``<dataset>/<system>/seed<k>``."""
        return f"{self.dataset}/{self.system}/seed{self.seed}"

    @property
    def trained(self) -> bool:
        """Whether it is no untrained baseline."""
        return self.seed != UNTRAINED
