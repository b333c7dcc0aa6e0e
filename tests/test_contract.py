"""One suite over the catalogue: every system keeps the contract of models and objectives.

Narrow systems and controls run at their ``tiny`` size, on clips of 8 frames and 16 x 16 pixels;
combinations of models and objectives that no entry joins, on clips of the default experiment. Every
system runs without memory at the size it is described for. With all their width, reference systems
run on the smallest frames that they accept (marker ``reference``, minutes).
"""

import json
from dataclasses import dataclass

import pytest
import torch

from vidrep.activations.capture import capturing
from vidrep.activations.pooling import by_clip, pool
from vidrep.listing import CLASSES, CLIPS, blank_batch, clip_shape
from vidrep.objectives.base import DataShape, Objective, streams
from vidrep.objectives.build import build
from vidrep.systems import System, catalogue, system
from vidrep.training.optimisers import make_optimiser
from vidrep.training.run import load_weights, write_weights
from vidrep.training.split import Split

MANY_UNITS = 256  # LSTMs of thousands of units are cut to this

SMALL_C3D = {
    "model": "c3d",
    "params": {"stem": [4, 3, [1, 2, 2]], "stages": [[8, 1, 2], [8, 1, 2]]},
}
PREDICTION = {"observed": 10, "parts": ["prediction"], "units": 16}
# Models and objectives that no catalogue entry joins, as items of the configuration's systems.
CROSSINGS = [
    {
        "name": "c3d_predicts",
        **SMALL_C3D,
        "objective": "lstm_composite",
        "objective_params": PREDICTION,
    },
    {
        "name": "conv_lstm_predicts",
        "model": "conv_lstm",
        "params": {"stages": [[4, 2], [4, 2]], "stem_channels": 4},
        "objective": "lstm_composite",
        "objective_params": PREDICTION,
    },
    {
        "name": "c3d_aligns",
        **SMALL_C3D,
        "objective": "cycle_consistency",
        "objective_params": {"window": 8},
    },
    {
        "name": "cnn_lstm_contrasts_times",
        "model": "cnn_lstm",
        "params": {"convs": [[4, 3, 2], [8, 3, 2]], "units": 16, "num_layers": 1},
        "objective": "cycle_consistency",
        "objective_params": {"weights": {"tcn": 1.0}},
    },
    {
        "name": "lstm_encoder_classifies",
        "model": "lstm_encoder",
        "params": {"units": 16, "num_layers": 2},
    },
    {
        "name": "st_autoencoder_classifies",
        "model": "st_autoencoder",
        "params": {
            "channels": 4,
            "memory_channels": 6,
            "kernel": 3,
            "memory_kernel": 3,
            "flow_kernel": 5,
        },
    },
    {
        "name": "simvp_classifies",
        "model": "simvp",
        "params": {"channels": 4, "translator_channels": 16, "translator_depth": 2},
    },
    {
        "name": "pred_rnn_classifies",
        "model": "pred_rnn",
        "params": {"channels": 8, "depth": 2, "kernel": 3},
    },
]


@dataclass
class Case:
    """One system, built for clips it can be run on.

    Attributes:
        chosen: the system.
        clips: a few random clips of it.
        objective: the system built for them, with the initial weights of seed 0.
    """

    chosen: System
    clips: Split
    objective: Objective

    def build(self, seed: int = 0) -> Objective:
        """The system with the initial weights of a seed."""
        return built(self.chosen, self.clips.shape, seed)

    def batch(self, device, count: int | None = None) -> dict[str, torch.Tensor]:
        """The first ``count`` clips as a batch, with labelled ones where the objective asks."""
        batch = self.clips.batch(slice(count), device)
        return {**batch, "labelled": batch} if self.objective.semi_supervised else batch


def built(chosen: System, shape: DataShape, seed: int = 0) -> Objective:
    torch.manual_seed(seed)
    return build(chosen.definition(), shape)


def presets(*wanted: str) -> list[str]:
    """Names of the catalogue's systems of these presets."""
    return sorted(name for name, entry in catalogue().items() if entry["preset"] in wanted)


TINY = [*presets("narrow", "control"), *(item["name"] for item in CROSSINGS)]
REFERENCE = presets("reference")


def cases(channels: tuple[int, ...] = (1, 3)):
    """Parametrises ``case``: every system in grey, in colour, or in both; crossings in grey."""
    chosen = []
    for name in (*TINY, *REFERENCE):
        marks = pytest.mark.reference if name in REFERENCE else ()
        for depth in channels if name in catalogue() else (1,):
            colour = "grey" if depth == 1 else "colour"
            chosen.append(pytest.param((name, depth), marks=marks, id=f"{name}-{colour}"))
    return pytest.mark.parametrize("case", chosen, indirect=True, scope="module")


in_grey_and_colour = cases()
in_grey = cases(channels=(1,))  # colour changes a system's first layer only


@pytest.fixture(scope="module")
def case(request, make_split, tiny_system) -> Case:
    name, channels = request.param
    crossing = next((item for item in CROSSINGS if item["name"] == name), None)
    if crossing:
        chosen = system(crossing)
        _, frames, side, _ = CLIPS["narrow"]
        classes = CLASSES
    elif name in REFERENCE:
        chosen = with_few_units(name)
        frames = clip_shape(name)[1]
        classes = CLASSES
        side = smallest_side(chosen, channels, frames, classes)
    else:
        chosen = tiny_system(name)
        frames, side, classes = 8, 16, 4
    count = 3 if name in REFERENCE else 16
    clips = make_split(count, frames=frames, side=side, classes=classes, channels=channels)
    return Case(chosen, clips, built(chosen, clips.shape))


def with_few_units(name: str) -> System:
    """A reference system with small frames for its trunk and without thousands of units."""
    params = catalogue()[name].get("params", {})
    changes = {}
    if params.get("trunk", "digit_cnn") != "digit_cnn":  # published trunks enlarge small frames
        changes["image_px"] = 32
    if params.get("units", 0) > MANY_UNITS:
        changes["units"] = MANY_UNITS
    return system({"name": name, "params": changes})


def fits(chosen: System, clip: tuple[int, ...], classes: int) -> str | None:
    """None if a system can be built for clips of shape ``clip``, else the one-line reason."""
    try:
        with torch.device("meta"):
            built(chosen, DataShape(clip, classes, multi_label=True))
    except ValueError as error:
        return str(error)
    return None


def smallest_side(chosen: System, channels: int, frames: int, classes: int) -> int:
    return next(
        side
        for side in range(1, 300)
        if fits(chosen, (channels, frames, side, side), classes) is None
    )


def check_layers(objective: Objective, batch: dict, count: int) -> None:
    """Layers are real, run in order, give one tensor, batch first, and end in the embedding."""
    objective.eval()
    layers = tuple(objective.model.layers)
    by_hand = {}

    def keep(name: str):
        def hook(module, inputs, output) -> None:
            by_hand[name] = output.clone()  # a later layer might overwrite its input

        return hook

    handles = [
        objective.model.get_submodule(name).register_forward_hook(keep(name)) for name in layers
    ]
    with torch.no_grad(), capturing(objective.model, layers) as captured:
        embeddings = list(streams(objective.embed(batch)).values())
    for handle in handles:
        handle.remove()
    assert list(captured) == list(layers)
    joined = embeddings[0]
    if len(embeddings) > 1:
        joined = torch.cat([stream.mean(1) for stream in embeddings], 1)
    by_clip_captured = {
        name: by_clip(output, objective.rows_per_clip) for name, output in captured.items()
    }
    for name, output in by_clip_captured.items():
        assert len(output) == count and output.ndim in (2, 3, 5), name
        assert len(pool(output, [2, 1, 1])) == count, name
    last = by_clip_captured[layers[-1]]
    assert last.shape == joined.shape
    if last.is_meta:
        return
    for name, output in captured.items():
        assert torch.equal(output, by_hand[name]), name
        assert output.isfinite().all(), name
        assert output.std() > 0 or name == "flow", name  # flow starts at zero
    assert torch.equal(last, joined)


@in_grey_and_colour
def test_layers_are_real_and_in_order_and_end_in_the_embedding(case, cpu):
    check_layers(case.objective, case.batch(cpu, 3), 3)


@pytest.mark.parametrize("name", sorted(catalogue()))
@pytest.mark.slow
def test_every_system_is_built_at_its_size_and_fits_its_recipe(name):
    """On the meta device: reference sizes need gigabytes."""
    chosen = system(name)
    clip = clip_shape(name)
    definition = json.loads(json.dumps(chosen.definition()))
    with torch.device("meta"):
        objective = build(definition, DataShape(clip, CLASSES, multi_label=True))
        check_layers(objective, blank_batch(clip, 2), 2)
    assert objective.model.inputs == chosen.inputs
    if chosen.preset == "control":
        assert objective.stages == () and chosen.seeds == ()
        return
    assert len(chosen.recipe["epochs"]) == len(objective.stages)
    rates = chosen.recipe["lr"]
    assert not isinstance(rates, list) or len(rates) == len(objective.stages)


def wanted_loss(chosen: System) -> float:
    """The share of the first loss that twelve steps must undercut.

    Three steps of a reference system must undercut the first loss at all.
    """
    if chosen.preset in ("reference", "own"):
        return 1.0
    if chosen.weights or chosen.name.startswith("lstm"):
        return 0.98  # these start slowly; without its weights a frozen CNN is random
    return 0.9 if chosen.name.startswith(("timesformer", "window_lstm")) else 0.8


@in_grey
def test_every_trained_parameter_gets_a_gradient_and_the_loss_falls(case, cpu):
    if not case.objective.stages:
        pytest.skip("a control is not trained")
    reference = case.chosen.preset == "reference"
    recipe = case.chosen.recipe
    objective = case.build()
    batch = case.batch(cpu)
    reached = set()
    trained = {name for name, parameter in objective.named_parameters() if parameter.requires_grad}
    for index, (stage, epochs) in enumerate(zip(objective.stages, recipe["epochs"], strict=True)):
        if epochs == 0 and reference:
            continue  # a fit in closed form takes minutes at the published size
        objective.start_stage(stage)
        objective.train()
        objective.prepare(stage, [batch])
        if epochs == 0:
            continue
        parameters = {
            name: parameter
            for name, parameter in objective.named_parameters()
            if parameter.requires_grad
        }
        if reference:
            optimiser = torch.optim.Adam(parameters.values(), lr=1e-4)
        else:
            lr = recipe["lr"][index] if isinstance(recipe["lr"], list) else recipe["lr"]
            optimiser = make_optimiser(objective, recipe, lr)
        losses = []
        for _ in range(4 if reference else 12):
            objective.train()
            torch.manual_seed(1)  # the same frames, masks and dropout at every step
            loss = objective.loss(batch)
            assert loss.ndim == 0 and loss.isfinite()
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            for name, parameter in parameters.items():
                if parameter.grad is not None:
                    assert parameter.grad.isfinite().all(), name
                    if parameter.grad.any():
                        reached.add(name)
            optimiser.step()
        last = min(losses[1:]) if wanted_loss(case.chosen) == 1 else losses[-1]
        assert last < wanted_loss(case.chosen) * losses[0], f"stage {stage}: {losses}"
    assert trained - reached == set(), "no gradient"


@in_grey_and_colour
def test_scores_are_one_value_a_clip(case, cpu):
    objective = case.objective.eval()
    with torch.no_grad():
        scores = objective.score(case.batch(cpu, 3))
    for name, values in scores.items():
        assert values.shape == (3,) and values.isfinite().all(), name
    if objective.stages:
        assert {"loss", objective.selection[0]} <= set(scores)


@in_grey
def test_deterministic_under_a_seed_and_through_a_file(case, tmp_path, cpu):
    first = case.objective
    again = case.build()
    other = case.build(seed=7)
    batch = case.batch(cpu, 3)
    for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    outputs = []
    for objective in (first, again):
        objective.eval()
        torch.manual_seed(3)
        with torch.no_grad():
            outputs.append(streams(objective.embed(batch)))
    assert all(torch.equal(outputs[0][name], outputs[1][name]) for name in outputs[0])
    if list(first.parameters()):
        assert not all(map(torch.equal, first.parameters(), other.parameters()))
    write_weights(first, tmp_path / "weights.pt")
    load_weights(other, tmp_path / "weights.pt")
    with torch.no_grad():
        loaded = streams(other.eval().embed(batch))
    assert all(torch.equal(outputs[0][name], loaded[name]) for name in loaded)


@in_grey
@pytest.mark.slow
def test_smallest_legal_sizes_run_and_smaller_ones_say_why(case):
    frames = case.clips.shape.clip[1]
    classes = case.clips.shape.classes
    side = smallest_side(case.chosen, 1, frames, classes)
    fewest = next(
        count
        for count in range(1, 300)
        if fits(case.chosen, (1, count, side, side), classes) is None
    )
    for clip in {(1, frames, side, side), (1, fewest, side, side)}:
        with torch.device("meta"), torch.no_grad():
            objective = built(case.chosen, DataShape(clip, classes, multi_label=True)).eval()
            embeddings = streams(objective.embed(blank_batch(clip, 3, classes)))
            assert all(len(embedding) == 3 for embedding in embeddings.values())
    for clip in [(1, frames, side - 1, side - 1), (1, fewest - 1, side, side)]:
        reason = fits(case.chosen, clip, classes)
        assert reason and "\n" not in reason, clip
