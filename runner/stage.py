"""Making paths reachable for an unprivileged user although a directory above them is closed (an installation below /root, say).

Root gives the child a mount namespace of its own, where the paths are bound under a small tmpfs; no mode on the host changes.
"""

import ctypes
import os

_NEWNS, _BIND, _REC, _SLAVE, _NOSUID, _NODEV = 0x20000, 0x1000, 0x4000, 0x80000, 2, 4


def program_root(program):
    """The directory to bind so that a program outside /usr finds its libraries: a wheel keeps them two levels above it."""
    program = os.path.realpath(program, strict=True)
    if program.startswith("/usr/"):
        return "/usr"
    directory = os.path.dirname(program)
    above = os.path.dirname(os.path.dirname(directory))
    return directory if above == "/" else above


def relocated(program, located):
    """The program's path below where its root is bound."""
    root, program = program_root(program), os.path.realpath(program)
    return located[root] + program[len(root) :]


def reachable(paths, volumes=()):
    """Bind `paths` where everybody can go; answers path -> place. For a root without the right to mount, the paths themselves.

    `volumes`: functions that make a mount which is nowhere yet, by the key under which its place is answered. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNS) or _mount(libc, None, "/", None, _REC | _SLAVE):
        if volumes:
            raise PermissionError("the server may not mount anything, and so no job can have a volume")
        return {path: path for path in paths}
    trees = {key: make() for key, make in dict(volumes).items()}
    opened = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths if not path.startswith("/usr")}
    base = next(path for path in ("/mnt", "/tmp", "/run") if os.path.isdir(path))  # noqa: S108
    _check(_mount(libc, "tmpfs", base, "tmpfs", _NOSUID | _NODEV, "mode=755"), base)
    located = {path: path for path in paths}
    for number, (path, file) in enumerate(opened.items()):
        located[path] = f"{base}/{number}"
        _place(libc, path, file, located[path])
        os.close(file)
    for number, (key, tree) in enumerate(trees.items(), len(opened)):
        located[key] = f"{base}/{number}"
        _put(tree, located[key])
    return located


def _put(tree, place):
    from runner import volumes

    os.mkdir(place)
    volumes.put(tree, place)
    os.close(tree)


def _place(libc, path, file, place):
    if os.path.isdir(f"/proc/self/fd/{file}"):
        os.mkdir(place)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
    _check(_mount(libc, f"/proc/self/fd/{file}", place, None, _BIND | _REC), path)


def _mount(libc, source, target, kind, flags, data=None):
    encoded = [value and value.encode() for value in (source, target, kind)]
    return libc.mount(*encoded, ctypes.c_ulong(flags), data and data.encode())


def _check(failed, path):
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
