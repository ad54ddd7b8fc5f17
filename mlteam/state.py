"""Where an installation keeps what it must not lose: the directory `var/`, its secrets, its sockets and addresses.

Standard library only, and no Django: the supervisor and beat import it and stay small. `var/` itself may be entered but
not listed by others (0711), because a job's own user has to reach its own directory below it; the rest is 0700.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("MLTEAM_VAR") or ROOT / "var").resolve()

# The kernel takes 107 bytes for a socket's address; some clients count the closing zero.
SOCKET_PATH_LIMIT = 100


class Misconfigured(Exception):
    """The environment asks for something that mlteam does not do; the message says what to change."""


def prepare_var() -> Path:
    """Make `var/` where it is missing, and return it."""
    VAR.mkdir(mode=0o711, parents=True, exist_ok=True)
    return VAR


def directory(name: str, mode: int = 0o700) -> Path:
    """The directory `var/<name>`, made with `mode` where it is missing. Its parents get 0711."""
    path = prepare_var() / name
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        path.mkdir(mode=mode)
        path.chmod(mode)  # whatever the umask says
    except FileExistsError:
        pass
    return path


def database_file() -> Path:
    """The SQLite database of an installation that has no `DATABASE_URL`."""
    return directory("db") / "mlteam.sqlite3"


def write_atomically(path: Path, content: str) -> None:
    """Replace `path` (0600) in one step: a reader sees the old content or the new, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether nobody else is at what the lock file `path` stands for. The lock goes with the process that holds it."""
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(file)


def secret(name: str) -> str:
    """The secret kept in `var/secrets/<name>` (0600), made from the system's randomness the first time it is asked for.

    Two processes that ask at once get the same one: whoever links its file first wins, and both read that.
    """
    path = directory("secrets") / name
    if not path.exists():
        _create_secret(path)
    return path.read_text(encoding="ascii").strip()


def numbered_secrets(name: str) -> dict[int, str]:
    """The secrets kept as `var/secrets/<name>.<number>`: the highest is the one in use, the others only read what is older.

    The first is made when there is none. They are read each time, so every process knows of a new one at once.
    """
    found = {}
    for path in _numbered(name) or [_create_secret(_numbered_path(name, 1))]:
        with suppress(FileNotFoundError):  # somebody took it away in between
            found[int(path.suffix[1:])] = path.read_text(encoding="ascii").strip()
    return dict(sorted(found.items()))


def add_numbered_secret(name: str) -> int:
    """Makes the next one, which is the one in use from now on; its number."""
    number = max(numbered_secrets(name)) + 1
    _create_secret(_numbered_path(name, number))
    return number


def drop_numbered_secret(name: str, number: int) -> None:
    """Takes one away, for good: what was encrypted with it can no longer be read."""
    _numbered_path(name, number).unlink(missing_ok=True)


def age_of_secret(name: str, number: int) -> float:
    """Seconds since a numbered secret was made."""
    return time.time() - _numbered_path(name, number).stat().st_mtime


def _numbered(name: str) -> list[Path]:
    pattern = re.compile(rf"{re.escape(name)}\.\d+")
    return [path for path in directory("secrets").iterdir() if pattern.fullmatch(path.name)]


def _numbered_path(name: str, number: int) -> Path:
    return directory("secrets") / f"{name}.{number}"


def _create_secret(path: Path) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_atomically(draft, secrets.token_urlsafe(48) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path


def socket_path(name: str) -> Path:
    """Where the socket `name` lives: `var/run/`, or a private directory in /tmp where that path is too long for one."""
    path = directory("run") / name
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    return _short_directory() / name


def _short_directory() -> Path:
    digest = hashlib.sha256(os.fsencode(VAR)).hexdigest()[:16]
    path = Path("/tmp") / f"mlteam-{os.getuid()}-{digest}"  # noqa: S108 - checked below to be ours alone
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Misconfigured(f"{path} belongs to somebody else. Remove it, or choose a shorter MLTEAM_VAR.")
    return path


def redis_url() -> str:
    """The Redis for hints and cache: `REDIS_URL`, or the embedded one as `unix:///…/redis.sock`."""
    configured = os.environ.get("REDIS_URL", "")
    if not configured:
        return f"unix://{quote(str(socket_path('redis.sock')))}"
    url = urlsplit(configured)
    if url.scheme not in ("redis", "rediss", "unix"):
        raise Misconfigured(f"REDIS_URL must begin with redis://, rediss:// or unix://, not {url.scheme!r}.")
    if url.scheme != "unix" and not url.password:
        raise Misconfigured(
            "REDIS_URL has no password. Whoever reaches Redis can give the server orders, so set `requirepass` in "
            "Redis and write redis://:PASSWORD@HOST:6379/0."
        )
    return configured


def broker_url() -> str:
    """The same Redis in Celery's spelling, which says `redis+socket:` where others say `unix:`."""
    url = redis_url()
    return f"redis+socket{url.removeprefix('unix')}" if url.startswith("unix:") else url


def embedded_redis_socket() -> Path | None:
    """The socket of the Redis that mlteam has to run itself; None where `REDIS_URL` names another."""
    return None if os.environ.get("REDIS_URL") else Path(unquote(urlsplit(redis_url()).path))


def endpoint_file() -> Path:
    """`var/run/web.json`: {"url": "http://127.0.0.1:8000"}, the address at which runners find the server now."""
    return directory("run") / "web.json"


def write_endpoint(url: str) -> None:
    """Tell the runners where the server is; they read it again whenever it does not answer."""
    write_atomically(endpoint_file(), json.dumps({"url": url}) + "\n")


def host_name() -> str:
    """This host as queues and pages name it: `MLTEAM_HOSTNAME`, or the system's own name."""
    return os.environ.get("MLTEAM_HOSTNAME") or os.uname().nodename
