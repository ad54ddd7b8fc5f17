"""Putting files that a server sends into a directory here: never outside of it, never under their name before they are whole."""

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from types import TracebackType

from mlteam_sdk.errors import Damaged, MLTeamError


class UnsafePath(MLTeamError):
    """A file's path would lead out of the directory that it is to be put in."""


def inside(root: Path, path: str) -> Path:
    """Where a file with this path lies below root. Raises UnsafePath when that would be elsewhere."""
    parts = PurePosixPath(path).parts
    bad = not parts or path.startswith("/") or ".." in parts or "\0" in path
    if bad or (os.name == "nt" and any(sign in path for sign in "\\:")):
        raise UnsafePath(f"“{path}” is no path of a file below a directory. It is not downloaded.")
    target = root.joinpath(*parts)
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise UnsafePath(f"{target.parent} is a link that leads out of {root}. “{path}” is not downloaded.")
    return target


class Landing(AbstractContextManager["Landing"]):
    """A file that is being received; it lies beside its place until it is whole, and is gone when it does not become so."""

    def __init__(self, root: Path, path: str, size: int | None) -> None:
        self.path, self.size = path, size
        inside(root, path)  # before anything is made
        self.target = root.joinpath(*PurePosixPath(path).parts)
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            inside(root, path)  # again, now that its directories are there
            handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name[:60]}.", suffix=".part")
        except OSError as error:
            raise MLTeamError(f"{self.target} cannot be written ({error.strerror}).") from None
        self.part = Path(name)
        self.file = os.fdopen(handle, "wb")

    def write(self, piece: bytes) -> None:
        try:
            self.file.write(piece)
        except OSError as error:
            raise MLTeamError(f"{self.target} cannot be written ({error.strerror}).") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._land()
        finally:
            self.file.close()
            self.part.unlink(missing_ok=True)

    def _land(self) -> None:
        arrived = self.file.tell()
        if self.size is not None and arrived != self.size:
            said = f"{self.path} has {self.size} bytes and {arrived} arrived. Is the job still writing it? Try again."
            raise Damaged(said)
        try:
            self.file.close()
            self.part.chmod(0o666 & ~_umask())
            self.part.replace(self.target)
        except OSError as error:
            raise MLTeamError(f"{self.target} cannot be written ({error.strerror}).") from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
