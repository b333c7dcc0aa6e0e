"""The tutorials do what they show: their blocks run, in order, and print what the page prints.

A block whose first line is a comment with a file name is that file. Other blocks in ``sh`` and
``python`` are run in a copy of the project. A block in ``text`` is what the one before printed:
numbers may differ, and a line ``...`` stands for any further lines.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_workflow import copy_project

PAGES = Path(__file__).parent.parent / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w.]+\.\w+)\n")
RUN = {"sh": ["bash", "-e"], "python": [sys.executable, "-"]}

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def without_numbers(line: str) -> str:
    """A line with every number as #, and with single blanks."""
    return " ".join(re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "#", line).split())


def check_printed(printed: str, shown: str) -> None:
    """Fail unless all lines were printed that are shown, in order, and no others but for "..."."""
    lines = [without_numbers(line) for line in printed.strip().splitlines()]
    for line in shown.strip().splitlines():
        if line == "...":
            return
        assert lines, f"shown, but not printed: {line}"
        assert lines.pop(0) == without_numbers(line), printed
    assert not lines, f"printed, but not shown: {lines}"


def run_block(kind: str, code: str, folder: Path) -> str:
    """What a block prints, errors after the rest."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        RUN[kind], input=code, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return "\n".join([done.stdout.rstrip(), *errors]).strip()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A checkout with a folder of videos in it."""
    videos = Path(os.environ.get("VIDREP_TEST_DATA", "")) / "real_videos_dev"
    if "VIDREP_TEST_DATA" not in os.environ or not videos.is_dir():
        pytest.skip("VIDREP_TEST_DATA names no folder with real_videos_dev/")
    project = copy_project(tmp_path / "project")
    (project / "actions").symlink_to(videos)
    return project


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.md")))
def test_a_tutorial_does_what_it_shows(page, folder):
    printed = ""
    for kind, content in BLOCK.findall((PAGES / page).read_text()):
        named = NAMED.match(content)
        if kind == "text":
            check_printed(printed, content)
        elif named:
            (folder / named[1]).write_text(content[named.end() :])
        else:
            printed = run_block(kind, content, folder)


def test_what_is_shown_is_held_to_what_is_printed():
    check_printed("a 1.5\nb  -2\nc", "a 0.1\nb 3\n...")
    for shown in ("a 1.5", "a 1\nc 2", "a 1\nb 2\nc\nd"):
        with pytest.raises(AssertionError):
            check_printed("a 1.5\nb  -2\nc", shown)
