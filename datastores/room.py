"""How much room there is for content."""

import shutil
from typing import Final

from django.conf import settings

from datastores import places
from datastores.blobs import Full

LEFT: Final = 64 * 2**20  # bytes that stay free, for the database and the logs


def check(more: int, *, here: bool = False) -> None:
    """Whether so many bytes can arrive. Raises Full. In a bucket there is always room, each file passes the disk by itself; `here`: they
    stay on this disk anyway."""
    free = shutil.disk_usage(places.uploads()).free
    if more and (here or not settings.MLTEAM_BLOBS) and more + LEFT > free:
        raise Full(f"The server's disk has {said(max(free - LEFT, 0))} left; these would be {said(more)}.")


def said(size: int) -> str:
    """So many bytes, for people."""
    value, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.1f} {units[0]}"
