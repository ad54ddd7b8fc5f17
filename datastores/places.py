"""Where on this host an upload arrives."""

import shutil
from pathlib import Path

from mlteam import state


def upload_directory(upload_id: str) -> Path:
    """`var/uploads/<upload>`, made where it is missing."""
    return state.directory(f"uploads/{upload_id}")


def remove_upload(upload_id: str) -> None:
    """Takes away all that has arrived of an upload and is not kept yet."""
    shutil.rmtree(uploads() / upload_id, ignore_errors=True)


def import_directory(import_id: str) -> Path:
    """`var/imports/<import>`, made where it is missing."""
    return state.directory(f"imports/{import_id}")


def remove_import(import_id: str) -> None:
    """Takes away what has arrived for an import."""
    shutil.rmtree(state.directory("imports") / import_id, ignore_errors=True)


def uploads() -> Path:
    return state.directory("uploads", 0o711)
