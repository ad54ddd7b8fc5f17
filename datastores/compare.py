"""What differs between two versions."""

from collections.abc import Iterator
from dataclasses import dataclass

from datastores.listings import Listing
from datastores.manifests import Entry


@dataclass(frozen=True, slots=True)
class Change:
    """A file of one of two versions that is not, or not the same, in the other; its sizes, None where it is not."""

    path: str
    change: str
    old_size: int | None
    new_size: int | None


def changes(old: Listing, new: Listing, *, after: str = "") -> Iterator[Change]:
    """What differs, in the order of the paths; after that of one."""
    start = after.encode() + b"\0" if after else b""
    before, now = old.first(start), new.first(start)
    while before < old.files and now < new.files:
        if old.line(before) == new.line(now):  # nearly all are the same, and need not be understood
            before, now = before + 1, now + 1
            continue
        was, is_now = old.entry(before), new.entry(now)
        if was.path == is_now.path:
            yield Change(was.path, "changed", was.size, is_now.size)
            before, now = before + 1, now + 1
        elif was.path.encode() < is_now.path.encode():
            yield _removed(was)
            before += 1
        else:
            yield _added(is_now)
            now += 1
    yield from (_removed(entry) for entry in old.entries(before, old.files))
    yield from (_added(entry) for entry in new.entries(now, new.files))


def _added(entry: Entry) -> Change:
    return Change(entry.path, "added", None, entry.size)


def _removed(entry: Entry) -> Change:
    return Change(entry.path, "removed", entry.size, None)
