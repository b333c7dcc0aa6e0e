"""What a data set is, and what a kind of data sets declares. Imports nothing heavy."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from vidrep.naming import nearest

EXACT_FLOWS = ("true", "true_box")  # they need to know where everything is
TRUTHS = ("factors", "boxes", "flow", "phase", "motion")
# The factors from which further tasks of training are made: a data set that has them all knows the
# motion.
MOTION_FACTORS = ("direction_rad", "speed_class")
# The factors of videos that follow one script: a data set that has them all knows the phase.
SCRIPT_FACTORS = ("phase", "progress", "events", "digit")


@dataclass(frozen=True)
class DataSet:
    """A data set: what its clips look like, what is known about them, what they come from.

    Attributes:
        name: its name in the configuration, in paths and in tables.
        kind: a key of ``vidrep.datasets.declared.KINDS``.
        title: its name in figures.
        frames, height, width, channels: size of a clip.
        classes: names of the classes, one for each column of the labels.
        multi_label: may a clip carry several labels?
        truths: what is known exactly, some of ``TRUTHS``.
        named_only: only systems that name it under their own ``datasets`` are trained on it.
        clips: number of clips of each split.
        recipe: what clips are rendered from, or the files that they are taken from.
        clips_known: is that their exact number? Else it is the most that there can be, since files
            may turn out to be unreadable.
        notes: lines that a user ought to read before the first job.
    """

    name: str
    kind: str
    title: str
    frames: int
    height: int
    width: int
    channels: int
    classes: tuple[str, ...]
    multi_label: bool
    truths: frozenset[str]
    named_only: bool
    clips: dict[str, int]
    recipe: dict
    clips_known: bool = True
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of a clip."""
        return self.channels, self.frames, self.height, self.width

    @property
    def comparable(self) -> tuple:
        """What must agree where a run meets clips that it was not trained on, or another run."""
        return (*self.shape, self.classes, self.multi_label)

    def has_flow(self, method: str) -> bool:
        """Can this flow be had of its clips? Estimates of all, the exact flow only of some."""
        exact = method.removesuffix("_backward") in EXACT_FLOWS
        return "flow" in self.truths or not exact

    def megabytes(self, split: str, flows: int = 0) -> int:
        """Megabytes of a split's clips in memory, with so many flow fields of each."""
        pixels = self.clips[split] * self.frames * self.height * self.width
        return pixels * (self.channels + 4 * flows) // 10**6

    def definition(self) -> dict:
        """What determines the content of its files apart from seed and number of clips."""
        known = asdict(self)
        return {key: known[key] for key in ("name", "kind", "recipe", "classes", "multi_label")}


@dataclass(frozen=True)
class Key:
    """A number that an entry of ``datasets`` may give.

    Attributes:
        sentence: what it means.
        type: int or float (which takes whole numbers too).
        minimum: the smallest allowed number.
        maximum: the largest one; None for no limit.
    """

    sentence: str
    type: type
    minimum: float
    maximum: float | None = None

    @property
    def values(self) -> str:
        """The values that it takes, in words."""
        number = "integer" if self.type is int else "number"
        most = "" if self.maximum is None else f", ≤ {self.maximum:g}"
        return f"{number} ≥ {self.minimum:g}{most}"

    def problem(self, value) -> str | None:
        """What is wrong with a value, None if nothing is."""
        kinds = (int,) if self.type is int else (int, float)
        limit = "" if self.maximum is None else f" and at most {self.maximum:g}"
        wanted = f"give a {'whole number' if self.type is int else 'number'} of at least"
        fits = (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and value >= self.minimum
            and (self.maximum is None or value <= self.maximum)
        )
        return None if fits else f"got {value!r}; {wanted} {self.minimum:g}{limit}"


@dataclass(frozen=True)
class Text:
    """A text that an entry may give; attribute ``sentence`` as for ``Key``."""

    sentence: str
    values: str = "text"

    def problem(self, value) -> str | None:
        """What is wrong with a value, None if nothing is."""
        return None if isinstance(value, str) and value else f"got {value!r}; give text"


@dataclass(frozen=True)
class Choice:
    """One of some words; attribute ``sentence`` as for ``Key``."""

    sentence: str
    words: tuple[str, ...]

    @property
    def values(self) -> str:
        """The values that it takes, in words."""
        return ", ".join(f"`{word}`" for word in self.words)

    def problem(self, value) -> str | None:
        """What is wrong with a value, None if nothing is."""
        return None if value in self.words else f"got {value!r}; give {' or '.join(self.words)}"


@dataclass(frozen=True)
class Part:
    """A mapping with keys of its own; attribute ``sentence`` as for ``Key``."""

    sentence: str
    keys: dict[str, "Key | Text | Choice"]
    values: str = "mapping"

    def problem(self, value) -> str | None:
        """What is wrong with a value, None if nothing is."""
        if not isinstance(value, dict):
            return f"got {value!r}; give a mapping of {', '.join(self.keys)}"
        for name, given in value.items():
            if name not in self.keys:
                return f"unknown key {name!r}; {nearest(str(name), self.keys)}"
            if problem := self.keys[name].problem(given):
                return f"{name}: {problem}"
        return None


@dataclass(frozen=True)
class Kind:
    """A kind of data sets.

    Attributes:
        name: how it is called.
        keys: what an entry of this kind may give beside its name, title and recipe.
        declare: makes the data set of an entry; called with name, title, entry and configuration.
        recipe: the class whose fields ``DataSet.recipe`` holds; None where files are taken as they
            are, which the entry gives under the name of the kind.
        renderer: ``module:function`` that renders one split, called with recipe, digit source,
            split, number of clips, seed and, for new clips in an epoch of training, ``epoch``; None
            where files are taken.
        source: what the entry gives under ``recipe`` or the name of the kind, in words.
        uses_digits: does it need a digit source?
        untrimmed: can long videos be made of it, in which activities of its classes happen?
    """

    name: str
    keys: dict[str, Key | Text | Choice | Part]
    declare: Callable[[str, str, dict, dict], DataSet]
    recipe: type | None = None
    renderer: str | None = None
    source: str = "a name of the catalogue"
    uses_digits: bool = False
    untrimmed: bool = False
