"""What this machine has of what mlteam needs, and how to get the rest; for `manage.py doctor` and for programs."""

import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from redis import Redis
from redis.exceptions import RedisError

from compute import host
from datastores import faults
from datastores.blobs import Unavailable, store
from mlteam import broker, running, state

LOW_DISK = 5  # GiB


@dataclass(frozen=True)
class Finding:
    """One line of the report: "ok", "note" (works, with less) or "wrong" (does not), and what to do about it."""

    verdict: str
    subject: str
    text: str


def python() -> Iterator[Finding]:
    yield Finding("ok", "Python", f"{platform.python_version()} ({sys.executable})")


def database() -> Iterator[Finding]:
    kind = connection.vendor
    where = (
        settings.DATABASES["default"]["NAME"]
        if kind == "sqlite"
        else connection.settings_dict["HOST"] or "a local socket"
    )
    try:
        connection.ensure_connection()
    except Exception as error:
        yield Finding("wrong", "Database", f"{kind} at {where} does not answer: {error}. Check DATABASE_URL.")
        return
    yield Finding("ok", "Database", f"{kind} at {where}")


def redis() -> Iterator[Finding]:
    if state.embedded_redis_socket() is None:
        yield _redis_answers("REDIS_URL")
    elif server := broker.find_server():
        yield Finding("ok", "Redis", f"embedded, {server}")
        if running.find():
            yield _redis_answers("the embedded Redis")
    else:
        yield Finding("wrong", "Redis", broker.remedy())


def _redis_answers(which: str) -> Finding:
    try:
        Redis.from_url(state.redis_url(), socket_timeout=3).ping()
    except RedisError as error:
        return Finding("wrong", "Redis", f"{which} does not answer: {error}")
    return Finding("ok", "Redis", f"{which} answers")


def server() -> Iterator[Finding]:
    found = running.find()
    yield Finding(
        "ok", "Server", f"runs at {found.url} (process {found.pid})" if found else "does not run: `make run` starts it"
    )


def disk() -> Iterator[Finding]:
    free = shutil.disk_usage(state.prepare_var()).free / 2**30
    verdict = "ok" if free > LOW_DISK else "note"
    yield Finding(
        verdict,
        "Disk",
        f"{free:.1f} GiB free at {state.VAR}" + ("" if verdict == "ok" else ": logs and outputs go there"),
    )


def content() -> Iterator[Finding]:
    """The bucket that keeps the content of datasets and models, where there is one."""
    where = settings.MLTEAM_BLOBS
    if not where:
        return
    try:
        next(store().keys(""), None)
    except (Unavailable, ImproperlyConfigured) as error:
        yield Finding("wrong", "Content", str(error))
    else:
        yield Finding("ok", "Content", f"{where} answers")


def lost() -> Iterator[Finding]:
    """What was found to be missing or damaged of datasets and models."""
    try:
        files = faults.count()
    except DatabaseError:  # which is said already, or it has not been made yet
        return
    if files:
        said = f"{files} file{'s' * (files != 1)} of datasets or models missing or damaged"
        yield Finding("wrong", "Lost content", f"{said}: `manage.py check_content --known` names them")


def sandbox() -> Iterator[Finding]:
    facts = host.facts()
    if facts.isolation == "sandbox":
        yield Finding("ok", "Sandbox", facts.bwrap)
        yield Finding("ok", "Network of jobs", "a namespace each" if facts.network == "own" else "the host's")
        if not facts.volumes:
            how = "each job sees them as its own" if os.geteuid() == 0 else "all jobs run as the server's user"
            yield Finding("ok", "Volumes", how)
    for problem in facts.problems:
        yield Finding("wrong" if facts.isolation == "none" else "note", "Isolation", problem)
    if facts.network == "own" and not Path("/dev/net/tun").exists():
        yield Finding(
            "wrong",
            "Network of jobs",
            "/dev/net/tun is missing: run `modprobe tun`, or pass the device to the container.",
        )


def way_to_var() -> Iterator[Finding]:
    """A server run as root drops each job to a user of its own, who must be able to walk to its directory."""
    closed = (
        [place for place in (state.VAR, *state.VAR.parents) if not place.stat().st_mode & 0o001]
        if os.geteuid() == 0
        else []
    )
    if closed:
        yield Finding(
            "wrong",
            "Way to var/",
            f"jobs run as users of their own, who may not enter {', '.join(map(str, closed))}: "
            f"`chmod o+x` it, or set MLTEAM_VAR to a directory elsewhere, say /var/lib/mlteam.",
        )


def memory_limits() -> Iterator[Finding]:
    """How a job is held to its memory; the runner chooses the first of these that works."""
    if shutil.which("systemd-run") and Path("/run/systemd/system").exists():
        yield Finding("ok", "Memory limits", "systemd scopes")
    else:
        yield Finding(
            "note",
            "Memory limits",
            "summed once a second by the job's runner: no systemd, and cgroups are used where delegated",
        )


def gpus() -> Iterator[Finding]:
    found = host.gpus()
    names = ", ".join(f"{gpu['type']} ({gpu['memory_mib'] / 1024:.0f} GiB)" for gpu in found)
    yield Finding("ok", "GPUs", names or "none that NVIDIA's driver knows of; jobs that ask for one are refused")


def email() -> Iterator[Finding]:
    if os.environ.get("EMAIL_URL"):
        yield Finding(
            "ok", "Email", f"by {settings.EMAIL_HOST}:{settings.EMAIL_PORT}, from {settings.DEFAULT_FROM_EMAIL}"
        )
    else:
        yield Finding(
            "note",
            "Email",
            f"goes to files in {settings.EMAIL_FILE_PATH}: set EMAIL_URL=smtp+tls://user:password@host:587 to send it",
        )


def address() -> Iterator[Finding]:
    secure, here = settings.MLTEAM_URL.startswith("https://"), settings.HOST in ("127.0.0.1", "localhost", "::1")
    text = f"{settings.MLTEAM_URL}, listening on {settings.HOST}:{settings.PORT}"
    trouble = "" if secure or here else ": passwords pass in the clear. Put a TLS proxy in front and set MLTEAM_URL."
    yield Finding("note" if trouble else "ok", "Address", text + trouble)


Check = Callable[[], Iterator[Finding]]
CHECKS: Final[list[Check]] = [
    python, database, redis, server, address, disk, content, lost, way_to_var, sandbox, memory_limits, gpus, email,
]  # fmt: skip
NEEDED: Final = (database, redis)  # without them nothing works


def findings(checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """What these checks say now."""
    return [finding for check in checks for finding in check()]


@cache
def version() -> str:
    """Of this mlteam."""
    return str(tomllib.loads((state.ROOT / "pyproject.toml").read_text())["project"]["version"])
