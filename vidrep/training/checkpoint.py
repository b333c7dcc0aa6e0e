"""A checkpoint after each epoch, so that a killed run goes on where it was."""

from dataclasses import asdict
from pathlib import Path

import torch

from vidrep.files import whole


class Checkpoint:
    """Progress of one run in one file.

    Args:
        path: the file.
        fingerprint: identifies what is trained on what by which code; a checkpoint with another one
            is ignored.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint

    def save(
        self,
        stage: str,
        epochs_done: int,
        objective,
        optimiser,
        schedule,
        selection,
        history: list[tuple],
    ) -> None:
        """Keep everything that the next epoch needs; its random streams follow from its number."""
        content = {
            "fingerprint": self.fingerprint,
            "stage": stage,
            "epochs_done": epochs_done,
            "objective": objective.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "selection": asdict(selection),
            "history": history,
        }
        with whole(self.path) as path:
            torch.save(content, path)

    def load(self) -> dict | None:
        """What was saved last, or None when there is nothing or it belongs to another run."""
        if not self.path.exists():
            return None
        content = torch.load(self.path, map_location="cpu", weights_only=True)
        if content["fingerprint"] != self.fingerprint:
            return None
        return content

    def remove(self) -> None:
        """Forget the progress; the run is complete."""
        self.path.unlink(missing_ok=True)
