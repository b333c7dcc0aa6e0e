"""The scores of single clips: written whole, read back, paired over the same clips alone."""

import numpy as np
import pytest

from vidrep.clip_scores import means, paired, read_clip_scores, write_clip_scores

IDS = ["digits_only/test/0:ab", "digits_only/test/1:cd", "digits_only/test/2:ef"]

LABELS = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)


def written(path, exact, ids=IDS):
    scores = {"exact_set": np.array(exact, dtype=float), "loss": np.array([0.5, 0.25, 1.0])}
    by_split = {"test": scores, "test_frozen": scores}
    write_clip_scores(path, ids, LABELS, by_split, about={"system": "c3d_narrow", "seed": 0})
    return read_clip_scores(path)


def test_scores_come_back_in_the_order_of_the_clips(tmp_path):
    run = written(tmp_path / "a.npz", [1, 0, 1])
    assert list(run.ids) == IDS
    assert run.of("exact_set").tolist() == [1, 0, 1]
    assert run.of("loss", "test_frozen").tolist() == [0.5, 0.25, 1.0]
    assert run.labels.tolist() == LABELS.tolist()
    assert run.about == {"system": "c3d_narrow", "seed": 0}
    assert means({"exact_set": run.of("exact_set")}) == {"exact_set": pytest.approx(2 / 3)}


def test_the_same_scores_give_the_same_bytes(tmp_path):
    written(tmp_path / "a.npz", [1, 0, 1])
    written(tmp_path / "b.npz", [1, 0, 1])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_runs_are_paired_over_the_same_clips_only(tmp_path):
    first = written(tmp_path / "a.npz", [1, 0, 1])
    second = written(tmp_path / "b.npz", [1, 1, 0])
    assert paired([first, second], "exact_set").tolist() == [[1, 0, 1], [1, 1, 0]]
    other = written(tmp_path / "c.npz", [1, 1, 0], ids=IDS[::-1])
    with pytest.raises(ValueError, match=r"c\.npz: holds scores of other clips than .*a\.npz"):
        paired([first, other], "exact_set")


def test_what_is_not_there_is_said(tmp_path):
    run = written(tmp_path / "a.npz", [1, 0, 1])
    with pytest.raises(ValueError, match=r"no score map of split test; .* exact_set, loss"):
        run.of("map")
    with pytest.raises(ValueError, match=r"no score loss of split test_shuffled; .* none"):
        run.of("loss", "test_shuffled")
    with pytest.raises(ValueError, match=r"has shape \(2,\); that of 3 clips is \(3,\)"):
        write_clip_scores(tmp_path / "d.npz", IDS, LABELS, {"test": {"loss": np.zeros(2)}})
    assert not (tmp_path / "d.npz").exists()
    (tmp_path / "e.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"e\.npz: cannot be read as scores of clips"):
        read_clip_scores(tmp_path / "e.npz")
