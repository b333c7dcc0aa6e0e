"""GPU slots with pretended devices: jobs never share one, a killed job gives its device back.

Times are only there to end a test that would wait for ever.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vidrep.training import gpu_slots

ROOT = Path(__file__).parent.parent
WORKER = """
import os, sys, time
from vidrep.training import gpu_slots
slots = gpu_slots.claim(int(sys.argv[1]))
started = time.monotonic()
print("held", os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
time.sleep(float(sys.argv[2]))
print(started, time.monotonic(), flush=True)
"""


@pytest.fixture(autouse=True)
def private_folder(tmp_path, monkeypatch):
    """Locks lie in the test's own folder, and the test's scheduler is none."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "A,B")


def start(count: int, seconds: float) -> subprocess.Popen:
    """A job that holds ``count`` of the visible devices for a while."""
    command = [sys.executable, "-c", WORKER, str(count), str(seconds)]
    env = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env
    )


def test_jobs_never_overlap_on_a_device():
    jobs = [start(count, 0.1) for count in (1, 2, 1, 1, 1)]
    spans = []
    for job, count in zip(jobs, (1, 2, 1, 1, 1), strict=True):
        output, errors = job.communicate(timeout=600)
        assert job.returncode == 0, errors
        held, times = output.splitlines()
        devices = held.removeprefix("held ").split(",")
        assert len(set(devices)) == count
        assert set(devices) <= {"A", "B"}
        spans += [(device, *map(float, times.split())) for device in devices]
    assert len(spans) == 6
    for (device, begin, end), (other, other_begin, other_end) in itertools.combinations(spans, 2):
        assert device != other or end <= other_begin or other_end <= begin
    assert {device for device, *_ in spans} == {"A", "B"}


def test_a_killed_job_gives_its_devices_back():
    holder = start(2, 600)
    assert holder.stdout.readline() == "held A,B\n"
    waiting = start(1, 0)
    time.sleep(0.6)
    assert waiting.poll() is None, "nothing is free yet"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    output, _ = waiting.communicate(timeout=600)
    assert waiting.returncode == 0
    assert output.startswith("held A\n")


def test_who_waits_for_two_does_not_sit_on_one():
    folder = gpu_slots.lock_folder()
    (first,) = gpu_slots.hold(1, ["A", "B"], folder)
    waiting = start(2, 0)
    time.sleep(0.6)
    began = time.monotonic()
    (second,) = gpu_slots.hold(1, ["A", "B"], folder)
    assert time.monotonic() - began < 300
    assert waiting.poll() is None
    assert [Path(handle.name).name for handle in (first, second)] == ["A", "B"]
    first.close()
    second.close()
    assert waiting.communicate(timeout=600)[0].startswith("held A,B\n")


def test_a_claim_shows_the_held_devices_only():
    slots = gpu_slots.claim(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "A"
    assert len(slots) == 1
    assert gpu_slots.claim(0) == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    slots[0].close()


@pytest.mark.parametrize(("visible", "count"), [("A,B", 3), ("A", 2), ("", 1)])
def test_more_than_there_is_ends_in_one_line(visible, count, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    known = len([name for name in visible.split(",") if name])
    with pytest.raises(
        ValueError, match=rf"^{count} GPU\(s\) wanted, {known} visible; lower `--resources gpu=`"
    ):
        gpu_slots.claim(count)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize(
    ("visible", "devices"),
    [("", []), ("3", ["3"]), ("1,0", ["1", "0"]), ("GPU-af,GPU-07", ["GPU-af", "GPU-07"])],
)
def test_the_pool_is_what_is_visible(visible, devices, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_slots.pool() == devices
    assert gpu_slots.any_visible() == bool(devices)


def test_the_driver_is_asked_when_nothing_is_set(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_slots.pool() == [], "no driver"
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: X (UUID: a)'\necho 'GPU 1: X (UUID: b)'\n")
    tool.chmod(0o755)
    assert gpu_slots.pool() == ["0", "1"]
    tool.write_text("#!/bin/sh\necho 'no devices were found'\nexit 9\n")
    assert gpu_slots.pool() == []


def test_a_scheduler_job_keeps_to_its_own_devices(monkeypatch):
    outside = gpu_slots.lock_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "B")
    inside = gpu_slots.lock_folder()
    assert inside != outside
    assert inside.is_dir()
    assert outside.is_dir()
    (elsewhere,) = gpu_slots.hold(1, ["B"], outside)  # another job's B is another device
    (slot,) = gpu_slots.claim(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "B"
    assert Path(slot.name).parent == inside
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    assert gpu_slots.lock_folder() != inside
    for handle in (elsewhere, slot):
        handle.close()
