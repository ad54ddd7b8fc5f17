"""An attempt's directory as the runner sees it: what the server wrote, and what the runner remembers."""

import contextlib
import json
import os

from runner import processes, replace

DEFAULTS = {
    "generation": 1, "workdir": "/work", "environment": {}, "uid": None, "memory_mib": None, "cpu": None, "gpus": [],
    "max_run_time": None, "grace": 10, "log_cap": None, "masks": [], "packages": None, "isolation": "sandbox",
    "network": "own", "bwrap": "bwrap", "slirp4netns": None, "base_prefix": None, "unreachable": (),
    "key_files": {}, "mounts": [],
}  # fmt: skip


class Config:
    """attempt.json, its keys as attributes."""

    def __init__(self, values):
        self.__dict__.update(DEFAULTS)
        self.__dict__.update(values)


class State:
    """What the runner must not forget when it is killed. Saved whole at each step, so that the next runner goes on from there."""

    def __init__(self, path):
        self.path = path
        self.phase = "new"  # new, packages, spawning, spawned, ready, ended, done
        self.boot = processes.boot_id()
        self.network = self.memory = self.started_at = self.child = self.venv = self.stopping = self.end = None
        self.peak = 0
        self.gaps = []

    @classmethod
    def load(cls, path):
        """The state that an earlier runner of this attempt left, or a new one."""
        state = cls(path)
        try:
            with open(path) as file:
                values = json.load(file)
        except FileNotFoundError:
            return state
        state.__dict__.update(values)
        return state

    def save(self, **changes):
        """Change and save. On a full disk the change holds in memory and goes to disk with a later save."""
        self.__dict__.update(changes)
        try:
            replace(self.path, {k: v for k, v in self.__dict__.items() if k != "path"})
        except OSError as error:
            print(f"state not saved: {error}", flush=True)


class Attempt:
    """The attempt's directory."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def config(self):
        with open(self.path("attempt.json")) as file:
            config = Config(json.load(file))
        with contextlib.suppress(FileNotFoundError), open(self.path("keys.json")) as file:
            keys = json.load(file)
            config.environment = {**config.environment, **keys["environment"]}
            config.masks = [*config.masks, *keys["masks"]]
            config.key_files = keys["files"]
        return config

    def state(self):
        return State.load(self.path("state.json"))

    def stop_request(self):
        """What stop.json says, or None."""
        try:
            with open(self.path("stop.json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def identity(self, name):
        """The process that wrote its identity to `name`.pid, or None."""
        try:
            with open(self.path(f"{name}.pid")) as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return None

    def remember(self, name, pid=None):
        """Write the identity of `pid` (this process by default) to `name`.pid and return it."""
        identity = processes.identify(pid or os.getpid())
        replace(self.path(f"{name}.pid"), identity)
        return identity

    def forget(self, *names):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))
