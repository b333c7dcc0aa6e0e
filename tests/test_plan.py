"""Plans: jobs and their work, what is learnt from records, and what retention leaves."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from vidrep.config import check, complete
from vidrep.plan import estimate, records
from vidrep.plan.jobs import Job
from vidrep.plan.records import Estimate, Rates, Record
from vidrep.plan.work import Workload
from vidrep.retention import keep_best, superseded

ROOT = Path(__file__).parent.parent
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture(scope="module")
def load() -> Workload:
    config = yaml.safe_load((ROOT / "workflow/experiments/smoke.yaml").read_text())
    return Workload(check(complete(config)))


def job(rule: str, benchmark: str, gpu: int = 0, **wildcards: str) -> Job:
    return Job(
        rule=rule,
        wildcards=wildcards,
        threads=1,
        gpu=gpu,
        mem_mb=1000,
        outputs=("a.csv",),
        benchmark=f"results/smoke/benchmarks/{benchmark}.tsv",
    )


def planned(
    rule: str,
    units: float,
    system: str = "",
    gpu: int = 0,
    basis: str = "units",
    seed: int | str = 0,
) -> Estimate:
    return Estimate(
        benchmark=f"benchmarks/stage/d--{system}--seed{seed}.tsv",
        rule=rule,
        kind=system,
        units=units,
        gpu=gpu,
        cpu_s=1.0,
        wall_s=2.0,
        memory_mb=10.0,
        raw_megabytes=5.0,
        megabytes=5.0,
        basis=basis,
    )


def test_work_counts_clips_pixels_epochs_and_multiply_adds(load):
    run = {"dataset": "digits_only", "system": "c3d_narrow", "seed": "0"}
    macs = load.size("c3d_narrow", "digits_only").macs
    assert load.units(
        job("render_dataset", "x", dataset="digits_only", split="train")
    ) == pytest.approx(96 * 8 * 16 * 16 / 1e6)
    assert load.units(job("train", "x", **run)) == pytest.approx(2 * (3 * 96 + 32) * macs / 1e9)
    assert load.units(job("train", "x", **{**run, "seed": "untrained"})) == pytest.approx(
        32 * macs / 1e9
    )
    assert load.units(job("extract", "x", **run)) == pytest.approx(
        (2 * (64 + 64) + 4 * 64) * macs / 1e9
    )
    assert load.units(job("plot_clips", "x")) == 1


def test_a_linear_layer_costs_what_it_should(load):
    """The first convolution of C3D alone: every output value takes as many multiply-adds as the
    kernel has weights.
    """
    from vidrep.listing import build_on_meta

    system = load.experiment.systems["c3d_narrow"]
    first = next(
        m for m in build_on_meta(system, (1, 8, 16, 16)).modules() if isinstance(m, torch.nn.Conv3d)
    )
    outputs = 8 * 16 * 16 // torch.tensor(first.stride).prod().item() * first.out_channels
    assert load.size("c3d_narrow", "digits_only").macs > outputs * first.weight[0].numel()


def test_pooled_features_and_bytes(load):
    sizes = load.size("pixels", "digits_only")
    assert (sizes.parameters, sizes.layers, sizes.features) == (0, 1, 8 * 16 * 16)
    stored = load.megabytes(
        job("extract", "x", dataset="digits_only", system="pixels", seed="untrained")
    )
    # of each test clip, intact and in four manipulations, ten probabilities and four more values
    scores = 64 * (10 + 4) * 4 * 5
    assert stored == pytest.approx(((48 + 64) * 8 * 16 * 16 * 2 + scores) / 1e6)
    flow = load.megabytes(
        job("compute_flow", "x", dataset="digits_only", split="test", method="true")
    )
    assert flow == pytest.approx(64 * 8 * 16 * 16 * 2 * 2 / 1e6)


def test_the_same_job_counts_before_its_kind_its_rule_and_its_units(load, tmp_path):
    wildcards = {"dataset": "digits_only", "system": "c3d_narrow"}
    jobs = [job("train", f"training/{seed}", seed=seed, **wildcards) for seed in ("0", "1")]
    write_record(tmp_path / "benchmarks/training/0.tsv", seconds=50, cpu=40, rss=300)
    first, second = estimate.estimate(jobs, load, Rates([]), tmp_path)
    assert (first.basis, first.cpu_s, first.wall_s, first.memory_mb) == ("record", 40, 50, 300)
    assert (second.basis, second.memory_mb) == ("units", 1000)
    start, rate = records.UNKNOWN["train"]
    assert second.cpu_s == pytest.approx(start + rate * load.units(jobs[1]), abs=0.01)


def test_rates_come_from_all_records_of_the_nearest_kind():
    start = records.UNKNOWN["train"][0]
    known = [
        (planned("train", 10, "a"), Record(start + 5, start + 10, 100)),
        (planned("train", 30, "a"), Record(start + 35, start + 30, 200)),
        (planned("train", 10, "b"), Record(start + 100, start + 100, 50)),
        (planned("train", 10, "a", gpu=1), Record(4 + start, 4 + start, 70)),
    ]
    rates = Rates(known)
    record, basis = rates.expect("train", "a", 20, False)
    assert basis == "kind" and record.cpu_s == pytest.approx(start + 20) and record.memory_mb == 200
    record, basis = rates.expect("train", "c", 20, False)
    assert basis == "rule" and record.cpu_s == pytest.approx(start + 20 * 140 / 50)
    record, basis = rates.expect("train", "a", 20, True)
    assert basis == "kind" and record.wall_s == pytest.approx(start + 8), (
        "what ran on a GPU tells about GPUs alone"
    )
    assert rates.expect("kernels", "a", 20, False)[1] == "units"


def write_record(path: Path, seconds: float, cpu: float | str, rss: float | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEADER}{seconds}\t0:00:01\t{rss}\t0\t0\t0\t0\t0\t0\t{cpu}\n")


@pytest.mark.parametrize(
    ("cpu", "rss", "expected"),
    [("3.5", "99", (3.5, 99)), ("0.00", "-", (7, 0)), ("NA", "NA", (7, 0))],
)
def test_jobs_too_short_to_be_sampled(cpu, rss, expected, tmp_path):
    write_record(tmp_path / "x.tsv", 7, cpu, rss)
    record = records.read_record(tmp_path / "x.tsv")
    assert (record.cpu_s, record.memory_mb) == expected and record.wall_s == 7
    assert records.read_record(tmp_path / "y.tsv") is None


def test_the_truth_is_told_of_jobs_that_were_planned_before_they_ran(tmp_path):
    plan = [
        planned("train", 1, "a"),
        planned("train", 1, "b", basis="record"),
        planned("train", 1, "c"),
    ]
    assert estimate.truth(plan, tmp_path) == ""
    for system in "ab":
        write_record(tmp_path / f"benchmarks/stage/d--{system}--seed0.tsv", 9, 3600, 25)
    last = estimate.truth(plan, tmp_path).splitlines()[-1].split()
    assert last == ["all", "1", "0.000", "1.000", "3600.00", "10", "25"]


def test_plans_survive_their_file(tmp_path):
    plan = [planned("train", 1.5, "a", gpu=1), planned("plot_clips", 1)]
    records.write_plan(tmp_path / "e" / "plan.csv", plan)
    assert records.read_plan(tmp_path / "e" / "plan.csv") == plan
    write_record(tmp_path / "e" / plan[0].benchmark, 9, 8, 7)
    assert list(records.past(tmp_path)) == [(plan[0], Record(8, 9, 7))]


def test_retention_leaves_what_its_policy_says(load):
    items = [planned("kernels", 1, "c3d_narrow", seed=seed) for seed in (0, 1, "untrained")]
    items += [planned("compute_flow", 1), planned("train", 1, "c3d_narrow")]
    text = estimate.disk(items, load, "keep_best")
    assert text.startswith(
        "On disk in the end: keep_all 0.025 GB, keep_best 0.020 GB, temp 0.005 GB"
    )
    assert text.endswith("retention: keep_best saves 0.005 GB.")


def test_only_the_best_run_of_a_system_keeps_its_activations(tmp_path):
    values = {
        ("d", "a", 0): (0.5, "max"),
        ("d", "a", 1): (0.7, "max"),
        ("d", "b", 0): (2.0, "min"),
        ("d", "b", 1): (1.0, "min"),
    }
    values[("e", "a", 0)] = (0.1, "max")
    paths = []
    for (dataset, system, seed), (value, direction) in values.items():
        paths.append(tmp_path / f"runs/{dataset}/{system}/seed{seed}/run.json")
        paths[-1].parent.mkdir(parents=True)
        paths[-1].write_text(json.dumps({"selected": {"value": value, "direction": direction}}))
        for evaluated in "de":
            store = tmp_path / f"activations/{evaluated}/{dataset}--{system}--seed{seed}.zarr.zip"
            store.parent.mkdir(parents=True, exist_ok=True)
            store.write_bytes(b"12345")
    assert superseded(paths) == ["d--a--seed0", "d--b--seed0"]
    keep_best(tmp_path, paths, tmp_path / "retention.csv")
    left = {path.name for path in tmp_path.glob("activations/*/*")}
    assert left == {f"{stem}.zarr.zip" for stem in ("d--a--seed1", "d--b--seed1", "e--a--seed0")}
    lines = (tmp_path / "retention.csv").read_text().splitlines()
    assert lines[0] == "file,bytes"
    assert len(lines) == 5
    assert "activations/e/d--a--seed0.zarr.zip,5" in lines
