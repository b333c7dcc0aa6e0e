"""The splits of every data set and digit source, and the files of one split."""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split of a data set, as a system is fed it.

    On a command line a split is one value: ``test.h5`` or ``test.h5,flow=dis.zarr`` or
    ``test.h5,flow=dis.zarr,flow_backward=dis_backward.zarr``.

    Attributes:
        clips: the clips (.h5).
        flow: their flow (.zarr), for systems that are fed it.
        flow_backward: their backward flow (.zarr), for systems that are fed it.
    """

    clips: Path
    flow: Path | None = None
    flow_backward: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "SplitFiles":
        """The files that a value of a command line names.

        Raises:
            ValueError: anything but clips, flow and backward flow, each at most once.
        """
        clips, *others = text.split(",")
        files = {"clips": Path(clips)}
        for other in others:
            name, _, path = other.partition("=")
            if name not in ("flow", "flow_backward") or name in files or not path:
                raise ValueError(
                    f"{other!r} in {text!r}: give CLIPS.h5, then where needed ,flow=STORE.zarr and"
                    " ,flow_backward=STORE.zarr"
                )
            files[name] = Path(path)
        return cls(**files)

    def __str__(self) -> str:
        """The value of a command line that names them."""
        flows = {"flow": self.flow, "flow_backward": self.flow_backward}
        named = [f",{name}={path}" for name, path in flows.items() if path]
        return str(self.clips) + "".join(named)
