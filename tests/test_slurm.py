"""A tiny experiment on a real SLURM with pretended GPUs: what is asked for and granted, retries,
cancelled and interrupted runs.

One campaign of four starts serves all tests: data sets, whose first job needs more memory than it
asks for at first; everything else, with one training cancelled; the same again, interrupted; and
the rest.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import mini_slurm
import pytest
import yaml
from test_workflow import ROOT, SMOKE, copy_project, snakemake

# takes minutes, so it is asked for: pytest -m slurm tests/test_slurm.py
pytestmark = pytest.mark.slurm

TINY = {  # three seeds: enough networks for several GPUs at a time
    "experiment": "tiny",
    "datasets": ["digits_only"],
    "flow": {"estimators": []},
    "systems": [{"name": "c3d_narrow", "seeds": [0, 1], "recipe": {"epochs": [2]}}],
    "similarity": {"measures": ["cka_linear_debiased"], "permutations": 19},
}
TABLES = [f"results/tiny/tables/{name}.csv" for name in ("accuracy", "probes", "confusion")]
TABLES += ["results/tiny/similarity/digits_only/cka_linear_debiased.csv"]
EVERYTHING = ["results/tiny/provenance.json", TABLES[-1]]  # but the figures
DATA = [
    f"results/tiny/datasets/digits_only/{split}.h5" for split in ("train", "validation", "test")
]
PARTITIONS = {
    "cpu": {"max_runtime": 600, "max_mem_mb": 16000, "max_threads": 4},
    "gpu": {"max_runtime": 600, "max_mem_mb": 16000, "max_threads": 4, "max_gpu": 2},
}
# of one start: against hanging; on two free cores all of them together take some minutes
LIMIT_S = 1500

# A job's GPUs are pretended: the CPU computes, and what the job holds, and where, goes to a file.
PRETENDED_GPUS = """

_choose_device = choose


def choose(gpus=0, precision="auto", threads=None):
    import json, os

    if gpus:
        devices = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
        held = {"node": os.environ["SLURMD_NODENAME"], "devices": devices}
        with open(f"HELD/{os.environ['SLURM_JOB_ID']}.json", "w") as file:
            json.dump(held, file)
    return _choose_device(0, precision, threads)
"""
# With what Snakemake itself takes, more memory than the first attempt asks for (1000 MB), less than
# the second; long enough for the scheduler to look.
GREEDY = """

if "SLURM_JOB_ID" in os.environ:
    hoard = bytearray(b"x") * 950_000_000
    time.sleep(8)
"""


@dataclass
class Start:
    """One start of Snakemake: its exit status, its output, and the jobs it submitted."""

    status: int
    output: str
    jobs: list[dict[str, str]]

    def of(self, rule: str) -> list[dict[str, str]]:
        return [job for job in self.jobs if rule_of(job) == rule]


@dataclass
class Campaign:
    """All starts, the working directory, and what the jobs held."""

    data: Start
    cancelled: Start
    interrupted: Start
    left_behind: list[str]
    rest: Start
    cancelled_job: str
    work: Path
    held: dict[str, dict]

    def jobs(self) -> list[dict[str, str]]:
        return [
            job
            for start in (self.data, self.cancelled, self.interrupted, self.rest)
            for job in start.jobs
        ]


def rule_of(job: dict[str, str]) -> str:
    """The rule behind a SLURM job, which the executor puts into the job's comment."""
    return re.sub(r"^rule_|_wildcards_.*$", "", job["Comment"])


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project in which GPUs are pretended and one script is greedy."""
    project = copy_project(tmp_path_factory.mktemp("slurm_project"))
    (project / "held").mkdir()
    device = project / "vidrep" / "training" / "device.py"
    device.write_text(device.read_text() + PRETENDED_GPUS.replace("HELD", str(project / "held")))
    script = project / "scripts" / "split_digits.py"
    script.write_text(
        script.read_text().replace(
            "import argparse", "import argparse\nimport os\nimport time" + GREEDY, 1
        )
    )
    (project / "tiny.yaml").write_text(
        yaml.safe_dump(yaml.safe_load((project / SMOKE).read_text()) | TINY)
    )
    (project / "partitions.yaml").write_text(yaml.safe_dump({"partitions": PARTITIONS}))
    return project


@pytest.fixture(scope="module")
def campaign(project, tmp_path_factory) -> Campaign:
    """The experiment through the profile, start by start."""
    if missing := mini_slurm.missing_tools():
        pytest.skip(
            f"SLURM is not installed: {', '.join(missing)} missing (Debian: apt-get install"
            " slurm-wlm)"
        )
    work = tmp_path_factory.mktemp("slurm_work")
    with mini_slurm.cluster(tmp_path_factory.mktemp("slurm")) as environment:
        cancelled_job = []

        def cancel_one_training() -> bool:
            job = next(
                (job for job in mini_slurm.jobs(environment) if is_running(job, "train", "1")), None
            )
            if job and (project / "held" / f"{job['JobId']}.json").is_file():
                subprocess.run(["scancel", job["JobId"]], env=environment, check=True)
                cancelled_job.append(job["JobId"])
            return bool(cancelled_job)

        data = run(project, work, environment, *DATA)
        cancelled = run(
            project, work, environment, *EVERYTHING, "--retries", "0", meanwhile=cancel_one_training
        )
        interrupted = run(
            project,
            work,
            environment,
            *EVERYTHING,
            meanwhile=lambda: running(environment),
            send=signal.SIGINT,
        )
        left_behind = [
            job["JobId"]
            for job in mini_slurm.jobs(environment)
            if job["JobState"] in ("PENDING", "RUNNING")
        ]
        rest = run(project, work, environment, *EVERYTHING)
    held = {path.stem: json.loads(path.read_text()) for path in (project / "held").iterdir()}
    return Campaign(data, cancelled, interrupted, left_behind, rest, cancelled_job[0], work, held)


def is_running(job: dict[str, str], rule: str, seed: str) -> bool:
    return (
        job["JobState"] == "RUNNING"
        and rule_of(job) == rule
        and job["Comment"].endswith(f"_{seed}")
    )


def running(environment: dict[str, str]) -> bool:
    return any(job["JobState"] == "RUNNING" for job in mini_slurm.jobs(environment))


def run(
    project: Path,
    work: Path,
    environment: dict[str, str],
    *arguments: str,
    meanwhile: Callable[[], bool] | None = None,
    send: signal.Signals | None = None,
) -> Start:
    """Start Snakemake with the shipped profile; ask ``meanwhile`` until it is true, then send a
    signal, if any is given.

    The options beyond the profile's fit a small cluster: jobs are looked after sooner, and there is
    no accounting data base.
    """
    before = {job["JobId"] for job in mini_slurm.jobs(environment)}
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *arguments,
        "-s",
        str(project / "Snakefile"),
        "--directory",
        str(work),
    ]
    command += [
        "--workflow-profile",
        str(project / "profiles" / "slurm"),
        "--configfile",
        str(project / "tiny.yaml"),
    ]
    command += [
        "--slurm-partition-config",
        str(project / "partitions.yaml"),
        "--slurm-status-command",
        "squeue",
    ]
    command += ["--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "5"]
    log = work / "snakemake.log"
    with open(log, "w") as file:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=environment | {"PYTHONPATH": str(project)},
            stdout=file,
            stderr=subprocess.STDOUT,
            # a background shell ignores it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            deadline = time.monotonic() + LIMIT_S
            while meanwhile and not meanwhile():
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[
                    -5000:
                ]
                time.sleep(0.5)
            if send:
                process.send_signal(send)
            process.wait(LIMIT_S)
        finally:
            process.kill()
    jobs = [job for job in mini_slurm.jobs(environment) if job["JobId"] not in before]
    return Start(process.returncode, log.read_text(), jobs)


def test_all_starts_end_as_they_should(campaign):
    assert campaign.data.status == 0, campaign.data.output[-5000:]
    assert campaign.rest.status == 0, campaign.rest.output[-5000:]
    assert campaign.cancelled.status == 1 and campaign.interrupted.status == 1


def test_network_jobs_ask_for_a_gpu_and_others_do_not(campaign):
    asking = {rule_of(job) for job in campaign.jobs() if "gpu:1" in job.get("TresPerJob", "")}
    assert asking == {"train", "extract", "extract_untrained"}
    assert all(job["Partition"] == "gpu" for job in campaign.jobs() if "TresPerJob" in job)


def test_what_takes_a_second_stays_with_snakemake(campaign):
    block = re.search(
        r"^localrules:\n((?: +\w+,\n)+)", (ROOT / "Snakefile").read_text(), re.MULTILINE
    )[1]
    local = set(re.findall(r"\w+", block))
    assert {"all", "collect_accuracy", "record_provenance"} <= local and not local & {
        rule_of(job) for job in campaign.jobs()
    }


def test_each_job_has_a_device_of_its_own(campaign):
    # ISO times, so text compares
    spans = {job["JobId"]: (job["StartTime"], job["EndTime"]) for job in campaign.jobs()}
    used = [
        (held["node"], device, *spans[job])
        for job, held in campaign.held.items()
        for device in held["devices"]
    ]
    assert {(node, device) for node, device, *_ in used} <= mini_slurm.GPUS
    assert all(len(held["devices"]) == 1 for held in campaign.held.values())
    for (node, device, began, ended), (node_b, device_b, began_b, ended_b) in combinations(used, 2):
        assert (node, device) != (node_b, device_b) or ended <= began_b or ended_b <= began
    together = max(
        sum(began <= moment < ended for _, _, began, ended in used) for _, _, moment, _ in used
    )
    assert 2 <= together <= len(mini_slurm.GPUS)
    finished = {
        job["JobId"]
        for job in campaign.jobs()
        if "TresPerJob" in job and job["JobState"] == "COMPLETED"
    }
    assert finished <= set(campaign.held)


def test_a_failed_job_is_retried_with_more_memory_and_time(campaign):
    first, second = campaign.data.of("split_digits")
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("1000M", "2000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:10:00", "00:20:00")


def test_a_cancelled_job_is_reported_and_the_next_start_finishes_the_rest(campaign):
    assert re.search(
        rf"SLURM-job '{campaign.cancelled_job}' failed, SLURM status is: 'CANCELLED'",
        campaign.cancelled.output,
    )
    assert "Error in rule train" in campaign.cancelled.output
    trained = campaign.cancelled.of("train")
    assert len(trained) == 2  # seeds
    lost = {job["Comment"] for job in trained if job["JobId"] == campaign.cancelled_job}
    assert {
        job["Comment"] for job in campaign.interrupted.of("train") + campaign.rest.of("train")
    } == lost
    assert not campaign.rest.of("render_dataset")


def test_an_interrupt_leaves_no_job_behind(campaign):
    assert campaign.interrupted.jobs and campaign.left_behind == []
    assert "CANCELLED" in {job["JobState"] for job in campaign.interrupted.jobs}


def test_tables_are_those_of_a_local_run(project, campaign, tmp_path):
    snakemake(
        project,
        *TABLES,
        "--configfile",
        str(project / "tiny.yaml"),
        "--cores",
        "2",
        "--resources",
        "gpu=0",
        work=tmp_path,
    )
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (campaign.work / name).read_bytes(), name
    assert not list(campaign.work.glob(".snakemake/locks/*"))
