"""The audit trail for people: its words, its filters, its rows, and its export."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils import timezone

from accounts import downloads
from projects.levels import KINDS, preset_of
from projects.models import AuditEntry, Project

if TYPE_CHECKING:
    from projects.querysets import AuditQuerySet

FIRST: Final = date(1900, 1, 1)
LAST: Final = date(9000, 1, 1)

_words: dict[str, str] = {
    "project:new": "Created the project",
    "project:set": "Renamed the project",
    "project:lend": "Said whether jobs of other projects may read its data",
    "project:rm": "Removed the project",
    "project:purge": "Deleted what was removed",
    "invitation:new": "Invited somebody",
    "invitation:send": "Sent an invitation again",
    "invitation:rm": "Revoked an invitation",
    "invitation:accept": "Accepted an invitation",
    "member:new": "Joined",
    "member:set": "Changed a member's levels",
    "member:rm": "Removed a member",
    "member:leave": "Left",
    "team:new": "Added a team",
    "team:set": "Changed a team's levels",
    "team:rm": "Removed a team",
    "team:join": "Took users into a team",
    "team:leave": "Took users out of a team",
    "policy:new": "Attached a policy",
    "policy:rm": "Took a policy away",
    "role:new": "Created a role",
    "role:rm": "Removed a role",
    "role:member:new": "Gave a role",
    "role:member:rm": "Took a role away",
    "role:key:new": "Made a role's key",
    "role:key:rm": "Revoked a role's key",
    "key:new": "Added a third-party key",
    "key:set": "Replaced a third-party key",
    "key:rm": "Removed a third-party key",
    "key:test": "Tested a third-party key",
    "key:use": "Gave a third-party key to a job",
    "key:copy": "Copied third-party keys",
    "owner:offer": "Offered the project",
    "owner:withdraw": "Took the offer back",
    "owner:decline": "Declined the project",
    "owner:accept": "Became the owner",
}
COLUMNS: Final = ("at", "by", "by_id", "from", "address", "action", "what", "urn", "changes")
READ_AT_ONCE: Final = 500  # rows of an export


def say(words: dict[str, str]) -> None:
    """Adds the words of another app: action -> what was done, for people."""
    _words.update(words)


def words_of(action: str) -> str:
    """What was done, for people; the action itself where nobody has said it in words."""
    return _words.get(action, action)


@dataclass(frozen=True, slots=True)
class Change:
    """One field with its old and new value as text, "" where there is none."""

    field: str
    before: str
    after: str


def changes_of(entry: AuditEntry) -> list[Change]:
    """What is to be said beside who and what: to whom, then each field whose value changed."""
    about = [Change(_named(field), "", _shown(value)) for field, value in (entry.details or {}).items()]
    presets = all(value is None or _is_preset(value) for value in (entry.before, entry.after))
    before, after = _flat(entry.before, presets), _flat(entry.after, presets)
    fields = [field for field in {**before, **after} if before.get(field) != after.get(field)]
    return about + [Change(_named(field), before.get(field, ""), after.get(field, "")) for field in fields]


def _is_preset(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == set(KINDS) and bool(preset_of(value))


def _flat(value: Any, presets: bool) -> dict[str, str]:
    """Fields with their values as text. With `presets`, levels by the name of theirs."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        return {"value": _shown(value)}
    if presets:
        return {"levels": preset_of(value)}
    return {field: _shown(part) for field, part in value.items()}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return preset_of(value) or ", ".join(f"{_named(key)} {_shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return "nothing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _named(field: str) -> str:
    return field.replace("_", " ")


def may_see(project: Project) -> str:
    """The action that shows a project's trail; of a Personal one, that its owner has."""
    return "project:set" if project.personal else "project:share"


def choices(project: Project) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Who and which actions occur in the trail, as (value, label); one query, of an index alone."""
    columns = ("by_id", "by_name", "action")
    found = sorted(AuditEntry.objects.of(project).order_by().values_list(*columns).distinct())
    names: dict[str, list[str]] = {}
    for by_id, by_name, _ in found:
        names.setdefault(by_id or "mlteam", []).append(by_name)
    people = [(by_id, " / ".join(dict.fromkeys(held))) for by_id, held in names.items()]
    actions = [(action, words_of(action)) for action in {action for *_, action in found}]
    return sorted(people, key=lambda one: one[1]), sorted(actions, key=lambda one: one[1])


def filtered(entries: "AuditQuerySet", chosen: dict[str, Any]) -> "AuditQuerySet":
    """The entries that fit: `by` (user id, "mlteam" for the server), `action`, `since` and `until` (dates), `q`."""
    if chosen.get("by"):
        entries = entries.filter(by_id="" if chosen["by"] == "mlteam" else chosen["by"])
    if chosen.get("action"):
        entries = entries.filter(action=chosen["action"])
    if chosen.get("since"):
        entries = entries.filter(at__gte=_midnight(_near(chosen["since"])))
    if chosen.get("until"):
        entries = entries.filter(at__lt=_midnight(_near(chosen["until"]) + timedelta(days=1)))
    return entries.matching(chosen["q"]) if chosen.get("q") else entries


def _midnight(day: date) -> datetime:
    """The beginning of a day in the reader's time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


def _near(day: date) -> date:
    """The day, or the nearest of those that are days in every time zone."""
    return min(max(day, FIRST), LAST)


def prepare(entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    """The entries, each with what the page shows of it: `said`, `changes`, and `within`, its URN without the project's."""
    rows = list(entries)
    for entry in rows:
        entry.said, entry.changes = words_of(entry.action), changes_of(entry)
        entry.within = entry.urn.partition(f":{entry.project_id}:")[2] or "project"
    return rows


def in_pieces(entries: "AuditQuerySet", write: Callable[[list[AuditEntry]], str]) -> Iterator[str]:
    """The entries, newest first, as text that `write` makes of some hundred at a time; each read by its position."""
    entries = entries.order_by("-at", "-id")
    rows = list(entries[:READ_AT_ONCE])
    while rows:
        yield write(rows)
        at, last = rows[-1].at, rows[-1].pk
        rows = list(entries.filter(Q(at__lt=at) | Q(at=at, id__lt=last))[:READ_AT_ONCE])


def as_csv(entries: "AuditQuerySet") -> Iterator[str]:
    """The trail as CSV with a head; no cell can be taken for a formula."""
    yield downloads.lines([COLUMNS])
    yield from in_pieces(entries, lambda rows: downloads.lines(map(_cells, rows)))


def as_json_lines(entries: "AuditQuerySet") -> Iterator[str]:
    """The trail as one JSON object in a line."""
    yield from in_pieces(entries, lambda rows: "".join(f"{json.dumps(_object(entry))}\n" for entry in rows))


def _cells(entry: AuditEntry) -> list[str]:
    who = [_time(entry.at), entry.by_name, entry.by_id, entry.origin, entry.address]
    said = "; ".join(f"{change.field}: {_arrow(change)}" for change in changes_of(entry))
    return [downloads.cell(text) for text in (*who, entry.action, words_of(entry.action), entry.urn, said)]


def _arrow(change: Change) -> str:
    return " → ".join(filter(None, (change.before, change.after)))


def _object(entry: AuditEntry) -> dict[str, Any]:
    who = {"at": _time(entry.at), "by": entry.by_name, "by_id": entry.by_id}
    where = {"from": entry.origin, "address": entry.address}
    what = {"action": entry.action, "urn": entry.urn, "before": entry.before, "after": entry.after}
    return {**who, **where, **what, "details": entry.details}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
