"""BouncingMNIST: digits that move in straight lines inside a square box and bounce off its walls.

Srivastava et al., ICML 2015 (arXiv 1502.04681) gave the motion; the labelled versions, in which
appearance, speed or both carry the class, follow the public comparison framework of 2018-2020
(Ponti et al.'s group). The rules:

* a digit's patch has its top-left corner at ``x, y ~ U[0, 1)`` of the free range (canvas minus
  patch) and moves along ``theta ~ U[0, 2 pi)``; every frame first moves, then records, so the start
  itself is never seen;
* the step is ``step`` of the free range, times (label + 1) where the speed carries the class;
* at a wall the coordinate is clamped (the overshoot is lost, not reflected) and its velocity
  component flips;
* pixel positions are truncated to integers; overlapping digits show the brighter pixel.

All clips are computed at once: clamping makes each coordinate periodic after its first wall, so
positions have a closed form.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vidrep.datasets.recipes import BouncingRecipe

CLASSES = 10
RENDER_BLOCK = 64  # clips composed at once: canvases of 4 MB at 64 px stay in the cache


def trajectories(
    start: np.ndarray, velocity: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of points that move, clamp at 0 and 1, and turn round.

    Between walls a coordinate moves by ``|v|`` a frame; from one wall to the other it takes
    ``ceil(1 / |v|)`` frames, the last of them cut short by the clamp. So after the first wall,
    reached at frame ``first``, it repeats every two crossings.

    Args:
        start: (...) start coordinates in [0, 1).
        velocity: (...) signed movement per frame.
        frames: T, number of recorded frames.

    Returns:
        position: (..., T) coordinates after 1..T moves, in [0, 1].
        hit: (..., T) bool, True where that move ended at a wall.
    """
    moves = np.arange(1, frames + 1)
    speed = np.maximum(np.abs(velocity), 1e-12)[..., None]
    start = start[..., None]
    heading = np.where(velocity > 0, 1.0, -1.0)[..., None]
    distance = np.where(heading > 0, 1.0 - start, start)
    first = np.maximum(np.ceil(distance / speed), 1)
    crossing = np.ceil(1.0 / speed)
    phase = np.mod(moves - first, 2 * crossing)
    outbound = phase < crossing  # leaving the first wall, towards the opposite one
    from_first_wall = np.where(outbound, phase * speed, 1.0 - (phase - crossing) * speed)
    bounced = np.where(heading > 0, 1.0 - from_first_wall, from_first_wall)
    before = start + heading * speed * moves
    position = np.where(moves < first, before, bounced)
    hit = (moves >= first) & (np.mod(phase, crossing) == 0)
    return position, hit


def draw_digits(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of ``count`` digit images: all in random order, then all again in another order."""
    rounds = -(-count // len(labels))
    orders = [rng.permutation(len(labels)) for _ in range(rounds)]
    return np.concatenate(orders)[:count]


def square_patch(patch: int) -> tuple[int, int]:
    """Offset and side in pixels of the square that hides a digit (7 and 14 for a patch of 28)."""
    side = patch // 2
    return (patch - side) // 2, side


def square_patches(shape: tuple[int, ...]) -> np.ndarray:
    """Patches (..., p, p) uint8 that all show the same bright square."""
    offset, side = square_patch(shape[-1])
    patches = np.zeros(shape, np.uint8)
    patches[..., offset : offset + side, offset : offset + side] = 255
    return patches


def compose(patches: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """Draw moving patches on black canvases, the brighter pixel winning where they overlap.

    Args:
        patches: (n, k, p, p) uint8.
        corners: (n, T, k, 2) int, top and left of each patch in pixels.
        size: side of the canvas in pixels.

    Returns:
        (n, T, size, size) uint8.
    """
    n, frames, digits, _ = corners.shape
    side = patches.shape[-1]
    clips = np.zeros((n, frames, size, size), np.uint8)
    # (n, T, size - p + 1, size - p + 1, p, p): every place that a patch can take, as a view
    places = sliding_window_view(clips, (side, side), axis=(2, 3), writeable=True)
    clip = np.arange(n)[:, None]
    frame = np.arange(frames)
    for digit in range(digits):
        top = corners[:, :, digit, 0]
        left = corners[:, :, digit, 1]
        place = (clip, frame, top, left)
        places[place] = np.maximum(places[place], patches[:, None, digit])
    return clips


def compose_in_blocks(patches: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """The same as ``compose`` for many clips, some clips at a time."""
    n, frames = corners.shape[:2]
    clips = np.empty((n, frames, size, size), np.uint8)
    for start in range(0, n, RENDER_BLOCK):
        block = slice(start, start + RENDER_BLOCK)
        clips[block] = compose(patches[block], corners[block], size)
    return clips


def check_images(images: np.ndarray, patch: int) -> None:
    """Raise ValueError unless digit images are as large as a recipe wants them."""
    if images.shape[1:] != (patch, patch):
        raise ValueError(f"digit images are {images.shape[1:]}, the recipe wants {(patch, patch)}")


def multi_hot(digit: np.ndarray) -> np.ndarray:
    """Labels (n, 10) uint8 of clips that show the digits (n, k)."""
    labels = np.zeros((len(digit), CLASSES), np.uint8)
    np.put_along_axis(labels, digit.astype(np.int64), 1, axis=1)
    return labels


def move_digits(
    recipe: BouncingRecipe,
    digit: np.ndarray,
    start: np.ndarray,
    direction: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where digits are in each frame.

    Args:
        recipe: for step and sizes.
        digit: (n, k) labels, which tell the speed where it carries the class.
        start: (n, k, 2) places in [0, 1) as (y, x).
        direction: (n, k) in radians.

    Returns:
        corners: (n, T, k, 2) int16, top and left of each patch in pixels.
        hits: (n, T, k) bool, True where a move ended at a wall.
    """
    steps_of_label = digit + 1 if recipe.class_velocity else np.ones_like(digit)
    heading = np.stack([np.sin(direction), np.cos(direction)], -1)  # (n, k, 2)
    velocity = heading * (recipe.step * steps_of_label)[..., None]
    position, hit = trajectories(start, velocity, recipe.frames)  # (n, k, 2, T)
    pixels = (recipe.free_px * position).astype(np.int16)
    return np.moveaxis(pixels, 3, 1), np.moveaxis(hit.any(2), 2, 1)


def render(
    recipe: BouncingRecipe,
    images: np.ndarray,
    labels: np.ndarray,
    count: int,
    streams,
) -> dict:
    """Render clips of one split.

    Args:
        recipe: the version.
        images: (m, patch, patch) uint8 digit images of this split.
        labels: (m,) int digit labels in 0..9.
        count: n, number of clips.
        streams: callable from a purpose ("digits", "start", "direction") to that split's generator.

    Returns:
        A dict with ``clips`` (n, T, H, W) uint8, ``labels`` (n, 10) uint8 multi-hot, ``boxes`` (n,
        T, k, 4) int16 half-open (top, left, bottom, right) of what is visible of each digit in
        pixels, ``corners`` (n, T, k, 2) int16, ``patches`` (n, k, p, p) uint8 and ``factors``: a
        dict of arrays with first axis n.
    """
    check_images(images, recipe.patch)
    k = recipe.digits
    chosen = draw_digits(labels, count * k, streams("digits")).reshape(count, k)
    digit = labels[chosen].astype(np.int16)
    start = streams("start").random((count, k, 2))  # (y, x)
    direction = streams("direction").random((count, k)) * 2 * np.pi
    corners, wall_hits = move_digits(recipe, digit, start, direction)

    patches = images[chosen]
    offset = 0
    side = recipe.patch
    if recipe.hide_digits:
        patches = square_patches(patches.shape)
        offset, side = square_patch(recipe.patch)
    boxes = np.concatenate([corners + offset, corners + offset + side], -1).astype(np.int16)
    factors = {
        "digit": digit,
        "digit_image": chosen.astype(np.int32),
        "label_set": np.sort(digit, axis=1),
        "speed_class": digit if recipe.class_velocity else np.zeros_like(digit),
        "direction_rad": direction.astype(np.float32),
        "start": start[..., ::-1].astype(np.float32),
        "wall_hits": wall_hits,
        "overlap": boxes_meet(boxes),
    }
    return {
        "clips": compose_in_blocks(patches, corners, recipe.size),
        "labels": multi_hot(digit),
        "boxes": boxes,
        "corners": corners,
        "patches": patches,
        "factors": factors,
    }


def boxes_meet(boxes: np.ndarray) -> np.ndarray:
    """Do the boxes (n, T, k, 4) of any two digits of a frame intersect? (n, T) bool."""
    top, left, bottom, right = np.moveaxis(boxes[..., None, :], -1, 0)  # each (n, T, k, 1)
    above = bottom <= top.swapaxes(-1, -2)
    beside = right <= left.swapaxes(-1, -2)
    disjoint = above | beside
    meet = ~(disjoint | disjoint.swapaxes(-1, -2))  # (n, T, k, k)
    pairs = np.triu(np.ones(meet.shape[-2:], bool), 1)
    return meet[..., pairs].any(-1)
