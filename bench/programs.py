"""A private server with the SDK in this process, as a program of its first account."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.server import ROOT, Server, running

if TYPE_CHECKING:
    from mlteam_sdk.sync import MLTeam


@contextmanager
def connected(var: Path) -> Iterator[tuple[Server, "MLTeam", Path]]:
    """The server, a client of it, and a directory for what the measurement needs."""
    sys.path.insert(0, str(ROOT / "sdk" / "src"))
    with tempfile.TemporaryDirectory(prefix="mlteam-data-") as directory, running(var) as server:
        import django

        django.setup()
        from mlteam_sdk.sync import MLTeam

        here = Path(directory)
        os.environ |= {"XDG_CACHE_HOME": str(here / "cache"), "MLTEAM_CONFIG_DIR": str(here / "settings")}
        with MLTeam(url=server.url, token=_token(server)) as client:
            yield server, client, here


def _token(server: Server) -> str:
    from accounts import tokens
    from accounts.models import User

    server.first_account()
    return tokens.make(user=User.objects.get(username="ada"), name="bench", scope="all", days=1)
