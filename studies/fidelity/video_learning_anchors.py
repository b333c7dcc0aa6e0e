"""Claims about networks with and without time, and rules for an honest comparison.

They are those of the studies that others anchor on. Among them: TimeSformer (arXiv 2102.05095), TSM
(arXiv 1811.08383), Courtney & Sreenivas 2020 (arXiv 2009.07338), Kowal et al. 2022 (arXiv
2206.02846), Broome et al. 2021 (arXiv 2112.12175), Manttari et al. 2020 (arXiv 2002.00367).
"""

from functools import partial
from itertools import combinations, permutations

from studies.fidelity.claim import (
    Claim,
    Finding,
    all_hold,
    at_least,
    at_most,
    decided,
    greater,
)
from studies.results import NotRun, Results
from studies.scores import difference
from vidrep.datasets.store import open_clips
from vidrep.runs import UNTRAINED

SOURCE = "video_learning_anchors"
TSM = "tsm_narrow"
TSN = "tsn_narrow"  # TSM without its shift
# each with time, and the same without
WITHOUT_TIME = {"timesformer_narrow": "timesformer_space_narrow", TSM: TSN}
MOVING = ("timesformer_narrow", TSM, "vivit_narrow", "slowfast_narrow")
TIMES = "timesformer_times"  # the TimeSformer whose frames are told apart from the start
# with time, on data with both cues
BIASED = ("c3d_narrow", "fusion_early_narrow", "fusion_slow_narrow", "window_lstm_narrow")
SYSTEMS = (*MOVING, *WITHOUT_TIME.values())
APPEARANCE = "digits_only"
MOTION = "velocity_only"  # only the speed of identical squares tells the classes
BOTH = "digits_and_velocity"
CONTROLS = ("shuffled", "reversed", "frozen", "one_frame")
NEAR = 0.05  # of the floor
NAMED = (
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
    "run's seed",
    "run's epochs",
    "run's batch",
    "run's lr",
)


def _gain_of_time(results: Results) -> Finding:
    findings = []
    for timed, still in WITHOUT_TIME.items():
        findings.append(greater(results.score(timed, MOTION), results.score(still, MOTION)))
    return all_hold(findings)


def _floor_without_time(results: Results) -> Finding:
    floor = results.majority(MOTION)
    findings = []
    for still in WITHOUT_TIME.values():
        findings.append(at_most(results.score(still, MOTION), floor, NEAR))
    return all_hold(findings)


def _tie_on_appearance(results: Results) -> Finding:
    findings = []
    for timed, still in WITHOUT_TIME.items():
        without = results.score(still, APPEARANCE)
        findings.append(at_least(without, results.score(timed, APPEARANCE)))
    return all_hold(findings)


def _order_free(results: Results) -> Finding:
    findings = []
    for still in WITHOUT_TIME.values():
        intact = results.score(still, MOTION)
        shuffled = results.score(still, MOTION, split="test_shuffled")
        same = bool((intact.values == shuffled.values).all())
        findings.append(decided(f"{intact}, {shuffled}", same))
    return all_hold(findings)


def _loses_under(results: Results, control: str) -> Finding:
    """Do all networks with time lose clearly under a control, where motion tells the classes?"""
    findings = []
    for name in MOVING:
        broken = results.score(name, MOTION, split=f"test_{control}")
        findings.append(greater(results.score(name, MOTION), broken))
    found = all_hold(findings)
    try:
        told_apart = results.score(TIMES, MOTION)
        broken = results.score(TIMES, MOTION, split=f"test_{control}")
    except NotRun:
        return found
    text = f"{found.measured}; for comparison {told_apart}, {broken}"
    return Finding(text, found.verdict)


def _static_bias(results: Results) -> Finding:
    """Which networks keep half of their accuracy on shuffled frames, where both cues are there?"""
    kept = []
    lost = []
    for name in BIASED:
        intact = results.score(name, BOTH)
        shuffled = results.score(name, BOTH, split="test_shuffled")
        group = kept if shuffled.value >= intact.value / 2 else lost
        group.append(f"{intact}, shuffled {100 * shuffled.value:.1f} %")
    return decided(
        f"keep half: {'; '.join(kept) or 'none'}; lose more: {'; '.join(lost) or 'none'}",
        len(kept) > len(lost),
    )


def _untrained(results: Results) -> Finding:
    """Each system on the data set that it does best on."""
    findings = []
    for name in SYSTEMS:
        scores = {dataset: results.score(name, dataset) for dataset in _datasets(results, name)}
        best = max(scores, key=lambda dataset: scores[dataset].value)
        baseline = results.score(f"{name}@{UNTRAINED}", best)
        findings.append(greater(scores[best], baseline))
    return all_hold(findings)


def _datasets(results: Results, system: str) -> list[str]:
    """Data sets that a system was trained on.

    Raises:
        NotRun: none.
    """
    table = results.table("accuracy")
    rows = table[(table["system"] == system) & (table["seed"] != UNTRAINED)]
    if rows.empty:
        raise NotRun(system)
    return sorted(rows["trained_on"].unique())


def _winner_depends_on_the_version(results: Results) -> Finding:
    """Is there a pair of systems that changes sides, clearly both times?"""
    on_appearance = {}
    on_motion = {}
    for name in (*WITHOUT_TIME, *WITHOUT_TIME.values()):
        on_appearance[name] = results.score(name, APPEARANCE)
        on_motion[name] = results.score(name, MOTION)
    for name in ("c3d_narrow", "cnn_lstm_narrow"):
        try:
            scores = results.score(name, APPEARANCE), results.score(name, MOTION)
        except NotRun:
            continue
        on_appearance[name], on_motion[name] = scores
    best = [
        max(on_appearance.values(), key=lambda score: score.value),
        max(on_motion.values(), key=lambda score: score.value),
    ]
    crossing = []
    for a, b in permutations(on_appearance, 2):
        first = difference(on_appearance[a], on_appearance[b])
        second = difference(on_motion[b], on_motion[a])
        if first.low > 0 and second.low > 0:
            crossing.append(f"{a} wins the first and {b} the second")
    pairs = "; ".join(crossing) or "no pair changes sides clearly"
    return decided(f"best: {best[0]}; {best[1]}; {pairs}", bool(crossing))


def _free_shift(results: Results) -> Finding:
    cost = results.table("cost").set_index("system")
    missing = [name for name in (TSM, TSN) if name not in cost.index]
    if missing:
        raise NotRun(", ".join(missing))
    columns = ["parameters", "macs_per_clip"]
    shifted = cost.loc[TSM, columns].astype(int).tolist()
    plain = cost.loc[TSN, columns].astype(int).tolist()
    return decided(
        f"parameters and multiply-adds: {shifted} with, {plain} without the shift", shifted == plain
    )


# --- Rules. ---


def _everything_is_named(results: Results) -> Finding:
    with open_clips(results.clips_file(MOTION, "train")) as file:
        found = {**file.attrs, **file.attrs["recipe"], "clips": len(file)}
    record = results.record(MOTION, TSM)
    for key, value in record["system"]["recipe"].items():
        found[f"run's {key}"] = value
    found["run's seed"] = record["seed"]
    missing = [name for name in NAMED if name not in found]
    told = ", ".join(f"{name} {found[name]}" for name in NAMED if name in found)
    return decided(f"{told}; missing: {', '.join(missing) or 'nothing'}", not missing)


def _disjoint_splits(results: Results) -> Finding:
    sources = {}
    for split in ("train", "validation", "test"):
        with open_clips(results.clips_file(MOTION, split)) as file:
            sources[split] = set(file.factors["digit_image"].ravel().tolist())
    shared = sum(len(a & b) for a, b in combinations(sources.values(), 2))
    sizes = ", ".join(f"{len(images)} in {split}" for split, images in sources.items())
    return decided(f"digit images: {sizes}; {shared} in two splits", shared == 0)


def _controls_are_there(results: Results) -> Finding:
    table = results.table("accuracy")
    own = table[(table["trained_on"] == table["evaluated_on"]) & (table["seed"] != UNTRAINED)]
    splits = own.groupby(["system", "trained_on"])["split"].agg(set)
    splits = splits[splits.index.get_level_values("system").isin(SYSTEMS)]
    if splits.empty:
        raise NotRun(", ".join(SYSTEMS))
    wanted = {f"test_{control}" for control in CONTROLS}
    bare = []
    for (system, dataset), found in splits.items():
        if not wanted <= found:
            bare.append(f"{system} on {dataset}")
    return decided(f"{len(splits)} runs; without all four: {', '.join(bare) or 'none'}", not bare)


def _not_here(results: Results, why: str) -> Finding:
    """Decides nothing, and says why."""
    raise NotRun(why)


_claim = partial(Claim, SOURCE)


ORDER_UNREAD = (
    "it is for the others; the narrow TimeSformer is blind to order, for its frames differ by times"
    " that are too faint at the start (standard deviation 0.02); one whose times are as strong as"
    " its pixels (0.7) is quoted for comparison"
)

CLAIMS = [
    _claim(
        "Time pays where motion carries the class (TimeSformer, TSM)",
        "divided attention above space-only attention, shifted channels above unshifted ones",
        f"on {MOTION}",
        _gain_of_time,
    ),
    _claim(
        "Without time there is little to see where only speed tells the classes",
        f"both counterparts within {100 * NEAR:.0f} points of the commonest label set",
        f"on {MOTION}; squares at the walls betray some speed to single frames",
        _floor_without_time,
    ),
    _claim(
        "Motion is barely needed where appearance tells the classes (Kinetics: space-only 76.9,"
        " divided 77.7)",
        "the counterparts without time are at most 5 points below",
        "on digits_only",
        _tie_on_appearance,
    ),
    _claim(
        "Networks without time do not know the order of frames",
        "the very same answers on shuffled frames",
        f"on {MOTION}, intact and shuffled",
        _order_free,
    ),
    *(
        _claim(
            f"What networks with time know of speed is gone {words}",
            "intact clearly above",
            f"on {MOTION}, of {', '.join(MOVING)}",
            partial(_loses_under, control=control),
            if_fails,
        )
        for control, words, if_fails in (
            ("shuffled", "when frames are shuffled", ORDER_UNREAD),
            ("frozen", "when one frame is repeated", ""),
            ("one_frame", "when one frame is shown alone", ""),
        )
    ),
    _claim(
        "Most networks lean on appearance where both cues are there (Kowal et al.)",
        "most keep at least half of their accuracy on shuffled frames",
        f"on {BOTH}, of {', '.join(BIASED)}",
        _static_bias,
    ),
    _claim(
        "Training is what does it: every system beats its untrained baseline",
        "clearly above, for all",
        "on the version that each of them does best on",
        _untrained,
    ),
    _claim(
        "Which family wins depends on the task (Courtney & Sreenivas)",
        f"two systems whose order on digits_only turns round on {MOTION}, both clearly",
        "these four, C3D and the CNN with LSTM",
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
        partial(
            _not_here,
            why="the versions of this experiment share their texture, and runs are scored on their"
            " own version",
        ),
    ),
    _claim(
        "3-D CNNs concentrate on shorter events than ConvLSTMs (Manttari et al.)",
        "shorter learnt temporal masks",
        "needs a mask learnt for every clip",
        partial(_not_here, why="temporal masks are not part of this project"),
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
]
