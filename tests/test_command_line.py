"""Long lists of files reach the scripts: the limit of a command line does not apply to what the
rules write.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from snakemake.shell import shell

ROOT = Path(__file__).parent.parent
RUNS = 5000
# bytes of arguments and environment that a program can be started with
LIMIT = os.sysconf("SC_ARG_MAX")


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> list[Path]:
    """The ``run.json`` of 5,000 runs, in folders with names so long that they exceed the limit
    together.
    """
    folder = tmp_path_factory.mktemp("runs").joinpath(*["x" * 200] * 3)
    folder.mkdir(parents=True)
    numbers = dict.fromkeys(
        ("parameters", "macs_per_clip", "train_clips_per_s", "infer_clips_per_s", "peak_bytes"), 7
    )
    paths = [folder / f"{i}.json" for i in range(RUNS)]
    for i, path in enumerate(paths):
        path.write_text(
            json.dumps(
                {"system": {"name": f"system_{i % 3}", "flow": ""}, **numbers, "parameters": i}
            )
        )
    return paths


def shell_commands(rules: str) -> list[str]:
    """The shell commands of a file of rules; ``piped`` is that of common.smk."""
    common = (ROOT / "workflow/rules/common.smk").read_text()
    names = {}
    definition = re.search(r"^def piped.*\n(?:    .*\n|\n)+", common, re.MULTILINE)
    exec(definition[0], names)
    texts = re.findall(r"^( *)shell:\n((?:\1 +\S.*\n)+)", rules, re.MULTILINE)
    return [eval(f"({text})", names) for _, text in texts]


def test_five_thousand_paths_reach_a_script(records, tmp_path, monkeypatch):
    text = " ".join(map(str, records))
    assert len(text) > LIMIT, "else the test shows nothing"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("VIDREP_SCRIPTS", str(ROOT / "scripts"))
    rules = (ROOT / "workflow/rules/tables.smk").read_text()
    command = shell_commands(rules.split("rule collect_cost:")[1])[0]
    filled = {
        "{input.records}": text,
        "{output.table}": "cost.csv",
        "{log}": "cost.log",
        "python ": f"{sys.executable} ",
    }
    for name, value in filled.items():
        command = command.replace(name, value)
    shell(command.replace("{", "{{").replace("}", "}}"))
    table = pd.read_csv("cost.csv")
    assert table["system"].tolist() == ["system_0", "system_1", "system_2"]
    assert table["parameters"].tolist() == [
        pd.Series(range(i, RUNS, 3)).median() // 1 for i in range(3)
    ]


def test_rules_pass_the_files_of_all_runs_so():
    """No command line holds a list that grows with the number of runs."""
    lists = {
        "similarity.smk": "{input.kernels}",
        "functional_similarity.smk": "{input.stores} --weights {input.weights}",
        "tables.smk": "{input.parts}",
        "report.smk": "{params.arguments:q}",
    }
    for name, argument in lists.items():
        commands = shell_commands((ROOT / "workflow/rules" / name).read_text())
        used = [command for command in commands if argument in command]
        piped = rf"printf '%s\\n' [^|]*{re.escape(argument)}[^|]* [|] python"
        assert used and all(re.search(piped, command) for command in used), name


def test_a_script_leaves_with_its_work_done(tmp_path):
    """What it printed has gone through the pipe, what it registered has run; its status is 0."""
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, sys\n"
        "from pathlib import Path\n"
        "from vidrep.command_line import run\n"
        "class Left:\n"
        "    def __del__(self):\n"
        "        print('modules were taken apart', file=sys.__stderr__, flush=True)\n"
        "left = Left()\n"
        "atexit.register(Path(sys.argv[1]).write_text, 'registered')\n"
        "run(lambda: print('printed'))\n"
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "trace"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "printed\n", "")
    assert (tmp_path / "trace").read_text() == "registered"
