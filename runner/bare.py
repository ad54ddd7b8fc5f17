"""A job without a sandbox, only by explicit setting: a supervisor of ours instead of bubblewrap, writing the same status lines."""

import ctypes
import json
import os
import signal
import warnings  # noqa: F401 - os.execvpe imports it, too late when the job's user may not read the library

from runner import processes, sandbox

_SUBREAPER = 36


def become(attempt, config, *, command, venv):
    """In the forked child: start the command, wait for it, end all that it left, write how it ended. Does not return."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    status = os.open(attempt.path("sandbox.status"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    block = os.open(attempt.path("start.fifo"), os.O_RDWR | os.O_CLOEXEC)
    failure, starter = os.pipe()
    child = os.fork()
    if child == 0:
        _command(config, command, venv, block, starter)
    os.write(status, json.dumps({"child-pid": child}).encode() + b"\n")
    _close_all_but(status, failure)
    failed = os.read(failure, 1)  # ends without a byte when the command has begun
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _end_the_rest()
    if not failed:
        os.write(status, json.dumps({"exit-code": 128 - code if code < 0 else code}).encode() + b"\n")
    os._exit(1 if failed else 0)


def _close_all_but(*kept):
    """The runner's lock above all: this process is no longer a part of it."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            os.closerange(int(name), int(name) + 1)


def _command(config, command, venv, block, starter):
    """In the grandchild: wait for the start, become the command."""
    try:
        os.setsid()
        os.read(block, 1)
        if os.getuid() == 0:
            sandbox.drop(config.uid)
        os.umask(0o022)
        os.chdir(_outside(config))
        values = sandbox.environment(config, venv)
        values.update(HOME=config.work, PWD=_outside(config), MLTEAM_OUTPUT=config.output)
        os.execvpe(command[0], command, values)  # noqa: S606
    except OSError as error:
        os.write(2, f"mlteam: execvp {command[0]}: {error.strerror}\n".encode())
    except BaseException as error:
        os.write(2, f"mlteam: the job did not start: {error!r}\n".encode())
    finally:
        os.write(starter, b"1")
        os._exit(1)


def put_keys(config):
    """The files of the job's keys, for nobody but its user. Without a sandbox they lie on the disk while it runs.

    Their directory is handed over last: until then nothing that an earlier attempt left running can be in it.
    """
    remove_keys(config)
    top = _keys_directory(config)
    made = [top] if config.key_files else []
    for path, text in config.key_files.items():
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        with open(file, "w") as content:
            content.write(text)
        made += [os.path.dirname(path), path]
    for path in reversed(made) if config.uid else ():
        os.chown(path, config.uid, config.uid)


def remove_keys(config):
    """Nothing of them stays."""
    import shutil

    shutil.rmtree(_keys_directory(config), ignore_errors=True)


def _keys_directory(config):
    return os.path.join(os.path.dirname(config.work), "keys")


def _outside(config):
    """The working directory where it lies on the host."""
    inside = os.path.normpath(os.path.join(sandbox.WORK, config.workdir or ""))
    if inside == sandbox.WORK or inside.startswith(sandbox.WORK + "/"):
        return config.work + inside[len(sandbox.WORK) :]
    return inside


def _end_the_rest():
    """Kill what the command left behind; as their reaper, this process inherits it all."""
    while True:
        for pid in processes.descendants(os.getpid()):
            processes.send(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return
