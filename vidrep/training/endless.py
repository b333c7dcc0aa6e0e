"""Endless data sets: new training clips in every epoch, rendered by the training job itself.

What an epoch shows follows from the experiment's seed, the recipe of the data set and the number of
the epoch, so it is the same for all systems and for a run that was interrupted. Digits are those of
the training split; streams are those of no other split.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.datasets.declared import KINDS
from vidrep.digits.source import DigitSource, read_digits
from vidrep.flow.methods import flow_of_clips, needed_arrays
from vidrep.naming import resolve
from vidrep.objectives.build import needed_targets
from vidrep.systems import flow_inputs
from vidrep.training.split import Split
from vidrep.training.targets import make_target


@dataclass(frozen=True)
class EndlessClips:
    """Makes the training clips of any epoch.

    Attributes:
        render: renders one split, see ``vidrep.datasets.kind.Kind.renderer``.
        recipe: what is rendered.
        digits: what it shows, None where it shows no digits.
        multi_label: may a clip carry several labels?
        count: clips an epoch.
        seed: the experiment's.
        flows: method of each flow input of the system, by input.
        targets: further targets that it is trained on.
    """

    render: Callable[..., dict]
    recipe: object
    digits: DigitSource | None
    multi_label: bool
    count: int
    seed: int
    flows: dict[str, str] = field(default_factory=dict)
    targets: Sequence[str] = ()

    def __call__(self, epoch: int) -> Split:
        """The clips of an epoch, counted from 1 through all training stages."""
        rendered = self.render(
            self.recipe, self.digits, "train", self.count, self.seed, epoch=epoch
        )
        targets = {
            name: torch.from_numpy(make_target(name, rendered["factors"])) for name in self.targets
        }
        return Split(
            clips=torch.from_numpy(rendered["clips"]),
            labels=torch.from_numpy(rendered["labels"]),
            flow=self._flow("flow", rendered),
            multi_label=self.multi_label,
            ids=[f"train/epoch{epoch}/{i:06d}" for i in range(self.count)],
            flow_backward=self._flow("flow_backward", rendered),
            targets=targets,
        )

    def _flow(self, name: str, rendered: dict[str, np.ndarray]) -> Tensor | None:
        """A flow input (n, T-1, 2, H, W) float16 of rendered clips; None if it is not fed."""
        if name not in self.flows:
            return None
        method = self.flows[name]
        arrays = {key: rendered[key] for key in needed_arrays(method)}
        return torch.from_numpy(flow_of_clips(method, rendered["clips"], **arrays))


def endless_clips(
    data_set: dict,
    digits: Path | None,
    system: dict,
    *,
    count: int,
    seed: int,
) -> EndlessClips:
    """The endless form of a data set that is rendered, as a system is fed it.

    Args:
        data_set: ``DataSet.definition()``.
        digits: file of the digits that it shows, as ``write_digits`` writes them, or None.
        system: ``System.definition()``.
        count: clips an epoch.
        seed: the experiment's.
    """
    kind = KINDS[data_set["kind"]]
    return EndlessClips(
        render=resolve(kind.renderer, {}, "renderer"),
        recipe=kind.recipe(**data_set["recipe"]),
        digits=read_digits(digits) if digits else None,
        multi_label=data_set["multi_label"],
        count=count,
        seed=seed,
        flows=flow_inputs(system["inputs"], system["flow"]),
        targets=needed_targets(system),
    )
