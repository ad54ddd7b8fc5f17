"""How much memory a job may take: a cgroup of its own where the host lets us make one, else the sum of its processes each second."""

import contextlib
import os
import signal

from runner import processes


class Summed:
    """No cgroup: the proportional set sizes of all processes are summed; the runner kills when they are above the limit."""

    kind = "summed"

    def __init__(self, limit):
        self.limit, self.peak, self.exceeded = limit, 0, False

    def look(self, root):
        """Sample the processes below `root`; True when the job has had more than it may."""
        used = sum(processes.pss(pid) for pid in [root, *processes.descendants(root)])
        self.peak = max(self.peak, used)
        self.exceeded = self.exceeded or (bool(self.limit) and used > self.limit)
        return self.exceeded

    def join(self):
        """Called in the child that becomes the job."""

    def remove(self):
        pass


class Cgroup(Summed):
    """A cgroup of version 1 or 2: the kernel holds the limit."""

    kind = "cgroup"

    def __init__(self, path, limit, version):
        super().__init__(limit)
        self.path, self.version = path, version

    def look(self, root):
        self.peak = max(self.peak, self._number("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"))
        self.exceeded = self.exceeded or self._killed() > 0
        return self.exceeded

    def _killed(self):
        """How many processes the kernel has killed here for want of memory."""
        try:
            with open(f"{self.path}/{'memory.events' if self.version == 2 else 'memory.oom_control'}") as file:
                words = dict(line.split() for line in file)
        except (OSError, ValueError):
            return 0
        return int(words.get("oom_kill", 0))

    def _number(self, name):
        try:
            with open(f"{self.path}/{name}") as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def join(self):
        _write(f"{self.path}/cgroup.procs", "0")

    def remove(self):
        """End whatever is still in it: a sandbox, for instance, whose supervisor died before anybody could know it."""
        processes.wait_until(self._removed, 2)  # an empty cgroup that stays costs nothing

    def _removed(self):
        for pid in self._members():
            processes.send(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
        return not os.path.isdir(self.path)

    def _members(self):
        try:
            with open(f"{self.path}/cgroup.procs") as file:
                return [int(line) for line in file]
        except OSError:
            return []


def controller(attempt_id, limit_mib):
    """What watches the attempt's memory: its cgroup, found again or made, else the sum."""
    limit = limit_mib * 1024 * 1024 if limit_mib else None
    for version, parent in _places():
        path = f"{parent}/mlteam-{attempt_id}"
        if os.path.isdir(path) or _make(path, limit, version):
            return Cgroup(path, limit, version)
    return Summed(limit)


def _places():
    """(version, directory) where a cgroup may be made: beside our own, or for root at the top."""
    with open("/proc/self/cgroup") as file:
        own = {names: path for _, names, path in (line.strip().split(":", 2) for line in file)}
    memory = "/sys/fs/cgroup/memory"
    for names, path in own.items():
        if "memory" in names.split(","):
            yield 1, (memory + path).rstrip("/")
            yield 1, memory
    if "" in own and os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        yield 2, ("/sys/fs/cgroup" + own[""]).rstrip("/")
        if os.getuid() == 0:
            yield 2, "/sys/fs/cgroup"


def _make(path, limit, version):
    try:
        os.mkdir(path)
    except OSError:
        return False
    name = "memory.max" if version == 2 else "memory.limit_in_bytes"
    try:
        if not os.path.exists(f"{path}/{name}"):
            raise FileNotFoundError(name)  # the memory controller is not delegated to us
        if limit:
            _write(f"{path}/{name}", str(limit))
        if version == 2:
            _optional(f"{path}/memory.oom.group", "1")
            _optional(f"{path}/memory.swap.max", "0")
        elif limit:
            _optional(f"{path}/memory.memsw.limit_in_bytes", str(limit))
    except OSError:
        os.rmdir(path)
        return False
    return True


def _optional(path, text):
    with contextlib.suppress(OSError):  # not on this kernel
        _write(path, text)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)
