"""The keys of a configuration: one class a section, one sentence a key."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from vidrep import digits, measures
from vidrep.activations import CONTROLS
from vidrep.flow import ESTIMATED_FLOWS, FORWARD_FLOWS
from vidrep.retention import POLICIES
from vidrep.training import PRECISIONS
from vidrep.training.optimisers import OPTIMISERS, SCHEDULES

NAME = r"^[A-Za-z0-9_]+$"


def unique(values: list) -> list:
    """A list as it is, if it holds nothing twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value!r} is listed {values.count(value)} times; list it once")
    return values


Unique = AfterValidator(unique)
Measure = Literal[*measures.names()]
Estimator = Literal[*ESTIMATED_FLOWS]
Flow = Literal[*FORWARD_FLOWS]
Control = Literal[*CONTROLS]
Input = Literal["clip", "flow", "flow_backward"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]


def either(first: Any, several: Any) -> Any:
    """One value or a list; which of them was meant is seen before either is checked."""
    return Annotated[
        Annotated[first, Tag("<one>")] | Annotated[several, Tag("<list>")],
        Discriminator(lambda value: "<list>" if isinstance(value, list) else "<one>"),
    ]


def name_or(section: type[BaseModel] | type[dict]) -> Any:
    """A name, or a mapping."""
    return Annotated[
        Annotated[str, Tag("<name>")] | Annotated[section, Tag("<mapping>")],
        Discriminator(lambda value: "<name>" if isinstance(value, str) else "<mapping>"),
    ]


# The default of keys that stay away where they are not given; it is never checked, so that null
# is refused where it means nothing.
NOT_GIVEN = None


class Section(BaseModel):
    """A mapping of known keys, whose values are taken as they are, never converted."""

    # Only Config is ever validated; to build a validator for each section as well costs time.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


def part(section: type[Section]) -> Any:
    """A section within a section, with all its defaults where it is not given."""
    return Field(default_factory=section)


class Digits(Section):
    """Where digit images come from."""

    kind: Literal[*digits.KINDS] = Field(
        "sklearn", description="sklearn (1,797 real 8 x 8 digits), mnist, or idx (a pair of files)"
    )
    folder: str = Field(
        NOT_GIVEN,
        description="mnist: folder with the archives; fetched where mirrors are given",
    )
    mirrors: list[str] = Field(
        NOT_GIVEN, description="mnist: addresses of folders that hold the archives, tried in order"
    )
    images: str = Field(NOT_GIVEN, description="idx: file of images")
    labels: str = Field(NOT_GIVEN, description="idx: file of labels")
    name: str = Field(NOT_GIVEN, description="idx: what the source is called")

    @model_validator(mode="after")
    def _complete(self) -> "Digits":
        needed, _ = digits.KINDS[self.kind]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"kind {self.kind} needs {key}")
        return self


class Video(Section):
    """Geometry of all rendered clips; a data set may have its own."""

    frames: int = Field(16, ge=2, description="frames per clip")
    size_px: int = Field(20, ge=8, description="side of the square canvas")
    patch_px: int = Field(8, ge=4, description="side of a digit")

    @field_validator("patch_px")
    @classmethod
    def _fits(cls, patch: int, info) -> int:
        size = info.data.get("size_px", patch + 1)
        if patch >= size:
            raise ValueError(
                f"a digit of {patch} px does not fit on a canvas of {size} px; make patch_px"
                " smaller than size_px"
            )
        return patch


class Sequences(Section):
    """Data sets of sequences: videos of one process, each at its own pace."""

    frames: int = Field(32, ge=8, description="frames per video")
    jitter: float = Field(
        0.15, ge=0, le=0.2, description="how far start, wall hits and end vary, of the free range"
    )
    warp: float = Field(
        0.6, ge=0, description="how unsteady the pace is: standard deviation of its logarithm"
    )


class Clips(Section):
    """Clips per split of rendered data sets; splits share neither digit images nor trajectories."""

    train: Count = Field(6000, description="clips that weights are fitted to")
    validation: Count = Field(300, description="clips that choose the weights")
    test: Count = Field(500, description="clips that runs are scored on")


class FlowSettings(Section):
    """Estimated optical flow."""

    estimators: Annotated[list[Estimator], Unique] = Field(
        ["dis", "farneback"], description="methods scored against the exact flow of the test clips"
    )


class Recipe(Section):
    """How a system is trained, where it differs from the catalogue."""

    optimiser: Literal[*OPTIMISERS] = Field(
        NOT_GIVEN, description="the optimiser; muon: Muon on convolutions, AdamW on the rest"
    )
    schedule: Literal[*SCHEDULES] = Field(NOT_GIVEN, description="how the learning rate goes on")
    lr: either(Positive, list[Positive]) = Field(
        NOT_GIVEN, description="learning rate, one number or one for each training stage"
    )
    muon_lr: Positive = Field(
        NOT_GIVEN, description="learning rate of Muon, where the optimiser is muon"
    )
    weight_decay: float = Field(NOT_GIVEN, ge=0, description="weight decay")
    batch: Count = Field(NOT_GIVEN, description="clips per step")
    gradient_clip: Positive | None = Field(NOT_GIVEN, description="largest norm of a gradient")
    flip: float = Field(NOT_GIVEN, ge=0, le=1, description="chance to mirror a training clip")
    crop: list[Share] = Field(
        NOT_GIVEN,
        description="shares of height and width of which one is kept of each training clip, at a"
        " corner or in the middle, such as [1.0, 0.875, 0.75]; []: the whole",
    )
    labelled: Count | None = Field(
        NOT_GIVEN, description="training clips whose labels are used; null: all"
    )
    endless: bool = Field(
        NOT_GIVEN, description="new clips in every epoch, as many as the training split has"
    )
    epochs: list[Whole] = Field(NOT_GIVEN, description="epochs of each training stage")


class SystemEntry(Section):
    """A system of the catalogue with changes, or one of the user's own."""

    name: str = Field(pattern=NAME, description="a name of the catalogue, or one of your own")
    datasets: Annotated[list[str], Field(min_length=1), Unique] = Field(
        NOT_GIVEN,
        description="the data sets it is trained on; all that are not for named systems only",
    )
    seeds: Annotated[list[Whole], Field(min_length=1), Unique] = Field(
        NOT_GIVEN, description="a run with each of these seeds"
    )
    family: str = Field(NOT_GIVEN, description="family in figures")
    model: str = Field(
        NOT_GIVEN,
        description="a registered model, or your own module:attribute or file.py:attribute",
    )
    params: dict = Field(NOT_GIVEN, description="arguments of the model's constructor")
    objective: str = Field(
        NOT_GIVEN,
        description="a registered objective, or your own module:attribute or file.py:attribute",
    )
    objective_params: dict = Field(NOT_GIVEN, description="arguments of the objective")
    inputs: Annotated[list[Input], Field(min_length=1), Unique] = Field(
        NOT_GIVEN, description="what the model is fed"
    )
    flow: Flow = Field(NOT_GIVEN, description="method of the flow it is fed")
    weights: str | None = Field(
        NOT_GIVEN, description="file of pretrained weights, still_digits, or run:<system>"
    )
    train: bool = Field(
        NOT_GIVEN, description="false: a frozen network, activations with its weights as they are"
    )
    citation: str = Field(NOT_GIVEN, description="where it comes from")
    clip: Annotated[list[Count], Field(min_length=4, max_length=4)] = Field(
        NOT_GIVEN, description="C, T, H, W of the clips a catalogue entry was published for"
    )
    recipe: Recipe = Field(NOT_GIVEN, description="how it is trained")


class External(Section):
    """Activations that somebody else's network computed on the experiment's test clips."""

    name: str = Field(pattern=NAME, description="name of the network")
    file: str = Field(
        description=".npz, .h5, .hdf5, .zarr, .zarr.zip, .pt, .pth or .safetensors with an array"
        " a layer, and ids"
    )
    layers: Annotated[list[str], Unique] = Field(
        NOT_GIVEN,
        description="arrays of the file that are layers, from input to embedding; all where not"
        " given",
    )
    evaluated_on: str = Field(description="data set whose test clips they are of")
    family: str = Field(NOT_GIVEN, description="family in figures; external where not given")
    trained_on: str = Field(
        NOT_GIVEN, pattern=NAME, description="a name for what it was trained on; default: external"
    )
    seed: Whole = Field(NOT_GIVEN, description="seed of its training; 0 where not given")


class Training(Section):
    """How runs are trained on this machine."""

    threads: Count = Field(
        1, description="CPU threads of a run; the bits of its weights depend on them"
    )
    gpu: Whole = Field(1, description="GPUs a run asks for, as far as --resources gpu= grants them")
    precision: Literal[*PRECISIONS] = Field(
        "auto", description="auto: bfloat16 on GPUs that have it, float32 on CPUs"
    )
    snapshots: Annotated[list[Whole], Unique] = Field(
        [],
        description="numbers of epochs after which weights are kept and layers compared with the"
        " end of training",
    )


class Activations(Section):
    """What is stored of the layers of every run."""

    clips: int = Field(200, ge=4, description="test clips whose activations are compared")
    fit_clips: int = Field(300, ge=10, description="training clips on which probes are fitted")
    pooling: either(
        Literal["none", "space_mean"], Annotated[list[Count], Field(min_length=3, max_length=3)]
    ) = Field([4, 2, 2], description="none, space_mean, or a grid of at most [t, h, w] cells")
    dtype: Literal["float16", "float32"] = Field("float16", description="of stored activations")


class Similarity(Section):
    """Comparison of representations."""

    measures: Annotated[list[Measure], Field(min_length=1), Unique] = Field(
        ["cka_linear_debiased", "procrustes", "rsa"],
        description="the first is shown layer by layer, and its distances are mapped",
    )
    permutations: Whole = Field(199, description="draws of the null distribution; 0 for none")
    uncertainty: Literal["cheap", "all"] = Field(
        "cheap",
        description="intervals and p values where they cost little, or of every measure",
    )
    verdicts: str = Field(
        "results/sanity/tables/measure_tests.csv",
        description="what snakemake sanity found of the measures; figures tell who failed",
    )


class Probes(Section):
    """Linear probes of layers."""

    c: Annotated[list[Positive], Field(min_length=1)] = Field(
        [0.01, 0.1], description="candidate values of the SVM's C"
    )
    folds: int = Field(2, ge=2, description="folds of the cross-validation that chooses C")
    components: Count | None = Field(
        64, description="principal components that all layers are projected on; null: features"
    )


class UntrimmedVideos(Section):
    """Untrimmed videos for detection."""

    train: Count = Field(150, description="videos that labellers are trained on")
    validation: Count = Field(30, description="videos that choose the labeller's weights")
    test: Count = Field(100, description="videos that are scored")
    test_two_activities: Whole = Field(
        20, description="further test videos with two classes each, which cannot be returned"
    )
    frames: Annotated[list[Annotated[int, Field(ge=5)]], Field(min_length=2, max_length=2)] = Field(
        [240, 480], description="of the shortest and of the longest video"
    )
    piece: Count = Field(48, description="frames of the shortest segment or stretch of background")
    background_step: float = Field(
        0.01, ge=0, description="movement in the background, share of the free range a frame"
    )
    fps: Positive = Field(25, description="frames a second")


class Labeller(Section):
    """The LSTM that labels clips by a run's features."""

    units: Count = Field(64, description="units of a layer")
    layers: Count = Field(1, description="layers")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout")
    background_weight: Positive = Field(
        0.3, description="of the background in the loss; an activity counts 1"
    )
    lr: Positive = Field(0.003, description="learning rate")
    epochs: Count = Field(20, description="epochs")
    batch: Count = Field(16, description="videos per step")


class Detection(Section):
    """Temporal activity detection in untrimmed videos; off without systems."""

    systems: Annotated[list[str], Unique] = Field(
        [], description="trained systems that serve as clip networks; fed clips alone"
    )
    datasets: Annotated[list[str], Field(min_length=1), Unique] = Field(
        ["velocity_only"], description="data sets they are trained on, whose activities are shown"
    )
    videos: UntrimmedVideos = part(UntrimmedVideos)
    labeller: Labeller = part(Labeller)
    smoothing: Whole = Field(1, description="half-width of the mean filter in clips")
    alpha: Share = Field(0.4, description="threshold of the smoothed activity curve")
    try_smoothing: Annotated[list[Whole], Field(min_length=1), Unique] = Field(
        [0, 1, 2, 5, 10], description="half-widths that are scored as well"
    )
    try_alpha: Annotated[list[Share], Field(min_length=1), Unique] = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9], description="thresholds that are scored as well"
    )


class Alignment(Section):
    """Alignment of sequences by the embeddings of their frames."""

    train: Count = Field(100, description="training videos whose phases may be used")
    test: int = Field(60, ge=2, description="test videos, all pairs of which are aligned")
    few_shot: Annotated[list[Count], Field(min_length=1), Unique] = Field(
        list(range(1, 11)), description="numbers of labelled videos"
    )
    episodes: int = Field(50, ge=2, description="random choices of these")


class Generation(Section):
    """Frames that runs generate."""

    clips: Count = Field(6, description="test clips that are shown")


class Fidelity(Section):
    """What the target fidelity judges: claims of the systems' sources."""

    sources: Annotated[list[str], Unique] = Field(
        [], description="only claims of these, named in studies/fidelity; [] for all"
    )


class Config(Section):
    """An experiment."""

    experiment: str = Field(
        "default", pattern=r"^[A-Za-z0-9_.-]+$", description="results go to results/<experiment>/"
    )
    seed: Whole = Field(
        0, description="every random choice has a stream named after this seed and its purpose"
    )
    digits: Digits = part(Digits)
    video: Video = part(Video)
    datasets: Annotated[list[name_or(dict)], Field(min_length=1)] = Field(
        ["digits_only", "velocity_only", "digits_and_velocity"],
        description="names of the catalogue, or data sets of your own (docs/extending.md)",
    )
    sequences: Sequences = part(Sequences)
    clips: Clips = part(Clips)
    flow: FlowSettings = part(FlowSettings)
    systems: Annotated[list[name_or(SystemEntry)], Field(min_length=1)] = Field(
        ["c3d_narrow"],
        description="names of the catalogue (python -m vidrep systems), or systems of your own",
    )
    external: list[External] = Field([], description="activations of networks of your own")
    transfer: bool = Field(
        True, description="evaluate trained runs on all comparable data sets, or only on their own"
    )
    controls: Annotated[list[Control], Unique] = Field(
        list(CONTROLS), description="score every run also on its own test clips so manipulated"
    )
    training: Training = part(Training)
    activations: Activations = part(Activations)
    similarity: Similarity = part(Similarity)
    probes: Probes = part(Probes)
    detection: Detection = part(Detection)
    alignment: Alignment = part(Alignment)
    retention: Literal[*POLICIES] = Field(
        "keep_all",
        description="keep_best: activations and kernels of best seeds only; temp: none, nor flow",
    )
    generation: Generation = part(Generation)
    fidelity: Fidelity = part(Fidelity)
