"""Reconstruction and future prediction of percepts: features of single frames.

Srivastava, Mansimov, Salakhutdinov, ICML 2015, arXiv 1502.04681, section 4; see
``vidrep.objectives.state_decoders``. Linear outputs and squared error. No frames are generated.
"""

from torch import Tensor

from vidrep.objectives.base import check_parts
from vidrep.objectives.state_decoders import PARTS, StateDecoders


class PerceptComposite(StateDecoders):
    """The decoders give percepts.

    Args:
        model: an encoder with ``frame_vectors(clip) -> (B, T, F)`` from a frozen ``trunk``, and
            ``encode(vectors)``, which gives its embedding; ``vidrep.models.percept_encoder``.
        shape, observed, parts, conditional, feeding: as of ``StateDecoders``.

    Raises:
        ValueError: a model without percepts, and as for ``StateDecoders``.
    """

    name = "percept_composite"

    def __init__(
        self,
        model,
        shape,
        observed: int,
        parts: tuple[str, ...] = PARTS,
        conditional: tuple[str, ...] = (),
        feeding: str = "true_frames",
    ) -> None:
        check_parts("percept_composite", model, "frame_vectors", "encode", "trunk")
        super().__init__(
            model, shape, observed, parts, conditional, output="linear", feeding=feeding
        )

    def frame_size(self) -> int:
        """Features of a frame."""
        return self.model.trunk.size

    def frame_vectors(self, batch: dict[str, Tensor]) -> Tensor:
        """Percepts of all frames (B, T, F)."""
        return self.model.frame_vectors(batch["clip"])

    def decode(
        self, batch: dict[str, Tensor], *, teacher: bool
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """As ``StateDecoders.decode``; the trunk runs once."""
        percepts = self.frame_vectors(batch).float()
        embedding = self.model.encode(percepts[:, : self.observed])
        return self.decode_from(embedding, percepts, teacher=teacher)
