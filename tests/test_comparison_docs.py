"""The page on comparing says what the code does: its table and its example."""

import re
import subprocess
import sys
from pathlib import Path

from vidrep.measures import markdown

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text()


def test_the_table_says_of_each_measure_what_it_declares():
    """A new measure may still lack its row; a row that stands there is true."""
    section = PAGE.split("## Measures")[1].split("Which one?")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    printed = markdown().splitlines()
    assert len(rows) > 2 and rows[:2] == printed[:2]
    false = [row for row in rows if row not in printed]
    assert not false, "paste what python -m vidrep measures prints"


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cka_linear_debiased" in done.stdout and "Difference(" in done.stdout
