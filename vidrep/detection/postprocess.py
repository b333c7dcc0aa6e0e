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
            video=self.video[chosen],
            label=self.label[chosen],
            start_s=self.start_s[chosen],
            end_s=self.end_s[chosen],
            score=self.score[chosen],
        )


def bounds(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the video of every clip lies among all clips.

    Args:
        clips: (V,) int, clips of each video.

    Returns:
        Three arrays (N,) int, one value a clip: the index of its video, the first clip of that
        video, and the end (exclusive) of that video.
    """
    ends = np.cumsum(clips)
    firsts = ends - clips
    video = np.repeat(np.arange(len(clips)), clips)
    return video, firsts[video], ends[video]


def window_mean(values: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Means over windows of values.

    Args:
        values: (N, ...).
        first, end: (M,) int, the windows [first, end), none of them empty.

    Returns:
        (M, ...) float64.
    """
    nothing = np.zeros((1, *values.shape[1:]))
    sums = np.concatenate([nothing, np.cumsum(values, 0, dtype=np.float64)])
    one_for_each_axis = [1] * (values.ndim - 1)
    lengths = (end - first).reshape(-1, *one_for_each_axis)
    return (sums[end] - sums[first]) / lengths


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
    clip = np.arange(len(probabilities))
    _, begin, stop = bounds(clips)
    first = np.maximum(clip - k, begin)
    end = np.minimum(clip + k + 1, stop)
    return window_mean(probabilities, first, end)


def classify(probabilities: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Score of every activity for every video.

    Args:
        probabilities: (N, K + 1), background first.
        clips: (V,).

    Returns:
        (V, K): mean probability over the video's clips, background dropped, the rest summing to 1.
    """
    ends = np.cumsum(clips)
    means = window_mean(probabilities, ends - clips, ends)
    activities = means[:, 1:]
    total = activities.sum(1, keepdims=True)
    return activities / np.maximum(total, np.finfo(float).tiny)


def runs(marked: np.ndarray, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximal runs of marked clips that stay within a video.

    Args:
        marked: (N,) bool.
        clips: (V,) clips of each video.

    Returns:
        First clips (M,) and ends (M,) (exclusive) of the runs, as indices into (N,).
    """
    clip = np.arange(len(marked))
    _, begin, stop = bounds(clips)
    marked_before = np.concatenate([[False], marked[:-1]])
    marked_after = np.concatenate([marked[1:], [False]])
    continues = marked_before & (clip > begin)
    goes_on = marked_after & (clip + 1 < stop)
    first = np.flatnonzero(marked & ~continues)
    last = np.flatnonzero(marked & ~goes_on)
    return first, last + 1


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
        clip_frames: frames a clip.
        fps: frames a second.
        offset: frame at which the first clip begins.

    Returns:
        One segment for each run of marked clips; its label is the video's, its score the mean
        smoothed probability of that label.
    """
    smoothed = smooth(probabilities, clips, k)
    activity = 1 - smoothed[:, 0]
    first, end = runs(activity >= alpha, clips)
    video_of_clip, first_of_video, _ = bounds(clips)
    label_of_video = classify(probabilities, clips).argmax(1)
    label_of_clip = label_of_video[video_of_clip]
    curve = smoothed[np.arange(len(smoothed)), label_of_clip + 1]  # (N,) of each video's label

    video = video_of_clip[first]
    begin = first_of_video[first]
    return Segments(
        video=video,
        label=label_of_video[video],
        start_s=(offset + clip_frames * (first - begin)) / fps,
        end_s=(offset + clip_frames * (end - begin)) / fps,
        score=window_mean(curve, first, end),
    )


def true_segments(segments: np.ndarray, segment_class: np.ndarray, fps: float) -> Segments:
    """The true segments of videos.

    Args:
        segments: (V, S, 2) int, first frame and end of each, -1 where there is none.
        segment_class: (V, S) int, -1 where there is none.
        fps: frames a second.
    """
    video, which = np.nonzero(segment_class >= 0)
    start_s, end_s = segments[video, which].T / fps
    return Segments(
        video=video,
        label=segment_class[video, which].astype(int),
        start_s=start_s,
        end_s=end_s,
        score=np.ones(len(video)),
    )
