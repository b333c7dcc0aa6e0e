"""What is kept of an experiment's large intermediate files.

Of policy ``keep_best`` only those of each system's best run. Policy ``temp`` needs no code here:
Snakemake removes files that rules mark as temporary once nothing more needs them.
"""

import json
from pathlib import Path

from vidrep.activations import STORE_SUFFIX

POLICIES = ("keep_all", "keep_best", "temp")
# of an experiment, with the suffix of a run's files
FOLDERS = {"activations": STORE_SUFFIX, "kernels": ".h5"}


def superseded(records: list[Path]) -> list[str]:
    """File stems of the runs that are not the best of their system on their data set.

    Of equally good runs the first is the best.

    Args:
        records: ``run.json`` of all trained runs, ``runs/<dataset>/<system>/seed<k>/run.json``.
    """
    best: dict[tuple[str, str], tuple[float, str]] = {}  # (data set, system) -> score and stem
    stems = []
    for path in records:
        dataset, system, run = path.parts[-4:-1]
        chosen = json.loads(path.read_text())["selected"]
        score = chosen["value"] if chosen["direction"] == "max" else -chosen["value"]
        stem = f"{dataset}--{system}--{run}"
        stems.append(stem)
        if (dataset, system) not in best or score > best[dataset, system][0]:
            best[dataset, system] = (score, stem)
    kept = {stem for _, stem in best.values()}
    return [stem for stem in stems if stem not in kept]


def keep_best(results: Path, records: list[Path], report: Path) -> None:
    """Remove activations and kernels of superseded runs, and write what was removed, in bytes."""
    from vidrep.result_tables import write_rows  # slow to import, and the Snakefile reads POLICIES

    removed = []
    for stem in superseded(records):
        for folder, suffix in FOLDERS.items():
            for path in sorted(results.glob(f"{folder}/*/{stem}{suffix}")):
                removed.append((str(path.relative_to(results)), path.stat().st_size))
                path.unlink()
    write_rows(report, ("file", "bytes"), removed)
