"""Video transformers of Hugging Face: VideoMAE, V-JEPA 2, TimeSformer, ViViT; never downloaded.

As a system::

    - name: videomae
      model: vidrep.adapters.hugging_face:VideoTransformer
      params: {folder: models/videomae-base}         # config.json, preprocessor_config.json
      weights: models/videomae-base/model.safetensors
      train: false

Frames are resized as a whole to what the network takes (its own preprocessing crops), and
normalised as ``preprocessor_config.json`` says; without one, as the published weights want it,
which is not the default of the library's classes.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from vidrep.adapters import Images, check_colours, library
from vidrep.models.blocks import check_clip_shape
from vidrep.models.layouts import FoldedFrames, Layout, Tokens
from vidrep.models.weights import load_state

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT = ((0.5,) * 3, (0.5,) * 3)


@dataclass(frozen=True)
class Kind:
    """What is known of a network of one ``model_type``.

    Attributes:
        model: the name of its class.
        size, frames: the keys of the configuration that tell the side of an image and the frames.
        blocks: where its blocks lie.
        options: of its constructor, by which heads are left out.
        class_token: does a token without a place stand in front?
        order: how tokens are counted, see ``Tokens``.
        image: mean and standard deviation of the published weights.
    """

    model: str
    size: str = "image_size"
    frames: str = "num_frames"
    blocks: str = "encoder.layer"
    options: tuple[tuple[str, bool], ...] = ()
    class_token: bool = False
    order: str = "thw"
    image: tuple = IMAGENET


KINDS = {
    "videomae": Kind("VideoMAEModel"),
    "vjepa2": Kind("VJEPA2Model", size="crop_size", frames="frames_per_clip"),
    "timesformer": Kind(
        "TimesformerModel", class_token=True, order="hwt", image=((0.45,) * 3, (0.225,) * 3)
    ),
    "vivit": Kind(
        "VivitModel",
        blocks="layers",
        options=(("add_pooling_layer", False),),
        class_token=True,
        image=UNIT,
    ),
}


def quiet_library():
    """The library, told to be quiet and never to look for files elsewhere.

    Raises:
        ValueError: it is missing, or does not work here.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers = library("transformers", "; pip install -e '.[adapters]'")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


class VideoTransformer(nn.Module):
    """One of these networks without its head.

    Args:
        clip_shape: (C, T, H, W), grey or RGB; T as the network takes it.
        folder: holds ``config.json`` and perhaps ``preprocessor_config.json``.
        config: keys of the configuration, in place of a folder or replacing some of its keys;
            ``model_type`` is a key of ``KINDS``.

    Layers: ``net.embeddings`` and blocks, each (B, D, t, h, w) without the class token;
    ``embedding`` (B, D), the class token of the last layer where there is one, else the mean token.

    Raises:
        ValueError: the library is missing, an unknown network, or clips that do not fit.
        OSError: a file of the folder cannot be read.
    """

    inputs = ("clip",)

    def __init__(
        self, clip_shape: Sequence[int], *, folder: str | None = None, config: dict | None = None
    ):
        super().__init__()
        transformers = quiet_library()
        keys = _read_json(folder, "config.json") if folder else {}
        keys |= config or {}
        model_type = keys.pop("model_type", None)
        if model_type not in KINDS:
            raise ValueError(
                f"model_type must be one of {', '.join(KINDS)}, got {model_type!r}; it stands in"
                " folder/config.json or params.config"
            )
        self.kind = KINDS[model_type]
        self.config = transformers.AutoConfig.for_model(model_type, **keys)
        self.options = dict(self.kind.options)
        self.factory = getattr(transformers, self.kind.model)
        self.net = self._bare(self.factory(self.config, **self.options))
        self.frames = getattr(self.config, self.kind.frames)
        self.size = getattr(self.config, self.kind.size)
        self._check_clips(clip_shape)
        self.images = Images(*self._normalisation(folder), (self.size, self.size))
        self.embedding = nn.Identity()
        embeddings = "encoder.embeddings" if model_type == "vjepa2" else "embeddings"
        blocks = len(self.net.get_submodule(self.kind.blocks))
        names = [embeddings, *(f"{self.kind.blocks}.{number}" for number in range(blocks))]
        self.layers = (*(f"net.{name}" for name in names), "embedding")
        self.folded = getattr(self.config, "attention_type", "") == "space_only"
        layout = self._layout()
        self.layouts = dict.fromkeys(self.layers[:-1], layout)

    def _bare(self, network: nn.Module) -> nn.Module:
        """The part that computes features: V-JEPA 2 without its predictor."""
        if hasattr(network, "predictor"):
            del network.predictor
        return network

    def _check_clips(self, clip_shape: Sequence[int]) -> None:
        channels, frames, *_ = check_clip_shape(clip_shape)
        check_colours(channels)
        if frames != self.frames:
            raise ValueError(
                f"it takes clips of {self.frames} frames ({self.kind.frames} in its configuration),"
                f" not {frames}"
            )

    def _normalisation(self, folder: str | None) -> tuple:
        """Mean and standard deviation of images in [0, 1]."""
        name = "preprocessor_config.json"
        if not folder or not Path(folder, name).is_file():
            return self.kind.image
        found = _read_json(folder, name)
        if found.get("offset"):  # ViViT: to [-1, 1]; its class would then normalise once more
            return UNIT
        if not found.get("do_normalize", True):
            return (0.0,) * 3, (1.0,) * 3
        if "image_mean" not in found or "image_std" not in found:
            raise ValueError(f"{Path(folder, name)}: image_mean or image_std is missing")
        return tuple(found["image_mean"]), tuple(found["image_std"])

    def _layout(self) -> Layout:
        """How tokens of a block lie in the clip."""
        tubelet = getattr(self.config, "tubelet_size", 1)
        depth, patch, _ = (
            tubelet if isinstance(tubelet, list | tuple) else (tubelet, self.config.patch_size, 0)
        )
        if self.frames % depth or self.size % patch:
            raise ValueError(
                f"its configuration has {self.frames} frames of {self.size} px, which tubelets of"
                f" {depth} x {patch} x {patch} do not fill"
            )
        side = self.size // patch
        before = int(self.kind.class_token)
        if self.folded:
            return FoldedFrames(self.frames, Tokens((1, side, side), before=before))
        return Tokens((self.frames // depth, side, side), before=before, order=self.kind.order)

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict by the library, which knows older names; heads are left out.

        Raises:
            ValueError: weights that are missing or of another shape, which the library would leave
                random, or that are no numbers.
        """
        loaded, found = self.factory.from_pretrained(
            None,
            config=self.config,
            state_dict=dict(state),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **self.options,
        )
        own = self._bare(loaded).state_dict()
        problems = [f"missing {name}" for name in found["missing_keys"] if name in own]
        problems += [
            f"{name} is {tuple(given)}, the network wants {tuple(wanted)}"
            for name, given, wanted in found["mismatched_keys"]
        ]
        if problems:
            shown = "; ".join(sorted(problems)[:8])
            raise ValueError(f"{source} does not fit the network: {shown}")
        load_state(self.net, own, source)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip: (B, C, T, H, W) in [0, 1] -> (B, D)."""
        network = self.net.encoder if self.kind.size == "crop_size" else self.net
        images = self.images(clip).unflatten(0, (-1, self.frames))  # (B, T, 3, size, size)
        tokens = network(images).last_hidden_state
        vectors = tokens[:, 0] if self.kind.class_token else tokens.mean(1)
        if self.folded:
            vectors = vectors.unflatten(0, (-1, self.frames)).mean(1)
        return self.embedding(vectors)


def _read_json(folder: str, name: str) -> dict:
    """A file of a folder; ValueError where it holds no keys."""
    path = Path(folder, name)
    try:
        found = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: give keys with values")
    return found
