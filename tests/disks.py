"""Disks that get full: small file systems for a test. That takes root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(place: Path, size: str, *, mode: str = "711", inodes: int = 0) -> Iterator[None]:
    """A file system of that size ("4m") at `place` while the block runs; nothing may use it at its end."""
    options = f"mode={mode},{_sizes(size, inodes)}"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def enlarge(place: Path, size: str, *, inodes: int = 0) -> None:
    """There is room again."""
    subprocess.run(["mount", "-o", f"remount,{_sizes(size, inodes)}", place], check=True)


def _sizes(size: str, inodes: int) -> str:
    return f"size={size},nr_inodes={inodes}" if inodes else f"size={size}"
