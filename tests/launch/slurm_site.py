"""A Slurm cluster of one node on this machine, without accounting, for whoever has Debian's packages.

Everything it needs is in one folder: keys, sockets, states and logs. It touches no other Slurm of the machine.
"""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

PACKAGES = "slurmctld slurmd slurm-client munge"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why there can be no Slurm here; an empty text if there can."""
    lacking = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    return f"no {', '.join(lacking)}: apt-get install --no-install-recommends {PACKAGES}" if lacking else ""


@contextmanager
def slurm_site(folder):
    """A context in which the cluster runs; gives the environment variables that lead to it."""
    host, user = socket.gethostname().split(".")[0], getpass.getuser()
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True)
    folder.chmod(0o755)  # munge trusts no folder that others may write to
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=host, user=user, folder=folder, ports=_free_ports()))
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    environment = {"SLURM_CONF": str(config), "PATH": PATH}
    try:
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        _run(["munged", "--force", *(f"--{option}={folder}/munge.{end}" for option, end in files.items())], environment)
        _run(["slurmctld"], environment)
        _run(["slurmd"], environment)
        _wait_for_node(folder, environment)
        yield environment
    finally:
        _end_jobs({**os.environ, **environment}, user)
        for file in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            _end(folder / file)


def _run(command, environment):
    return subprocess.run(
        command, env={**os.environ, **environment}, check=True, capture_output=True, text=True, timeout=30
    ).stdout


def _wait_for_node(folder, environment):
    patience = time.monotonic() + 60
    while "idle" not in _run(["sinfo", "--noheader", "--format=%T"], environment):
        assert time.monotonic() < patience, (folder / "slurmctld.log").read_text()
        time.sleep(0.2)


def _end_jobs(environment, user):
    """Cancel what a test has left, which would outlive Slurm."""
    ask = {"env": environment, "capture_output": True, "check": False, "timeout": 30}
    subprocess.run(["scancel", f"--user={user}"], **ask)
    patience = time.monotonic() + 20
    while subprocess.run(["squeue", "--noheader"], **ask).stdout and time.monotonic() < patience:
        time.sleep(0.2)


def _free_ports():
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _end(pid_file):
    """End the daemon whose number the file holds, and wait until it is gone."""
    if not pid_file.exists():
        return
    number = int(Path(pid_file).read_text())
    for signal in (15, 9):
        try:
            os.kill(number, signal)
            patience = time.monotonic() + 10
            while time.monotonic() < patience:
                os.kill(number, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return
