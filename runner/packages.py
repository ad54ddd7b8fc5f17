"""The Python packages that a job names, before it starts.

Wheels are resolved to a lock with hashes and installed into an environment that all jobs with the same lock share, read-only;
nothing that is installed is run. What has to be built (a VCS, a URL, a local file, no wheel) is built inside the job's own sandbox,
where its code may run.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import sys

from runner import processes, sandbox

READY = ".mlteam-ready"
BUILD_FAILED = 213
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*([(<>=!~][^@/;]*)?\s*(;.*)?")
_NEEDS_BUILDING = re.compile(rb"no usable wheels|build(ing)?\b.{0,60}\bdisabled|no wheels")


class Refused(Exception):
    """The packages cannot be had; the text is for people."""


class Stopped(Exception):
    """The job was stopped meanwhile."""


def prepare(runner):
    """The environment's path; or "build" when the job's own sandbox has to make it."""
    wanted = runner.config.packages
    _end_earlier(runner)
    _check(wanted["requirements"])
    if not all(_PLAIN.fullmatch(line.strip()) for line in wanted["requirements"]):
        return _own(runner, "not from the package index")
    lock = _resolve(runner)
    return _own(runner, "no wheel") if lock is None else _shared(runner, lock)


def _end_earlier(runner):
    """A step that an earlier runner began, with all that it started."""
    step = runner.attempt.identity("step")
    if processes.is_alive(step):
        for pid in processes.of_session(step["pid"]):
            processes.send(pid, 9)
        processes.end(step)


def _check(requirements):
    for line in requirements:
        if line.lstrip().startswith("-") or "\n" in line or "\r" in line:
            raise Refused(f"{line.strip()!r} is an option of pip, not a package")


def _own(runner, why):
    runner.say(f"packages: {why}; they are built inside the job's sandbox")
    return "build"


def _resolve(runner):
    """The lock's text, None when something has to be built."""
    wanted, attempt = runner.config.packages, runner.attempt
    source, lock = attempt.path("requirements.in"), attempt.path("requirements.lock")
    with open(source, "w") as file:
        file.write("".join(f"{line.strip()}\n" for line in wanted["requirements"]))
    options = ["--quiet", "--generate-hashes", "--no-build", "--no-header", "--no-annotate", "--no-strip-markers"]
    before = runner.output.size
    command = [wanted["uv"], "pip", "compile", source, "--output-file", lock, "--python", wanted["python"], *options]
    if _step(runner, [*command, *wanted.get("options", [])]):
        said = os.pread(runner.output.spool, 1 << 16, before)
        if _NEEDS_BUILDING.search(b" ".join(said.split())):
            return None
        raise Refused(runner.last_line() or "the packages could not be resolved")
    with open(lock) as file:
        return file.read()


def _shared(runner, lock):
    """The environment of this lock, installed now if no job has had it before."""
    wanted = runner.config.packages
    identity = f"{lock}\n{sys.version}\n{platform.machine()}-{sys.platform}\n{os.path.realpath(wanted['python'])}"
    place = os.path.join(wanted["directory"], hashlib.sha256(identity.encode()).hexdigest()[:32])
    os.makedirs(wanted["directory"], mode=0o755, exist_ok=True)
    guard = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(runner, guard)
        if not os.path.isdir(place):
            _install(runner, place)
    finally:
        os.close(guard)
    return place


def _take(runner, guard):
    """The environment's lock; meanwhile output moves and a stop is heard."""
    while True:
        try:
            return fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            runner.idle(0.2)
            _unless_stopped(runner)


def _install(runner, place):
    wanted, fresh = runner.config.packages, f"{place}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    uv, python = wanted["uv"], f"{fresh}/bin/python"
    options = ["--no-build", "--require-hashes", "--link-mode", "copy", *wanted.get("options", [])]
    steps = [
        [uv, "venv", "--quiet", "--relocatable", "--python", wanted["python"], fresh],
        [uv, "pip", "install", "--python", python, "-r", runner.attempt.path("requirements.lock"), *options],
        # Compiling only parses. uv's own --compile-bytecode would run the environment's Python, and with it what a .pth file says.
        [wanted["python"], "-I", "-S", "-m", "compileall", "-q", "-j", "0", f"{fresh}/lib"],
    ]
    for number, step in enumerate(steps):
        if _step(runner, step) and number < 2:
            raise Refused(runner.last_line() or "the packages could not be installed")
    os.rename(fresh, place)


def _step(runner, command):
    """Run one command with its output in the job's log; its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            runner.attempt.remember("step")
            sandbox.plain_signals()
            sandbox.attach_output(runner.attempt.path("log.fifo"))
            os.umask(0o022)
            cache = os.path.join(runner.config.packages["directory"], "cache")
            os.makedirs(runner.config.packages["directory"], mode=0o755, exist_ok=True)
            os.chdir(runner.config.packages["directory"])  # what uv says then names no directory of the server
            values = {"UV_CACHE_DIR": cache, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
            os.execve(command[0], command, {**os.environ, **values})  # noqa: S606
        except BaseException as error:
            os.write(2, f"mlteam: {command[0]}: {error}\n".encode())
        finally:
            os._exit(127)
    status = runner.follow_step(pid)
    _unless_stopped(runner)
    return os.waitstatus_to_exitcode(status)


def _unless_stopped(runner):
    if runner.state.stopping:
        raise Stopped


def building(config):
    """The job's command, preceded by the building of its environment."""
    wanted, venv = config.packages, own_environment(config)
    options = list(wanted.get("options", []))
    uv, cache = wanted["uv"], f"{config.work}/.cache/uv"
    if config.isolation != "bare":
        uv, cache = sandbox.UV, f"{sandbox.WORK}/.cache/uv"
        places = sandbox.option_places(config)
        options = [places.get(option, option) for option in options]
    python = os.path.realpath(wanted["python"])  # a link to it may lead through places that the sandbox does not show
    words = " ".join(_quoted(word) for word in [*options, "--", *(line.strip() for line in wanted["requirements"])])
    script = (
        f"if [ ! -e {_quoted(venv)}/{READY} ]; then\n"
        f"  export UV_CACHE_DIR={_quoted(cache)} UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never NO_COLOR=1\n"
        f"  {_quoted(uv)} venv --quiet --allow-existing --python {_quoted(python)} {_quoted(venv)} || exit {BUILD_FAILED}\n"
        f"  {_quoted(uv)} pip install --python {_quoted(venv)}/bin/python {words} || exit {BUILD_FAILED}\n"
        f"  : > {_quoted(venv)}/{READY}\n"
        '  unset UV_CACHE_DIR UV_NO_PROGRESS UV_PYTHON_DOWNLOADS NO_COLOR\nfi\nexec "$@"\n'
    )
    return ["/bin/sh", "-c", script, "job", *config.command]


def own_environment(config):
    """Where the job sees the environment that it builds."""
    return f"{config.work}/.venv" if config.isolation == "bare" else sandbox.OWN_ENVIRONMENT


def _quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def build_failed(config, code):
    """Whether that exit status is the building's and not the command's."""
    return code == BUILD_FAILED and not os.path.lexists(os.path.join(config.work, ".venv", READY))
