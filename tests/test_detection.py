"""Temporal activity detection against loops and closed forms, from videos to evaluation."""

import dataclasses

import numpy as np
import pytest
import torch

from studies import results as finished
from studies.fidelity import temporal_activity_detection
from studies.fidelity.claim import Verdict
from vidrep.config import check, complete
from vidrep.datasets.recipes import BouncingRecipe, recipe
from vidrep.datasets.store import write_clips
from vidrep.datasets.untrimmed import UntrimmedRecipe, piecewise_trajectories, render_untrimmed
from vidrep.detection import job
from vidrep.detection.evaluate import (
    THRESHOLDS,
    average_precision,
    classes_returned,
    classification_map,
    detection_map,
    hit_at,
)
from vidrep.detection.features import (
    Videos,
    clip_labels,
    embed_clips,
    extract,
    read_features,
    write_features,
)
from vidrep.detection.labeller import (
    HEADS,
    Labeller,
    LabellerRecipe,
    clip_loss,
    make_labeller,
    predict,
    sequences,
    train_labeller,
)
from vidrep.detection.postprocess import Segments, classify, detect, smooth, true_segments
from vidrep.digits.source import load_digits
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.result_tables import write_rows, write_table
from vidrep.tables import collect

TINY = LabellerRecipe(
    units=16, layers=1, dropout=0.1, background_weight=0.3, lr=5e-3, epochs=8, batch=8
)
CLASSES = 4


# videos


@pytest.fixture(scope="module")
def digits():
    return load_digits({"kind": "sklearn"}, patch=8, seed=0)


def make_recipe(name: str = "velocity_only", activities: int = 1) -> UntrimmedRecipe:
    version = recipe(name, frames=120, size=20, patch=8)
    return UntrimmedRecipe(version, shortest=80, piece=12, activities=activities)


def walk(start, direction, steps, edges):
    """One point, frame by frame: move, clamp, turn round at a wall.

    The speed is that of the piece that the frame lies in.
    """
    places = []
    place = start
    heading = direction
    for piece, step in enumerate(steps):
        for _ in range(edges[piece], edges[piece + 1]):
            place = place + heading * step
            if step > 0 and (place >= 1 or place <= 0):
                place = min(max(place, 0.0), 1.0)
                heading = -heading
            places.append(place)
    return places


def test_speed_changes_leave_no_jump():
    rng = np.random.default_rng(0)
    start = rng.random((20, 2, 2))
    angle = rng.random((20, 2)) * 2 * np.pi
    direction = np.stack([np.sin(angle), np.cos(angle)], -1)
    steps = rng.choice([0.0, 0.01, 0.13, 0.4, 0.97], (20, 4))
    edges = np.concatenate([np.zeros((20, 1), int), np.cumsum(rng.integers(0, 30, (20, 4)), 1)], 1)
    position = piecewise_trajectories(start, direction, steps, edges)
    for i, d, axis in np.ndindex(20, 2, 2):
        expected = walk(start[i, d, axis], direction[i, d, axis], steps[i], edges[i])
        np.testing.assert_allclose(position[i, d, axis, : edges[i, -1]], expected, atol=1e-9)


@pytest.mark.parametrize("name", ["velocity_only", "digits_only", "digits_and_velocity"])
def test_videos_are_as_their_factors_say(digits, name):
    videos = make_recipe(name)
    rendered = render_untrimmed(videos, digits, "train", 20, seed=1)
    factors = rendered["factors"]
    clips = rendered["clips"]
    assert clips.dtype == np.uint8 and clips.shape[2:] == (20, 20)
    assert factors["frames"].min() >= 80 and factors["frames"].max() <= 120
    shown = [
        np.bincount(row[row >= 0], minlength=10) > 0 for row in factors["segment_class"].astype(int)
    ]
    np.testing.assert_array_equal(rendered["labels"] > 0, shown)
    assert (rendered["labels"].sum(0) == 2).all()  # 20 videos, 10 classes, one each
    for i, frames in enumerate(factors["frames"]):
        assert clips[i, :frames].any((1, 2)).all() and not clips[i, frames:].any()
        edges = [0, *factors["segments"][i][factors["segments"][i] >= 0], frames]
        assert np.diff(edges).min() >= 11  # rounding may take one frame from a piece of 12
        moved = np.abs(np.diff(rendered["corners"][i, :frames].astype(int), axis=0)).max((1, 2))
        for first, end in zip(edges[1:-1:2], edges[2::2], strict=False):
            label = factors["segment_class"][i, 0]
            if videos.version.class_velocity:
                assert (
                    moved[first + 1 : end - 1].max() <= np.ceil(12 * 0.1 * (label + 1))
                    and moved[first + 1 : end - 1].any()
                )
            squares = clips[i, :first].max((1, 2)) == 255
            assert squares.all()  # background shows the square
        if videos.version.class_velocity:
            assert moved[: edges[1] - 1].max() <= 1


def test_activities_show_digits_of_their_class_and_background_hides_them(digits):
    rendered = render_untrimmed(make_recipe("digits_only"), digits, "test", 10, seed=2)
    square = np.pad(np.full((4, 4), 255, np.uint8), 2)
    for i, clip in enumerate(rendered["clips"]):
        corners = rendered["corners"][i]
        frames, segments, classes, images = (values[i] for values in rendered["factors"].values())
        for which, (first, end) in enumerate(segments[segments[:, 0] >= 0]):
            assert (digits.labels[images[which]] == classes[which]).all()
            inside = (first, end - 1)
            outside = (first - 1, min(end, frames - 1))
            for frame in (*inside, *outside):
                canvas = np.zeros((20, 20), np.uint8)
                for (top, left), image in zip(corners[frame], images[which], strict=True):
                    patch = digits.images[image] if frame in inside else square
                    part = canvas[top : top + 8, left : left + 8]
                    np.maximum(part, patch, out=part)
                np.testing.assert_array_equal(clip[frame], canvas)


def test_splits_share_neither_digits_nor_trajectories(digits):
    train = render_untrimmed(make_recipe("digits_only"), digits, "train", 20, 0)
    test = render_untrimmed(make_recipe("digits_only"), digits, "test", 20, 0)
    train_images = set(train["factors"]["digit_image"].ravel()) - {-1}
    test_images = set(test["factors"]["digit_image"].ravel()) - {-1}
    assert not train_images & test_images
    assert not np.array_equal(train["corners"][:, 0], test["corners"][:, 0])
    again = render_untrimmed(make_recipe("digits_only"), digits, "test", 20, 0)
    np.testing.assert_array_equal(again["clips"], test["clips"])


def test_two_activities_differ(digits):
    rendered = render_untrimmed(make_recipe(activities=2), digits, "test_two_activities", 30, 0)
    assert (rendered["labels"].sum(1) == 2).all() and (rendered["factors"]["segments"] >= 0).all()


def test_recipe_says_what_is_wrong():
    version = recipe("velocity_only", frames=100, size=20, patch=8)
    with pytest.raises(ValueError, match="at least 100"):
        UntrimmedRecipe(version, shortest=90, piece=20)
    with pytest.raises(ValueError, match="1 or 2 activities"):
        UntrimmedRecipe(version, shortest=90, piece=10, activities=3)
    mute = BouncingRecipe(
        class_velocity=False, hide_digits=True, step=0.1, frames=100, size=20, patch=8
    )
    with pytest.raises(ValueError, match="no activity"):
        UntrimmedRecipe(mute, shortest=90, piece=10)


# clips and their labels


def random_truth(
    rng, videos: int = 12, segments: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lengths, segments and classes of videos with one or two segments that do not overlap."""
    frames = rng.integers(120, 300, videos)
    places = np.stack([rng.choice(length, 2 * segments, replace=False) for length in frames])
    edges = np.sort(places, 1).reshape(videos, segments, 2)
    classes = np.repeat(rng.integers(0, CLASSES, (videos, 1)), segments, 1)
    single = rng.random(videos) < 0.5
    edges[single, 1:] = -1
    classes[single, 1:] = -1
    return frames, edges, classes


@pytest.mark.parametrize("offset", [0, 5])
def test_clip_labels_against_counting_frames(offset):
    rng = np.random.default_rng(0)
    frames, segments, classes = random_truth(rng)
    # two classes in one video count apart
    classes[:, 1] = np.where(classes[:, 1] >= 0, (classes[:, 0] + 1) % CLASSES, -1)
    labels, clips = clip_labels(
        frames, segments, classes, classes=CLASSES, clip_frames=16, offset=offset
    )
    expected = []
    for total, places, names in zip(frames, segments, classes, strict=True):
        by_frame = np.zeros(total, int)
        for (first, end), name in zip(places, names, strict=True):
            by_frame[max(first, 0) : max(end, 0)] = name + 1
        for i in range((total - offset) // 16):
            clip = by_frame[offset + 16 * i : offset + 16 * (i + 1)]
            counts = np.bincount(clip, minlength=CLASSES + 1)[1:]
            expected.append(counts.argmax() + 1 if counts.max() >= 8 else 0)
    np.testing.assert_array_equal(labels, expected)
    assert clips.sum() == len(labels)


def test_a_video_without_a_clip_is_named():
    with pytest.raises(ValueError, match="10 frames has no clip of 16"):
        clip_labels(
            np.array([10, 40]),
            np.full((2, 1, 2), -1),
            np.full((2, 1), -1),
            classes=3,
            clip_frames=16,
        )


def test_features_are_the_embeddings_of_the_clips(digits, tiny_system, cpu, tmp_path):
    videos = UntrimmedRecipe(
        recipe("velocity_only", frames=60, size=16, patch=8), shortest=40, piece=8
    )
    rendered = render_untrimmed(videos, digits, "test", 20, 0)
    rendered.pop("corners")
    write_clips(
        tmp_path / "test.h5",
        rendered,
        {
            "dataset": "velocity_only_untrimmed",
            "split": "test",
            "classes": list("0123456789"),
            "multi_label": False,
            "fps": 8,
        },
    )
    objective = build(
        tiny_system("c3d_narrow").definition(), DataShape((1, 8, 16, 16), 10, True)
    ).eval()
    found = extract(tmp_path / "test.h5", objective, cpu, offset=3)
    np.testing.assert_array_equal(found.clips, (rendered["factors"]["frames"] - 3) // 8)
    last = found.clips[:18].sum() + 1  # the second clip of video 18
    clip = torch.from_numpy(rendered["clips"][18:19, 11:19])
    np.testing.assert_allclose(
        found.features[last], embed_clips(objective, clip, cpu)[0], atol=1e-5
    )
    write_features(tmp_path / "features.h5", {"test": found}, {"seed": 0})
    splits, attrs = read_features(tmp_path / "features.h5")
    assert attrs == {"seed": 0}
    for field in dataclasses.fields(Videos):
        np.testing.assert_array_equal(
            getattr(splits["test"], field.name), getattr(found, field.name)
        )


# post-processing


def make_videos(seed: int, videos: int = 12, *, noise: float = 0.0, offset: int = 0) -> Videos:
    """Videos whose features are their one-hot clip labels with noise."""
    rng = np.random.default_rng(seed)
    frames, segments, classes = random_truth(rng, videos)
    labels, clips = clip_labels(
        frames, segments, classes, classes=CLASSES, clip_frames=16, offset=offset
    )
    features = np.eye(CLASSES + 1)[labels] + noise * rng.normal(size=(len(labels), CLASSES + 1))
    return Videos(
        features=features.astype(np.float32),
        clips=clips,
        labels=labels,
        segments=segments,
        segment_class=classes,
        classes=CLASSES,
        clip_frames=16,
        offset=offset,
        fps=8.0,
    )


def random_probabilities(rng, clips: int) -> np.ndarray:
    return rng.dirichlet(np.ones(CLASSES + 1), clips)


@pytest.mark.parametrize("k", [0, 1, 3, 50])
def test_smoothing_against_a_loop_per_video(k):
    rng = np.random.default_rng(k)
    clips = np.array([1, 7, 2, 15])
    values = random_probabilities(rng, clips.sum())
    expected = []
    for video in np.split(values, np.cumsum(clips)[:-1]):
        expected += [video[max(0, i - k) : i + k + 1].mean(0) for i in range(len(video))]
    np.testing.assert_allclose(smooth(values, clips, k), expected, atol=1e-12)


def test_the_last_clip_is_used_and_one_clip_is_enough():
    active = [0.0, 1.0]
    still = [1.0, 0.0]
    found = detect(
        np.array([still] * 5 + [active]), np.array([6]), k=1, alpha=0.5, clip_frames=16, fps=16
    )
    # (0 + 1) / 2 reaches 0.5, (0 + 0 + 1) / 3 does not
    assert (found.start_s.tolist(), found.end_s.tolist()) == ([5.0], [6.0])
    one = detect(np.array([[0.3, 0.7]]), np.array([1]), k=5, alpha=0.2, clip_frames=16, fps=8)
    assert (one.start_s[0], one.end_s[0], one.score[0]) == (0.0, 2.0, pytest.approx(0.7))


def test_the_filter_is_symmetric():
    rng = np.random.default_rng(3)
    values = random_probabilities(rng, 20)
    clips = np.array([20])
    np.testing.assert_allclose(smooth(values[::-1], clips, 4)[::-1], smooth(values, clips, 4))


def test_runs_stay_within_their_video_and_start_at_the_offset():
    values = np.tile([0.0, 1.0], (6, 1))
    found = detect(values, np.array([2, 1, 3]), k=0, alpha=0.5, clip_frames=16, fps=16, offset=8)
    assert found.video.tolist() == [0, 1, 2]
    assert found.start_s.tolist() == [0.5] * 3 and found.end_s.tolist() == [2.5, 1.5, 3.5]


def test_classification_is_normalised_and_agrees_with_detection():
    rng = np.random.default_rng(4)
    clips = rng.integers(1, 30, 50)
    values = random_probabilities(rng, clips.sum())
    scores = classify(values, clips)
    np.testing.assert_allclose(scores.sum(1), 1)
    first = values[: clips[0], 1:].mean(0)
    np.testing.assert_allclose(scores[0], first / first.sum())
    found = detect(values, clips, k=3, alpha=0.1, clip_frames=16, fps=25)
    np.testing.assert_array_equal(found.label, scores.argmax(1)[found.video])


def test_perfect_features_give_perfect_detections():
    videos = make_videos(5, 40)
    lengths = np.diff(videos.segments, axis=2)[..., 0]
    gaps = videos.segments[:, 1, 0] - videos.segments[:, 0, 1]
    there = videos.segment_class >= 0
    long_enough = np.where(there, lengths >= 32, True).all(1)
    apart = (gaps >= 32) | ~there[:, 1]
    clear = long_enough & apart
    inside = np.repeat(clear, videos.clips)
    one_hot = np.eye(CLASSES + 1)[videos.labels][inside]
    truth = true_segments(videos.segments[clear], videos.segment_class[clear], videos.fps)
    found = detect(one_hot, videos.clips[clear], k=0, alpha=0.2, clip_frames=16, fps=videos.fps)
    assert detection_map(found, truth, (0.5,))[0] == 1.0
    assert len(found) == len(truth) > 10
    covered_s = 16 * videos.clips[clear] / videos.fps
    whole = truth.end_s <= covered_s[truth.video]
    assert np.abs(found.start_s - truth.start_s)[whole].max() <= 8 / videos.fps
    assert np.abs(found.end_s - truth.end_s)[whole].max() <= 8 / videos.fps


def test_random_probabilities_are_at_chance():
    rng = np.random.default_rng(6)
    videos = make_videos(6, 400)
    values = random_probabilities(rng, len(videos.labels))
    scores = job.full_scores(values, videos, job.Settings(1, 0.9, (), ()))
    assert scores["hit@1"] == pytest.approx(1 / CLASSES, abs=4 * np.sqrt(0.25 * 0.75 / 400))
    assert scores["map@0.5"] < 0.05


def test_a_second_activity_is_never_returned():
    rng = np.random.default_rng(7)
    frames, segments, classes = random_truth(rng, 30)
    segments[:, 1] = np.where(segments[:, 1] < 0, segments[:, 0] + 40, segments[:, 1])
    classes[:, 1] = (classes[:, 0] + 1) % CLASSES
    labels, clips = clip_labels(frames, segments, classes, classes=CLASSES, clip_frames=16)
    found = detect(np.eye(CLASSES + 1)[labels], clips, k=0, alpha=0.2, clip_frames=16, fps=8)
    assert all(len(set(found.label[found.video == video])) <= 1 for video in range(30))
    assert classes_returned(found, true_segments(segments, classes, 8), CLASSES) <= 0.5


def test_segments_fall_with_k_and_time_with_alpha():
    videos = make_videos(8, 60)
    one_hot = np.eye(CLASSES + 1)[videos.labels]
    by_k = [len(job.segments_found(one_hot, videos, k, 0.2)) for k in (0, 1, 2, 5, 10, 40)]
    assert by_k == sorted(by_k, reverse=True) and by_k[-1] < by_k[0]
    values = random_probabilities(np.random.default_rng(8), len(videos.labels))
    for k in (0, 2):
        lasting = [
            job.segment_scores(values, videos, k, alpha, (0.5,))["detected_s"]
            for alpha in (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
        ]
        assert lasting == sorted(lasting, reverse=True) and lasting[-1] < lasting[0]


# evaluation


def random_segments(rng, videos: int, count: int) -> Segments:
    start = rng.random(count) * 10
    length = 0.3 + 4 * rng.random(count)
    video = rng.integers(0, videos, count)
    label = rng.integers(0, CLASSES, count)
    return Segments(video, label, start, start + length, rng.random(count))


def overlap_of_two(found: Segments, i: int, truth: Segments, j: int) -> float:
    """Temporal intersection over union of two segments of one video."""
    start = max(found.start_s[i], truth.start_s[j])
    end = min(found.end_s[i], truth.end_s[j])
    shared = max(end - start, 0)
    found_s = found.end_s[i] - found.start_s[i]
    true_s = truth.end_s[j] - truth.start_s[j]
    return shared / (found_s + true_s - shared)


def looped_map(found: Segments, truth: Segments, threshold: float) -> float:
    """Mean average precision by going through detections and truths one by one."""
    values = []
    for label in sorted(set(truth.label.tolist())):
        there = [i for i in range(len(truth)) if truth.label[i] == label]
        ranked = [i for i in range(len(found)) if found.label[i] == label]
        ranked.sort(key=lambda i: -found.score[i])
        taken = set()
        precisions = []
        correct = []
        for rank, i in enumerate(ranked, start=1):
            overlaps = {
                j: overlap_of_two(found, i, truth, j)
                for j in there
                if j not in taken and truth.video[j] == found.video[i]
            }
            best = max(overlaps, key=overlaps.get, default=None)
            hit = best is not None and overlaps[best] >= threshold
            if hit:
                taken.add(best)
            correct.append(hit)
            precisions.append(len(taken) / rank)
        area = sum(max(precisions[i:]) for i, hit in enumerate(correct) if hit)
        values.append(area / len(there))
    return float(np.mean(values))


def test_detection_map_against_loops():
    rng = np.random.default_rng(9)
    for _ in range(10):
        found = random_segments(rng, 5, 60)
        truth = random_segments(rng, 5, 25)
        expected = [looped_map(found, truth, threshold) for threshold in THRESHOLDS]
        np.testing.assert_allclose(detection_map(found, truth), expected, atol=1e-12)


def test_map_falls_with_overlap_and_duplicates_are_wrong():
    videos = make_videos(10, 40, noise=0.3)
    values = np.exp(4 * videos.features)
    found = job.segments_found(values / values.sum(1, keepdims=True), videos, 1, 0.4)
    truth = true_segments(videos.segments, videos.segment_class, videos.fps)
    by_overlap = detection_map(found, truth)
    assert (np.diff(by_overlap) <= 0).all() and by_overlap[0] > by_overlap[-1]
    assert detection_map(truth, truth, (0.9,))[0] == 1.0
    # the first twice, ranked above another of its class: right, wrong, right
    one = truth.where(np.array([0, 0, 1]))
    two = Segments(one.video, np.zeros(3, int), one.start_s, one.end_s, np.array([3.0, 2.0, 1.0]))
    assert detection_map(two, two.where(np.array([0, 2])), (0.9,))[0] == pytest.approx(
        (1 + 2 / 3) / 2
    )
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((1 + 2 / 3) / 2)
    assert detection_map(truth.where(np.zeros(len(truth), bool)), truth, (0.5,))[0] == 0.0


def test_classification_scores_against_loops():
    rng = np.random.default_rng(11)
    scores = rng.random((30, CLASSES))
    present = rng.random((30, CLASSES)) < 0.3
    values = []
    for k in range(CLASSES):
        ranked = sorted(range(30), key=lambda i: -scores[i, k])
        correct = [bool(present[i, k]) for i in ranked]
        precision = [sum(correct[: i + 1]) / (i + 1) for i in range(30)]
        area = sum(max(precision[i:]) for i in range(30) if correct[i])
        values.append(area / sum(correct))
    assert classification_map(scores, present) == pytest.approx(np.mean(values))
    for rank in (1, 3):
        hits = []
        for i in range(30):
            ranked = sorted(range(CLASSES), key=lambda k: -scores[i, k])
            hits.append(any(present[i, k] for k in ranked[:rank]))
        assert hit_at(scores, present, rank) == pytest.approx(np.mean(hits))


# labeller


def test_reference_size():
    reference = LabellerRecipe(
        units=512, layers=1, dropout=0.5, background_weight=0.3, lr=1e-5, epochs=100, batch=16
    )
    with torch.device("meta"):
        labeller = make_labeller("lstm", 4096, 200, reference)
    counted = sum(p.numel() for p in labeller.parameters())
    assert counted == 2 * 4096 + 4 * 512 * (4096 + 512 + 2) + 201 * (512 + 1)


def test_a_video_is_labelled_alike_alone_and_among_others(cpu):
    videos = make_videos(12)
    torch.manual_seed(0)
    labeller = Labeller(CLASSES + 1, CLASSES, units=8, layers=2, dropout=0.5)
    together = np.split(predict(labeller, videos, cpu), np.cumsum(videos.clips)[:-1])
    for i in (0, 5, 11):
        part = np.repeat(np.arange(len(videos)) == i, videos.clips)
        alone = dataclasses.replace(
            videos, features=videos.features[part], clips=videos.clips[i : i + 1]
        )
        np.testing.assert_allclose(predict(labeller, alone, cpu), together[i], atol=1e-6)
    assert together[0].sum(1) == pytest.approx(np.ones(videos.clips[0]))


def test_padding_enters_no_statistics():
    videos = make_videos(13)
    labeller = Labeller(CLASSES + 1, CLASSES, units=8, layers=1, dropout=0.0).train()
    labeller.norm.momentum = 1.0
    packed = torch.nn.utils.rnn.pack_sequence(
        sequences(videos.features, videos.clips), enforce_sorted=False
    )
    assert len(labeller(packed)) == videos.clips.sum()
    np.testing.assert_allclose(labeller.norm.running_mean, videos.features.mean(0), atol=1e-6)


def test_loss_weighs_background():
    scores = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, 0.5]])
    labels = torch.tensor([0, 1, 1])
    nll = [np.log1p(np.exp(-1)), np.log1p(np.exp(-2)), np.log(2)]
    assert clip_loss(scores, labels, 0.3).item() == pytest.approx(
        (0.3 * nll[0] + nll[1] + nll[2]) / 2.3
    )


def remembering(seed: int) -> Videos:
    """Videos whose second half carries the class that the first clip shows: memory must tell it."""
    videos = make_videos(seed, 40)
    clips = np.full(40, 8)
    labels = np.zeros((40, 8), int)
    labels[:, 4:] = np.random.default_rng(seed).integers(1, CLASSES + 1, (40, 1))
    features = np.zeros((40, 8, CLASSES + 1), np.float32)
    features[np.arange(40), 0, labels[:, -1]] = 1
    features[:, 4:, 0] = 1
    return dataclasses.replace(
        videos, features=features.reshape(320, -1), clips=clips, labels=labels.ravel()
    )


@pytest.mark.slow
def test_the_lstm_remembers_and_training_repeats(cpu):
    recipe_ = dataclasses.replace(TINY, epochs=40, lr=1e-2)
    train = remembering(0)
    validation = remembering(1)
    accuracy = {}
    for head in HEADS:
        labeller, losses = train_labeller(head, train, validation, recipe_, seed=3, device=cpu)
        accuracy[head] = (predict(labeller, validation, cpu).argmax(1) == validation.labels).mean()
        assert min(losses) < losses[0]
    again, _ = train_labeller(head, train, validation, recipe_, seed=3, device=cpu)
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), labeller.state_dict().values(), strict=True)
    )
    assert accuracy["lstm"] > 0.9 > accuracy["softmax"]
    with pytest.raises(ValueError, match="unknown head"):
        make_labeller("gru", 3, 3, TINY)


# the whole job


def test_job_writes_the_same_bytes_again_and_claims_read_them(cpu, tmp_path):
    splits = {
        name: make_videos(seed, 30, noise=0.4)
        for seed, name in enumerate(("train", "validation", "test"))
    }
    # with one activity each: the claim about two must fail
    splits["test_two_activities"] = make_videos(9, 8)
    settings = job.Settings(1, 0.4, (0, 1, 5), (0.2, 0.4, 0.7))
    about = {"dataset": "velocity_only", "system": "c3d_narrow", "seed": 0}
    for number in (1, 2):
        folder = tmp_path / str(number) / "detection"
        probabilities = job.label_clips(splits, TINY, seed=0, device=cpu, report=lambda line: None)
        stem = folder / "velocity_only--c3d_narrow--seed0"
        job.write_probabilities(stem.with_suffix(".npz"), splits, probabilities)
        job.write_detections(
            stem.with_suffix(".json"), splits["test"], probabilities, settings, about
        )
        write_rows(
            stem.with_suffix(".csv"),
            job.DETECTION_COLUMNS,
            job.score_rows(splits, probabilities, settings),
        )
    for suffix in ("npz", "json", "csv"):
        first, second = (
            tmp_path / n / f"detection/velocity_only--c3d_narrow--seed0.{suffix}" for n in "12"
        )
        assert first.read_bytes() == second.read_bytes()
    assert len(list(folder.iterdir())) == 3  # nothing half-written beside them

    write_features(folder / "velocity_only--c3d_narrow--seed0.features.h5", splits, about)
    write_table(
        collect([str(stem) + ".csv"]).drop(columns="evaluated_on"),
        folder.parent / "tables/detection.csv",
    )
    results = finished.Results(folder.parent)
    findings = [one.measure(results) for one in temporal_activity_detection.CLAIMS]
    assert all(finding.measured for finding in findings)
    assert findings[2].holds and findings[6].holds and findings[8].verdict == Verdict.FAILS


def test_claims_without_detection_are_not_run(tmp_path):
    for one in temporal_activity_detection.CLAIMS:
        with pytest.raises(finished.NotRun):
            one.measure(finished.Results(tmp_path))


# configuration

WRONG = {
    "systems": ({"systems": ["r3d_narrow"]}, "detection.systems: 'r3d_narrow'"),
    "a control": ({"systems": ["pixels"]}, "detection.systems: 'pixels'"),
    "flow": ({"systems": ["two_stream_exact_narrow"]}, "choose from c3d_narrow"),
    "data set": (
        {"systems": ["c3d_narrow"], "datasets": ["velocity_only_slow"]},
        "c3d_narrow on velocity_only_slow",
    ),
    "short videos": (
        {"systems": ["c3d_narrow"], "videos": {"frames": [100, 200]}},
        "detection.videos.frames",
    ),
    "wrong order": (
        {"systems": ["c3d_narrow"], "videos": {"frames": [500, 400]}},
        "detection.videos.frames",
    ),
}


def configured(detection: dict) -> dict:
    systems = ["c3d_narrow", "two_stream_exact_narrow", "pixels"]
    return complete({"systems": systems, "detection": detection})


@pytest.mark.parametrize("case", WRONG)
def test_bad_configuration_is_named(case):
    detection, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        check(configured(detection))


def test_detection_is_off_by_default_and_lists_its_runs():
    assert check(configured({})).detection_runs() == []
    runs = check(configured({"systems": ["c3d_narrow"]})).detection_runs()
    assert [run.stem for run in runs] == ["velocity_only--c3d_narrow--seed0"]
