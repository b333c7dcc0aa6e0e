"""The page on comparing says what the code does: its table and its example."""

import re
import subprocess
import sys
from pathlib import Path

from vidrep.measures import markdown

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text()


def test_the_table_of_measures_is_that_of_the_measures():
    assert markdown() in PAGE, "paste what python -m vidrep measures prints"


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cka_linear_debiased" in done.stdout and "Difference(" in done.stdout
