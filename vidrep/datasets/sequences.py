"""Sequences: videos of one process, for learning by alignment in time.

Every video shows one digit that follows the same script: it starts at the upper left, hits the
right wall, then the bottom, then the left wall, and returns towards the middle. Videos differ in
the digit, a little in where it starts and hits the walls, and in its pace: each runs through the
script under a smooth random warp of time of its own, always forwards. So the number of a frame does
not tell how far a video has got; the version without warp is the control in which it does. In a
harder version videos also pause, and other digits stand still behind the moving one.

The walls are hit at the same script times in all videos. Between two of them the digit moves
straight; as these places are scripted, the angles before and after a hit are only roughly those of
a mirror. No place is passed twice: a rank correlation of matched frames would be undefined where
frames repeat (Dwibedi et al., CVPR 2019, arXiv 1904.07846, align such processes).
"""

import numpy as np

from vidrep.datasets.bouncing import check_images, compose_in_blocks, draw_digits, multi_hot
from vidrep.datasets.recipes import SequenceRecipe

# Start, three wall hits, end: (x, y) as shares of the free range, and which of these coordinates
# vary from video to video.
WAYPOINTS = np.array([(0.05, 0.05), (1.0, 0.45), (0.5, 1.0), (0.0, 0.7), (0.45, 0.5)])
VARIES = np.array([(1, 1), (0, 1), (1, 0), (0, 1), (1, 1)])
EVENTS = ("right wall", "bottom wall", "left wall")
PAUSE_FRAMES = 3  # of standing nearly still
PAUSE_PACE = 0.05  # times the pace without the pause
BEHIND = 0.5  # brightness of digits that stand still
PACE_KNOTS = 6  # random values of the logarithm of the pace, joined by straight lines


def script_times() -> np.ndarray:
    """Script time in [0, 1] of start, wall hits and end: (5,).

    Times are in proportion to the length of the way without jitter.
    """
    legs = np.linalg.norm(np.diff(WAYPOINTS, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(legs) / legs.sum()])


def warped_progress(
    count: int, frames: int, warp: float, rng: np.random.Generator, pauses: int = 0
) -> np.ndarray:
    """Script time of each frame: (count, frames) in [0, 1], rising strictly from 0 to 1.

    Pauses begin at random frames and may overlap.
    """
    knots = rng.normal(size=(count, PACE_KNOTS))
    place = np.linspace(0, PACE_KNOTS - 1, frames - 1)
    left = np.minimum(place.astype(int), PACE_KNOTS - 2)
    rise = knots[:, left + 1] - knots[:, left]
    log_pace = knots[:, left] + (place - left) * rise
    pace = np.exp(warp * log_pace)
    for _ in range(pauses):
        start = rng.integers(0, frames - PAUSE_FRAMES, (count, 1))
        since = np.arange(frames - 1) - start
        pace = np.where((since >= 0) & (since < PAUSE_FRAMES), PAUSE_PACE * pace, pace)
    elapsed = np.cumsum(pace, axis=1)
    share = elapsed / elapsed[:, -1:]
    return np.concatenate([np.zeros((count, 1)), share], axis=1)


def follow_script(progress: np.ndarray, waypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where videos are at given script times.

    Args:
        progress: (n, T) in [0, 1].
        waypoints: (n, 5, 2) of each video.

    Returns:
        position: (n, T, 2) as (x, y).
        phase: (n, T) int, wall hits so far: 0 to 3.
    """
    times = script_times()
    phase = np.searchsorted(times[1:-1], progress, side="right")
    done = ((progress - times[phase]) / np.diff(times)[phase])[..., None]
    video = np.arange(len(progress))[:, None]
    last = waypoints[video, phase]
    following = waypoints[video, phase + 1]
    return (1 - done) * last + done * following, phase


def still_background(
    recipe: SequenceRecipe, images: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """What stands still behind the moving digit: (count, 1, size, size) uint8, maybe black."""
    shape = (count, recipe.still_digits)
    chosen = rng.integers(len(images), size=shape)
    corners = rng.integers(0, recipe.size - recipe.patch + 1, (count, 1, recipe.still_digits, 2))
    drawn = compose_in_blocks(images[chosen], corners.astype(np.int16), recipe.size)
    return (BEHIND * drawn).astype(np.uint8)


def render(
    recipe: SequenceRecipe,
    images: np.ndarray,
    labels: np.ndarray,
    count: int,
    streams,
) -> dict:
    """Render videos of one split.

    Args:
        recipe: the version.
        images: (m, patch, patch) uint8 digit images of this split.
        labels: (m,) int digit labels in 0..9.
        count: n, number of videos.
        streams: callable from a purpose ("digits", "script", "pace", "background") to that split's
            generator.

    Returns:
        A dict as that of ``bouncing.render`` with k = 1; its factors are ``digit``,
        ``digit_image``, ``label_set`` (n, 1), ``phase`` (n, T) int16, ``progress`` (n, T) float32
        (script time), ``events`` (n, 3) int16 (the first frame at or after each wall hit),
        ``wall_hits`` (n, T, 1) bool (those frames) and ``overlap`` (n, T) bool.
    """
    check_images(images, recipe.patch)
    chosen = draw_digits(labels, count, streams("digits"))[:, None]
    digit = labels[chosen].astype(np.int16)
    jitter = streams("script").uniform(-recipe.jitter, recipe.jitter, (count, *WAYPOINTS.shape))
    waypoints = np.clip(WAYPOINTS + jitter * VARIES, 0, 1)
    progress = warped_progress(count, recipe.frames, recipe.warp, streams("pace"), recipe.pauses)
    position, phase = follow_script(progress, waypoints)
    pixels = (recipe.size - recipe.patch) * position[:, :, None, ::-1]
    corners = pixels.astype(np.int16)  # (n, T, 1, 2) as (y, x)

    patches = images[chosen]
    events = (phase[:, :, None] > np.arange(len(EVENTS))).argmax(1)  # (n, 3)
    hits = np.zeros((count, recipe.frames, 1), bool)
    np.put_along_axis(hits[..., 0], events, True, axis=1)
    factors = {
        "digit": digit,
        "digit_image": chosen.astype(np.int32),
        "label_set": digit,
        "phase": phase.astype(np.int16),
        "progress": progress.astype(np.float32),
        "events": events.astype(np.int16),
        "wall_hits": hits,
        "overlap": np.zeros((count, recipe.frames), bool),
    }
    clips = compose_in_blocks(patches, corners, recipe.size)
    if recipe.still_digits:
        clips = np.maximum(clips, still_background(recipe, images, count, streams("background")))
    return {
        "clips": clips,
        "labels": multi_hot(digit),
        "boxes": np.concatenate([corners, corners + recipe.patch], -1).astype(np.int16),
        "corners": corners,
        "patches": patches,
        "factors": factors,
    }
