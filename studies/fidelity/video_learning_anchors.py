"""What the studies that others anchor on say about networks with and without time, and their rules
for an honest comparison.

Among them: TimeSformer (arXiv 2102.05095), TSM (arXiv 1811.08383), Courtney & Sreenivas 2020 (arXiv
2009.07338), Kowal et al. 2022 (arXiv 2206.02846), Broome et al. 2021 (arXiv 2112.12175), Manttari
et al. 2020 (arXiv 2002.00367).
"""

from itertools import permutations
from pathlib import Path

from studies.fidelity.claim import (
    Claim,
    Finding,
    NotRun,
    Results,
    all_hold,
    at_least,
    greater,
    share_difference,
)
from vidrep.datasets.store import open_clips
from vidrep.runs import UNTRAINED

SOURCE = "video_learning_anchors"
# with time: the same without
TWINS = {"timesformer_narrow": "timesformer_space_narrow", "tsm_narrow": "tsn_narrow"}
MOVING = ("timesformer_narrow", "tsm_narrow", "vivit_narrow", "slowfast_narrow")
SYSTEMS = (*MOVING, *TWINS.values())
MOTION = "velocity_only"  # only the speed of identical squares tells the classes
BOTH = "digits_and_velocity"
CONTROLS = ("shuffled", "reversed", "frozen", "one_frame")
NEAR = 0.05  # of the floor
NAMED = (
    *(
        "dataset",
        "digit_source",
        "digit_sha256",
        "seed",
        "step",
        "class_velocity",
        "frames",
        "size",
        "patch",
        "digits",
        "clips",
    ),
    *("run's seed", "run's epochs", "run's batch", "run's lr"),
)


def _gain_of_time(results: Results) -> Finding:
    return all_hold(
        [
            greater(results.score(timed, MOTION), results.score(twin, MOTION))
            for timed, twin in TWINS.items()
        ]
    )


def _floor_without_time(results: Results) -> Finding:
    floor = results.majority(MOTION)
    findings = []
    for twin in TWINS.values():
        score = results.score(twin, MOTION)
        findings.append(Finding(f"{score}, {floor}", score.value - floor.value <= NEAR))
    return all_hold(findings)


def _tie_on_appearance(results: Results) -> Finding:
    pairs = [
        (results.score(twin, "digits_only"), results.score(timed, "digits_only"))
        for timed, twin in TWINS.items()
    ]
    return all_hold([at_least(twin, timed) for twin, timed in pairs])


def _order_free(results: Results) -> Finding:
    findings = []
    for twin in TWINS.values():
        intact = results.score(twin, MOTION)
        shuffled = results.score(twin, MOTION, split="test_shuffled")
        findings.append(Finding(f"{intact}, {shuffled}", intact.value == shuffled.value))
    return all_hold(findings)


def _needs(control: str):
    """A measure: do all networks with time lose clearly under a control, where motion alone tells
    the classes?
    """

    def measure(results: Results) -> Finding:
        pairs = [
            (results.score(name, MOTION), results.score(name, MOTION, split=f"test_{control}"))
            for name in MOVING
        ]
        return all_hold([greater(intact, broken) for intact, broken in pairs])

    return measure


def _static_bias(results: Results) -> Finding:
    """Which networks keep at least half of their accuracy when the frames are shuffled, where both
    cues tell the classes?
    """
    kept = []
    lost = []
    for name in MOVING:
        intact = results.score(name, BOTH)
        shuffled = results.score(name, BOTH, split="test_shuffled")
        (kept if shuffled.value >= intact.value / 2 else lost).append(
            f"{intact}, shuffled {100 * shuffled.value:.1f} %"
        )
    return Finding(
        f"keep half: {'; '.join(kept) or 'none'}; lose more: {'; '.join(lost) or 'none'}",
        len(kept) > len(lost),
    )


def _untrained(results: Results) -> Finding:
    """Each system on the data set that it does best on."""
    findings = []
    for name in SYSTEMS:
        scores = {dataset: results.score(name, dataset) for dataset in _datasets(results, name)}
        best = max(scores, key=lambda dataset: scores[dataset].value)
        findings.append(greater(scores[best], results.score(f"{name}@{UNTRAINED}", best)))
    return all_hold(findings)


def _datasets(results: Results, system: str) -> list[str]:
    """Data sets that a system was trained on.

    Raises:
        NotRun: none.
    """
    table = results.table("accuracy")
    found = sorted(
        table.loc[(table["system"] == system) & (table["seed"] != UNTRAINED), "trained_on"].unique()
    )
    if not found:
        raise NotRun(system)
    return found


def _winner_depends_on_the_version(results: Results) -> Finding:
    """Is there a pair of systems that changes sides, clearly both times?"""
    scores = {
        name: [results.score(name, dataset) for dataset in ("digits_only", MOTION)]
        for name in (*TWINS, *TWINS.values())
    }
    for name in ("c3d_narrow", "cnn_lstm_narrow"):
        try:
            scores[name] = [results.score(name, dataset) for dataset in ("digits_only", MOTION)]
        except NotRun:
            continue
    best = [
        max(values, key=lambda score: score.value) for values in zip(*scores.values(), strict=True)
    ]
    crossing = [
        (a, b)
        for a, b in permutations(scores, 2)
        if share_difference(scores[a][0], scores[b][0])[1] > 0
        and share_difference(scores[b][1], scores[a][1])[1] > 0
    ]
    pairs = (
        "; ".join(f"{a} wins the first and {b} the second" for a, b in crossing)
        or "no pair changes sides clearly"
    )
    return Finding(f"best: {best[0]}; {best[1]}; {pairs}", bool(crossing))


def _free_shift(results: Results) -> Finding:
    cost = results.table("cost").set_index("system")
    if missing := [name for name in ("tsm_narrow", "tsn_narrow") if name not in cost.index]:
        raise NotRun(", ".join(missing))
    shifted, plain = (
        cost.loc[name, ["parameters", "macs_per_clip"]].astype(int).tolist()
        for name in ("tsm_narrow", "tsn_narrow")
    )
    return Finding(
        f"parameters and multiply-adds: {shifted} with, {plain} without the shift", shifted == plain
    )


def _clips(results: Results, split: str) -> Path:
    """File of a split of the motion version.

    Raises:
        NotRun: there is none.
    """
    path = results.folder / "datasets" / MOTION / f"{split}.h5"
    if not path.exists():
        raise NotRun(f"clips of {MOTION}")
    return path


def _everything_is_named(results: Results) -> Finding:
    with open_clips(_clips(results, "train")) as file:
        found = {**file.attrs, **file.attrs["recipe"], "clips": len(file)}
    found |= {
        f"run's {key}": value
        for key, value in results.record(MOTION, "tsm_narrow")["system"]["recipe"].items()
    }
    found["run's seed"] = results.record(MOTION, "tsm_narrow")["seed"]
    missing = [name for name in NAMED if name not in found]
    told = ", ".join(f"{name} {found[name]}" for name in NAMED if name in found)
    return Finding(f"{told}; missing: {', '.join(missing) or 'nothing'}", not missing)


def _disjoint_splits(results: Results) -> Finding:
    sources = {}
    for split in ("train", "validation", "test"):
        with open_clips(_clips(results, split)) as file:
            sources[split] = set(file.factors["digit_image"].ravel().tolist())
    shared = sum(
        len(sources[a] & sources[b])
        for a, b in (("train", "validation"), ("train", "test"), ("validation", "test"))
    )
    sizes = ", ".join(f"{len(images)} in {split}" for split, images in sources.items())
    return Finding(f"digit images: {sizes}; {shared} in two splits", shared == 0)


def _controls_are_there(results: Results) -> Finding:
    table = results.table("accuracy")
    own = table[(table["trained_on"] == table["evaluated_on"]) & (table["seed"] != UNTRAINED)]
    splits = own.groupby(["system", "trained_on"])["split"].agg(set)
    splits = splits[splits.index.get_level_values("system").isin(SYSTEMS)]
    if splits.empty:
        raise NotRun(", ".join(SYSTEMS))
    wanted = {f"test_{control}" for control in CONTROLS}
    bare = [
        f"{system} on {dataset}"
        for (system, dataset), found in splits.items()
        if not wanted <= found
    ]
    return Finding(f"{len(splits)} runs; without all four: {', '.join(bare) or 'none'}", not bare)


def _not_here(why: str):
    """A measure that decides nothing, and says why."""
    return lambda results: Finding(why, None)


def _claim(text: str, expected: str, how: str, measure, if_fails: str = "") -> Claim:
    return Claim(SOURCE, text, expected, how, measure, if_fails)


ORDER_UNREAD = (
    "it is for TSM, ViViT and SlowFast; the TimeSformer keeps its few points, so it does not read"
    " order. Which places were visited would be enough for that; not tested"
)

CLAIMS = [
    _claim(
        "Time pays where motion carries the class (TimeSformer, TSM)",
        "divided attention above space-only attention, shifted channels above unshifted ones",
        f"exact sets on {MOTION}",
        _gain_of_time,
    ),
    _claim(
        "Without time there is little to see where only speed tells the classes",
        f"both twins within {100 * NEAR:.0f} points of the commonest label set",
        f"exact sets on {MOTION}; squares at the walls betray some speed to single frames",
        _floor_without_time,
    ),
    _claim(
        "Motion is barely needed where appearance tells the classes (Kinetics: space-only 76.9,"
        " divided 77.7)",
        "the twins without time are not clearly below",
        "exact sets on digits_only",
        _tie_on_appearance,
        if_fails=(
            "TSM and its twin tie, as claimed; the transformers are little trained, and frames of"
            " two overlapping digits tell more together than apart, which only the network with"
            " time can use"
        ),
    ),
    _claim(
        "Networks without time do not know the order of frames",
        "the very same score on shuffled frames",
        f"exact sets on {MOTION}, intact and shuffled",
        _order_free,
    ),
    *(
        _claim(
            f"What networks with time know of speed is gone {words}",
            "intact clearly above",
            f"exact sets on {MOTION} of {', '.join(MOVING)}",
            _needs(control),
            why,
        )
        for control, words, why in (
            ("shuffled", "when frames are shuffled", ORDER_UNREAD),
            ("frozen", "when one frame is repeated", ""),
            ("one_frame", "when one frame is shown alone", ""),
        )
    ),
    _claim(
        "Most networks lean on appearance where both cues are there (Kowal et al.)",
        "most keep at least half of their accuracy on shuffled frames",
        f"exact sets on {BOTH} of {', '.join(MOVING)}",
        _static_bias,
    ),
    _claim(
        "Training is what does it: every system beats its untrained twin",
        "clearly above, for all",
        "exact sets on the version that each of them does best on",
        _untrained,
    ),
    _claim(
        "Which family wins depends on the task (Courtney & Sreenivas)",
        f"two systems whose order on digits_only turns round on {MOTION}, both clearly",
        "exact sets of the four twins, C3D and the CNN with LSTM",
        _winner_depends_on_the_version,
    ),
    _claim(
        "The shift is free (TSM)",
        "as many weights and multiply-adds as without it",
        "tables/cost.csv",
        _free_shift,
    ),
    _claim(
        "Recurrent and attention networks leave their domain better than 3-D CNNs (Broome et al.)",
        "a smaller drop on another version than C3D's",
        "needs five seeds and versions that differ in texture",
        _not_here(
            "the versions of this experiment share their texture, and runs are scored on their own"
            " version"
        ),
    ),
    _claim(
        "3-D CNNs concentrate on shorter events than ConvLSTMs (Manttari et al.)",
        "shorter learnt temporal masks",
        "needs a mask learnt for every clip",
        _not_here("temporal masks are not part of this project"),
    ),
    _claim(
        "Rule: name generator, digits, speed law, lengths, clips, updates, seeds",
        "all of them in the files",
        f"attributes of the clips of {MOTION}, run.json of tsm_narrow",
        _everything_is_named,
    ),
    _claim(
        "Rule: splits share neither clips nor source digits, and there are three",
        "no digit image in two splits",
        f"factor digit_image of the files of {MOTION}",
        _disjoint_splits,
    ),
    _claim(
        "Rule: every statement about motion comes with its controls",
        "shuffled, reversed, frozen and one-frame scores of every run",
        f"rows of tables/accuracy.csv of {', '.join(SYSTEMS)}",
        _controls_are_there,
    ),
    *(
        _claim(f"Rule: {rule}", "so written", "by reading", _not_here(why))
        for rule, why in (
            (
                "errors of frames as mean and as sum, SSIM on a stated range",
                "nothing here predicts frames",
            ),
            (
                "short runs never beside long ones",
                (
                    "runs of this page share their training clips; how often they see them stands"
                    " in the catalogue"
                ),
            ),
            (
                "choices of a probe are made on validation clips and counted",
                "no probe is quoted on this page",
            ),
            (
                "say what a multiply-add is",
                "counted once, for all that scoring one clip takes; the tests hold closed forms",
            ),
            (
                "differences with intervals, ties written as ties",
                "every comparison above quotes its interval",
            ),
        )
    ),
]
