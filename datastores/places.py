"""Where on this host an upload arrives."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlteam import state


def upload_directory(upload_id: str) -> Path:
    """`var/uploads/<upload>`, made where it is missing."""
    return state.directory(f"uploads/{upload_id}")


def remove_upload(upload_id: str) -> None:
    """Takes away all that has arrived of an upload and is not kept yet."""
    shutil.rmtree(uploads() / upload_id, ignore_errors=True)


@contextmanager
def draft() -> Iterator[Path]:
    """A file for a manifest that arrives, beside the uploads; it is gone after the block."""
    file = uploads() / f"{os.urandom(10).hex()}.manifest"
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def import_directory(import_id: str) -> Path:
    """`var/imports/<import>`, made where it is missing."""
    return state.directory(f"imports/{import_id}")


def remove_import(import_id: str) -> None:
    """Takes away what has arrived for an import."""
    shutil.rmtree(state.directory("imports") / import_id, ignore_errors=True)


def uploads() -> Path:
    return state.directory("uploads", 0o711)
