"""Which processes belong to an installation or to a job, found in /proc by all that could give them away."""

import contextlib
import os
from pathlib import Path

from runner import processes


def lives(pid):
    """Whether there is such a process that has not ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return status[0] not in (b"Z", b"X")


def is_that(identity):
    """Whether the very process lives that a runner noted."""
    return bool(identity) and processes.is_alive(identity)


def _text(pid, name):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def _files(pid):
    """Paths that a process has open, and where it is."""
    found = []
    with contextlib.suppress(OSError):
        found = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        found.append(os.readlink(f"/proc/{pid}/cwd"))
    return found


def _uid(pid):
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}").st_uid
    return None


def of_jobs(jobs, attempts=()):
    """(pid, command) of every process of these jobs: their own, their sandboxes', networks', keepers' and runners'."""
    names = [job.id.encode() for job in jobs]
    groups = [f"mlteam-{attempt['id']}".encode() for attempt in attempts]
    uids = {attempt["uid"] for attempt in attempts} - {None}
    noted = {identity["pid"] for identity in _noted(jobs, attempts)}
    found = []
    for pid in processes.everyone():
        traces = _text(pid, "environ") + _text(pid, "cmdline")
        if (
            pid in noted
            or _uid(pid) in uids
            or any(name in traces for name in names)
            or (groups and any(group in _text(pid, "cgroup") for group in groups))
            or any(name.decode() in path for path in _files(pid) for name in names)
        ) and lives(pid):
            found.append((pid, _text(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")[:200]))
    return found


def _noted(jobs, attempts):
    """Identities, of living processes, that the runners of these jobs wrote down."""
    indexes = {attempt["index"] for attempt in attempts}
    for job in jobs:
        for index in indexes:
            for name in ("runner", "sandbox", "network", "keeper"):
                if is_that(identity := job.identity(name, index)):
                    yield identity


def of_installation(var, supervisor=None):
    """Pids of all living processes of an installation's jobs, and before them those of its server."""
    server = []
    if supervisor is not None and supervisor.is_running():
        server = [supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))]
    ids = [path.name.encode() for path in (var / "jobs").glob("*")]
    beside = []
    for pid in processes.everyone():
        traces = _text(pid, "environ") + _text(pid, "cmdline")
        if any(name in traces for name in ids) or any(str(var / "jobs") in path for path in _files(pid)):
            beside.append(pid)
    helpers = [
        identity["pid"] for path in (var / "jobs").glob("*/*/network.pid") if is_that(identity := _identity(path))
    ]
    return [pid for pid in dict.fromkeys([*server, *beside, *helpers]) if lives(pid)]


def _identity(path):
    import json

    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None


def of_server(var):
    """Pids of the server's own processes: those that know its data directory and stand beside no job."""
    mark = f"MLTEAM_VAR={var}".encode()
    known = [pid for pid in processes.everyone() if mark in _text(pid, "environ").split(b"\0") and lives(pid)]
    return [pid for pid in known if b"tests.faults.desk" not in _text(pid, "cmdline")]
