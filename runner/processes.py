"""Processes, told apart by boot, pid and start time: a pid alone may be another process by now."""

import contextlib
import os
import select
import signal
import time


def boot_id():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _stat(pid):
    """Fields of /proc/<pid>/stat after the name (state first), or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def identify(pid):
    """What tells this process from any other, ever; None when it is gone."""
    fields = _stat(pid)
    return fields and {"pid": pid, "start": int(fields[19]), "boot": boot_id()}


def is_alive(identity):
    """Whether that very process lives (a zombie does not)."""
    if not identity or identity["boot"] != boot_id():
        return False
    fields = _stat(identity["pid"])
    return bool(fields) and int(fields[19]) == identity["start"] and fields[0] not in (b"Z", b"X")


def parent(pid):
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def is_namespace_init(pid):
    """Whether the process is pid 1 of a pid namespace below ours."""
    try:
        with open(f"/proc/{pid}/status") as file:
            line = next((line for line in file if line.startswith("NSpid:")), "")
    except (FileNotFoundError, ProcessLookupError):
        return False
    numbers = line.split()[1:]
    return len(numbers) > 1 and numbers[-1] == "1"


def descendants(pid):
    """All processes below `pid`, nearest first. Without /proc/<pid>/task/*/children the whole of /proc is read."""
    found, queue = [], _children(pid)
    while queue:
        child = queue.pop(0)
        found.append(child)
        queue += _children(child)
    return found


def _children(pid):
    children = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                children += [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"):
            return children
        return [other for other in everyone() if parent(other) == pid]
    return children


def everyone():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def of_session(session):
    """All processes of a session."""
    return [pid for pid in everyone() if (fields := _stat(pid)) and int(fields[3]) == session]


def pss(pid):
    """Proportional set size in bytes; 0 for a process that is gone or may not be read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def send(pid, number):
    """Signal a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end(identity, patience=10.0):
    """Kill that very process and wait until it is gone, `patience` seconds at most."""
    if not is_alive(identity):
        return
    try:
        watch = os.pidfd_open(identity["pid"])
    except ProcessLookupError:
        return
    try:
        if is_alive(identity):
            signal.pidfd_send_signal(watch, signal.SIGKILL)
            select.select([watch], [], [], patience)
    except ProcessLookupError:
        pass
    finally:
        os.close(watch)
    reap(identity["pid"])


def reap(pid):
    """The wait status of an ended child, None if it runs on or is no child of ours."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if ended else None


def wait_until(true, patience):
    """Look each millisecond whether `true()` holds, `patience` seconds at most."""
    deadline = time.monotonic() + patience
    while not (result := true()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return result
