"""Which clips are trained on: few labelled ones, and partners for semi-supervised objectives."""

import torch

from vidrep.objectives.base import Objective
from vidrep.training.loop import Job
from vidrep.training.order import epoch_order, labelled_rows
from vidrep.training.split import Split

LABELS = torch.eye(3)[torch.arange(60) % 3]


def job(objective, labelled) -> Job:
    train = Split(
        torch.zeros(60, 2, 4, 4, dtype=torch.uint8),
        LABELS,
        None,
        False,
        [f"train/{i}" for i in range(60)],
    )
    return Job(
        objective=objective,
        recipe={},
        train=train,
        validation=train,
        seed=5,
        device=None,
        checkpoint=None,
        report=None,
        labelled=labelled,
    )


class Plain(Objective):
    def __init__(self):
        torch.nn.Module.__init__(self)
        self.selected_apart = {}


class Mixed(Plain):
    semi_supervised = True


def test_few_labelled_clips_show_all_classes_and_fewer_are_among_more():
    rows = labelled_rows(LABELS, 6, seed=1)
    assert LABELS[rows].sum(0).tolist() == [2, 2, 2]
    assert torch.equal(labelled_rows(LABELS, 3, seed=1), rows[:3])
    assert not torch.equal(labelled_rows(LABELS, 6, seed=2), rows)
    assert sorted(labelled_rows(LABELS, 60, seed=1).tolist()) == list(range(60))


def test_classes_that_run_out_leave_the_rest_to_the_others():
    labels = torch.eye(2)[[0, 1, 1, 1]]
    assert labels[labelled_rows(labels, 4, seed=0)].sum(0).tolist() == [1, 3]


def test_an_order_repeats_few_clips_evenly():
    order = epoch_order(torch.tensor([7, 9, 11]), 10, seed=0)
    counts = [order.tolist().count(row) for row in (7, 9, 11)]
    assert len(order) == 10
    assert sorted(counts) == [3, 3, 4]
    assert set(order[:3].tolist()) == {7, 9, 11}


def test_without_labels_to_save_an_epoch_is_one_random_order_of_all():
    order, partners = job(Plain(), None).orders(1)
    assert sorted(order.tolist()) == list(range(60))
    assert partners is None
    assert not torch.equal(order, job(Plain(), None).orders(2)[0])


def test_supervised_epochs_see_labelled_clips_alone_and_mixed_ones_see_both():
    few = torch.tensor([4, 5])
    order, partners = job(Plain(), few).orders(1)
    assert len(order) == 60
    assert set(order.tolist()) == {4, 5}
    assert partners is None
    order, partners = job(Mixed(), few).orders(1)
    assert sorted(order.tolist()) == list(range(60))
    assert len(partners) == 60
    assert set(partners.tolist()) == {4, 5}
