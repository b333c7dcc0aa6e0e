"""What a small experiment costs as systems, seeds, versions and clips grow.

    python benchmarks/growth.py                # about twenty minutes on two cores
    python benchmarks/growth.py base "1 slot"  # only these

Each row is a whole run of the workflow, figures included, in a folder of its own, with two job
slots unless it says otherwise.
"""

import copy
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
BASE = {
    "experiment": "growth",
    "video": {"frames": 8, "size_px": 16, "patch_px": 8},
    "datasets": ["digits_only"],
    "clips": {"train": 200, "validation": 50, "test": 100},
    "flow": {"estimators": []},
    "systems": [{"name": "c3d_narrow", "seeds": [0], "recipe": {"epochs": [2]}}],
    "activations": {"clips": 100, "fit_clips": 100, "pooling": [2, 2, 2]},
    "similarity": {"measures": ["cka_linear_debiased", "procrustes"], "permutations": 19},
    "probes": {"c": [1.0], "folds": 2, "components": 16},
}
MORE = ["r3d_narrow", "cnn_lstm_narrow", "fusion_single_narrow"]


def grown(
    systems: int = 1, seeds: int = 1, versions: int = 1, clips: int = 1, retention: str = "keep_all"
) -> dict:
    """The base experiment with more of something."""
    config = copy.deepcopy(BASE) | {"retention": retention}
    config["systems"] += [{"name": name} for name in MORE[: systems - 1]]
    for item in config["systems"]:
        item["seeds"] = list(range(seeds))
    config["datasets"] = ["digits_only", "velocity_only", "digits_and_velocity"][:versions]
    config["clips"] = {name: count * clips for name, count in config["clips"].items()}
    config["activations"] |= {"clips": 100 * clips, "fit_clips": 100 * clips}
    return config


CASES = {
    "base": (grown(), 2),
    "1 slot": (grown(), 1),
    "2 systems": (grown(systems=2), 2),
    "4 systems": (grown(systems=4), 2),
    "2 seeds": (grown(seeds=2), 2),
    "4 seeds": (grown(seeds=4), 2),
    "4 seeds, keep_best": (grown(seeds=4, retention="keep_best"), 2),
    "4 seeds, temp": (grown(seeds=4, retention="temp"), 2),
    "2 versions": (grown(versions=2), 2),
    "3 versions": (grown(versions=3), 2),
    "2 x clips": (grown(clips=2), 2),
    "4 x clips": (grown(clips=4), 2),
}


def measure(config: dict, slots: int) -> tuple[int, float, float, float, int]:
    """Run an experiment in a folder of its own.

    Returns:
        Jobs, seconds, CPU seconds of all processes, megabytes and files of the results.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(ROOT / "Snakefile"),
            "--directory",
            folder,
            "--quiet",
            "all",
            "--configfile",
            str(path),
            "--cores",
            str(slots),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        files = [file for file in (Path(folder) / "results").rglob("*") if file.is_file()]
        jobs = sum(file.suffix == ".tsv" for file in files)
        megabytes = sum(file.stat().st_size for file in files) / 1e6
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return jobs, seconds, cpu_s, megabytes, len(files)


def main() -> None:
    """Run the cases named, or all, and print a Markdown table."""
    print("| experiment | jobs | s | CPU s | MB | files |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in sys.argv[1:] or CASES:
        config, slots = CASES[name]
        jobs, seconds, cpu_s, megabytes, files = measure(config, slots)
        print(
            f"| {name} | {jobs} | {seconds:.0f} | {cpu_s:.0f} | {megabytes:.1f} | {files:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
