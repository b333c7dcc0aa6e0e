"""Where a result comes from: versions, commit, host, time."""

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = (
    "vidrep",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "opencv-python-headless",
    "h5py",
    "zarr",
    "pandas",
    "matplotlib",
    "snakemake",
)


def git_commit() -> str:
    """Commit of the source tree that the library runs from.

    With "-dirty" where the tree has changes; "unknown" outside a checkout.
    """
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--untracked-files=no")
        return f"{commit}-dirty" if changes else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance() -> dict:
    """Versions of Python and of the packages that results depend on, commit, host and time."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "versions": versions,
        "git_commit": git_commit(),
        "host": platform.node(),
        "machine": platform.machine(),
        "processor": _processor(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
