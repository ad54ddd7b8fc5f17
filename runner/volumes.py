"""Volumes: directories that several jobs write, each as its own user; and how much is in them.

On a server run as root all of a volume belongs to one user on the disk. A job sees it through a mount that maps this user to its own
(an idmapped mount, Linux 5.12), so that each is the owner of all of it, and nothing on the disk has to be handed over. Where the server
is not root, everything is of its own user already.
"""

import ctypes
import errno
import os
import signal
import stat
import struct
import time

DEPTH = 100  # directories within each other that are measured
LEAST = 512  # bytes that even an empty file counts
LINKED = 100_000  # files with several names that are counted once, at most
STEP = 200  # entries between two looks at the clock
PAUSE, SHARE = 2.0, 20  # seconds between two measurements; or so many times what the last one took, if that is longer

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # system calls, the same on all machines
_CLONE_TREE, _CLOEXEC, _EMPTY_PATH, _FROM_EMPTY_PATH = 1, 0o2000000, 0x1000, 4
_IDMAP, _NOSUID, _NODEV, _NEWUSER = 0x00100000, 2, 4, 0x10000000


class Unmeasurable(Exception):
    """Directories lie deeper within each other than is looked."""


# How much is in it


def weigh(root):
    """Walks a volume, yielding (bytes, files) as counted so far now and then, and at the end. Raises Unmeasurable.

    Bytes are those of the disk's blocks. Jobs may change it under our feet: no link is followed.
    """
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    total, seen = [0, 0, 0], set()
    try:
        yield from _weigh(top, total, seen, DEPTH)
    finally:
        os.close(top)
    yield total[0], total[1]


def _weigh(directory, total, seen, depth):
    if not depth:
        raise Unmeasurable(f"It has folders more than {DEPTH} deep in each other.")
    with os.scandir(directory) as entries:
        for entry in entries:
            total[2] += 1
            if total[2] % STEP == 0:
                yield total[0], total[1]
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                if found.st_ino in seen:
                    continue
                if len(seen) < LINKED:
                    seen.add(found.st_ino)
            total[0] += max(found.st_blocks * 512, LEAST)
            if not stat.S_ISDIR(found.st_mode):
                total[1] += 1
                continue
            try:
                below = os.open(
                    entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
                )
            except OSError:  # swapped for something else
                continue
            try:
                yield from _weigh(below, total, seen, depth - 1)
            finally:
                os.close(below)


def weighed(root, patience=None):
    """(bytes, files) of a volume; None where that takes more seconds than there is patience. Raises Unmeasurable, OSError."""
    begun, found = time.monotonic(), (0, 0)
    for found in weigh(root):  # noqa: B007 - the last one counts
        if patience is not None and time.monotonic() - begun > patience:
            return None
    return found


class Watch:
    """Measures the volumes that a job writes, a little at a time so that the runner's other work does not wait, and never more than a
    small share of a processor's time; `due`: when to look again, by the monotonic clock."""

    BUDGET, REST = 0.005, 0.1  # seconds of measuring, and then of none

    def __init__(self, mounts):
        written = {mount["source"]: mount["volume"] for mount in mounts if mount.get("volume", {}).get("writes")}
        self.volumes = [(source, volume["name"], volume["quota_file"]) for source, volume in written.items()]
        self.due = 0.0 if self.volumes else float("inf")
        self.begun, self.cost = None, 0.0

    def look(self):
        """A sentence as soon as a volume has more than it may have; None otherwise."""
        begun = time.monotonic()
        self.begun = self.begun or self._measure()
        said, done = None, False
        try:
            while not said and time.monotonic() - begun < self.BUDGET:
                said = next(self.begun)
        except StopIteration:
            done = True
        now = time.monotonic()
        self.cost += now - begun
        self.due = now + self.REST
        if done:
            self.due = now + max(PAUSE, SHARE * self.cost)
            self.begun, self.cost = None, 0.0
        return said

    def _measure(self):
        """Each time a step is done None, or what is wrong."""
        for source, name, quota_file in self.volumes:
            try:
                with open(quota_file) as file:
                    quota = int(file.read())
                for used, _ in weigh(source):
                    over = used > quota
                    yield f"The volume {name} has more than the {said_of(quota)} that it may have." if over else None
            except Unmeasurable as error:
                yield f"The volume {name} cannot be measured. {error}"
            except (OSError, ValueError):  # taken away, or its quota is being written
                yield None


def said_of(size):
    """So many bytes, for people."""
    value, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


# How a job sees one


def opened(root, sub):
    """A descriptor of a volume, or of a directory in it, through no link. Raises OSError."""
    here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in filter(None, sub.split("/")):
        try:
            below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except OSError as error:
            raise OSError(error.errno, f"there is no folder {sub} in the volume") from None
        finally:
            os.close(here)
        here = below
    return here


def mapped(directory, owner, uid):
    """A mount, nowhere yet, of an open directory in which what belongs to `owner` on the disk belongs to `uid`.

    For root in a mount namespace of its own. Raises OSError where the kernel or the file system cannot.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = _namespace(libc, owner, uid)
    try:
        tree = _call(libc, _OPEN_TREE, directory, b"", _CLONE_TREE | _CLOEXEC | _EMPTY_PATH)
        attributes = struct.pack("QQQQ", _IDMAP | _NOSUID | _NODEV, 0, 0, namespace)
        _call(libc, _MOUNT_SETATTR, tree, b"", _EMPTY_PATH, attributes, len(attributes))
        return tree
    finally:
        os.close(namespace)


def _namespace(libc, owner, uid):
    """A descriptor of a user namespace that says who is who."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        failed = libc.unshare(_NEWUSER)
        os.write(told, b"0" if failed else b"1")
        while not failed:  # until it is no longer needed
            signal.pause()
        os._exit(1)
    os.close(told)
    try:
        if os.read(ready, 1) != b"1":
            raise OSError(errno.EPERM, "no user namespace can be made")
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write(f"{owner} {uid} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def put(tree, place):
    """Gives a mount that is nowhere its place."""
    _call(ctypes.CDLL(None, use_errno=True), _MOVE_MOUNT, tree, b"", -100, os.fsencode(place), _FROM_EMPTY_PATH)


def _call(libc, number, *arguments):
    found = libc.syscall(number, *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def trial(directory, owner, uid):
    """Why the volumes in a directory cannot be mapped here; "" where they can. For root; the caller's own mounts change."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) or libc.mount(None, b"/", None, ctypes.c_ulong(0x4000 | 0x80000), None):
        return "the server may not mount anything"
    try:
        os.close(mapped(os.open(directory, os.O_PATH | os.O_DIRECTORY), owner, uid))
    except OSError as error:
        return f"{error.strerror} ({errno.errorcode.get(error.errno, error.errno)})"
    return ""
