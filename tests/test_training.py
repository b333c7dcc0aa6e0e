"""Training repeats itself byte for byte, goes on where it was killed, keeps the right weights."""

import copy
import csv
import json
import re
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from torch import nn

from vidrep.datasets.store import clip_ids, write_clips
from vidrep.flow.store import write_flow
from vidrep.listing import describe
from vidrep.objectives.base import Objective
from vidrep.objectives.build import build
from vidrep.random_streams import stream_seed
from vidrep.runs import UNTRAINED
from vidrep.splits import SplitFiles
from vidrep.systems import DEFAULT_RECIPE, System, system
from vidrep.training import device, loop, progress
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.collapse import collapse, warning
from vidrep.training.cost import count_macs, count_parameters
from vidrep.training.device import Device
from vidrep.training.loop import evaluate, fit, train_one_epoch
from vidrep.training.optimisers import make_optimiser, make_schedule
from vidrep.training.order import labelled_rows
from vidrep.training.progress import Progress
from vidrep.training.run import digest, load_run, load_weights, train_run
from vidrep.training.selection import Selection
from vidrep.training.split import Split, load_split

BFLOAT16 = Device(torch.device("cpu"), "bfloat16")

# Two small systems with everything that a resumed run must restore: dropout, random frames, batch
# norm, a schedule, two stages. A third one for what needs none of that.
ONE_CYCLE = {"lr": 0.01, "schedule": "one_cycle", "weight_decay": 0.01, "gradient_clip": 5.0}
RANDOM = {
    "name": "random",
    "model": "two_stream",
    "objective": "classification",
    "objective_params": {},
    "first_seed": 0,
    "params": {
        "stack": 3,
        "samples": 2,
        "convs": [[3, 3, 2, 2]],
        "dense": [6],
        "norm": "batch",
        "dropout": 0.3,
    },
    "recipe": {**DEFAULT_RECIPE, **ONE_CYCLE, "batch": 4, "epochs": [4]},
}
STAGED = {
    "name": "staged",
    "model": "cnn_lstm",
    "objective": "frames_then_sequence",
    "objective_params": {},
    "first_seed": 0,
    "params": {"convs": [[3, 3, 2], [4, 3, 2]], "units": 5, "num_layers": 1},
    "recipe": {
        **DEFAULT_RECIPE,
        "optimiser": "adam",
        "lr": [0.01, 0.02],
        "batch": 5,
        "epochs": [2, 2],
    },
}
# The stages differ in what they train: convolutions and dense layers, then none of the former.
MUON = copy.deepcopy(STAGED)
MUON["recipe"] |= {"optimiser": "muon", "schedule": "one_cycle", "weight_decay": 0.01}
PLAIN = {
    "name": "plain",
    "model": "c3d",
    "objective": "classification",
    "objective_params": {},
    "first_seed": 7,
    "params": {"stem": [3, 3, [1, 2, 2]], "stages": [[4, 1, 2]]},
    "recipe": {**DEFAULT_RECIPE, "optimiser": "sgd", "lr": 0.01, "batch": 4, "epochs": [1]},
}


@pytest.fixture
def splits(make_split) -> tuple[Split, Split]:
    return make_split(14, split="train", seed=1), make_split(7, split="validation", seed=2)


def recipe(definition: dict, **changes) -> dict:
    return {**definition, "recipe": {**definition["recipe"], **changes}}


def train(
    definition: dict,
    splits,
    folder,
    *,
    seed=0,
    run_seed=0,
    where=None,
    fingerprint="",
    report=lambda line: None,
) -> dict:
    """A run; returns its record."""
    where = where or Device(torch.device("cpu"), "float32")
    options = {
        "seed": seed,
        "run_seed": run_seed,
        "device": where,
        "folder": folder,
        "fingerprint": fingerprint,
    }
    train_run(definition, *splits, **options, about={"dataset": "d"}, report=report)
    return json.loads((folder / "run.json").read_text())


def fresh(definition: dict, split: Split, where: Device, seed: int = 0) -> Objective:
    torch.manual_seed(seed)
    return where.place(build(definition, split.shape))


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# --- In bfloat16. ---


def test_a_run_in_bfloat16(splits, tmp_path):
    record = train(RANDOM, splits, tmp_path, where=BFLOAT16)
    state = torch.load(tmp_path / "weights.pt")
    assert record["precision"] == "bfloat16" and all(
        tensor.isfinite().all() for tensor in state.values()
    )
    assert {tensor.dtype for tensor in state.values()} == {
        torch.float32,
        torch.int64,
    }, "autocast leaves the weights alone"


# --- It repeats itself. ---


@pytest.mark.parametrize("definition", [RANDOM, STAGED, MUON], ids=["random", "staged", "muon"])
def test_same_seeds_same_bytes(definition, splits, tmp_path):
    for name, seed, run_seed in (
        ("a", 0, 0),
        ("again", 0, 0),
        ("other run", 0, 1),
        ("other experiment", 1, 0),
    ):
        torch.manual_seed(hash(name))  # what happened before must not matter
        train(definition, splits, tmp_path / name, seed=seed, run_seed=run_seed)
    weights = {folder.name: (folder / "weights.pt").read_bytes() for folder in tmp_path.iterdir()}
    assert weights["a"] == weights["again"] and len(set(weights.values())) == 3
    assert (tmp_path / "a" / "history.csv").read_bytes() == (
        tmp_path / "again" / "history.csv"
    ).read_bytes()


class Killed(Exception):
    """Stands for a job that is killed."""


@pytest.mark.parametrize("done", [1, 2, 3, 4])
@pytest.mark.parametrize("definition", [RANDOM, STAGED, MUON], ids=["random", "staged", "muon"])
def test_a_killed_run_goes_on_to_the_same_weights(definition, done, splits, tmp_path):
    whole = []
    train(definition, splits, tmp_path / "whole", report=whole.append)

    def kill(line: str) -> None:
        lines.append(line)
        if len(lines) == done:
            raise Killed

    lines = []
    rest = []
    with pytest.raises(Killed):
        train(definition, splits, tmp_path / "killed", report=kill)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["checkpoint.pt"]
    train(definition, splits, tmp_path / "killed", report=rest.append)
    assert len(whole) == 4 and len(rest) == 4 - done, "only what was missing is trained"
    for name in ("weights.pt", "history.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (
            tmp_path / "whole" / name
        ).read_bytes(), name
    assert not (tmp_path / "killed" / "checkpoint.pt").exists()
    records = [
        json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "killed")
    ]
    assert records[0]["selected"] == records[1]["selected"]


def test_killed_twice(splits, tmp_path):
    train(STAGED, splits, tmp_path / "whole")
    for _ in range(3):

        def kill(line: str) -> None:
            raise Killed

        with pytest.raises(Killed):
            train(STAGED, splits, tmp_path / "killed", report=kill)
    train(STAGED, splits, tmp_path / "killed")
    assert (tmp_path / "killed" / "weights.pt").read_bytes() == (
        tmp_path / "whole" / "weights.pt"
    ).read_bytes()


def test_a_checkpoint_of_another_run_is_ignored(splits, tmp_path):
    def kill(line: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(
            recipe(RANDOM, lr=0.5), splits, tmp_path / "a", fingerprint="other recipe", report=kill
        )
    lines = []
    train(RANDOM, splits, tmp_path / "a", fingerprint="this", report=lines.append)
    train(RANDOM, splits, tmp_path / "b", fingerprint="this")
    assert len(lines) == 4
    assert (tmp_path / "a" / "weights.pt").read_bytes() == (
        tmp_path / "b" / "weights.pt"
    ).read_bytes()


def test_fingerprints_tell_recipes_and_data_apart(splits):
    train_split, _ = splits
    first = digest(RANDOM, 0, "0", "code", train_split.checksum())
    assert (
        first == digest(copy.deepcopy(RANDOM), 0, "0", "code", train_split.checksum())
        and len(first) == 16
    )
    assert (
        len(
            {
                first,
                digest(recipe(RANDOM, lr=0.02), 0, "0", "code"),
                digest(RANDOM, 1, "0", "code"),
                digest(RANDOM, 0, "0", "x"),
            }
        )
        == 4
    )
    sums = [train_split.checksum()]
    for name in ("clips", "labels", "flow"):
        other = copy.deepcopy(train_split)
        getattr(other, name).view(-1)[5] += 1
        sums.append(other.checksum())
    assert len(set(sums)) == 4


# --- It keeps the right weights. ---


@pytest.mark.parametrize(
    ("metric", "direction", "scores", "best"),
    [
        ("exact_set", "max", [(0.1, 5), (0.7, 4), (0.6, 1)], 2),
        ("exact_set", "max", [(0.7, 4), (0.7, 3), (0.7, 3.5)], 2),
        ("exact_set", "max", [(0.7, 4), (0.7, 4)], 1),
        ("exact_set", "max", [(0.0, 4)], 1),
        ("loss", "min", [(0.9, 3), (0.1, 2), (0.5, 2.5)], 2),
    ],
)
def test_selection_takes_the_best_epoch(metric, direction, scores, best):
    selection = Selection(metric, direction)
    network = nn.Linear(1, 1)
    for epoch, (exact_set, loss) in enumerate(scores, start=1):
        nn.init.constant_(network.weight, epoch)
        selection.offer(epoch, {"exact_set": exact_set, "loss": loss}, network)
    assert selection.epoch == best and selection.state["weight"].item() == best
    assert selection.value == scores[best - 1][0 if metric == "exact_set" else 1]


def test_the_run_ends_with_the_weights_of_the_chosen_epoch(splits, tmp_path, monkeypatch, cpu):
    scripted = iter([0.2, 0.6, 0.4, 0.6])
    losses = iter([1.0, 2.0, 3.0, 4.0])
    monkeypatch.setattr(loop, "LOOKS", 1)
    monkeypatch.setattr(
        loop, "evaluate", lambda *_: {"loss": next(losses), "exact_set": next(scripted)}
    )
    objective = fresh(PLAIN, splits[0], cpu)
    states = []
    outcome = fit(
        objective,
        recipe(PLAIN, epochs=[4])["recipe"],
        *splits,
        seed=0,
        device=cpu,
        checkpoint=Checkpoint(tmp_path / "c.pt", ""),
        report=lambda line: states.append(copy.deepcopy(objective.state_dict())),
    )
    assert (outcome.selection.epoch, outcome.selection.value) == (2, 0.6)
    assert same(objective.state_dict(), states[1]) and not same(states[1], states[3])


def test_each_stream_ends_with_the_weights_of_its_own_best_epoch(
    tiny_system, splits, tmp_path, monkeypatch, cpu
):
    two_stream = tiny_system("two_stream_exact_narrow").definition()
    scores = {
        "exact_set": [0.1, 0.2, 0.3, 0.25],  # of the streams together, and at last of those chosen
        "exact_set_spatial": [0.5, 0.2, 0.1, 0.5],
        "exact_set_temporal": [0.1, 0.4, 0.3, 0.4],
    }
    rows = zip(*scores.values(), strict=True)
    scripted = iter([dict(zip(scores, row, strict=True)) for row in rows])
    monkeypatch.setattr(loop, "LOOKS", 1)
    monkeypatch.setattr(loop, "evaluate", lambda *_: {"loss": 1.0, **next(scripted)})
    objective = fresh(two_stream, splits[0], cpu)
    states = []
    outcome = fit(
        objective,
        recipe(two_stream, epochs=[3])["recipe"],
        *splits,
        seed=0,
        device=cpu,
        checkpoint=Checkpoint(tmp_path / "c.pt", ""),
        report=lambda line: states.append(copy.deepcopy(objective.state_dict())),
    )
    chosen = objective.state_dict()
    for stream, epoch in (("spatial", 1), ("temporal", 2)):
        names = [name for name in chosen if name.split(".")[1:2] == [stream]]
        assert any(name.startswith("heads") for name in names) and len(names) > 5
        for name in names:
            assert torch.equal(chosen[name], states[epoch - 1][name]), name
    record = outcome.selection.record()
    assert record["value"] == 0.25
    assert [(part["metric"], part["epoch"]) for part in record["apart"]] == [
        ("exact_set_spatial", 1),
        ("exact_set_temporal", 2),
    ]


def test_the_fusion_of_streams_is_scored_once_it_is_fitted(tiny_system, splits, tmp_path, cpu):
    two_stream = {**tiny_system("two_stream_exact_narrow").definition(), "first_seed": 0}
    objective = fresh(two_stream, splits[0], cpu)
    assert "exact_set_svm" not in evaluate(objective, splits[1], cpu)
    two_stream["first_seed"] = 0
    train(two_stream, splits, tmp_path / "trained")
    train(two_stream, splits, tmp_path / "untrained", run_seed=UNTRAINED)
    with open(tmp_path / "trained" / "history.csv", newline="") as file:
        assert "exact_set_svm" not in {row["metric"] for row in csv.DictReader(file)}
    for name in ("trained", "untrained"):
        fitted, _ = load_run(tmp_path / name, cpu)
        assert fitted.fusion_weight.any()
        assert "exact_set_svm" in evaluate(fitted, splits[1], cpu)


def test_each_stage_starts_from_the_best_of_the_one_before(splits, tmp_path, monkeypatch, cpu):
    scripted = iter([0.9, 0.1, 0.2, 0.3])  # the first epoch of stage one, the second of stage two
    monkeypatch.setattr(loop, "LOOKS", 1)
    monkeypatch.setattr(loop, "evaluate", lambda *_: {"loss": 1.0, "exact_set": next(scripted)})
    objective = fresh(STAGED, splits[0], cpu)
    states = []
    outcome = fit(
        objective,
        STAGED["recipe"],
        *splits,
        seed=0,
        device=cpu,
        checkpoint=Checkpoint(tmp_path / "c.pt", ""),
        report=lambda line: states.append(copy.deepcopy(objective.state_dict())),
    )
    cnn = [{name: tensor for name, tensor in state.items() if ".cnn." in name} for state in states]
    assert not same(cnn[0], cnn[1]) and same(cnn[2], cnn[0]) and same(cnn[3], cnn[0])
    assert outcome.selection.epoch == 4, "epochs are counted through all stages"
    for split, name in (("train", "loss"), ("validation", "exact_set")):
        assert [row[0] for row in outcome.history if row[1:3] == (split, name)] == [1, 2, 3, 4]


def test_scores_are_means_over_clips_whatever_the_batches(splits, monkeypatch, cpu):
    objective = fresh(RANDOM, splits[0], cpu)
    split = splits[0]
    monkeypatch.setattr(loop, "EVALUATION_BATCH", 5)  # 14 = 5 + 5 + 4
    means = evaluate(objective, split, cpu)
    assert not objective.training
    by_clip = [objective.score(split.batch(slice(i, i + 1), cpu)) for i in range(14)]
    for name, mean in means.items():
        assert mean == pytest.approx(np.mean([scores[name].item() for scores in by_clip]), rel=1e-5)


def test_fusion_is_fitted_on_validation_clips_after_the_choice(splits, tmp_path, cpu):
    train(RANDOM, splits, tmp_path)
    objective, _ = load_run(tmp_path, cpu)
    assert objective.fusion_weight.abs().sum() > 0
    again = fresh(RANDOM, splits[0], cpu)
    again.load_state_dict(
        {**objective.state_dict(), "fusion_weight": torch.zeros_like(objective.fusion_weight)}
    )
    again.eval().finish(splits[1].batches(100, cpu))
    assert torch.equal(again.fusion_weight, objective.fusion_weight)


# --- The loop itself. ---


class Recorder(Objective):
    """Keeps the first pixel of every clip it is trained on."""

    stages = ("train",)

    def __init__(self):
        nn.Module.__init__(self)
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))
        self.seen = []

    def loss(self, batch):
        self.seen.append((batch["clip"][:, 0, 0, 0, 0] * 255).round().int().tolist())
        return (self.weight * torch.tensor([30.0, 40.0])).sum()


@pytest.mark.parametrize(("batch", "sizes"), [(4, [4, 4, 4]), (7, [7, 7]), (99, [14])])
def test_an_epoch_sees_clips_in_order_and_drops_the_incomplete_batch(batch, sizes, splits, cpu):
    split = splits[0]
    objective = Recorder()
    split.clips[:, 0, 0, 0] = torch.arange(14, dtype=torch.uint8)
    order = torch.randperm(14)
    settings = {**PLAIN["recipe"], "batch": batch, "lr": 0.0}
    optimiser = make_optimiser(objective, settings, 0.0)
    counted = Progress(14, lambda line: None)
    loss = train_one_epoch(
        objective,
        split,
        optimiser,
        make_schedule(optimiser, settings, 9),
        settings,
        cpu,
        order,
        counted,
    )
    assert (
        list(map(len, objective.seen)) == sizes
        and list(chain(*objective.seen)) == order[: sum(sizes)].tolist()
    )
    assert loss == 250.0 and counted.seen == sum(sizes)


def test_labelled_partners_come_with_every_batch(splits, cpu):
    split = splits[0]
    objective = Recorder()
    partners = torch.tensor([3] * 7 + [5] * 7)
    split.clips[:, 0, 0, 0] = torch.arange(14, dtype=torch.uint8)
    objective.loss = lambda batch: Recorder.loss(objective, batch["labelled"])
    optimiser = make_optimiser(objective, {**PLAIN["recipe"], "batch": 7}, 0.0)
    settings = {**PLAIN["recipe"], "batch": 7}
    counted = Progress(14, lambda line: None)
    schedule = make_schedule(optimiser, settings, 9)
    train_one_epoch(
        objective, split, optimiser, schedule, settings, cpu, torch.randperm(14), counted, partners
    )
    assert objective.seen == [[3] * 7, [5] * 7]


def test_only_labelled_clips_count_where_labels_are_few(splits, tmp_path):
    changed = (splits[0], splits[1])
    train(recipe(PLAIN, labelled=2), splits, tmp_path / "few")
    train(recipe(PLAIN, labelled=None), splits, tmp_path / "all")
    rows = labelled_rows(splits[0].labels, 2, stream_seed(0, "labelled", 0))
    others = [i for i in range(14) if i not in rows.tolist()]
    changed[0].clips[others] = 255
    train(recipe(PLAIN, labelled=2), changed, tmp_path / "others_changed")
    few, same_few, everything = (
        torch.load(tmp_path / name / "weights.pt") for name in ("few", "others_changed", "all")
    )
    assert same(few, same_few) and not same(few, everything)


def test_flips_reach_the_objective(splits, cpu):
    split = splits[0]
    objective = Recorder()
    split.clips[:, 0, 0, 0], split.clips[:, 0, 0, -1] = 0, torch.arange(14, dtype=torch.uint8)
    settings = {**PLAIN["recipe"], "batch": 14, "lr": 0.0, "flip": 1.0}
    optimiser = make_optimiser(objective, settings, 0.0)
    schedule = make_schedule(optimiser, settings, 9)
    silent = Progress(14, lambda line: None)
    train_one_epoch(objective, split, optimiser, schedule, settings, cpu, torch.arange(14), silent)
    assert objective.seen == [list(range(14))]


@pytest.mark.parametrize(("clip", "step"), [(None, 50.0), (5.0, 5.0), (80.0, 50.0)])
def test_gradients_are_clipped_by_their_norm(clip, step, splits, cpu):
    objective = Recorder()
    settings = {**PLAIN["recipe"], "batch": 14, "gradient_clip": clip}
    optimiser = make_optimiser(objective, settings, 1.0)
    train_one_epoch(
        objective,
        splits[0],
        optimiser,
        make_schedule(optimiser, settings, 9),
        settings,
        cpu,
        torch.arange(14),
        Progress(1, print),
    )
    assert (objective.weight.detach() - torch.tensor([3.0, 4.0])).norm().item() == pytest.approx(
        step, rel=1e-5
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_optimisers_train_what_is_not_frozen(name, kind):
    objective = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    objective[0].requires_grad_(False)
    optimiser = make_optimiser(objective, {"optimiser": name, "weight_decay": 0.25}, 0.125)
    assert isinstance(optimiser, kind)
    (group,) = optimiser.param_groups
    assert group["params"] == list(objective[1].parameters()) and (
        group["lr"],
        group["weight_decay"],
    ) == (0.125, 0.25)
    assert name != "sgd" or group["momentum"] == 0.9
    assert name == "sgd" or group["eps"] == 1e-8


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimiser_solves_least_squares(name, schedule):
    """Every optimiser descends.

    A known bug made that impossible: ``epsilon=10^-8`` is -14 in Python, and Adam and RMSprop then
    climb.
    """
    torch.manual_seed(0)
    inputs = torch.randn(64, 3)
    wanted = torch.tensor([[1.0], [-2.0], [0.5]])
    model = nn.Linear(3, 1)
    settings = {"optimiser": name, "schedule": schedule, "weight_decay": 0.0}
    optimiser = make_optimiser(model, settings, 0.02)
    rates = make_schedule(optimiser, settings, 300)
    losses = []
    for _ in range(300):
        loss = (model(inputs) - inputs @ wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rates.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]
    assert name != "rmsprop" or optimiser.param_groups[0]["momentum"] == 0


def test_an_epsilon_of_minus_14_climbs_and_torch_refuses_it():
    assert 10 ^ -8 == -14
    weight = 1.0
    mean = 0.0
    square = 0.0
    losses = []
    for step in range(1, 51):  # Adam by hand on weight^2
        gradient = 2 * weight
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weight -= 0.01 * mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)) ** 0.5 + (10 ^ -8))
        losses.append(weight**2)
    assert losses == sorted(losses)
    with pytest.raises(ValueError, match="epsilon"):
        torch.optim.Adam([nn.Parameter(torch.zeros(1))], eps=10 ^ -8)


def test_steps_are_those_of_the_two_stream_paper():
    """0.01 for 50,000 of 80,000 iterations, a tenth of it up to 70,000, then a hundredth."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.01)
    schedule = make_schedule(optimiser, {"schedule": "steps"}, 80)
    rates = []
    for _ in range(80):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates == pytest.approx([0.01] * 50 + [0.001] * 20 + [0.0001] * 10)


def test_one_cycle_rises_for_a_fifth_and_falls_to_nothing():
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = make_schedule(optimiser, {"schedule": "one_cycle"}, 100)
    rates = []
    for _ in range(100):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.5, rel=1e-3) and abs(int(np.argmax(rates)) - 20) <= 1
    peak = int(np.argmax(rates))
    assert all(a < b for a, b in pairwise(rates[: peak + 1])) and all(
        a > b for a, b in pairwise(rates[peak:])
    )
    assert rates[0] == pytest.approx(0.5 / 25) and rates[-1] < 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"epochs": [1, 1]},
            r"recipe: epochs \[1, 1\] for the training stages train; give one number for each",
        ),
        (
            {"epochs": []},
            r"recipe: epochs \[\] for the training stages train; give one number for each",
        ),
        (
            {"lr": [0.1, 0.2]},
            r"recipe: lr \[0.1, 0.2\] for the training stages train; give one number for each",
        ),
        (
            {"optimiser": "lion"},
            "recipe: optimiser 'lion'; give one of adam, adamw, sgd, rmsprop, muon",
        ),
        (
            {"schedule": "cosine"},
            "recipe: schedule 'cosine'; give one of constant, one_cycle, steps",
        ),
        (
            {"lr": 1e30, "epochs": [2]},
            "the training loss became (nan|inf); lower the recipe's lr or set its gradient_clip",
        ),
    ],
)
def test_bad_recipes_end_in_one_line_and_write_nothing(changes, message, splits, tmp_path):
    lines = []
    with pytest.raises(ValueError, match=f"^{message}$"):
        train(recipe(PLAIN, **changes), splits, tmp_path, report=lines.append)
    assert len(lines) <= 1 and {path.name for path in tmp_path.iterdir()} <= {"checkpoint.pt"}


def test_each_stage_needs_its_rate(splits, tmp_path):
    with pytest.raises(
        ValueError, match=r"recipe: lr \[0.1\] for the training stages frames, sequence"
    ):
        train(recipe(STAGED, lr=[0.1]), splits, tmp_path)
    assert not list(tmp_path.iterdir()), "not even the first stage was begun"


# --- Untrained baselines. ---


def test_an_untrained_baseline_has_the_initial_weights_of_the_first_seed(splits, tmp_path, cpu):
    record = train(PLAIN, splits, tmp_path / "untrained", seed=5, run_seed=UNTRAINED)
    untrained = torch.load(tmp_path / "untrained" / "weights.pt")
    assert same(
        untrained,
        fresh(PLAIN, splits[0], cpu, seed=stream_seed(5, "run", "plain", 7, "init")).state_dict(),
    )
    # A run that learns nothing keeps its initial weights, all but the running statistics of batch
    # norm.
    train(recipe(PLAIN, lr=0.0), splits, tmp_path / "first", seed=5, run_seed=7)
    train(recipe(PLAIN, lr=0.0), splits, tmp_path / "second", seed=5, run_seed=8)
    names = dict(fresh(PLAIN, splits[0], cpu).named_parameters())
    first, second = (torch.load(tmp_path / name / "weights.pt") for name in ("first", "second"))
    assert all(torch.equal(untrained[name], first[name]) for name in names)
    assert not any(
        torch.equal(untrained[name], second[name])
        for name in names
        if name.endswith("weight") and untrained[name].ndim > 1
    )
    assert record["selected"]["epoch"] == 0 and record["seed"] == UNTRAINED
    rows = list(csv.DictReader((tmp_path / "untrained" / "history.csv").open()))
    assert {(row["epoch"], row["split"]) for row in rows} == {("0", "validation")}
    assert {row["metric"] for row in rows} == {"loss", "exact_set"}


def test_initial_weights_do_not_depend_on_the_data(splits, make_split, tmp_path):
    train(PLAIN, splits, tmp_path / "a", run_seed=UNTRAINED)
    train(PLAIN, (make_split(6, seed=8), make_split(5, seed=9)), tmp_path / "b", run_seed=UNTRAINED)
    assert (tmp_path / "a" / "weights.pt").read_bytes() == (
        tmp_path / "b" / "weights.pt"
    ).read_bytes()


def test_controls_have_nothing_to_learn(splits, tmp_path, cpu):
    control = {**PLAIN, "name": "pixels", "model": "pixels", "params": {}, "objective": "none"}
    record = train(control, splits, tmp_path, run_seed=UNTRAINED)
    assert (record["parameters"], record["macs_per_clip"]) == (0, 0)
    assert (tmp_path / "history.csv").read_text() == "epoch,split,metric,value\n"
    objective, _ = load_run(tmp_path, cpu)
    assert objective.embed(splits[0].batch(slice(0, 2), cpu)).shape == (2, 8 * 16 * 16)


# --- What is written, and read again. ---


def test_runs_say_whether_their_embeddings_have_collapsed(tiny_system, splits, tmp_path, cpu):
    """The spread of the chosen weights is held against that of the untrained baseline."""
    system = tiny_system("temporal_coherence_narrow", recipe={"epochs": [2], "labelled": 6})
    definition = {**system.definition(), "first_seed": 0}
    record = train(definition, splits, tmp_path / "trained")
    untrained = train(definition, splits, tmp_path / "untrained", run_seed=UNTRAINED)
    found = {}
    for name in ("trained", "untrained"):
        objective, _ = load_run(tmp_path / name, cpu)
        found[name] = evaluate(objective, splits[1], cpu)["embedding_std"]
    assert untrained["collapse"] is None and record["collapse"] == {
        "metric": "embedding_std",
        **found,
        "collapsed": False,
    }
    assert train(PLAIN, splits, tmp_path / "plain")["collapse"] is None


@pytest.mark.parametrize(("kept", "collapsed"), [(0.021, False), (0.019, True)])
def test_a_fifth_of_the_first_spread_is_a_collapse(kept, collapsed):
    history = [(0, "validation", "std", 0.1), (1, "train", "loss", 3.0)]
    history += [(1, "validation", "std", 0.5), (2, "validation", "std", kept)]
    outcome = collapse(history, "std", 2)
    assert outcome == {"metric": "std", "untrained": 0.1, "trained": kept, "collapsed": collapsed}
    line = warning(outcome) or ""
    assert ("collapsed" in line and "std 0.019 where it was 0.1 before" in line) == collapsed


def test_the_record_says_what_was_done(splits, tmp_path, cpu):
    record = train(PLAIN, splits, tmp_path, seed=3, run_seed=7)
    assert record["system"] == PLAIN and (
        record["seed"],
        record["experiment_seed"],
        record["dataset"],
    ) == (7, 3, "d")
    assert record["data_shape"] == {"clip": [1, 8, 16, 16], "classes": 4, "multi_label": True}
    conv = 3 * 27 + 3 + 2 * 3 + 4 * 3 * 27 + 4 + 2 * 4
    head = 8 * (4 * 4 * 4 * 4 + 1)
    assert record["parameters"] == conv + head
    # conv1 on 8 x 16 x 16, conv2 on 8 x 8 x 8 places; the head does not count
    assert record["macs_per_clip"] == 8 * 16 * 16 * 27 * 3 + 8 * 8 * 8 * 27 * 3 * 4
    assert (
        record["train_clips_per_s"] > 0 and record["infer_clips_per_s"] > 0 and record["wall_s"] > 0
    )
    assert record["peak_bytes"] > 50e6, "torch alone takes more"
    assert (record["device"], record["precision"], record["threads"]) == (
        "cpu",
        "float32",
        torch.get_num_threads(),
    )
    assert record["selected"]["metric"] == "exact_set" and record["selected"]["epoch"] == 1
    assert record["versions"]["torch"] == torch.__version__ and re.fullmatch(
        r"[0-9a-f]{40}(-dirty)?|unknown", record["git_commit"]
    )
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    within = [row for row in rows if row["epoch"] != "1"]
    assert {float(row["epoch"]) for row in within} <= {0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875}
    assert len({row["epoch"] for row in within}) == 2, "after each of three steps but the last"
    assert {row["split"] for row in within} == {"validation"} and record["converged"] is None
    rows = rows[len(within) :]
    assert [(row["epoch"], row["split"], row["metric"]) for row in rows] == [
        ("1", "train", "loss"),
        ("1", "validation", "loss"),
        ("1", "validation", "exact_set"),
    ]
    assert float(rows[2]["value"]) == record["selected"]["value"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.csv",
        "run.json",
        "weights.pt",
    ]


@pytest.mark.parametrize("definition", [RANDOM, STAGED, PLAIN], ids=["random", "staged", "plain"])
def test_a_loaded_run_scores_as_it_did(definition, splits, tmp_path, cpu):
    record = train(definition, splits, tmp_path)
    objective, again = load_run(tmp_path, cpu)
    assert again == record and not objective.training
    scores = evaluate(objective, splits[1], cpu)
    assert scores[record["selected"]["metric"]] == record["selected"]["value"]
    rows = csv.DictReader((tmp_path / "history.csv").open())
    written = {
        row["metric"]: float(row["value"])
        for row in rows
        if row["epoch"] == str(record["selected"]["epoch"]) and row["split"] != "train"
    }
    assert scores["loss"] == pytest.approx(written["loss"], rel=1e-6)


def test_multiply_adds_count_every_sample(splits, cpu):
    objective = fresh(RANDOM, splits[0], cpu)
    # two samples, 8 x 8 places, 3 x 3 kernels, 3 maps; times the channels of each stream
    conv = 2 * 8 * 8 * 9 * 3
    dense = 2 * (3 * 4 * 4) * 6
    assert count_macs(objective, splits[0], cpu) == conv * (1 + 2 * 3) + 2 * dense
    assert count_parameters(objective) == sum(tensor.numel() for tensor in objective.parameters())


@pytest.mark.parametrize("name", ["c3d_narrow", "two_stream_exact_narrow", "lstm_composite_narrow"])
def test_runs_and_the_catalogue_count_the_same_multiply_adds(name, make_split, cpu):
    told = describe(name)
    _, frames, side, _ = told["clip"]
    split = make_split(2, frames=frames, side=side, classes=10)
    objective = build(system(name).definition(), split.shape)
    assert count_macs(objective, split, cpu) == told["macs_per_clip"] > 0


def test_weights_that_do_not_fit_are_named(tmp_path):
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = network.state_dict()
    torch.save(
        {
            **{k: v for k, v in state.items() if k != "0.bias"},
            "2.bias": torch.zeros(1),
            "1.weight": torch.zeros(1, 4),
        },
        tmp_path / "w.pt",
    )
    with pytest.raises(ValueError) as error:
        load_weights(network, tmp_path / "w.pt")
    problems = "1.weight is (1, 4), the network wants (1, 3); missing 0.bias; unexpected 2.bias"
    assert str(error.value) == f"{tmp_path / 'w.pt'} does not fit the network: {problems}"
    torch.save({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "w.pt")
    expected = state["1.weight"] + 1
    load_weights(network, tmp_path / "w.pt")
    assert torch.equal(network[1].weight, expected)
    with pytest.raises(OSError, match=r"run\.json"):
        load_run(tmp_path, Device(torch.device("cpu"), "float32"))


# --- Progress. ---


def test_progress_tells_rate_and_time_left(monkeypatch):
    now = [100.0]
    lines = []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Progress(1000, lines.append)
    for seconds in (10, 10, 15):
        now[0] += seconds
        shown.advance(70)
    assert lines == ["21 % (6 clips/s, 2:11 left)"], (
        "210 clips in 35 s are 6 a second; the other 790 take 131.7 s"
    )
    now[0] += 5
    shown.advance(190)
    shown.epoch("train", 1, 4, 0.12345, {"loss": 1.5, "exact_set": 0.25})
    assert lines[1:] == [
        "train epoch 1/4: training loss 0.123; validation loss 1.500, exact_set 0.250 (10 clips/s,"
        " 1:00 left)"
    ]


def test_runs_report_every_epoch(splits, tmp_path):
    lines = []
    train(STAGED, splits, tmp_path, report=lines.append)
    form = (
        r"%s epoch %d/2: training loss \d+\.\d{3}; validation loss \d+\.\d{3}, exact_set"
        r" [01]\.\d{3}"
    )
    form += r" \(\d+ clips/s, \d+:\d\d left\)"
    for line, (stage, epoch) in zip(
        lines, [("frames", 1), ("frames", 2), ("sequence", 1), ("sequence", 2)], strict=True
    ):
        assert re.fullmatch(form % (stage, epoch), line), line


# --- Data on its way to the network. ---


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_what_networks_take(make_split, cpu, channels):
    split = make_split(5, channels=channels)
    assert split.shape.clip == (channels, 8, 16, 16) and split.shape.classes == 4
    batch = split.batch(torch.tensor([3, 0]), cpu)
    clips = split.clips.numpy().reshape(5, 8, 16, 16, channels)
    for row, clip in enumerate((3, 0)):
        np.testing.assert_allclose(
            batch["clip"][row], np.moveaxis(clips[clip], 3, 0) / 255.0, rtol=1e-6
        )
        np.testing.assert_array_equal(
            batch["flow"][row], np.moveaxis(split.flow.numpy()[clip].astype(np.float32), 1, 0)
        )
        np.testing.assert_array_equal(batch["labels"][row], split.labels[clip])
    assert batch.pop("row").tolist() == [3, 0]
    assert {tensor.dtype for tensor in batch.values()} == {torch.float32} and batch[
        "clip"
    ].max() <= 1
    assert [len(batch["clip"]) for batch in split.batches(2, cpu)] == [2, 2, 1]


def test_splits_are_read_from_files(make_split, tmp_path):
    split = make_split(6)
    attrs = {"dataset": "d", "split": "test", "multi_label": True, "classes": list("abcd")}
    write_clips(
        tmp_path / "test.h5",
        {"clips": split.clips.numpy(), "labels": split.labels.numpy(), "factors": {}},
        attrs,
    )
    write_flow(tmp_path / "true.zarr", [split.flow.numpy()], tuple(split.flow.shape), {})
    read = load_split(SplitFiles(tmp_path / "test.h5", tmp_path / "true.zarr"), 4)
    assert torch.equal(read.clips, split.clips[:4]) and torch.equal(read.labels, split.labels[:4])
    assert torch.equal(read.flow, split.flow[:4]) and read.multi_label
    assert read.ids == clip_ids(split.clips.numpy(), "d", "test")[:4]
    clips_alone = load_split(SplitFiles(tmp_path / "test.h5"))
    assert clips_alone.flow is None and len(clips_alone) == 6
    for shape in [(5, 7, 2, 16, 16), (6, 6, 2, 16, 16), (6, 7, 2, 16, 8)]:
        write_flow(tmp_path / "other.zarr", [np.zeros(shape, np.float16)], shape, {})
        with pytest.raises(
            ValueError,
            match=r"other\.zarr: flow of shape .* does not belong to clips of shape .*test\.h5",
        ):
            load_split(SplitFiles(tmp_path / "test.h5", tmp_path / "other.zarr"))


def test_backward_flow_and_targets_are_read_where_they_are_asked_for(make_split, tmp_path, cpu):
    split = make_split(6)
    attrs = {"dataset": "d", "split": "test", "multi_label": True, "classes": list("abcd")}
    content = {"clips": split.clips.numpy(), "labels": split.labels.numpy()}
    write_clips(
        tmp_path / "test.h5",
        {**content, "factors": {"speed_class": np.arange(12).reshape(6, 2) % 10}},
        attrs,
    )
    write_flow(tmp_path / "true_backward.zarr", [split.flow.numpy()], tuple(split.flow.shape), {})
    clips_alone = SplitFiles(tmp_path / "test.h5")
    with_flow = replace(clips_alone, flow_backward=tmp_path / "true_backward.zarr")
    read = load_split(with_flow, 5, targets=["speeds"])
    batch = read.batch(torch.tensor([4, 1]), cpu)
    assert set(batch) == {"clip", "labels", "row", "flow_backward", "speeds"}
    assert (
        batch["row"].tolist() == [4, 1]
        and batch["speeds"].argmax(1).tolist() == [8, 2]
        and batch["speeds"].sum() == 4
    )
    assert torch.equal(batch["flow_backward"], split.flow[[4, 1]].transpose(1, 2).float())
    assert set(load_split(clips_alone).batch(slice(0, 2), cpu)) == {
        "clip",
        "labels",
        "row",
    }
    assert len({read.checksum(), load_split(clips_alone, 5).checksum()}) == 2
    with pytest.raises(
        ValueError,
        match="target 'directions' needs the factor direction_rad; this data set has speed_class",
    ):
        load_split(clips_alone, targets=["directions"])


def test_devices_are_chosen_in_one_place(monkeypatch):
    chosen = device.choose(0, "bfloat16")
    assert (chosen.device.type, chosen.precision) == ("cpu", "bfloat16")
    assert device.choose().precision == "float32", "on every CPU, with bfloat16 units or without"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for native, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda native=native: native)
        chosen = device.choose(1)
        assert (chosen.device.type, chosen.precision) == ("cuda", precision)
    assert device.choose(1, "float32").precision == "float32"
    with pytest.raises(
        ValueError,
        match=r"config key training.precision: 'half'; give one of auto, float32, bfloat16",
    ):
        device.choose(0, "half")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="a GPU was granted to this job but CUDA sees none"):
        device.choose(1)


@pytest.mark.slow
def test_the_narrow_systems_end_to_end(narrow, tiny_system, splits, tmp_path, cpu):
    stages = len(tiny_system(narrow).recipe["epochs"])
    system: System = tiny_system(narrow, recipe={"epochs": [1] * stages, "batch": 7})
    record = train({**system.definition(), "first_seed": 0}, splits, tmp_path)
    objective, _ = load_run(tmp_path, cpu)
    assert evaluate(objective, splits[1], cpu)[objective.selection[0]] == pytest.approx(
        record["selected"]["value"], rel=1e-6
    )
