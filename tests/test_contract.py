"""Every system of the catalogue keeps the contract of models and objectives, in grey and in colour.

Narrow systems and controls run on clips of the default experiment; reference systems, which would
take gigabytes and minutes at their published size, run on the smallest frames that they accept,
with all their width but that of LSTMs of thousands of units.
"""

import io
from dataclasses import dataclass

import pytest
import torch

from vidrep.activations.capture import capturing
from vidrep.activations.pooling import by_clip, pool
from vidrep.listing import CLASSES, CLIPS, blank_batch, build_on_meta, clip_shape
from vidrep.objectives.base import DataShape, Objective, streams
from vidrep.objectives.build import build
from vidrep.systems import System, catalogue, system
from vidrep.training.run import load_weights

BATCH = 3
MANY_UNITS = 256
STEPS = {"narrow": 6, "own": 6, "reference": 3}
RATE = {"narrow": 1e-3, "own": 1e-3, "reference": 1e-4}

# Models and objectives that no catalogue entry joins, as items of the configuration's systems; in
# grey, at the narrow size.
SMALL_C3D = {
    "model": "c3d",
    "params": {"stem": [4, 3, [1, 2, 2]], "stages": [[8, 1, 2], [8, 1, 2]]},
}
CROSSINGS = [
    {
        "name": "c3d_predicts",
        **SMALL_C3D,
        "objective": "lstm_composite",
        "objective_params": {"observed": 10, "parts": ["prediction"], "units": 16},
    },
    {
        "name": "conv_lstm_predicts",
        "model": "conv_lstm",
        "params": {"stages": [[4, 2], [4, 2]], "stem_channels": 4},
        "objective": "lstm_composite",
        "objective_params": {"observed": 10, "parts": ["prediction"], "units": 16},
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


def fits(chosen: System, shape: tuple[int, ...]) -> str | None:
    """None if a system can be built for clips of ``shape``, else the one-line reason."""
    try:
        build_on_meta(chosen, shape)
    except ValueError as error:
        return str(error)
    return None


def smallest_side(chosen: System, channels: int, frames: int) -> int:
    return next(
        side for side in range(1, 300) if fits(chosen, (channels, frames, side, side)) is None
    )


@dataclass
class Case:
    """One system, built for clips it can be run on."""

    chosen: System
    shape: tuple[int, int, int, int]
    objective: Objective

    def batch(self, seed: int = 0) -> dict[str, torch.Tensor]:
        """Random clips of two labels each, and random flow."""
        generator = torch.Generator().manual_seed(seed)
        batch = {
            name: torch.rand(value.shape, generator=generator)
            for name, value in blank_batch(self.shape, BATCH).items()
        }
        batch["row"] = torch.arange(BATCH)
        batch["labels"] = torch.eye(CLASSES)[:BATCH] + torch.eye(CLASSES)[1 : BATCH + 1]
        return {**batch, "labelled": batch} if self.objective.semi_supervised else batch


def new(chosen: System, shape: tuple[int, ...], seed: int = 0) -> Objective:
    torch.manual_seed(seed)
    return build(chosen.definition(), DataShape(tuple(shape), CLASSES, multi_label=True))


def cases(narrow: tuple[int, ...], reference: tuple[int, ...]):
    """Parametrises ``case``: numbers of channels for narrow systems and controls, and for reference
    systems; crossings.
    """
    chosen = [
        (name, channels)
        for name in sorted(catalogue())
        for channels in (reference if catalogue()[name]["preset"] == "reference" else narrow)
    ]
    names = [f"{name}-{'grey' if channels == 1 else 'colour'}" for name, channels in chosen]
    names += [item["name"] for item in CROSSINGS]
    chosen += [(item, 1) for item in CROSSINGS]
    return pytest.mark.parametrize("case", chosen, indirect=True, ids=names, scope="module")


every_case = cases(narrow=(1, 3), reference=(1, 3))
every_size = cases(narrow=(1,), reference=(1,))  # colour changes a system's first layer only


@pytest.fixture(scope="module")
def case(request) -> Case:
    name, channels = request.param
    if isinstance(name, dict):
        chosen = system(name)
        shape = CLIPS["narrow"]
        return Case(chosen, shape, new(chosen, shape))
    params = catalogue()[name].get("params", {})
    # published trunks enlarge small frames
    small = {"image_px": 32} if params.get("trunk", "digit_cnn") != "digit_cnn" else {}
    if params.get("units", 0) > MANY_UNITS:
        small["units"] = MANY_UNITS
    chosen, (_, frames, *side) = system({"name": name, "params": small}), clip_shape(name)
    if chosen.preset == "reference":
        side = [smallest_side(chosen, channels, frames)] * 2
    shape = (channels, frames, *side)
    return Case(chosen, shape, new(chosen, shape))


@every_case
def test_layers_are_real_and_in_order_and_end_in_the_embedding(case):
    objective = case.objective.eval()
    with torch.no_grad(), capturing(objective.model, tuple(objective.model.layers)) as captured:
        embeddings = list(streams(objective.embed(case.batch())).values())
    assert list(captured) == list(objective.model.layers)
    captured = {name: by_clip(output, objective.rows_per_clip) for name, output in captured.items()}
    for name, output in captured.items():
        assert len(output) == BATCH and output.ndim in (2, 3, 5) and output.isfinite().all(), name
        assert pool(output, [2, 1, 1]).shape[0] == BATCH
    joined = (
        torch.cat([stream.mean(1) for stream in embeddings], 1)
        if len(embeddings) > 1
        else embeddings[0]
    )
    assert torch.equal(captured[objective.model.layers[-1]], joined)


@every_size
def test_every_trained_parameter_gets_a_gradient_and_the_loss_falls(case):
    if not case.objective.stages:
        pytest.skip("a control is not trained")
    objective = new(case.chosen, case.shape)
    batch = case.batch()
    reached = set()
    trained = {name for name, parameter in objective.named_parameters() if parameter.requires_grad}
    for stage, epochs in zip(objective.stages, case.chosen.recipe["epochs"], strict=True):
        if epochs == 0 and case.chosen.preset == "reference":
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
        optimiser = torch.optim.Adam(parameters.values(), lr=RATE[case.chosen.preset])
        losses = []
        for _ in range(STEPS[case.chosen.preset] + 1):
            objective.train()
            torch.manual_seed(1)  # the same dropout and the same sampled positions at every step
            loss = objective.loss(batch)
            assert loss.ndim == 0 and loss.isfinite()
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            for name, parameter in parameters.items():
                assert parameter.grad is None or parameter.grad.isfinite().all(), name
            reached |= {
                name
                for name, parameter in parameters.items()
                if parameter.grad is not None and parameter.grad.any()
            }
            optimiser.step()
        assert min(losses[1:]) < losses[0], f"stage {stage}: {losses}"
    assert trained - reached == set(), "no gradient"


@every_case
def test_scores_are_one_value_a_clip(case):
    objective = case.objective.eval()
    with torch.no_grad():
        scores = objective.score(case.batch())
    for name, values in scores.items():
        assert values.shape == (BATCH,) and values.isfinite().all(), name
    if objective.stages:
        assert {"loss", objective.selection[0]} <= set(scores)


@every_size
def test_deterministic_under_a_seed_and_through_a_file(case, tmp_path):
    first = case.objective
    again = new(case.chosen, case.shape)
    other = new(case.chosen, case.shape, seed=7)
    assert all(
        torch.equal(one, two)
        for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    )
    outputs = []
    for objective in (first, again):
        objective.eval()
        torch.manual_seed(3)
        with torch.no_grad():
            outputs.append(streams(objective.embed(case.batch())))
    assert all(torch.equal(outputs[0][name], outputs[1][name]) for name in outputs[0])
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    (tmp_path / "weights.pt").write_bytes(buffer.getvalue())
    load_weights(other, tmp_path / "weights.pt")
    with torch.no_grad():
        loaded = streams(other.eval().embed(case.batch()))
    assert all(torch.equal(outputs[0][name], loaded[name]) for name in loaded)


@every_size
def test_smallest_legal_sizes_run_and_smaller_ones_say_why(case):
    channels, frames, *_ = case.shape
    side = smallest_side(case.chosen, channels, frames)
    fewest = next(
        count for count in range(1, 300) if fits(case.chosen, (channels, count, side, side)) is None
    )
    for shape in {(channels, frames, side, side), (channels, fewest, side, side)}:
        with torch.device("meta"), torch.no_grad():
            objective = build_on_meta(case.chosen, shape).eval()
            assert all(
                stream.shape[0] == BATCH
                for stream in streams(objective.embed(blank_batch(shape, BATCH))).values()
            )
    for shape in [(channels, frames, side - 1, side - 1), (channels, fewest - 1, side, side)]:
        reason = fits(case.chosen, shape)
        assert reason and "\n" not in reason, shape
