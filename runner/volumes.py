"""Volumes: directories that several jobs write, each as its own user; and how much is in them.

On a server run as root all of a volume belongs to one user on the disk. A job sees it through a mount that maps this user to its own
(an idmapped mount, Linux 5.12), so that each is the owner of all of it, and nothing on the disk has to be handed over. Where the server
is not root, everything is of its own user already.
"""

import os
import stat
import time

DEPTH = 100  # directories within each other that are measured
LEAST = 512  # bytes that even an empty file counts
LINKED = 100_000  # files with several names that are counted once, at most
STEP = 200  # entries between two looks at the clock
PAUSE, SHARE = 5.0, 20  # seconds between two measurements; or so many times what the last one took, if that is longer

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # system calls, the same on all machines
_CLONE_TREE, _CLOEXEC, _EMPTY_PATH, _FROM_EMPTY_PATH = 1, 0o2000000, 0x1000, 4
_IDMAP, _NOSUID, _NODEV, _NEWUSER = 0x00100000, 2, 4, 0x10000000
_BELOW = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


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
