"""The folder of measures: light to list, and each file counts for its own tables alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from vidrep import measures
from vidrep.code_version import covered

ROOT = Path(__file__).parent.parent


def test_listing_imports_no_measure():
    program = "import sys; from vidrep import measures; print(len(measures.names()), sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith(str(len(measures.names())))
    assert "numpy" not in done.stdout


@pytest.mark.parametrize("script", ["compare", "collect_nearest", "map_systems"])
def test_a_script_depends_on_the_measures_it_is_given_alone(script):
    seen = covered(ROOT / "scripts" / f"{script}.py")
    assert ROOT / "vidrep" / "similarity" / "engine.py" in seen
    # stitching shares its penalties with linear_r2, and nothing else names a measure's module
    assert {path.stem for path in seen if path.parent == measures.FOLDER} == {"__init__"}
