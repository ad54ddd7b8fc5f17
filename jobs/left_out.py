"""What of a job's output goes nowhere: links, devices and the like, and what no address and no version can name."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from compute.trees import Entry

NAMED: Final = 3
LONGEST: Final = 40  # characters of a path that is named
OTHERS: Final = "that is no file or whose name is not UTF-8", "that are no files or whose names are not UTF-8"


@dataclass(slots=True)
class LeftOut:
    """How many things were left out, and the paths of the first."""

    counted: Counter[str] = field(default_factory=Counter)
    paths: list[str] = field(default_factory=list)

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The regular files among these; all else is noted here."""
        for entry in entries:
            if entry.kind == "file":
                yield entry
            else:
                self._note(entry)

    def _note(self, entry: Entry) -> None:
        self.counted[entry.kind] += 1
        if len(self.paths) < NAMED:
            self.paths.append(entry.path if len(entry.path) <= LONGEST else f"…{entry.path[-LONGEST:]}")

    @property
    def said(self) -> str:
        """In words: “left out: 2 links (a, b)”; "" for nothing."""
        links, others = self.counted["link"], self.counted["other"]
        many = [f"{links:,} link{'' if links == 1 else 's'}"] if links else []
        many += [f"{others:,} {OTHERS[others != 1]}"] if others else []
        more = ", …" * (links + others > len(self.paths))
        return f"left out: {' and '.join(many)} ({', '.join(self.paths)}{more})" if many else ""
