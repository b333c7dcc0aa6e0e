"""Progress of a run in lines that read well on a terminal and in a log: rate and time left."""

import time
from collections.abc import Callable

INTERVAL_S = 30.0


class Progress:
    """Counts clips and says now and then how fast it goes.

    Args:
        clips: how many clips will be seen in all.
        report: receives each line.
        unit: what is counted, in the plural.
    """

    def __init__(self, clips: int, report: Callable[[str], None], unit: str = "clips") -> None:
        self.unit = unit
        self.total = clips
        self.report = report
        self.seen = 0
        self.started = time.monotonic()
        self.spoke = self.started

    @property
    def rate(self) -> float:
        """Clips per second since the start, evaluation included."""
        return self.seen / max(time.monotonic() - self.started, 1e-9)

    def advance(self, clips: int) -> None:
        """Count ``clips`` more; speak when the last line is half a minute old."""
        self.seen += clips
        if time.monotonic() - self.spoke > INTERVAL_S:
            self.say(f"{100 * self.seen / max(self.total, 1):.0f} %")

    def epoch(
        self,
        stage: str,
        epoch: int,
        epochs: int,
        loss: float,
        scores: dict[str, float],
    ) -> None:
        """Speak at the end of an epoch."""
        shown = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        self.say(f"{stage} epoch {epoch}/{epochs}: training loss {loss:.3f}; validation {shown}")

    def say(self, text: str) -> None:
        left = (self.total - self.seen) / self.rate if self.seen else 0.0
        self.report(
            f"{text} ({self.rate:.0f} {self.unit}/s, {int(left // 60)}:{int(left % 60):02d} left)"
        )
        self.spoke = time.monotonic()
