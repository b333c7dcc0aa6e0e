"""Untrimmed BouncingMNIST: long videos of background in which one activity happens once or twice.

Made for temporal activity detection (Montes et al., 2016, arXiv 1608.08128), so that networks
trained on trimmed clips of a version can serve as frozen clip networks:

* a video shows as many digits as a trimmed clip, and all of them do the same: the activity of class
  c is what a clip of the version with the label set {c} shows. Its speed is ``step * (c + 1)``
  where speed carries the class, its digits are of class c where appearance does;
* in the background every digit is hidden by the square of ``velocity_only`` and moves at
  ``background_step`` (very slowly) where speed carries the class, at ``step`` where appearance
  alone does;
* digits go on from where they are in the direction they have when their speed changes; walls as in
  ``bouncing``;
* a video is background, activity, background[, activity, background]; every piece has at least
  ``piece`` frames.
"""

from dataclasses import dataclass

import numpy as np

from vidrep.datasets.bouncing import (
    CLASSES,
    RENDER_BLOCK,
    compose,
    draw_digits,
    square_patches,
    trajectories,
)
from vidrep.datasets.recipes import BouncingRecipe
from vidrep.digits.source import DigitSource
from vidrep.random_streams import stream

SEGMENTS = 2  # at most, in one video
PIECES = 2 * SEGMENTS + 1  # segments, and background before, between and after them
SPLITS = ("train", "validation", "test", "test_two_activities")


@dataclass(frozen=True)
class UntrimmedRecipe:
    """Videos of one version of BouncingMNIST.

    Attributes:
        version: what activities look like; its ``frames`` is the length of the longest video.
        shortest: frames of the shortest video.
        piece: frames of the shortest segment or stretch of background.
        background_step: movement per frame in the background as a share of the free range; 0 is
            static.
        activities: classes in a video; 2 breaks the assumption of one activity a video, on purpose.
    """

    version: BouncingRecipe
    shortest: int
    piece: int = 32
    background_step: float = 0.01
    activities: int = 1

    def __post_init__(self) -> None:
        if self.version.hide_digits and not self.version.class_velocity:
            raise ValueError(
                "neither speed nor appearance carries the class: there is no activity to insert"
            )
        needed = PIECES * self.piece
        if not needed <= self.shortest <= self.version.frames:
            raise ValueError(
                f"videos of {self.shortest} to {self.version.frames} frames: the shortest must have"
                f" at least {needed} (for {PIECES} pieces of {self.piece}) and at most as"
                " many as the longest"
            )
        if self.activities not in (1, 2):
            raise ValueError(f"a video has 1 or 2 activities, got {self.activities}")


def draw_edges(
    recipe: UntrimmedRecipe,
    frames: np.ndarray,
    two: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Where the pieces of videos begin and end.

    Args:
        recipe: for the shortest piece.
        frames: (n,) frames of each video.
        two: (n,) bool, has it two segments?
        rng: what the shares of the pieces are drawn from (uniform among all divisions).

    Returns:
        (n, 6) int: piece p lasts from edge p to edge p + 1 (half-open); pieces 1 and 3 are
        segments; a video of one segment has empty pieces 3 and 4.
    """
    there = np.ones((len(frames), PIECES), bool)
    there[~two, 3:] = False
    shares = rng.exponential(size=there.shape) * there
    spare = frames - recipe.piece * there.sum(1)
    lengths = recipe.piece * there + spare[:, None] * shares / shares.sum(1, keepdims=True)
    ends = np.rint(np.cumsum(lengths, 1))
    edges = np.concatenate([np.zeros((len(frames), 1)), ends], 1).astype(int)
    edges[:, -1] = frames
    return edges


def piecewise_trajectories(
    start: np.ndarray,
    direction: np.ndarray,
    steps: np.ndarray,
    edges: np.ndarray,
) -> np.ndarray:
    """Positions of points that go on from where they are when their speed changes.

    Args:
        start: (n, k, 2) coordinates in [0, 1).
        direction: (n, k, 2) unit vectors.
        steps: (n, pieces) movement per frame in each piece.
        edges: (n, pieces + 1) frames at which pieces begin and end.

    Returns:
        (n, k, 2, T) coordinates after each move, T being the last edge of the longest video;
        constant after a video's end.
    """
    total = edges[:, -1].max()
    frame = np.arange(total)
    position = np.zeros((*start.shape, total))
    for piece in range(steps.shape[1]):
        step = steps[:, piece, None, None]  # (n, 1, 1)
        begin = edges[:, piece, None]  # (n, 1)
        length = edges[:, piece + 1, None] - begin
        there = (length > 0)[..., None]  # (n, 1, 1): has the video this piece?
        moves = step > 0
        moved, hit = trajectories(start, direction * step, total)  # as if it began at frame 0
        moved = np.where(moves[..., None], moved, start[..., None])

        last = np.maximum(length - 1, 0)
        since = np.clip(frame - begin, 0, last)[:, None, None]  # (n, 1, 1, T)
        here = np.take_along_axis(moved, np.broadcast_to(since, position.shape), -1)
        within = (frame >= begin)[:, None, None] & there[..., None]
        position = np.where(within, here, position)

        turns = (hit & (frame < length)[:, None, None] & moves[..., None]).sum(-1)
        direction = np.where(turns % 2, -direction, direction)
        last = np.broadcast_to(last[:, None, None], (*start.shape, 1))
        end = np.take_along_axis(moved, last, -1)[..., 0]
        start = np.where(there, end, start)
    return position


def render_videos(
    recipe: UntrimmedRecipe,
    images: np.ndarray,
    labels: np.ndarray,
    count: int,
    streams,
) -> dict:
    """Render videos of one split.

    Args:
        recipe: their recipe.
        images: (m, patch, patch) uint8 digit images of this split.
        labels: (m,) int digit labels in 0..9.
        count: n, number of videos.
        streams: callable from a purpose ("classes", "images", "lengths", "pieces", "start",
            "direction") to a generator.

    Returns:
        A dict with ``clips`` (n, T, H, W) uint8, black after a video's end, ``labels`` (n, 10)
        uint8 multi-hot, ``corners`` (n, T, k, 2) int16 and ``factors``: ``frames`` (n,) lengths of
        the videos, ``segments`` (n, 2, 2) first frame and end (exclusive) of each segment and
        ``segment_class`` (n, 2), both -1 where there is no second segment, and ``digit_image`` (n,
        2, k), the images shown in each segment (-1 where they are hidden).
    """
    version = recipe.version
    frames = streams("lengths").integers(recipe.shortest, version.frames + 1, count)
    classes = draw_classes(recipe, count, streams("classes"))
    two = classes[:, 1] >= 0
    edges = draw_edges(recipe, frames, two, streams("pieces"))
    chosen = draw_images(labels, classes, version.digits, streams("images"))

    start = streams("start").random((count, version.digits, 2))
    angle = streams("direction").random((count, version.digits)) * 2 * np.pi
    heading = np.stack([np.sin(angle), np.cos(angle)], -1)
    position = piecewise_trajectories(start, heading, piece_steps(recipe, classes), edges)
    pixels = (version.free_px * position).astype(np.int16)
    corners = np.moveaxis(pixels, 3, 1)  # (n, T, k, 2)

    segments = np.stack([edges[:, 1:3], edges[:, 3:5]], 1)
    segments[~two, 1] = -1
    shown = classes[:, :, None] == np.arange(CLASSES)  # (n, 2, 10)
    factors = {
        "frames": frames.astype(np.int32),
        "segments": segments.astype(np.int32),
        "segment_class": classes.astype(np.int16),
        "digit_image": np.where(version.hide_digits, -1, chosen).astype(np.int32),
    }
    patches = None if version.hide_digits else images[chosen]
    clips = draw_videos(recipe, corners, patches, frames, segments)
    return {
        "clips": clips,
        "labels": shown.any(1).astype(np.uint8),
        "corners": corners,
        "factors": factors,
    }


def draw_classes(recipe: UntrimmedRecipe, count: int, rng: np.random.Generator) -> np.ndarray:
    """The class of each segment, (n, 2), -1 where there is no second one.

    Classes are equally frequent, and half of the videos have two segments. With two activities
    every video has two segments, of different classes.
    """
    first = draw_digits(np.arange(CLASSES), count, rng)
    if recipe.activities == 2:
        second = (first + rng.integers(1, CLASSES, count)) % CLASSES
    else:
        second = np.where(rng.random(count) < 0.5, first, -1)
    return np.stack([first, second], 1)


def draw_images(
    labels: np.ndarray,
    classes: np.ndarray,
    digits: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Indices (n, 2, digits) of random images of each segment's class, -1 where there is none."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=CLASSES)
    first = (np.cumsum(counts) - counts)[classes]  # of the class, in that order
    share = rng.random((*classes.shape, digits))
    place = first[..., None] + (share * counts[classes][..., None]).astype(int)
    return np.where(classes[..., None] < 0, -1, order[place])


def piece_steps(recipe: UntrimmedRecipe, classes: np.ndarray) -> np.ndarray:
    """(n, 5) movement per frame in background, segment, background, segment, background."""
    steps = np.full((len(classes), PIECES), recipe.version.step)
    if recipe.version.class_velocity:
        steps[:] = recipe.background_step
        steps[:, 1::2] = recipe.version.step * (classes + 1)
    return steps


def draw_videos(
    recipe: UntrimmedRecipe,
    corners: np.ndarray,
    patches: np.ndarray | None,
    frames: np.ndarray,
    segments: np.ndarray,
) -> np.ndarray:
    """Pixels of the videos, (n, T, H, W) uint8.

    Args:
        recipe: for sizes.
        corners: (n, T, k, 2) int, top and left of each digit.
        patches: (n, 2, k, p, p) uint8, what is shown in each segment; None shows the square
            throughout.
        frames: (n,) lengths.
        segments: (n, 2, 2) first frame and end of each segment.
    """
    count, total, digits = corners.shape[:3]
    patch = recipe.version.patch
    square = square_patches((count, digits, patch, patch))
    frame = np.arange(total)
    size = recipe.version.size
    clips = np.zeros((count, total, size, size), np.uint8)
    block = max(1, RENDER_BLOCK * 16 // total)
    for i in range(0, count, block):
        part = slice(i, i + block)
        drawn = compose(square[part], corners[part], size)
        for segment in range(0 if patches is None else SEGMENTS):
            first = segments[part, segment, 0, None]
            end = segments[part, segment, 1, None]
            inside = (frame >= first) & (frame < end)
            drawn[inside] = compose(patches[part, segment], corners[part], size)[inside]
        drawn[frame >= frames[part, None]] = 0
        clips[part] = drawn
    return clips


def render_untrimmed(
    recipe: UntrimmedRecipe,
    digits: DigitSource,
    split: str,
    count: int,
    seed: int,
) -> dict:
    """Render one split of ``SPLITS``: see ``render_videos``.

    Here ``digit_image`` indexes ``digits.images``. Splits share neither trajectories nor streams
    with each other or with trimmed clips; the test splits show test digits.
    """

    def streams(purpose: str) -> np.random.Generator:
        return stream(seed, "datasets", "untrimmed", split, purpose)

    source = split.split("_")[0]
    images, labels = digits.split(source)
    rendered = render_videos(recipe, images, labels, count, streams)
    factors = rendered["factors"]
    chosen = factors["digit_image"]
    in_source = np.where(chosen < 0, -1, digits.splits[source][chosen])
    factors["digit_image"] = in_source.astype(np.int32)
    return rendered
