"""Whether a log that was read is the one that a job wrote."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class CheckedLog:
    """An attempt's log, read whole and compared with what the server says of it. `problems` are sentences."""

    attempt: int
    size: int
    lines: int
    sha256: str
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.problems


def problems_of(said: Mapping[str, Any], found: CheckedLog) -> list[str]:
    """What is wrong with a log, in sentences: what arrived against what the server says."""
    wrong = []
    for name, unit in (("size", "bytes"), ("lines", "lines")):
        here = getattr(found, name)
        if said.get(name) is not None and said[name] != here:
            wrong.append(f"The server has {said[name]} {unit}, {here} arrived.")
    if said.get("sha256") and said["sha256"] != found.sha256:
        wrong.append("The bytes that arrived have another checksum than those that the server has.")
    if said.get("verified") is False:
        wrong.append("What the server has is not what the job wrote.")
    if said.get("verified") is None or said.get("complete") is False:
        wrong.append("The log is not complete yet.")
    wrong += [
        f"{gap.get('bytes') or 'Some'} bytes are missing at byte {gap.get('offset')}." for gap in said.get("gaps") or ()
    ]
    return wrong
