"""Claims about the spatio-temporal autoencoder (Patraucean et al., arXiv 1511.06309)."""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from sklearn.linear_model import LinearRegression

from studies.fidelity.claim import Claim, Finding, all_hold, decided, greater
from studies.fidelity.errors import above
from studies.fidelity.flow_fields import digit_motion, exact_backward, flows, mean_length
from studies.results import Results
from vidrep.activations.capture import capturing
from vidrep.activations.pooling import pool
from vidrep.datasets.store import open_clips
from vidrep.models.warp import warp
from vidrep.objectives.next_frame import central_differences
from vidrep.probes.svm import Protocol, probe_layer
from vidrep.runs import UNTRAINED

SOURCE = "st_autoencoder"
FLOW = "flow_autoencoder_narrow"
NO_FLOW = "flow_autoencoder_no_flow_narrow"
DENSE = "flow_autoencoder_dense_narrow"
NO_MEMORY = "flow_autoencoder_no_memory_narrow"
FREE = "flow_autoencoder_free"  # trained with the published loss alone
SMOOTHNESS = {0.01: FLOW, 10.0: "flow_autoencoder_smooth", 1000.0: "flow_autoencoder_rigid"}
FAST = "digits_only"
SPEEDS = "velocity_only"
SLOW_SPEEDS = "velocity_only_slow"
TOLERANCE = 1 / 3.6  # of the length of motion: "within about 1 px of 3.6"
FIT_CLIPS = 400
POOLING = [4, 2, 2]
PROBE = Protocol(c=(0.01, 0.1), folds=2, components=64)
NATS = "next_frame_nats_per_frame"
NEXT = "next_frame_squared_error_per_frame"
COPY = "copy_last_squared_error_per_frame"


def clips_of(
    results: Results, dataset: str, split: str = "test", count: int | None = None
) -> torch.Tensor:
    """Clips (n, C, T, H, W) in [0, 1]."""
    return torch.cat([batch["clip"] for batch in results.batches(dataset, split, count=count)])


def either_end(flags: np.ndarray) -> np.ndarray:
    """Whether something holds before or after a step: (n, T, ...) -> (n, T-1, ...)."""
    return flags[:, :-1] | flags[:, 1:]


# --- Warping and flow. ---


def _exact_warp(results: Results) -> Finding:
    clips = clips_of(results, FAST)
    before = clips[:, :, :-1]
    after = clips[:, :, 1:]
    backward, factors = exact_backward(results, FAST)
    overlap = torch.from_numpy(either_end(factors["overlap"]))[:, None, :, None, None]
    lit = (after > 0) & ~overlap
    warped = warp(before, backward)
    copied = warp(before, torch.zeros_like(backward))
    error = (warped - after)[lit].abs().mean().item()
    copy = (copied - after)[lit].abs().mean().item()
    same = (copied - before).abs().max().item()
    return decided(
        f"mean absolute error on lit pixels {error:.1e} with the exact flow, {copy:.2f} with zero"
        f" flow, which changes the last frame by at most {same:.0e}",
        error < 1e-4 and same < 1e-4,
    )


def _zero_at_first(results: Results) -> Finding:
    largest = flows(results, FLOW, FAST, seed=UNTRAINED).abs().max().item()
    return decided(f"largest component {largest:g} px", largest == 0)


def _order(results: Results) -> Finding:
    copy = results.score(NO_FLOW, FAST, metric=COPY)
    plain = results.score(NO_FLOW, FAST, metric=NEXT)
    flow = results.score(FLOW, FAST, metric=NEXT)
    return all_hold([greater(copy, plain), greater(plain, flow)])


def _ablations(results: Results) -> Finding:
    nats = [results.score(name, FAST, metric=NATS) for name in (NO_MEMORY, DENSE, NO_FLOW, FLOW)]
    return all_hold([greater(a, b) for a, b in pairwise(nats)])


def _direction(results: Results, system: str) -> Finding:
    objective = results.load(FAST, system)
    motion = objective.displacement(flows(results, system, FAST))
    with open_clips(results.clips_file(FAST, "test")) as file:
        corners = file.extras["corners"][:].astype(int)
        patches = file.extras["patches"][:]
        wall = file.factors["wall_hits"][:]
        overlap = file.factors["overlap"][:]
    predicted = digit_motion(motion.transpose(1, 2).numpy(), corners, patches)  # (n, T-1, k, 2)
    true = np.diff(corners, axis=1)[..., ::-1]
    free = ~either_end(wall)
    free[:, : objective.observed - 1] = False
    apart = free & ~either_end(overlap)[..., None]

    def right_signs(steps: np.ndarray) -> float:
        moving = true[steps] != 0
        right = np.sign(predicted) == np.sign(true)
        return float(right[steps][moving].mean())

    alone = right_signs(apart)
    length = float(np.linalg.norm(predicted[apart], axis=-1).mean())
    true_length = float(np.linalg.norm(true[apart], axis=-1).mean())
    offset = ", ".join(f"{value:+.2f}" for value in (predicted - true)[apart].mean(0))
    return decided(
        f"right sign in {100 * alone:.1f} % of the components of {int(apart.sum())} steps"
        f" ({100 * right_signs(free):.1f} % with overlaps); mean length {length:.2f} px, true"
        f" {true_length:.2f} px; mean difference {offset} px (x, y)",
        alone > 0.9 and abs(length - true_length) <= TOLERANCE * true_length,
    )


def _smoother(results: Results) -> Finding:
    energies = []
    texts = []
    for weight, system in SMOOTHNESS.items():
        x, y = central_differences(flows(results, system, FAST))
        energy = (x.square() + y.square()).mean().item()
        energies.append(energy)
        texts.append(f"{energy:.2g} with {weight:g}")
    text = f"mean squared gradient of the flow: {', '.join(texts)}"
    return decided(text, energies[0] > energies[1] > energies[2])


def variation_within_frames(results: Results, system: str) -> float:
    """Mean standard deviation of a component of the flow within a frame."""
    return flows(results, system, FAST).std((3, 4), correction=0).mean().item()


def _rigid(results: Results) -> Finding:
    system = SMOOTHNESS[max(SMOOTHNESS)]
    rigid_error = results.score(system, FAST, metric=NEXT)
    loss = greater(rigid_error, results.score(FLOW, FAST, metric=NEXT))
    within = variation_within_frames(results, system)
    free = variation_within_frames(results, FLOW)
    rigid = decided(
        f"standard deviation of a component within a frame {within:.2g} px of the maps, else"
        f" {free:.2g} px",
        within < 0.1 * free,
    )
    return all_hold([rigid, loss])


# --- Memory, limits and features. ---


@torch.no_grad()
def last_frame_errors(results: Results, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors (n,) of the last frame, predicted from all before it and from one alone."""
    objective = results.load(dataset, FLOW)
    errors = []
    for batch in results.batches(dataset):
        clip = batch["clip"]
        from_all = objective.model.unroll(clip[:, :, :-1])
        from_one = objective.model.unroll(clip[:, :, -2:-1])
        frames = [objective.next_frames(steps.since(-1)) for steps in (from_all, from_one)]
        predicted = torch.cat(frames, dim=2).clamp(0, 1)  # (B, C, 2, H, W)
        errors.append((predicted - clip[:, :, -1:]).square().sum((1, 3, 4)))
    kept, fresh = torch.cat(errors).double().numpy().T
    return kept, fresh


def _reset(results: Results) -> Finding:
    kept, fresh = last_frame_errors(results, FAST)
    return above(("reset", "kept"), fresh, kept)


def _limit(results: Results) -> Finding:
    error = results.score(FLOW, SPEEDS, metric=NEXT).by_clip
    copied = results.score(FLOW, SPEEDS, metric=COPY).by_clip
    observed = results.load(SPEEDS, FLOW).observed
    with open_clips(results.clips_file(SPEEDS, "test")) as file:
        corners = file.extras["corners"][:].astype(int)  # (n, T, k, 2)
        limit = file.clips.shape[2] / 4
    steps = np.abs(np.diff(corners[:, observed - 1 :], axis=1))  # (n, T-1, k, 2) by component
    largest = steps.max((1, 3))  # (n, k): walls shorten steps, the largest is a free one
    share = error / copied
    beyond = share[(largest > limit).all(1)]
    within = share[(largest <= limit).all(1)]
    return above(
        (f"both digits beyond {limit:g} px ({len(beyond)} clips)", f"both within ({len(within)})"),
        beyond,
        within,
        paired=False,
    )


def mean_speed_class(results: Results, split: str, count: int | None = None) -> np.ndarray:
    """Mean speed class of the digits of each clip of ``velocity_only_slow``, (n,)."""
    with open_clips(results.clips_file(SLOW_SPEEDS, split)) as file:
        return file.factors["speed_class"][:count].mean(1)


def _speed_probe(results: Results) -> Finding:
    objective = results.load(SLOW_SPEEDS, FLOW)
    fit_clips = clips_of(results, SLOW_SPEEDS, "train", FIT_CLIPS)
    test_clips = clips_of(results, SLOW_SPEEDS)
    fit_flow = flows(results, FLOW, SLOW_SPEEDS, "train", count=FIT_CLIPS)
    test_flow = flows(results, FLOW, SLOW_SPEEDS)
    predicted = test_clips.shape[2] - objective.observed
    fit = mean_length(fit_flow, fit_clips, predicted)
    test = mean_length(test_flow, test_clips, predicted)
    speed = mean_speed_class(results, "test")
    probe = LinearRegression().fit(fit, mean_speed_class(results, "train", FIT_CLIPS))
    explained = float(probe.score(test, speed))

    exact_flow, _ = exact_backward(results, SLOW_SPEEDS)
    exact = mean_length(exact_flow, test_clips, predicted)
    best = float(LinearRegression().fit(exact, speed).score(exact, speed))
    return decided(
        f"R2 {explained:.2f} on {len(exact)} test clips; of the exact flow's mean length"
        f" {best:.2f}",
        explained > 0.5,
    )


@torch.no_grad()
def probed(results: Results, dataset: str, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Balanced accuracy (10,) of the classes' linear SVMs on layers of the flow model."""
    objective = results.load(dataset, FLOW)
    arrays = {layer: [] for layer in layers}
    for split, count in (("train", FIT_CLIPS), ("test", None)):
        pooled = {layer: [] for layer in layers}
        labels = []
        for batch in results.batches(dataset, split, count=count):
            with capturing(objective.model, layers) as captured:
                objective.embed(batch)
            for layer in layers:
                pooled[layer].append(pool(captured[layer], POOLING))
            labels.append(batch["labels"] > 0)
        for layer in layers:
            arrays[layer] += [torch.cat(pooled[layer]).numpy(), torch.cat(labels).numpy()]
    accuracy = {}
    for layer, (fit, fit_labels, test, test_labels) in arrays.items():
        probes = probe_layer(fit, fit_labels, test, test_labels, PROBE)
        accuracy[layer] = np.array([probe.balanced_accuracy for probe in probes])
    return accuracy


def _identity_probe(results: Results) -> Finding:
    accuracy = probed(results, FAST, ("encoder", "flow"))
    return above(
        ("balanced accuracy over classes from the encoder", "from the flow"),
        accuracy["encoder"],
        accuracy["flow"],
    )


CLAIMS = [
    Claim(
        SOURCE,
        "Warping by the exact motion gives the next frame, warping by zero flow the last one",
        expected="errors near zero",
        how=(
            f"test clips of {FAST} sampled with the exact backward flow, lit pixels in steps"
            " without overlap; mean absolute error of values in [0, 1] below 1e-4"
        ),
        measure=_exact_warp,
    ),
    Claim(
        SOURCE,
        "At initialisation the flow is exactly zero",
        expected="zero",
        how=f"flow of the untrained baseline of {FLOW} on the test clips of {FAST}",
        measure=_zero_at_first,
    ),
    Claim(
        SOURCE,
        "Copying the last frame errs more than a ConvLSTM without flow, and that more than one with"
        " flow",
        expected="copy > no flow > flow",
        how=(
            "squared error per frame of the next frame given all true frames before, frames 10 to"
            f" 15 of the test clips, {FLOW} and {NO_FLOW}; paired over clips"
        ),
        measure=_order,
    ),
    Claim(
        SOURCE,
        "No memory errs more than a fully connected memory, that more than a ConvLSTM, and that"
        " more than a ConvLSTM with flow",
        expected=(
            "the order of the paper's table (388 > 266 > 263 > 180 nats per frame on Moving MNIST)"
        ),
        how=(
            f"nats per frame of the next frame on {FAST}; 95 % intervals of the mean differences"
            " between clips above 0"
        ),
        measure=_ablations,
    ),
    Claim(
        SOURCE,
        "On digit pixels the flow has the direction of the motion, and nearly its length",
        expected=(
            "right sign in more than 90 % of the steps away from walls, length within 1 px of 3.6,"
            " here 28 %"
        ),
        how=(
            f"{FLOW} on {FAST}: its flow with the sign flipped, averaged over the pixels of a digit"
            " by their brightness, against the digit's motion in whole pixels; frames 10 to 15,"
            " digits that touch neither a wall nor each other before and after the step. Single"
            " pixels were looked at first, on test clips, and had the right sign in 83.5 %"
        ),
        measure=partial(_direction, system=FLOW),
    ),
    Claim(
        SOURCE,
        "The published loss alone gives a flow in the direction of the motion",
        expected="as above",
        how=(
            f"as above, {FREE}: {FLOW} without the reconstruction that is ours, added after a look"
            " at this finding"
        ),
        measure=partial(_direction, system=FREE),
        if_fails=(
            "encoder and decoder shift every frame by a constant, and the flow takes it back"
            " everywhere, as the mean difference shows: the published loss does not see it."
            " Decoding frames from features that are not warped rules it out"
        ),
    ),
    Claim(
        SOURCE,
        "The larger the weight of the Huber penalty, the smoother the flow",
        expected="the mean squared gradient of the flow falls with the weight",
        how=f"three runs on {FAST} that differ in the weight alone, test clips",
        measure=_smoother,
    ),
    Claim(
        SOURCE,
        "Too large a weight leaves one translation for the whole frame, which fails for two digits"
        " in two directions",
        expected="hardly any variation within a frame, and a larger error of the next frame",
        how=(
            f"the largest weight against {FLOW} on {FAST}: standard deviation over space below a"
            " tenth, 95 % interval of the difference in squared error above 0"
        ),
        measure=_rigid,
    ),
    Claim(
        SOURCE,
        "Memory matters: with the memory reset before the last frame the error is larger",
        expected="direction and speed are unknown from one frame",
        how=(
            f"{FLOW} on {FAST}: squared error of the last frame predicted from all"
            " frames before and from one alone; 95 % intervals of the mean difference between clips"
            " above 0"
        ),
        measure=_reset,
    ),
    Claim(
        SOURCE,
        "Motion beyond the clamp of the flow cannot be predicted",
        expected=(
            "digits faster than a quarter of the frame a step gain less on copying the last frame"
        ),
        how=(
            f"{FLOW} on {SPEEDS}: next-frame error divided by that of copying, test clips in which"
            " a component of either digit's motion is beyond the limit against those in which no"
            " component is; 95 % interval of the difference of means above 0"
        ),
        measure=_limit,
        mended=(
            "clips were sorted by speed, but the clamp limits each component of the flow, which a"
            " fast digit on a diagonal does not exceed"
        ),
    ),
    Claim(
        SOURCE,
        "The length of the flow on digit pixels tells the speed class where speeds are below the"
        " clamp",
        expected="a linear readout explains most of the variance",
        how=(
            f"{FLOW} on {SLOW_SPEEDS}, where all steps are below the limit: mean length on lit"
            " places of frames 10 to 15, one number a clip, regressed on the mean of both speed"
            f" classes and fitted on {FIT_CLIPS} training clips; R2 on test clips above 0.5"
        ),
        measure=_speed_probe,
    ),
    Claim(
        SOURCE,
        "The flow tells less of the digits' identity than the encoder's features",
        expected="probes on the flow are weaker",
        how=(
            f"linear SVMs on both layers of {FLOW} on {FAST}, pooled to {POOLING}; difference over"
            " the ten classes with its 95 % interval above 0"
        ),
        measure=_identity_probe,
    ),
]
