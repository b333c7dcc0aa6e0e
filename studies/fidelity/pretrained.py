"""Claims about published networks as trunks, and about controls that know no order.

The claims are those of the MSc project on fusion CNNs and of the framework of 2018-2020. Runs with
a published weights file are not in the fidelity experiment, because no file can be assumed. They
are judged once they are: add to the experiment's systems, for each fusion F of single, early, late,
slow,

    - {name: mobilenet_v2_F, datasets: [digits_only], weights: <file>}
    - {name: mobilenet_v2_F_random, model: trunk_fusion, params: {trunk: mobilenet_v2, fusion: F},
      datasets: [digits_only]}

and run ``snakemake fidelity`` with that configuration.
"""

from functools import partial

from studies.fidelity.claim import Claim, Finding, all_hold, at_most, decided, greater, within
from studies.results import NotRun, Results
from studies.scores import Score

SOURCE = "pretrained"
FUSIONS = ("single", "early", "late", "slow")
# of each trunk its classes and its parameters
PUBLISHED = {
    "vgg19": (1000, 143_667_240),
    "mobilenet_v2": (1000, 3_504_872),
    "i3d": (400, 12_697_264),
}
TIES = 0.01  # share of clips that a sum in another order may decide otherwise
NEAR = 0.05  # what "near the commonest label set" allows above it
POOLING = "frame_pooling_mean_narrow"
C3D = "c3d_narrow"
MOBILENET_LSTM = "cnn_lstm_mobilenet"
DIGITS_LSTM = "cnn_lstm_still_digits_narrow"
NEEDS_FILE = "needs a published weights file: see the head of studies/fidelity/pretrained.py"


def _parameter_counts(results: Results) -> Finding:
    import torch

    from vidrep.models.trunks import TRUNKS

    texts = []
    right = []
    for name, (classes, published) in PUBLISHED.items():
        with torch.device("meta"):
            trunk = TRUNKS[name](classes=classes)
        count = sum(parameter.numel() for parameter in trunk.parameters())
        texts.append(f"{name} {count:,}")
        right.append(count == published)
    return decided(", ".join(texts), all(right))


def _frozen_statistics(results: Results) -> Finding:
    import torch

    from vidrep.models import create

    torch.manual_seed(0)
    model = create(
        "trunk_fusion",
        clip_shape=(1, 8, 20, 20),
        fusion="late",
        apart=5,
        image_px=32,
        trunk_params={"width": 0.25},
    )
    clip = torch.rand(4, 1, 8, 20, 20)
    with torch.no_grad():
        change = (model.train()(clip) - model.eval()(clip)).abs().max().item()
    return decided(
        f"largest difference between training and evaluation mode: {change}", change == 0.0
    )


def with_weights(results: Results, system: str, dataset: str) -> Score:
    """Score of a run that started from a weights file.

    Raises:
        NotRun: there is no such run, or its trunk was random.
    """
    score = results.score(system, dataset)
    if "weights_sha256" not in results.record(dataset, system):
        raise NotRun(f"{system} on {dataset} with weights")
    return score


def _imagenet_beats_random(results: Results) -> Finding:
    findings = []
    for fusion in FUSIONS:
        pretrained = with_weights(results, f"mobilenet_v2_{fusion}", "digits_only")
        random = results.score(f"mobilenet_v2_{fusion}_random", "digits_only")
        findings.append(greater(pretrained, random))
    return all_hold(findings)


def _single_frame_above_chance(results: Results) -> Finding:
    score = with_weights(results, "mobilenet_v2_single", "digits_only")
    return greater(score, results.majority("digits_only"))


def near_majority(results: Results, score: Score, dataset: str) -> Finding:
    """Is a score at most ``NEAR`` above what the commonest label set gives?"""
    return at_most(score, results.majority(dataset), NEAR)


def _digits_not_speeds(results: Results, system: str) -> Finding:
    """Are digits recognised, and speeds not?"""
    digits = with_weights(results, system, "digits_only")
    speeds = with_weights(results, system, "velocity_only")
    return all_hold(
        [
            greater(digits, results.majority("digits_only")),
            near_majority(results, speeds, "velocity_only"),
        ]
    )


def _order_free(results: Results) -> Finding:
    plain = results.score(POOLING, "digits_only")
    shuffled = results.score(POOLING, "digits_only", split="test_shuffled")
    return within(shuffled, plain, TIES)


def _time_matters(results: Results) -> Finding:
    return greater(results.score(C3D, "velocity_only"), results.score(POOLING, "velocity_only"))


CLAIMS = [
    Claim(
        SOURCE,
        "The trunks have the published parameters",
        expected=(
            "VGG19 143,667,240, MobileNetV2 3,504,872 (1000 classes), I3D 12,697,264 (400 classes)"
        ),
        how="counted with their classifiers",
        measure=_parameter_counts,
    ),
    Claim(
        SOURCE,
        "A frozen trunk computes the same in training and in evaluation",
        expected=(
            "no difference (batch statistics in training gave 93 % on training clips and 1 % on"
            " test clips)"
        ),
        how="a frozen MobileNetV2 on random clips, in both modes",
        measure=_frozen_statistics,
    ),
    Claim(
        SOURCE,
        "ImageNet weights help every fusion of a frozen MobileNetV2",
        expected=(
            "above the same network with a frozen random trunk, for single, early, late and slow"
            " fusion"
        ),
        how=f"digits_only; {NEEDS_FILE}",
        measure=_imagenet_beats_random,
    ),
    Claim(
        SOURCE,
        "A pretrained single frame is above chance when it is trained properly",
        expected=(
            "above the commonest label set (the project's chance level came from its loss and rate)"
        ),
        how=f"frozen MobileNetV2, middle frame, digits_only; {NEEDS_FILE}",
        measure=_single_frame_above_chance,
    ),
    Claim(
        SOURCE,
        "CNN + LSTM on MobileNet features reads digits and not speeds",
        expected=(
            "digits_only above the commonest label set (there 58 %), velocity_only near it (there"
            " 5 %)"
        ),
        how=f"frozen MobileNetV2 on every frame; {NEEDS_FILE}",
        measure=partial(_digits_not_speeds, system=MOBILENET_LSTM),
    ),
    Claim(
        SOURCE,
        "CNN + LSTM on features of a CNN trained on still digits reads digits and not speeds",
        expected=(
            "digits_only above the commonest label set, velocity_only near it (no values are"
            " published)"
        ),
        how=(f"narrow preset {DIGITS_LSTM}"),
        measure=partial(_digits_not_speeds, system=DIGITS_LSTM),
    ),
    Claim(
        SOURCE,
        "Pooling over frames knows no order",
        expected="the same score on clips with shuffled frames, but for ties in the last digit",
        how="narrow preset, digits_only, test clips as they are and shuffled",
        measure=_order_free,
    ),
    Claim(
        SOURCE,
        "Speed needs order",
        expected="a 3-D CNN above pooling over frames on velocity_only",
        how="narrow presets",
        measure=_time_matters,
    ),
]
