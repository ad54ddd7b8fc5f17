"""A person at a terminal: the installed command against a whole server."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.sdk.cli.conftest import Ran
from tests.sdk.site import Site
from tests.server import PATIENCE

SMALL = ("--cpu", "0.1", "--mem", "0.1")  # of which there is plenty


@dataclass
class Person:
    """`person("job", "ls")` runs a command in a directory of theirs; settings are kept there too."""

    site: Site
    name: str | None
    directory: Path

    @property
    def settings(self) -> Path:
        return self.directory / ".mlteam"

    def environment(self, **more: str) -> dict[str, str]:
        return self.site.environment(self.name, MLTEAM_CONFIG_DIR=str(self.settings), COLUMNS="200", **more)

    def __call__(self, *words: str, input: str = "", status: int | None = 0, **more: str) -> Ran:
        """What it said. Fails when it ends with another status; None for any."""
        return self._run([str(self.site.programs / "mlteam"), *words], input, status, more)

    def shell(self, script: str, status: int | None = 0, **more: str) -> Ran:
        """The same for lines of bash."""
        return self._run(["bash", "-euo", "pipefail", "-c", script], "", status, more)

    def _run(self, command: list[str], input: str, status: int | None, more: dict[str, str]) -> Ran:
        done = subprocess.run(
            command,
            input=input,
            env=self.environment(**more),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert status in (None, ran.status), f"{shlex.join(command)}: {ran.status}\n{ran.out}{ran.err}"
        return ran

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """A command that has begun."""
        return subprocess.Popen(
            [str(self.site.programs / "mlteam"), *words],
            env=self.environment(**more),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, *words: str) -> list[dict[str, object]]:
        """What a list has, as JSON."""
        found: list[dict[str, object]] = json.loads(self(*words, "--format", "json").out)
        return found

    def submit(self, *words: str) -> str:
        """Submits a small job; its id."""
        return self("job", "submit", "-q", *SMALL, *words).out.strip()
