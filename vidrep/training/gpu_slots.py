"""Concurrent jobs of one machine on different GPUs, by file locks.

Snakemake limits how many GPU jobs run together but never chooses the device. Each device has a lock
file; a job holds the locks of its devices until its process ends, however it ends, because the
kernel drops them. On a scheduler the pool is what the scheduler granted, so its choice is kept.
"""

import fcntl
import getpass
import itertools
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

POLL_S = 0.2


def any_visible() -> bool:
    """Is there any device this process may use? Cheap enough to ask while a Snakefile is parsed."""
    granted = _granted()
    if granted is not None:
        return bool(granted)
    return any(Path("/dev").glob("nvidia[0-9]*"))


def pool() -> list[str]:
    """Devices that this process may use.

    Those of ``CUDA_VISIBLE_DEVICES`` when it is set, else all that the driver lists.
    """
    granted = _granted()
    if granted is not None:
        return granted
    try:
        command = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    count = len(command.stdout.strip().splitlines())
    return [str(index) for index in range(count)]


def lock_folder() -> Path:
    """Folder of the lock files, on the local disk.

    One a user; inside a scheduler one a job, since device names of jobs may repeat.
    """
    job = os.environ.get("SLURM_JOB_ID")
    scope = f"slurm-{job}" if job else "host"
    folder = Path(tempfile.gettempdir()) / f"vidrep-gpu-{getpass.getuser()}" / scope
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hold(count: int, devices: list[str], folder: Path) -> list[IO]:
    """Wait until ``count`` of ``devices`` are free and hold them.

    Returns:
        Open lock files named after their devices; they are held until closed or until the process
        ends.

    Raises:
        ValueError: more devices wanted than there are.
    """
    if count > len(devices):
        raise ValueError(
            f"{count} GPU(s) wanted, {len(devices)} visible; lower `--resources gpu=` or the rule's"
            " gpu request"
        )
    while True:
        # one chooser at a time: no deadlock over half-held pairs
        with open(folder / "choosing", "w") as choosing:
            fcntl.flock(choosing, fcntl.LOCK_EX)
            held = []
            for device in devices:
                if len(held) < count and (handle := _try_lock(folder / device)):
                    held.append(handle)
            if len(held) == count:
                return held
            for handle in held:
                handle.close()
        time.sleep(POLL_S)


def claim(count: int) -> list[IO]:
    """Hold ``count`` devices and make them the only visible ones; call before CUDA is first used.

    Returns:
        The locks; keep them until the work is done. With ``count`` 0 the process sees no device.
    """
    held = hold(count, pool(), lock_folder()) if count else []
    devices = [Path(handle.name).name for handle in held]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    return held


def _granted() -> list[str] | None:
    """Devices that ``CUDA_VISIBLE_DEVICES`` names; None when it is not set.

    As CUDA reads it: up to the first invalid one.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return None
    names = [name.strip() for name in visible.split(",")]
    return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))


def _try_lock(path: Path) -> IO | None:
    handle = open(path, "w")  # noqa: SIM115 - stays open as long as the lock is held
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except BlockingIOError:
        handle.close()
        return None
