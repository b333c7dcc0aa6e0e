"""The pipeline as a user meets it: Snakemake on small experiments, in a copy of the project."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from vidrep.experiment import Experiment
from vidrep.report.figures import FIGURES
from vidrep.similarity import compare

ROOT = Path(__file__).parent.parent
SMOKE = "workflow/experiments/smoke.yaml"
PARTS = ("Snakefile", "config.yaml", "workflow", "profiles", "envs", "scripts", "vidrep", "studies")
TABLES = (
    "accuracy",
    "probes",
    "confusion",
    "nearest",
    "flow_error",
    "prediction",
    "prediction_verdict",
)
TABLES += ("variance_shares", "agreement", "layer_matches", "versions")  # cost.csv holds times

pytestmark = pytest.mark.workflow


def copy_project(folder: Path) -> Path:
    """A copy of what Snakemake needs, to be edited at will."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / part)
    return folder


def snakemake(
    project: Path, *arguments: str, work: Path, check: bool = True
) -> subprocess.CompletedProcess:
    """Run Snakemake of a project in the folder ``work``; its output is in ``stdout``."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(project / "Snakefile"),
        "--directory",
        str(work),
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    result = subprocess.run(
        command,
        cwd=project,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if check:
        assert result.returncode == 0, result.stdout[-5000:]
    return result


def job_counts(output: str) -> dict[str, int]:
    """Rule -> number of jobs, from a dry run."""
    table = output.split("Job stats:", 1)[1].split("total", 1)[0]
    return {
        name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
    }


def stale_runs(output: str) -> set[tuple[str, str]]:
    """(system, data set) of the training jobs in a dry run."""
    return set(re.findall(r"Training: (\w+) \((\w+), seed", output))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def smoke(project, tmp_path_factory) -> Path:
    """The smoke experiment, run to the end; the working directory."""
    work = tmp_path_factory.mktemp("smoke")
    snakemake(project, "--configfile", SMOKE, "--cores", "2", "--resources", "gpu=2", work=work)
    return work


def rows(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_smoke_gives_the_agreed_files(smoke):
    results = smoke / "results" / "smoke"
    for name in (
        "datasets/digits_only/test.h5",
        "runs/velocity_only/c3d_narrow/seed1/weights.pt",
        "activations/velocity_only/digits_only--two_stream_exact_narrow--seed0.zarr.zip",
        "provenance.json",
    ):
        assert (results / name).is_file(), name
    assert (results / "flow/digits_only/test/true.zarr").is_dir()
    assert {path.stem for path in (results / "tables").glob("*.csv")} == {*TABLES, "cost"}
    assert list(rows(results / "tables" / "accuracy.csv")[0]) == [
        "system",
        "trained_on",
        "evaluated_on",
        "seed",
        "split",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "converged",
        "flow",
    ]
    assert list(rows(results / "tables" / "probes.csv")[0]) == [
        "system",
        "trained_on",
        "evaluated_on",
        "seed",
        "layer",
        "factor",
        "metric",
        "value",
        "chance",
    ]
    record = json.loads((results / "provenance.json").read_text())
    assert record["config"]["experiment"] == "smoke" and record["versions"]["torch"]
    runs = [json.loads(path.read_text()) for path in results.glob("runs/*/*/seed[0-9]*/run.json")]
    assert record["precision"] == sorted({run["precision"] for run in runs})


def test_every_declared_figure_of_the_experiment_is_drawn(smoke):
    results = smoke / "results/smoke"
    experiment = Experiment(json.loads((results / "provenance.json").read_text())["config"])
    not_asked_for = {figure.name for figure in FIGURES if not figure.of(experiment)}
    # drawn in test_report.py
    assert not_asked_for == {
        *("few_labels", "training_time", "detection", "class_confusion"),
        *("alignment", "matches", "matches_animation"),
    }
    declared = {path for figure in FIGURES for path in figure.files(experiment)}
    found = {
        str(path).replace(str(results), "<results>")
        for path in results.glob("figures/**/*")
        if path.is_file()
    }
    assert found == declared


def test_every_run_is_scored_on_every_version_and_baselines_on_their_own(smoke):
    scored = {
        (row["system"], row["trained_on"], row["evaluated_on"], row["seed"])
        for row in rows(smoke / "results/smoke/tables/accuracy.csv")
        if row["metric"] == "exact_set"
    }
    versions = ("digits_only", "velocity_only")
    assert {
        ("c3d_narrow", a, b, seed) for a in versions for b in versions for seed in ("0", "1")
    } <= scored
    assert {("two_stream_exact_narrow", a, a, "untrained") for a in versions} <= scored
    assert {("majority_set", a, a, "untrained") for a in versions} <= scored


def test_every_run_is_scored_on_its_own_clips_with_broken_time(smoke):
    table = [
        row for row in rows(smoke / "results/smoke/tables/accuracy.csv") if row["split"] != "test"
    ]
    assert {row["split"] for row in table} == {
        "test_shuffled",
        "test_reversed",
        "test_frozen",
        "test_one_frame",
    }
    assert all(row["trained_on"] == row["evaluated_on"] for row in table)
    assert {row["system"] for row in table} == {
        "c3d_narrow",
        "two_stream_exact_narrow",
        "lstm_composite_narrow",
    }
    assert (smoke / "results/smoke/figures/controls.png").is_file()


def test_similarity_covers_all_pairs_of_representations(smoke):
    table = rows(smoke / "results/smoke/similarity/digits_only/cka_linear_debiased.csv")
    representations = {row["rep_a"] for row in table} | {row["rep_b"] for row in table}
    assert len(table) == len(representations) * (len(representations) + 1) // 2
    assert {name.count("/") for name in representations} == {3}
    assert "velocity_only/c3d_narrow/seed1/embedding" in representations
    assert "digits_only/c3d_narrow/seeduntrained/conv1" in representations
    same = [float(row["value"]) for row in table if row["rep_a"] == row["rep_b"] and row["value"]]
    assert same == pytest.approx([1.0] * len(same), abs=1e-6)


def test_maps_hold_every_run_and_shares_every_factor(smoke):
    results = smoke / "results/smoke"
    places = rows(results / "similarity_analysis/digits_only/places.csv")
    branches = rows(results / "similarity_analysis/digits_only/branches.csv")
    assert len(places) == 2 * 4 + 4 and len(branches) == len(places) - 1
    assert (
        len(branches[-1]["members"].split(" ")) == len(places) and branches[-1]["support"] == "1.0"
    )
    told = {
        (row["evaluated_on"], row["measure"], row["factor"])
        for row in rows(results / "tables/variance_shares.csv")
    }
    assert {(e, m) for e, m, _ in told} == {
        (e, m)
        for e in ("digits_only", "velocity_only")
        for m in ("cka_linear_debiased", "procrustes")
    }
    assert {factor for _, _, factor in told} == {"family", "objective", "trained_on", "residual"}
    relations = {row["relation"] for row in rows(results / "tables/versions.csv")}
    assert relations == {"versions", "versions_other_seed", "retraining", "untrained"}


def test_answers_of_all_runs_with_classes_are_compared(smoke):
    table = rows(smoke / "results/smoke/functional_similarity/digits_only.csv")
    without = {row["run_a"].split("/")[1] for row in table if row["flag"] == "no_classes"}
    assert without == {"lstm_composite_narrow", "pixels"}
    runs = {row["run_a"] for row in table if row["metric"] == "stitched_accuracy"}
    assert {
        "velocity_only/c3d_narrow/seed1",
        "digits_only/two_stream_exact_narrow/seeduntrained",
    } <= runs
    counts = {
        metric: sum(row["metric"] == metric for row in table)
        for metric in ("agreement", "stitched_accuracy")
    }
    assert counts == {
        "agreement": len(runs) * (len(runs) - 1) // 2,
        "stitched_accuracy": len(runs) ** 2,
    }


def test_finished_work_is_not_repeated(project, smoke):
    output = snakemake(project, "--configfile", SMOKE, "--cores", "2", work=smoke).stdout
    assert "Nothing to be done" in output


def test_report_opens_offline(project, smoke):
    snakemake(project, "--configfile", SMOKE, "--report", "report.html", work=smoke)
    page = (smoke / "report.html").read_text()
    record = json.loads((smoke / "results/smoke/provenance.json").read_text())
    experiment = Experiment(record["config"])
    for figure in FIGURES:
        if not figure.of(experiment):
            continue
        assert figure.title in page and figure.caption.split("\n")[1] in page, figure.name
    assert not re.search(r"<(script|link)[^>]+(src|href)=.https?:", page)


def test_editing_one_model_makes_only_its_runs_stale(project, smoke):
    model = project / "vidrep" / "models" / "c3d.py"
    original = model.read_text()
    try:
        model.write_text(original.replace('"""C3D: plain', '"""C3D, plain'))
        assert (
            "Nothing to be done"
            in snakemake(project, "--configfile", SMOKE, "-n", work=smoke).stdout
        )
        model.write_text(
            original.replace("self.embedding = nn.Flatten()", "self.embedding = nn.Flatten(1)")
        )
        output = snakemake(project, "--configfile", SMOKE, "-n", work=smoke).stdout
    finally:
        model.write_text(original)
    assert stale_runs(output) == {("c3d_narrow", "digits_only"), ("c3d_narrow", "velocity_only")}
    assert "render_dataset" not in job_counts(output)


def test_editing_the_training_loop_makes_all_runs_stale(project, smoke):
    loop = project / "vidrep" / "training" / "loop.py"
    original = loop.read_text()
    try:
        loop.write_text(original.replace("EVALUATION_BATCH = 100", "EVALUATION_BATCH = 99"))
        output = snakemake(project, "--configfile", SMOKE, "-n", work=smoke).stdout
    finally:
        loop.write_text(original)
    counts = job_counts(output)
    # runs on two versions; the baselines of all small systems together
    assert counts["train"] == 2 * 4
    assert counts["train_untrained"] == 1


def overlay_of_smoke(path: Path, **changes) -> Path:
    """The smoke experiment with some keys replaced, as a file of its own."""
    path.write_text(yaml.safe_dump(yaml.safe_load((ROOT / SMOKE).read_text()) | changes))
    return path


def test_adding_a_run_adds_its_kernels_and_redoes_light_jobs_alone(project, smoke, tmp_path):
    systems = yaml.safe_load((ROOT / SMOKE).read_text())["systems"]
    systems[0]["seeds"] = [0, 1, 2]
    overlay = overlay_of_smoke(tmp_path / "more.yaml", systems=systems)
    counts = job_counts(snakemake(project, "--configfile", str(overlay), "-n", work=smoke).stdout)
    # trained on two versions, each run extracted, probed and summed up on both by one job, compared
    # by two measures on both
    own = {
        "train": 2,
        "extract": 2,
        "probe": 2,
        "kernels": 2,
        "compare": 2 * 2,
        "functional_similarity": 2,
        "map_systems": 2,
    }
    tables_and_figures = {name for name in counts if name.startswith(("collect_", "plot_"))} | {
        "similarity_analysis",
        "record_provenance",
        "all",
    }
    assert {name: count for name, count in counts.items() if name not in tables_and_figures} == own


def test_external_activations_join_as_the_documentation_says(project, smoke, tmp_path):
    work = shutil.copytree(smoke, tmp_path / "work")
    section = (
        (ROOT / "docs/extending.md").read_text().split("## Activations of a network of your own")[1]
    )
    program, listing = re.findall(r"```(?:python|yaml)\n(.*?)```", section, re.DOTALL)[:2]
    program = program.replace("results/default", "results/smoke").replace("[:200]", "[:48]")
    subprocess.run([sys.executable, "-c", program], cwd=work, check=True)
    config = [
        "--configfile",
        str(overlay_of_smoke(tmp_path / "external.yaml", **yaml.safe_load(listing))),
    ]
    planned = {
        "import_activations": 1,
        "kernels_external": 1,
        "compare": 2,
        "similarity_analysis": 1,
        "plot_similarity": 1,
        "plot_similarity_analysis": 1,
    }
    counts = job_counts(snakemake(project, *config, "-n", work=work).stdout)
    assert counts == planned | {"record_provenance": 1, "all": 1}

    targets = [
        "results/smoke/similarity/digits_only/procrustes.csv",
        "results/smoke/figures/layers/digits_only--cka_linear_debiased.png",
    ]
    snakemake(project, *targets, *config, "--cores", "2", work=work)
    values = {(row["rep_a"], row["rep_b"]): row["value"] for row in rows(work / targets[0])}
    name = "external/my_network/seed0"
    with np.load(work / "my_network.npz") as file:
        expected = compare(file["movement"], file["embedding"], "procrustes")
    assert float(values[f"{name}/movement", f"{name}/embedding"]) == pytest.approx(
        expected, rel=1e-5
    )
    assert float(values["digits_only/c3d_narrow/seed0/conv1", f"{name}/embedding"]) > 0.1
    before = {(row["rep_a"], row["rep_b"]): row["value"] for row in rows(smoke / targets[0])}
    assert before.items() <= values.items()


def test_a_killed_run_resumes_to_the_same_weights(smoke, tmp_path):
    results = smoke / "results" / "smoke"
    record = json.loads((results / "runs/digits_only/c3d_narrow/seed0/run.json").read_text())
    record["system"]["recipe"]["epochs"] = [6]

    def command(output: Path) -> list[str]:
        files = {
            name: str(results / f"datasets/digits_only/{name}.h5")
            for name in ("train", "validation")
        }
        options = [
            "--datasets",
            "digits_only",
            "--train",
            files["train"],
            "--validation",
            files["validation"],
            "--seed",
            "0",
        ]
        options += ["--experiment-seed", "0", "--threads", "1", "--outputs", str(output)]
        return [
            sys.executable,
            str(ROOT / "scripts/train.py"),
            "--systems",
            json.dumps(record["system"]),
            *options,
        ]

    killed = subprocess.Popen(command(tmp_path / "killed"), stderr=subprocess.PIPE, text=True)
    for line in killed.stderr:
        if "epoch 2/6" in line:
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    assert not (tmp_path / "killed/run.json").exists()
    resumed = subprocess.run(
        command(tmp_path / "killed"), stderr=subprocess.PIPE, text=True, check=True
    ).stderr
    assert "epoch 1/6" not in resumed and "epoch 6/6" in resumed
    subprocess.run(command(tmp_path / "unbroken"), stderr=subprocess.DEVNULL, check=True)
    for name in ("weights.pt", "history.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (
            tmp_path / "unbroken" / name
        ).read_bytes()
    assert not (tmp_path / "killed/checkpoint.pt").exists()


@pytest.fixture(scope="module")
def interrupted(project, tmp_path_factory) -> Path:
    """The smoke experiment, interrupted once its first run is complete; the working directory."""
    work = tmp_path_factory.mktemp("interrupted")
    command = [sys.executable, "-m", "snakemake", "-s", str(project / "Snakefile")]
    command += ["--directory", str(work), "--configfile", str(project / SMOKE), "--cores", "2"]
    process = subprocess.Popen(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # a background shell ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 600  # against waiting for ever
    while not finished_runs(work) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(600) != 0
    return work


def finished_runs(work: Path) -> list[Path]:
    """The records of the smoke experiment's finished runs."""
    return list(work.glob("results/smoke/runs/*/*/*/run.json"))


def test_interrupting_snakemake_leaves_no_half_written_result(interrupted):
    assert finished_runs(interrupted)
    for record in finished_runs(interrupted):
        json.loads(record.read_text())


def test_same_config_gives_the_same_bytes_even_after_an_interruption(project, smoke, interrupted):
    targets = [f"results/smoke/tables/{name}.csv" for name in TABLES] + [
        "results/smoke/similarity/velocity_only/procrustes.csv",
        "results/smoke/functional_similarity/digits_only.csv",
    ]
    snakemake(project, *targets, "--configfile", SMOKE, "--cores", "2", work=interrupted)
    weights = [
        "results/smoke/runs/digits_only/c3d_narrow/seed0/weights.pt",
        "results/smoke/runs/velocity_only/two_stream_exact_narrow/seed0/weights.pt",
    ]
    for name in (*targets, *weights):
        assert (interrupted / name).read_bytes() == (smoke / name).read_bytes(), name


def test_paper_experiment_plans_the_reference_setting(project, tmp_path):
    output = snakemake(
        project, "--configfile", "workflow/experiments/paper.yaml", "-n", work=tmp_path
    ).stdout
    counts = job_counts(output)
    assert counts["fetch_mnist"] == 4
    assert counts["render_dataset"] == 6 * 3
    assert counts["train"] == 6 * 7 * 3
    # the baselines of a system of the published size together; those of pixels
    assert counts["train_untrained_0"] == 7
    assert counts["train_untrained"] == 1
    config = yaml.safe_load((ROOT / "workflow/experiments/paper.yaml").read_text())
    assert (config["clips"]["train"], config["clips"]["test"], config["video"]["size_px"]) == (
        8000,
        4000,
        64,
    )


def test_default_experiment_plans_its_systems(project, tmp_path):
    counts = job_counts(
        snakemake(project, "--configfile", "config.yaml", "-n", work=tmp_path).stdout
    )
    # on all data sets C3D with two seeds, CNN + LSTM, two-stream; two systems on two, five on one
    assert counts["train"] == 3 * (2 + 1 + 1) + 2 * 2 + 5
    assert sum(count for name, count in counts.items() if name.startswith("train_untrained")) == 1
    assert counts["compare"] == 3 * 3


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_profiles_parse(project, tmp_path, profile):
    arguments = [
        "--workflow-profile",
        str(project / "profiles" / profile),
        "--configfile",
        SMOKE,
        "-n",
    ]
    assert "Job stats" in snakemake(project, *arguments, work=tmp_path).stdout


def test_snakemake_lint(project, tmp_path):
    assert (
        "Congratulations"
        in snakemake(project, "--configfile", "config.yaml", "--lint", work=tmp_path).stdout
    )


def test_format_and_lint():
    for command in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "Snakefile", "workflow", "studies"],
    ):
        result = subprocess.run(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr


# One of each kind of check; tests/test_config.py has the others.
BAD = {
    "unknown key": ({"sistems": ["c3d_narrow"]}, "sistems"),
    "unknown system": ({"systems": ["c4d"]}, "systems: 'c4d'"),
    "too few frames for the flow stack": (
        {"video": {"frames": 8}, "systems": ["two_stream_exact_narrow"]},
        "video.frames",
    ),
    "no file of activations": (
        {"external": [{"name": "mine", "file": "none.npz", "evaluated_on": "digits_only"}]},
        "external, mine.file: no file none.npz",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_config_ends_in_one_clear_line(project, tmp_path, case):
    overlay, named = BAD[case]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(overlay))
    result = snakemake(project, "--configfile", str(path), "-n", work=tmp_path, check=False)
    assert result.returncode != 0
    lines = [line for line in result.stdout.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and named in lines[0], result.stdout
    assert "Traceback" not in result.stdout


def test_parsing_needs_neither_torch_nor_pandas():
    modules = (
        "vidrep.config, vidrep.code_version, vidrep.experiment, vidrep.naming,"
        " vidrep.training.gpu_slots, vidrep.report.figures"
    )
    heavy = {"torch", "pandas", "sklearn", "numpy", "matplotlib"}
    program = f"import sys, {modules}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_conda_environment_agrees_with_the_constraints():
    constraints = dict(
        line.split("==")
        for line in (ROOT / "envs/constraints.txt").read_text().split()
        if "==" in line
    )
    packages = yaml.safe_load((ROOT / "envs/vidrep.yaml").read_text())["dependencies"]
    flat = [item for item in packages if isinstance(item, str)] + [
        line for item in packages if isinstance(item, dict) for line in item["pip"]
    ]
    pinned = dict(
        re.split("==?", item) for item in flat if "=" in item and not item.startswith("python=")
    )
    names = {"matplotlib-base": "matplotlib", "pytorch": "torch", "pyyaml": "PyYAML"}
    assert pinned
    for name, version in pinned.items():
        assert constraints[names.get(name, name)] == version


def test_mnist_trains_through_the_pipeline(project, tmp_path):
    data = os.environ.get("VIDREP_TEST_DATA")
    if not data or not (Path(data) / "mnist").is_dir():
        pytest.skip("VIDREP_TEST_DATA names no folder with mnist/")
    overlay = yaml.safe_load((ROOT / SMOKE).read_text())
    overlay |= {
        "experiment": "mnist",
        "digits": {"kind": "mnist", "folder": str(Path(data) / "mnist")},
    }
    overlay |= {
        "video": {"frames": 8, "size_px": 64, "patch_px": 28},
        "systems": [{"name": "c3d_narrow", "recipe": {"epochs": [1]}}],
    }
    (tmp_path / "mnist.yaml").write_text(yaml.safe_dump(overlay))
    target = "results/mnist/runs/digits_only/c3d_narrow/seed0/run.json"
    snakemake(
        project, target, "--configfile", str(tmp_path / "mnist.yaml"), "--cores", "2", work=tmp_path
    )
    assert json.loads((tmp_path / target).read_text())["data_shape"]["clip"] == [1, 8, 64, 64]
