"""The files that pages load, collected where the web server finds them: anew only when one of them has changed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from mlteam import state

STAMP = ".collected"  # in the directory: of what it was made


def collect() -> None:
    """Does nothing where all is as it was the last time."""
    root, now = Path(settings.STATIC_ROOT), _stamp()
    stamp = root / STAMP
    if stamp.exists() and stamp.read_text() == now:
        return
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    state.write_atomically(stamp, now)


def _stamp() -> str:
    lines = "".join(f"{line}\n" for line in sorted(_sources()))
    return hashlib.sha256(f"{settings.STORAGES}\n{lines}".encode()).hexdigest()


def _sources() -> Iterator[str]:
    for finder in get_finders():
        for path, storage in finder.list([]):
            found = Path(storage.path(path)).stat()
            yield f"{path} {found.st_size} {found.st_mtime_ns}"
