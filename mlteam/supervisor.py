"""Runs an installation in one terminal: `python -m mlteam.supervisor up`, which is what `make run` ends in.

It starts what the Procfile names, starts again what dies, shows what they say, and ends them on Ctrl-C. It ends its own
children and nobody else: the runners of jobs are in sessions of their own, live on, and are found by the next start.
It imports no Django, so that it costs little memory; what needs Django is done by short-lived children of manage.py.
"""

import contextlib
import ctypes
import os
import re
import select
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mlteam import address, broker, running, state

GRACE = 10.0  # seconds from SIGTERM to SIGKILL for a process of the server
FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0  # seconds before a process that died is started again
HEALTHY = 30.0  # seconds after which a process counts as well and its delay begins anew
LOG_LIMIT = 10 * 2**20  # bytes of one var/log/<name>.log; the one before it is kept as <name>.log.1
PR_SET_PDEATHSIG = 1
LINES_SHOWN, WINDOW = 30, 10.0  # a process may show so many lines in so many seconds; its log has them all
STARTERS = ("beat", "worker")  # without these no job is started; `make stop` ends them first
QUIET = {"redis"}  # what these say goes to their logs alone: it is no news to a person
MANAGE = [sys.executable, str(state.ROOT / "manage.py")]

_libc = ctypes.CDLL(None, use_errno=True)


def read_procfile(path: Path, variables: dict[str, str]) -> dict[str, list[str]]:
    """The commands of a Procfile by name, with `$NAME` filled in from `variables` and `python` being this Python."""
    commands = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, command = line.partition(":")
            words = [re.sub(r"\$(\w+)", lambda found: variables[found[1]], word) for word in shlex.split(command)]
            commands[name.strip()] = [sys.executable if word == "python" else word for word in words]
    return commands


def say(text: str, who: str = "") -> None:
    """Show one line. A terminal that takes no more (Ctrl-S, a closed pipe) loses lines rather than stop the server."""
    # What is shown may quote strangers: their control characters are no orders to this terminal.
    text = "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text.expandtabs())
    line = f"{who:<6} | {text}" if who else text
    with contextlib.suppress(OSError, ValueError):
        out = sys.stdout.fileno()
        if select.select([], [out], [], 0)[1]:
            os.write(out, line[:4000].encode(errors="replace") + b"\n")


class Log:
    """`var/log/<name>.log`: all that a process says, kept to LOG_LIMIT bytes."""

    def __init__(self, name: str) -> None:
        self.path = state.directory("log") / f"{name}.log"
        self._file = self._open()

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the server
            self._file.write(data)
            if self._file.tell() > LOG_LIMIT:
                self._file.close()
                self.path.replace(self.path.with_suffix(".log.1"))
                self._file = self._open()

    def close(self) -> None:
        self._file.close()

    def _open(self) -> IO[bytes]:
        return open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)  # noqa: PTH123


def keep(name: str, text: str) -> None:
    """Add the whole of what a short-lived child said to its log."""
    log = Log(name)
    log.write(text.encode())
    log.close()


@dataclass
class Child:
    """One process of the server: how to start it, and how it fares."""

    name: str
    command: list[str]
    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()
    due: float | None = 0.0  # monotonic time of the next start; None while it runs or shall not
    failures: int = 0
    process: subprocess.Popen | None = None
    started: float = 0.0
    log: Log = field(init=False)
    rest: bytes = b""  # what it said after the last newline
    shown: int = 0  # lines shown since `window` began
    window: float = 0.0

    def __post_init__(self) -> None:
        self.log = Log(self.name)

    def start(self) -> IO[bytes]:
        """Start it, and return what it says."""
        self.process = spawn(self.command, self.environment, self.descriptors)
        self.started, self.due = time.monotonic(), None
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        return self.process.stdout

    def heard(self, data: bytes) -> list[str]:
        """Keep `data` in the log; return the lines that it completes."""
        self.log.write(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > 2**16:
            lines, self.rest = [*lines, self.rest], b""
        return [line.decode(errors="replace").rstrip() for line in lines if line.strip()]

    def may_show(self) -> bool | None:
        """Whether one more line may be shown now; None the first time that it may not."""
        now = time.monotonic()
        if now - self.window > WINDOW:
            self.window, self.shown = now, 0
        self.shown += 1
        return None if self.shown == LINES_SHOWN + 1 else self.shown <= LINES_SHOWN

    def died(self) -> float:
        """Note that it ended; return the seconds until it shall be started again."""
        now = time.monotonic()
        self.failures = 1 if now - self.started > HEALTHY else self.failures + 1
        self.process = None
        delay = min(FIRST_DELAY * 3 ** (self.failures - 1), LONGEST_DELAY)
        self.due = now + delay
        return delay


def spawn(command: list[str], environment: dict[str, str], descriptors: Iterable[int] = ()) -> subprocess.Popen:
    """Start a process in a session of its own: Ctrl-C reaches the supervisor alone, which then ends it in order."""
    return subprocess.Popen(
        command,
        cwd=state.ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(descriptors),
        start_new_session=True,
        preexec_fn=_end_with(os.getpid()),
    )


def _end_with(parent: int) -> Callable[[], None]:
    """What a child does before its command: ask the kernel for SIGTERM should the supervisor die without ending it."""

    def ask() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def in_words(status: int) -> str:
    """How a process ended, from its return code as subprocess gives it."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


class Probe:
    """One request to the web server, left waiting until it answers."""

    def __init__(self, url: str, host: str) -> None:
        name, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((name.strip("[]"), int(port)), timeout=5)
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        self.socket.setblocking(False)

    def answered(self) -> bool:
        """Whether an answer came; False means that the server died with the question."""
        try:
            return self.socket.recv(12).startswith(b"HTTP/")
        except OSError:
            return False


class Supervisor:
    """The server of one `var/`, from its first process to its last."""

    def __init__(self, *, demo: bool = False) -> None:
        self.demo = demo
        self.signals = 0
        self.draining = False
        self.selector = selectors.DefaultSelector()
        self.children: dict[str, Child] = {}
        self.environment = dict(os.environ)
        self.path = "/"  # what to open, below the address
        self.news: list[str] = []  # what to say below it: the demo's accounts

    def run(self) -> int:
        """Run until a signal says otherwise; return the exit status."""
        self._catch_signals()
        self.claim = running.Claim()
        self._listen()
        self.claim.announce(self.url)
        try:
            prepared = self._prepare()
            if prepared:
                self._serve()
        finally:
            self._end()
        if prepared:
            self._name_jobs()
        return 0 if prepared else 1

    def _serve(self) -> None:
        self._open()
        while not self.signals:
            self._step()
            if self.draining and any(name in self.children for name in STARTERS):
                self._drain()
        say("Ending; Ctrl-C once more ends it at once.")

    def _catch_signals(self) -> None:
        receiver, sender = socket.socketpair()
        for end in (receiver, sender):
            end.setblocking(False)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self._wakeup = (receiver, sender)
        self.selector.register(receiver, selectors.EVENT_READ, lambda: receiver.recv(4096))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._signalled)
        signal.signal(signal.SIGUSR1, self._asked_to_drain)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop up

    def _signalled(self, *_: object) -> None:
        self.signals += 1

    def _asked_to_drain(self, *_: object) -> None:
        self.draining = True

    def _listen(self) -> None:
        host = os.environ.get("HOST") or "127.0.0.1"
        self.listener = address.listen(host, _port())
        port = self.listener.getsockname()[1]
        self.local_url = f"http://{address.reachable_host(host)}:{port}"
        self.url = address.public_url(host, port)
        self.environment |= {"HOST": host, "PORT": str(port), "MLTEAM_URL": self.url, "PYTHONUNBUFFERED": "1"}
        state.write_endpoint(self.local_url)
        if host not in address.LOOPBACK:
            say(f"Warning: HOST={host} listens beyond this machine, without TLS: passwords pass in the clear.")
            say("         Put a TLS proxy in front and name its address in MLTEAM_URL: see docs/install.md.")

    def _prepare(self) -> bool:
        """Redis, migrations, the address to open. False when the installation cannot start."""
        self._add_children()
        if "redis" in self.children:
            self._start(self.children["redis"])
        say("Preparing the database …")
        prepared = self._manage("prepare")
        if prepared is None:
            return False
        self.path = next((line for line in reversed(prepared) if line.startswith("/")), "/")
        if self.demo and (news := self._manage("demo")):
            self.news = news
            self.path = "/"  # it has made the first account
        return True

    def _manage(self, command: str) -> list[str] | None:
        """What a command of manage.py says, line by line; None, with an explanation shown, when it fails."""
        done = subprocess.run(
            [*MANAGE, command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        keep(command, done.stdout + done.stderr)
        if done.returncode == 0:
            return done.stdout.splitlines()
        say(f"manage.py {command} failed:")
        for line in (done.stdout + done.stderr).splitlines()[-25:]:
            say(line, command)
        return None

    def _add_children(self) -> None:
        commands = read_procfile(state.ROOT / "Procfile", self.environment | {"LISTEN_FD": str(self.listener.fileno())})
        if state.embedded_redis_socket() is None:
            commands.pop("redis", None)
        for name, command in commands.items():
            descriptors = (self.listener.fileno(),) if name == "web" else ()
            self.children[name] = Child(name, command, self.environment, descriptors)

    def _open(self) -> None:
        """Ask the web server for a page; it is open when it answers."""
        host = self.url.partition("://")[2].partition("/")[0]
        probe = Probe(self.local_url, host)

        def arrived() -> None:
            answered = probe.answered()
            self.selector.unregister(probe.socket)
            probe.socket.close()
            if answered:
                self._opened()
            else:
                self._open()

        self.selector.register(probe.socket, selectors.EVENT_READ, arrived)

    def _opened(self) -> None:
        say(f"Open {self.url}{self.path}")
        for line in self.news:
            say(line)

    def _drain(self) -> None:
        """End what starts jobs; web goes on hearing how the running ones end."""
        say("No more jobs are started.")
        self._end_these([self.children.pop(name) for name in STARTERS if name in self.children])
        self.claim.announce(self.url, drained=True)

    def _step(self) -> None:
        """Start what is due, hear what is said, notice what died."""
        for child in list(self.children.values()):
            if child.due is not None and child.due <= time.monotonic():
                self._start(child)
        self._listen_to_children(self._patience())
        for child in list(self.children.values()):
            self._look_after(child)

    def _patience(self) -> float | None:
        due = [child.due for child in self.children.values() if child.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start(self, child: Child) -> None:
        output = child.start()
        self.selector.register(output, selectors.EVENT_READ, lambda: self._hear(child, output))

    def _listen_to_children(self, seconds: float | None) -> None:
        for key, _ in self.selector.select(seconds):
            key.data()

    def _hear(self, child: Child, output: IO[bytes]) -> None:
        data = output.read(2**16)
        for line in child.heard(data or b""):
            if child.name not in QUIET and not self.signals:
                self._show(child, line)
        if data == b"":
            self.selector.unregister(output)
            output.close()

    def _show(self, child: Child, line: str) -> None:
        may = child.may_show()
        if may:
            say(line, child.name)
        elif may is None:
            say(f"… and more: see {_short(child.log.path)}", child.name)

    def _look_after(self, child: Child) -> None:
        if child.process is None or (status := child.process.poll()) is None:
            return
        delay = child.died()
        say(f"{child.name} {in_words(status)}; starting it again in {delay:.1f} s. Its log: {_short(child.log.path)}")

    def _end(self) -> None:
        """End the server's processes: first those that use Redis, then Redis."""
        for child in self.children.values():
            child.due = None
        for redis in (False, True):
            self._end_these([child for child in self.children.values() if (child.name == "redis") is redis])
        self.listener.close()

    def _end_these(self, children: list[Child]) -> None:
        before, deadline = self.signals, time.monotonic() + GRACE
        alive = [child.process for child in children if child.process]
        for process in alive:
            process.terminate()
        while alive := [process for process in alive if process.poll() is None]:
            if self.signals > before or time.monotonic() > deadline:
                for process in alive:
                    process.kill()
            self._listen_to_children(0.2)
        self._listen_to_children(0)  # their last words
        for child in children:
            child.process = None

    def _name_jobs(self) -> None:
        """Say which jobs run on."""
        jobs = self._manage("jobs_running")
        if jobs:
            say("The server has ended. These jobs run on; the next start finds them, `make stop` ends them:")
            for job in jobs:
                say(f"  {job}")
        elif jobs is not None:
            say("The server has ended; no job runs.")


def _port() -> int:
    wanted = os.environ.get("PORT") or "8000"
    if not wanted.isdigit() or int(wanted) > 65535:
        raise state.Misconfigured(f"PORT={wanted} is no port. It is a number up to 65535: make run PORT=8000")
    return int(wanted)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _explain(error: running.AlreadyRunning) -> str:
    server = error.server
    where = f"at {server.url} " if server.url else "(still starting) "
    return f"mlteam already runs {where}on this data (process {server.pid}, {_short(state.VAR)}). `make stop` ends it."


def main(arguments: list[str]) -> int:
    if arguments not in (["up"], ["up", "--demo"]):
        say("Usage: python -m mlteam.supervisor up [--demo]")
        return 2
    os.umask(0o022)  # what is private is in directories of ours that are; a job's own directories must not turn out so
    try:
        if state.embedded_redis_socket() and not broker.find_server():
            raise state.Misconfigured(broker.remedy())
        return Supervisor(demo="--demo" in arguments).run()
    except running.AlreadyRunning as error:
        say(_explain(error))
    except state.Misconfigured as error:
        say(str(error))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
