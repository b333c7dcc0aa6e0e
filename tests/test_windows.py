"""Several windows of one video answer together; clips in files are read as if in memory."""

import numpy as np
import pytest
import torch
from torch import nn

from vidrep.activations.extract import extract_run
from vidrep.activations.manipulate import load_manipulated
from vidrep.activations.scores import scores_of_clips
from vidrep.activations.store import read_groups, read_labels, read_layer
from vidrep.datasets.store import open_clips, write_clips
from vidrep.flow.methods import flow_of_clips
from vidrep.flow.store import write_flow
from vidrep.objectives.base import DataShape
from vidrep.objectives.classification import Classification
from vidrep.similarity.external import import_activations
from vidrep.similarity.files import open_kernels, write_kernels
from vidrep.splits import SplitFiles
from vidrep.training.device import choose
from vidrep.training.rows import Rows, ahead
from vidrep.training.split import load_split
from vidrep.windows import cuts, first_of_videos, mean_of_videos, names_of_videos, share

VIDEOS = np.array([0, 0, 1, 1, 1, 2, 3, 3])
GROUPS = ["p", "p", "p", "p", "p", "q", "r", "r"]


class Brightness(nn.Module):
    """The mean of each colour of a clip."""

    inputs = ("clip",)
    layers = ("embedding",)

    def __init__(self, clip_shape):
        super().__init__()
        self.embedding = nn.Identity()

    def forward(self, clip):
        return self.embedding(clip.mean((2, 3, 4)))


def clips_file(path, *, windows=True):
    """Eight colour clips, windows of four videos of three groups; or clips that are independent."""
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (8, 4, 6, 6, 3), dtype=np.uint8)
    labels = np.eye(3, dtype=np.uint8)[VIDEOS % 3]
    content = {"clips": clips, "labels": labels, "factors": {}}
    if windows:
        content |= {"videos": VIDEOS.astype(np.uint32), "groups": np.array(GROUPS, "S")}
    attrs = {"dataset": "d", "split": "test", "classes": list("abc"), "multi_label": False}
    write_clips(path, content, attrs)
    return clips, labels


def classifier():
    """A run that sees the colours."""
    shape = DataShape((3, 4, 6, 6), 3, multi_label=False)
    run = Classification(Brightness(shape.clip), shape)
    with torch.no_grad():  # the brightest colour, and windows that differ
        run.heads["all"].weight.copy_(90 * torch.eye(3))
        run.heads["all"].bias.fill_(-45)
    return run


def test_means_over_the_clips_of_each_video():
    values = np.arange(16, dtype=np.float32).reshape(8, 2)
    expected = [values[video == VIDEOS].mean(0) for video in range(4)]
    assert np.allclose(mean_of_videos(values, VIDEOS), expected)
    spread = share(torch.from_numpy(values), torch.from_numpy(VIDEOS))
    assert np.allclose(spread, np.array(expected)[VIDEOS])
    assert mean_of_videos(values, None) is values
    assert first_of_videos(GROUPS, VIDEOS) == ["p", "p", "q", "r"]


def test_cuts_hold_whole_videos():
    for size in (1, 2, 3, 5, 8, 20):
        found = cuts(8, size, VIDEOS)
        assert [row for cut in found for row in range(8)[cut]] == list(range(8))
        starts = [cut.start for cut in found]
        assert all(start == 0 or VIDEOS[start] != VIDEOS[start - 1] for start in starts)
        assert all(cut.stop - cut.start <= max(size, 3) for cut in found)
    assert cuts(5, 2, None) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_names_of_videos_tell_their_clips():
    ids = [f"d/test/x{video}.avi#{i}-abc" for i, video in enumerate(VIDEOS)]
    names = names_of_videos(ids, VIDEOS)
    assert [name.rsplit("-", 1)[0] for name in names] == [f"d/test/x{v}.avi" for v in range(4)]
    others = names_of_videos([*ids[:-1], "d/test/x3.avi#7-abd"], VIDEOS)
    assert [a == b for a, b in zip(names, others, strict=True)] == [True, True, True, False]


def test_clips_in_a_file_are_those_in_memory(tmp_path):
    clips, _ = clips_file(tmp_path / "a.h5")
    split = load_split(SplitFiles(tmp_path / "a.h5"))
    device = choose()
    assert isinstance(split.clips, Rows) and split.shape.clip == (3, 4, 6, 6)
    order = torch.tensor([5, 0, 7, 7])
    batch = split.batch(order, device)
    expected = torch.from_numpy(clips[order.numpy()]).permute(0, 4, 1, 2, 3) / 255
    assert torch.equal(batch["clip"], expected)
    assert batch["video"].tolist() == [2, 0, 3, 3] and batch["row"].tolist() == order.tolist()
    drawn = list(split.draw([order, slice(2, 4)], device))
    assert torch.equal(drawn[0]["clip"], expected) and len(drawn[1]["clip"]) == 2
    few = load_split(SplitFiles(tmp_path / "a.h5"), 2)  # videos, not clips
    assert len(few) == 5 and len(few.names) == 2 and few.groups == ["p"] * 5


def test_flow_in_a_store_is_that_in_memory(tmp_path):
    clips, _ = clips_file(tmp_path / "a.h5")
    fields = flow_of_clips("dis", clips)
    write_flow(tmp_path / "f.zarr", [fields], fields.shape, {})
    split = load_split(SplitFiles(tmp_path / "a.h5", flow=tmp_path / "f.zarr"))
    assert isinstance(split.flow, Rows)
    batch = split.batch(torch.tensor([6, 2]), choose())
    expected = torch.from_numpy(fields[[6, 2]]).float().transpose(1, 2)
    assert torch.equal(batch["flow"], expected)
    write_flow(tmp_path / "g.zarr", [fields[:5]], fields[:5].shape, {})
    with pytest.raises(ValueError, match="does not belong to clips"):
        load_split(SplitFiles(tmp_path / "a.h5", flow=tmp_path / "g.zarr"))


def test_what_goes_wrong_while_reading_ahead_is_raised():
    def items():
        yield from range(10)
        raise OSError("disk")

    found = []
    with pytest.raises(OSError, match="disk"):
        for item in ahead(items()):
            found.append(item)
    assert found == list(range(10))
    first = ahead(iter(range(1000)))
    assert next(first) == 0
    first.close()  # the other thread ends, and waits for nobody


def test_windows_of_a_video_answer_with_the_mean_of_their_probabilities(tmp_path):
    clips, labels = clips_file(tmp_path / "a.h5")
    run = classifier()
    scores = scores_of_clips(run, load_split(SplitFiles(tmp_path / "a.h5")), choose())
    colours = torch.from_numpy(clips).float().div(255).mean((1, 2, 3))
    with torch.no_grad():
        each = run.heads["all"](colours).sigmoid()
    each = each / each.sum(1, keepdim=True)
    means = np.array([each[video == VIDEOS].mean(0).numpy() for video in range(4)])
    truth = np.array([labels[video == VIDEOS][0].argmax() for video in range(4)])
    assert scores["exact_set"].tolist() == (means.argmax(1) == truth).astype(float).tolist()
    alone = (each.numpy().argmax(1) == labels.argmax(1)).astype(float)
    assert not np.allclose(scores["exact_set"], mean_of_videos(alone, VIDEOS))
    assert scores["loss"].shape == (4,)


def test_a_store_has_one_row_a_video(tmp_path):
    clips, _ = clips_file(tmp_path / "a.h5")
    split = load_split(SplitFiles(tmp_path / "a.h5"))
    about = {"dataset": "d", "system": "s", "seed": 0, "evaluated_on": "d", "classes": list("abc")}
    scores = extract_run(
        classifier(),
        split,
        load_split(SplitFiles(tmp_path / "a.h5"), 3),
        tmp_path / "a.zarr.zip",
        about,
        rows=3,
        policy="none",
        dtype="float32",
        device=choose(),
    )
    stored = read_layer(tmp_path / "a.zarr.zip", "embedding")
    colours = (clips / np.float32(255)).mean((1, 2, 3))
    assert np.allclose(stored, mean_of_videos(colours, VIDEOS)[:3], atol=1e-6)
    assert read_labels(tmp_path / "a.zarr.zip").argmax(1).tolist() == [0, 1, 2]
    assert len(read_layer(tmp_path / "a.zarr.zip", "embedding", "fit")) == 3
    assert scores["exact_set"].shape == (4,)


@pytest.mark.parametrize("control", ["shuffled", "reversed", "frozen", "one_frame"])
def test_clips_of_files_are_manipulated_as_those_in_memory(tmp_path, control):
    """Also their flow, which is estimated from the manipulated frames."""
    made = {}
    for name, windows in (("memory", False), ("file", True)):
        clips_file(tmp_path / f"{name}.h5", windows=windows)
        split = load_manipulated(tmp_path / f"{name}.h5", control, flows={"flow": "dis"}, seed=3)
        made[name] = split.batch(torch.tensor([6, 1]), choose())
    for key in ("clip", "flow"):
        assert torch.equal(made["memory"][key], made["file"][key])


def test_activations_of_another_network_are_averaged_over_windows_too(tmp_path):
    clips_file(tmp_path / "a.h5")
    with open_clips(tmp_path / "a.h5") as file:
        ids = file.ids
    values = np.random.default_rng(1).standard_normal((8, 5))
    order = [3, 1, 0, 2, 7, 6, 5, 4]
    np.savez(tmp_path / "mine.npz", layer=values[order], ids=np.array(ids)[order])
    about = {"dataset": "external", "system": "mine", "seed": 0}
    store = tmp_path / "mine.zarr.zip"
    import_activations(tmp_path / "mine.npz", tmp_path / "a.h5", store, count=3, attrs=about)
    assert np.allclose(read_layer(store, "layer"), mean_of_videos(values, VIDEOS)[:3])
    assert read_groups(store).tolist() == ["p", "p", "q"]
    write_kernels(store, tmp_path / "kernels.h5")
    assert open_kernels([tmp_path / "kernels.h5"])[0].groups == ("p", "p", "q")
