"""A private SLURM on this machine: two nodes with two pretended GPUs each and one without, in a
folder of its own.

The scheduler is the real one; only the devices are not: any existing character device serves as a
GPU's file.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "squeue", "scancel")
NODES = ("gpu1", "gpu2", "cpu1")
GPUS = {("gpu1", "0"), ("gpu1", "1"), ("gpu2", "0"), ("gpu2", "1")}

CONFIGURATION = """
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SchedulerParameters=bf_interval=2,sched_min_interval=0,batch_sched_delay=0
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
NodeName=gpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 \\
    RealMemory=16000 Gres=gpu:fake:2
NodeName=gpu2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 \\
    RealMemory=16000 Gres=gpu:fake:2
NodeName=cpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} CPUs=4 RealMemory=16000
PartitionName=cpu Nodes=cpu1 MaxTime=600 DefaultTime=10 Default=YES
PartitionName=gpu Nodes=gpu[1-2] MaxTime=600 DefaultTime=10
"""


def missing_tools() -> list[str]:
    """What of SLURM is not installed; the daemons may lie where only root looks."""
    return [tool for tool in TOOLS if shutil.which(tool, path=search_path()) is None]


def search_path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start the cluster in an empty folder, yield the environment in which its commands work, end
    it.

    The daemons are children of this process, so nothing of them outlives it.
    """
    configure(folder)
    environment = {
        **os.environ,
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{folder / 'bin'}{os.pathsep}{search_path()}",
    }
    daemons = []
    try:
        for command in (
            munged(folder),
            ["slurmctld", "-D"],
            *(["slurmd", "-D", "-N", name] for name in NODES),
        ):
            path = folder / "log" / f"{command[0]}-{len(daemons)}.out"
            log = open(path, "w")  # noqa: SIM115 - the daemon writes to it as long as it lives
            daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            time.sleep(0.3)  # munged first, then the controller, then the nodes
        wait_until_idle(environment, folder)
        yield environment
    finally:
        end_jobs(environment)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def end_jobs(environment: dict[str, str], seconds: float = 60) -> None:
    """Cancel whatever waits or runs, and wait until it is gone: a job's processes are not children
    of its daemon.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (left := active(environment)):
        subprocess.run(["scancel", *left], env=environment, stderr=subprocess.DEVNULL)
        time.sleep(1)


def configure(folder: Path) -> None:
    """Write what the daemons read."""
    folder.chmod(0o755)
    for name in ("bin", "log", "run", "state", "munge", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    (folder / "munge").chmod(0o700)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(host=host, ports=free_ports(4), user=user, folder=folder)
    )
    (folder / "gres.conf").write_text(
        "NodeName=gpu[1-2] Name=gpu Type=fake File=/dev/null,/dev/zero\n"
    )
    # The plugin that starts a job's step takes all SLURM variables but the identifiers out of the
    # environment.
    srun = folder / "bin" / "srun"
    srun.write_text(
        f"#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which('srun', path=search_path())}"
        ' "$@"\n'
    )
    srun.chmod(0o755)


def munged(folder: Path) -> list[str]:
    """The command of the authentication daemon."""
    options = {
        "key-file": "munge/key",
        "socket": "run/munge.socket",
        "pid-file": "run/munged.pid",
        "log-file": "log/munged.log",
        "seed-file": "munge/seed",
    }
    return [
        "munged",
        "--foreground",
        "--force",
        *(f"--{name}={folder / path}" for name, path in options.items()),
    ]


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def wait_until_idle(environment: dict[str, str], folder: Path, seconds: float = 60) -> None:
    """Wait until all nodes take jobs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        idle = subprocess.run(
            ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"],
            env=environment,
            capture_output=True,
            text=True,
        )
        if len(set(idle.stdout.split())) == len(NODES):
            return
        time.sleep(0.3)
    logs = "\n".join(
        f"{path.name}:\n{path.read_text()[-1500:]}" for path in sorted((folder / "log").iterdir())
    )
    raise RuntimeError(f"SLURM did not start within {seconds:.0f} s\n{logs}")


def jobs(environment: dict[str, str]) -> list[dict[str, str]]:
    """All jobs that the controller remembers, as ``scontrol`` shows them, in the order of
    submission.
    """
    shown = subprocess.run(
        ["scontrol", "-o", "show", "jobs"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [
        dict(word.split("=", 1) for word in line.split() if "=" in word)
        for line in shown.splitlines()
        if "JobId=" in line
    ]
    return sorted(lines, key=lambda job: int(job["JobId"]))


def active(environment: dict[str, str]) -> list[str]:
    """Jobs that wait or run."""
    shown = subprocess.run(
        ["squeue", "-h", "-o", "%i"], env=environment, capture_output=True, text=True, check=True
    )
    return shown.stdout.split()
