"""From the probabilities of clips to one activity a video and its segments in time.

The published procedure with its slips put right:

* the mean filter is symmetric, [i - k, i + k], and truncated at the ends of a video; the published
  one was [i - k, i + k) with an end that left the last clip out of every window, and empty for a
  video of one clip;
* classification and detection give a video the same label, that of the unsmoothed probabilities.

One label a video is the method's assumption and stays: a second activity is never returned.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Segments:
    """Stretches of videos that carry an activity: detected ones, or the truth.

    Attributes:
        video: (M,) int, index of the video.
        label: (M,) int, class of the activity, 0..K-1.
        start_s, end_s: (M,) float, seconds.
        score: (M,) float; 1 for the truth.
    """

    video: np.ndarray
    label: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.video)

    def where(self, chosen: np.ndarray) -> "Segments":
        """The segments that a mask or an index chooses."""
        return Segments(
            *(
                getattr(self, name)[chosen]
                for name in ("video", "label", "start_s", "end_s", "score")
            )
        )


def bounds(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every clip (N,) its video, and the first clip and the end (exclusive) of that video;
    ``clips`` is (V,).
    """
    ends = np.cumsum(clips)
    video = np.repeat(np.arange(len(clips)), clips)
    return video, (ends - clips)[video], ends[video]


def window_mean(values: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Means of ``values`` (N, ...) over windows [first, end), none of them empty: (M, ...)."""
    sums = np.concatenate(
        [np.zeros((1, *values.shape[1:])), np.cumsum(values, 0, dtype=np.float64)]
    )
    return (sums[end] - sums[first]) / (end - first).reshape(-1, *[1] * (values.ndim - 1))


def smooth(probabilities: np.ndarray, clips: np.ndarray, k: int) -> np.ndarray:
    """Mean filter of half-width ``k`` clips over each video's curves.

    Args:
        probabilities: (N, K + 1).
        clips: (V,) clips of each video.
        k: clips on either side; 0 leaves everything as it is.

    Returns:
        (N, K + 1) float64.
    """
    if k == 0:
        return np.asarray(probabilities, np.float64)
    clip, (_, begin, stop) = np.arange(len(probabilities)), bounds(clips)
    return window_mean(probabilities, np.maximum(clip - k, begin), np.minimum(clip + k + 1, stop))


def classify(probabilities: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Score of every activity for every video.

    Args:
        probabilities: (N, K + 1), background first.
        clips: (V,).

    Returns:
        (V, K): mean probability over the video's clips, background dropped, the rest summing to 1.
    """
    ends = np.cumsum(clips)
    activities = window_mean(probabilities, ends - clips, ends)[:, 1:]
    return activities / np.maximum(activities.sum(1, keepdims=True), np.finfo(float).tiny)


def runs(marked: np.ndarray, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximal runs of marked clips that stay within a video: first clips and ends (exclusive), as
    indices into (N,).
    """
    clip, (_, begin, stop) = np.arange(len(marked)), bounds(clips)
    before = np.concatenate([[False], marked[:-1]]) & (clip > begin)
    after = np.concatenate([marked[1:], [False]]) & (clip + 1 < stop)
    return np.flatnonzero(marked & ~before), np.flatnonzero(marked & ~after) + 1


def detect(
    probabilities: np.ndarray,
    clips: np.ndarray,
    *,
    k: int,
    alpha: float,
    clip_frames: int,
    fps: float,
    offset: int = 0,
) -> Segments:
    """Segments of activity in videos.

    Args:
        probabilities: (N, K + 1) of all clips, background first.
        clips: (V,) clips of each video.
        k: half-width of the mean filter in clips.
        alpha: a clip is marked when its smoothed probability of not being background is at least
            this.
        clip_frames, fps: a clip lasts clip_frames / fps seconds.
        offset: frame at which the first clip begins.

    Returns:
        One segment for each run of marked clips; its label is the video's, its score the mean
        smoothed probability of that label.
    """
    smoothed = smooth(probabilities, clips, k)
    first, end = runs(1 - smoothed[:, 0] >= alpha, clips)
    video, begin, _ = bounds(clips)
    owner = video[first]
    label = classify(probabilities, clips).argmax(1)
    of_label = smoothed[np.arange(len(smoothed)), label[video] + 1]
    start_s, end_s = ((offset + clip_frames * (edge - begin[first])) / fps for edge in (first, end))
    return Segments(owner, label[owner], start_s, end_s, window_mean(of_label, first, end))


def true_segments(segments: np.ndarray, segment_class: np.ndarray, fps: float) -> Segments:
    """The truth; ``segments`` (V, S, 2) in frames and ``segment_class`` (V, S), both -1 where there
    is none.
    """
    video, which = np.nonzero(segment_class >= 0)
    start, end = segments[video, which].T / fps
    return Segments(video, segment_class[video, which].astype(int), start, end, np.ones(len(video)))
