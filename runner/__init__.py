"""The process beside every attempt of a job, and how the server starts, stops and asks after it.

Standard library only; imports nothing of the server. The runner itself is `runner/__main__.py`;
docs/runner-protocol.md says how the two speak.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys

TYPE_CHECKING = False  # for readers and checkers of types; importing `typing` would cost each runner 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What of the worker's environment a runner may see: how to reach the package index, and nothing that is secret.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_INDEX_URL")
_PASSED_PREFIXES = ("UV_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@contextlib.contextmanager
def claim(directory: "Path") -> "Iterator[int | None]":
    """The right to start a runner for the attempt in `directory`, for as long as the block runs: the locked descriptor of
    its runner.lock, to be given to `launch`. None while a runner lives or somebody else is about to start one."""
    lock = os.open(os.path.join(directory, "runner.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield lock if _taken(lock) else None
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def launch(directory: "Path", lock: int | None = None, *, python: str = sys.executable) -> None:
    """Start a runner for the attempt in `directory` and return at once; it is no child of the caller.

    The runner takes the caller's claim over, so that the attempt is never without one in between; without a claim, one is
    made here, and nothing is started while another runner lives.
    """
    if lock is None:
        with claim(directory) as lock:
            return None if lock is None else launch(directory, lock, python=python)
    import subprocess

    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    # The shell is the first fork: it puts the runner into the background of a new session and is gone within a millisecond.
    script = 'exec 0<&-; "$@" </dev/null >/dev/null 2>&1 &'
    command = ["/bin/sh", "-c", script, "runner", python, "-I", "-S", program, os.fspath(directory), str(lock)]
    subprocess.run(
        command, check=True, cwd="/", env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=(lock,),
    )  # fmt: skip
    return None


def alive(directory: "Path") -> bool:
    """Whether a runner lives for the attempt in `directory`, or is being started."""
    try:
        lock = os.open(os.path.join(directory, "runner.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def done(directory: "Path") -> bool:
    """Whether the attempt's last runner has delivered everything and left nothing behind."""
    try:
        with open(os.path.join(directory, "state.json")) as file:
            return json.load(file)["phase"] == "done"
    except FileNotFoundError:
        return False


def request_stop(directory: "Path", reason: str, grace: float) -> None:
    """Ask the runner to end the job: SIGTERM to all its processes, `grace` seconds later SIGKILL.

    Holds also for a runner that starts later.
    """
    replace(os.path.join(directory, "stop.json"), {"reason": reason, "grace": grace})
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open(os.path.join(directory, "runner.pid")) as file:
            identity = json.load(file)
        if alive(directory) and _is(identity):
            os.kill(identity["pid"], signal.SIGUSR1)


def write_attempt(directory: "Path", config: dict) -> None:
    """Write attempt.json, readable by the server's user alone; docs/runner-protocol.md lists its keys."""
    replace(os.path.join(directory, "attempt.json"), config)


def replace(path: str, content: object) -> None:
    """Write `content` as JSON so that a reader finds the old file or the new one, never half of one; mode 0600."""
    fresh = f"{path}.{os.getpid()}.new"
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        data = json.dumps(content).encode()
        while data:
            data = data[os.write(file, data) :]
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    finally:
        os.close(file)


def _is(identity: dict) -> bool:
    from runner import processes

    return processes.is_alive(identity)


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith(_PASSED_PREFIXES)}
