"""Runs a command on a PostgreSQL of its own: `python -m tests.postgresql COMMAND …` with DATABASE_URL set for it, a migrated database.

The cluster lives in a temporary directory, listens on a socket there and nowhere else, belongs to an unprivileged user
(PostgreSQL refuses root), and is removed with all its data when the command has ended.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",  # nothing in it outlives the run
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "log_min_messages": "panic",
}


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; Debian keeps them off the PATH."""
    candidates = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    found = shutil.which(name) or (str(candidates[-1]) if candidates else None)
    if found is None:
        sys.exit(f"PostgreSQL's {name} is not on this machine: apt install postgresql")
    return found


def owner() -> pwd.struct_passwd:
    """Who runs it: we, or for root the user that Debian's package made, or nobody."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    sys.exit("PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody.")


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """A running PostgreSQL; yields the DATABASE_URL of an empty database in it."""
    user = owner()
    with tempfile.TemporaryDirectory(prefix="mlteam-pg-") as name:
        directory = Path(name)
        os.chown(directory, user.pw_uid, user.pw_gid)
        _as(
            user,
            [
                program("initdb"),
                "-D",
                f"{directory}/data",
                "-U",
                "mlteam",
                "--auth=trust",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            ],
        )
        settings = [part for option, value in OPTIONS.items() for part in ("-c", f"{option}={value}")]
        server = subprocess.Popen(
            [program("postgres"), "-D", f"{directory}/data", "-k", name, *settings],
            **_identity(user),
            cwd=name,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        try:
            _wait(name)
            _as(user, [program("createdb"), "-h", name, "-U", "mlteam", "mlteam"])
            yield f"postgresql://mlteam@{quote(name, safe='')}/mlteam"
        finally:
            server.send_signal(2)  # SIGINT: disconnects everybody and ends
            server.wait(timeout=60)


def _identity(user: pwd.struct_passwd) -> dict:
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}


def _as(user: pwd.struct_passwd, command: list[str]) -> None:
    subprocess.run(command, **_identity(user), cwd="/", check=True, stdout=subprocess.DEVNULL)


def _wait(directory: str) -> None:
    subprocess.run(
        [
            "bash",
            "-c",
            'for _ in $(seq 300); do "$0" -q -h "$1" -U mlteam && exit 0; sleep 0.1; done; exit 1',
            program("pg_isready"),
            directory,
        ],
        check=True,
    )


def main() -> int:
    with cluster() as url, tempfile.TemporaryDirectory(prefix="mlteam-migrating-") as var:
        environment = os.environ | {"DATABASE_URL": url}
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env=environment | {"MLTEAM_VAR": var}, check=True)
        return subprocess.run(sys.argv[1:], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
