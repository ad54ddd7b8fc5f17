"""A server for the SDK and the command, with people who have tokens. `make` runs inside the server's own installation."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.server import PATIENCE, Server

NAMES = {"ada": "Ada Byron", "grace": "Grace Murray", "stan": "Stan Stranger"}
PASSWORD = "a long enough password"


def make() -> None:
    """Ada owns Vision, in which Grace is a viewer; Stan is in nothing. Prints tokens and ids as JSON."""
    from accounts import actions as accounts
    from accounts import tokens
    from projects import actions as projects
    from projects import links
    from projects.levels import PRESETS

    people = {}
    for username, name in NAMES.items():
        email = f"{username}@example.com"
        people[username] = accounts.create_account(
            email=email, username=username, name=name, password=PASSWORD, verified=True, admin=username == "ada"
        )
    vision = projects.create(name="Vision", by=people["ada"])
    offer = projects.invite(project=vision, email="grace@example.com", levels=PRESETS["Viewer"], by=people["ada"])
    projects.accept(token=links.token_of(offer, links.EMAILED), by=people["grace"])
    made = {name: tokens.make(user=user, name="tests", scope="all", days=1) for name, user in people.items()}
    print(json.dumps({"tokens": made, "ids": {name: user.pk for name, user in people.items()}, "vision": vision.pk}))


@dataclass
class Site:
    """The server, and an environment in which the wheel is installed."""

    server: Server
    programs: Path
    settings: Path
    tokens: dict[str, str]
    ids: dict[str, str]
    vision: str
    google: tuple[str, int] = ("127.0.0.1", 0)  # where the server believes Google to be

    def environment(self, name: str | None, **more: str) -> dict[str, str]:
        """What a program of this person finds; nothing of whoever runs the tests."""
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("MLTEAM_", "PYTHON", "DJANGO_"))
        }
        token = {"MLTEAM_TOKEN": self.tokens[name]} if name else {}
        ours = {
            "MLTEAM_URL": self.server.url,
            "MLTEAM_CONFIG_DIR": str(self.settings),
            "NO_PROXY": "localhost,127.0.0.1",
        }
        return clean | ours | token | {"PATH": f"{self.programs}:{os.environ['PATH']}"} | more

    def start(
        self, name: str | None, *command: str, directory: Path | None = None, **more: str
    ) -> subprocess.Popen[str]:
        """A program of this person that has begun."""
        return subprocess.Popen(
            [str(self.programs / command[0]), *command[1:]],
            env=self.environment(name, **more),
            cwd=directory or self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, name: str | None, script: str, *arguments: str, directory: Path | None = None, **more: str) -> str:
        """What a script of this person prints."""
        process = self.start(name, "python", "-W", "error", "-c", script, *arguments, directory=directory, **more)
        output, errors = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, output + errors
        return output
