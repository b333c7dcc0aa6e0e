"""Out of memory, gradients are computed in pieces, which add up to those of the batch."""

import json

import pytest
import torch
from torch import nn

from vidrep.objectives.build import build
from vidrep.systems import DEFAULT_RECIPE
from vidrep.training.gradients import Gradients, take
from vidrep.training.run import train_run

PLAIN = {
    "name": "plain",
    "model": "conv_lstm",
    "objective": "classification",
    "objective_params": {},
    "first_seed": 0,
    "params": {"stages": [[4, 2]]},
    "recipe": {**DEFAULT_RECIPE, "optimiser": "sgd", "lr": 0.1, "batch": 7, "epochs": [2]},
}


class Small(nn.Module):
    """Squared distance of a linear map from its target, where memory holds ``limit`` clips."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(5, 2)
        self.limit = limit
        self.seen = []

    def loss(self, batch: dict) -> torch.Tensor:
        self.seen.append(len(batch["clip"]))
        if len(batch["clip"]) > self.limit:
            # what a failed attempt leaves behind must not count
            (self.layer(batch["clip"]) * 7).sum().backward()
            raise torch.OutOfMemoryError("pretended")
        return ((self.layer(batch["clip"]) - batch["labelled"]["labels"]) ** 2).mean()


@pytest.fixture
def batch() -> dict:
    generator = torch.Generator().manual_seed(1)
    return {
        "clip": torch.randn(8, 5, generator=generator),
        "labelled": {"labels": torch.randn(8, 2, generator=generator)},
    }


def limited(limit: int, batch: dict, cpu) -> tuple[Small, Gradients, torch.Tensor, list[str]]:
    objective = Small(limit)
    lines = []
    gradients = Gradients(cpu, lines.append)
    return objective, gradients, gradients.compute(objective, batch), lines


@pytest.mark.parametrize(
    ("limit", "seen"), [(8, [8]), (5, [8, 4, 4]), (3, [8, 4, 2, 2, 2, 2]), (1, [8, 4, 2] + [1] * 8)]
)
def test_pieces_add_up_to_the_batch(limit, seen, batch, cpu):
    objective, _, loss, lines = limited(limit, batch, cpu)
    assert objective.seen == seen
    assert len(lines) == len([size for size in seen if size > limit])
    difference = objective.layer(batch["clip"]) - batch["labelled"]["labels"]  # (8, 2)
    torch.testing.assert_close(loss, (difference**2).mean())
    torch.testing.assert_close(
        objective.layer.weight.grad, 2 * difference.T @ batch["clip"] / 16
    )  # d mean(r^2) / dW = 2 r^T x / 16
    torch.testing.assert_close(objective.layer.bias.grad, 2 * difference.sum(0) / 16)
    assert not loss.requires_grad


def test_a_last_piece_of_another_size_counts_by_its_share(batch, cpu):
    seven = take(batch, 0, 7)
    objective, _, loss, _ = limited(4, seven, cpu)
    assert objective.seen == [7, 4, 3]
    difference = objective.layer(seven["clip"]) - seven["labelled"]["labels"]
    torch.testing.assert_close(loss, (difference**2).mean())
    torch.testing.assert_close(objective.layer.weight.grad, 2 * difference.T @ seven["clip"] / 14)


def test_what_memory_holds_is_remembered_and_said_once(batch, cpu):
    objective, gradients, _, lines = limited(4, batch, cpu)
    gradients.compute(objective, batch)
    assert objective.seen == [8, 4, 4, 4, 4]
    assert lines == [
        "out of memory with 8 clips at a time: from now on 4, gradients accumulated over 8"
    ]


def test_not_even_one_clip_ends_in_one_line(batch, cpu):
    with pytest.raises(ValueError, match=r"^out of memory on the device with one clip at a time"):
        limited(0, batch, cpu)


def test_other_errors_are_not_swallowed(batch, cpu):
    objective = Small(8)
    objective.loss = lambda batch: (_ for _ in ()).throw(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        Gradients(cpu, print).compute(objective, batch)


def test_a_run_out_of_memory_ends_like_one_that_was_not_and_says_so(
    make_split, cpu, tmp_path, monkeypatch
):
    train = make_split(14, split="train", seed=1)
    validation = make_split(7, split="validation", seed=2)
    options = {"seed": 0, "run_seed": 0, "device": cpu, "fingerprint": "", "about": {}}
    train_run(
        PLAIN, train, validation, folder=tmp_path / "whole", report=lambda line: None, **options
    )
    kind = type(build(PLAIN, train.shape))
    loss = kind.loss

    def out_of_memory(self, batch):
        if len(batch["clip"]) > 4:
            raise torch.OutOfMemoryError("pretended")
        return loss(self, batch)

    monkeypatch.setattr(kind, "loss", out_of_memory)
    lines = []
    train_run(PLAIN, train, validation, folder=tmp_path / "pieces", report=lines.append, **options)
    whole, pieces = (torch.load(tmp_path / name / "weights.pt") for name in ("whole", "pieces"))
    for name in whole:
        # sums in another order
        torch.testing.assert_close(pieces[name], whole[name], rtol=1e-4, atol=1e-6)
    records = [
        json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "pieces")
    ]
    assert [record["clips_at_a_time"] for record in records] == [None, 4]
    assert [line for line in lines if line.startswith("out of memory with 7 clips")]
