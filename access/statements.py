"""Policies as people write them, `action[+action]@urn[+urn]`, and their compiled form.

An action is `job:stop`, `job:*`, `*:get` or `*`. A name is a URN, in which `*` stands for one whole segment, or at the end for all
that follows: `acme:project:ID:job:*` are the project's jobs, `acme:project:ID:*` is all that is in the project and in projects below it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings

from access import urns
from access.decisions import ACTIONS, FARTHEST

if TYPE_CHECKING:
    from access.decisions import Resource

THINGS: Final = ("job", "dataset", "model", "volume", "key")  # what stands in projects, beside projects
LONGEST: Final = 1000


class BadStatement(ValueError):
    """A policy that cannot be understood: what is wrong, and from where to where in the text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the text, and where it begins."""

    text: str
    start: int

    def wrong(self, message: str) -> BadStatement:
        return BadStatement(message, self.start, self.start + max(1, len(self.text)))

    def split(self, separator: str) -> list["Part"]:
        """The pieces between separators, each with its own place."""
        found, at = [], self.start
        for piece in self.text.split(separator):
            found.append(Part(piece, at))
            at += len(piece) + len(separator)
        return found


@dataclass(frozen=True, slots=True)
class Reach:
    """What a name says: one kind, in a place or some steps below it, one resource or any ("")."""

    place: str
    kind: str
    resource: str = ""
    nearest: int = 0
    farthest: int = 0


@dataclass(frozen=True, slots=True)
class Compiled:
    """One verb on what a Reach says."""

    reach: Reach
    verb: str


@dataclass(frozen=True)
class Read:
    """A policy that was understood: what it compiles to, and the projects and teams that it names, by id."""

    rows: frozenset[Compiled]
    places: dict[str, "Resource"]


def read(text: str) -> Read:
    """Understands a policy. Raises BadStatement. It says nothing about whether anybody may grant it."""
    whole = Part(text, 0)
    if len(text) > LONGEST or not text.isprintable():
        raise whole.wrong(f"Write at most {LONGEST} characters on one line.")
    said, at, about = text.partition("@")
    if not at or "@" in about:
        raise whole.wrong("Write actions, one @, and names: job:get@URN.")
    actions = Part(said, 0).split("+")
    places: dict[str, Resource] = {}
    reaches = {part: _reaches(part, places) for part in Part(about, len(said) + 1).split("+")}
    return Read(_compiled(actions, reaches), places)


def _compiled(actions: list[Part], reaches: dict[Part, list[Reach]]) -> frozenset[Compiled]:
    rows, used = set(), set()
    for action in actions:
        wanted = _verbs(action)
        fits = [(part, one) for part, found in reaches.items() for one in found if _takes(one, wanted)]
        if not fits:
            raise action.wrong(_nothing(action, next(iter(reaches.values()))))
        for part, one in fits:
            used.add(part)
            rows |= {Compiled(one, verb) for verb in _takes(one, wanted)}
    for part in reaches:
        if part not in used:
            raise part.wrong("None of the actions can be done to this.")
    return frozenset(rows)


def _takes(reach: Reach, wanted: dict[str, frozenset[str]]) -> frozenset[str]:
    """The wanted verbs that what the name says can take; nothing is created on one that is there."""
    return wanted.get(reach.kind, frozenset()) - ({"new"} if reach.resource else set())


def _verbs(action: Part) -> dict[str, frozenset[str]]:
    """Kind -> verbs that an action of the text stands for."""
    kind, colon, verb = action.text.partition(":")
    if action.text == "*":
        return dict(ACTIONS)
    kinds = ACTIONS if kind == "*" else {kind: ACTIONS[kind]} if kind in ACTIONS else {}
    if not colon or not kinds:
        raise action.wrong(f"An action is KIND:VERB, as job:get. The kinds are {', '.join(ACTIONS)}.")
    found = {one: verbs & ({verb} if verb != "*" else verbs) for one, verbs in kinds.items()}
    if not any(found.values()):
        known = sorted({one for verbs in kinds.values() for one in verbs})
        raise action.wrong(f"There is no {action.text}. The verbs of {kind} are {', '.join(known)}.")
    return found


def _nothing(action: Part, reaches: list[Reach]) -> str:
    kind = action.text.partition(":")[0]
    if reaches[0].kind == "project" and kind in THINGS:
        return f"{action.text} is about {kind}s, and the name is a project's. End it with :{kind}:* for its {kind}s."
    return f"{action.text} cannot be done to what is named."


def _reaches(name: Part, places: dict[str, "Resource"]) -> list[Reach]:
    """What a name of the text says; the place that it stands in is added to `places`."""
    segments = name.split(":")
    if segments[0].text != settings.MLTEAM_ORGANIZATION:
        raise segments[0].wrong(
            f"A name begins with {settings.MLTEAM_ORGANIZATION}: copy it from the page of what you mean."
        )
    place, rest = _place(name, segments[1:])
    target = place.access_target()
    places[target.project_id] = place
    if target.kind == "team":
        if rest:
            raise rest[0].wrong("Nothing is named below a team.")
        return [Reach(target.project_id, "team")]
    return list(_below(target.project_id, rest))


def _place(name: Part, segments: list[Part]) -> tuple["Resource", list[Part]]:
    """The project or team that a name begins with, and the segments after it."""
    if not segments or segments[0].text not in {"project", "team"}:
        raise name.wrong("A rule is about a project or a team, what is in it, or what is below it; so is its name.")
    count = 2
    while segments[0].text == "project" and len(segments) > count + 1 and _goes_down(segments[count : count + 2]):
        count += 2
    if len(segments) < 2 or segments[1].text == "*":
        raise name.wrong(f"Say which {segments[0].text}: nobody may grant rules about all of them.")
    text = ":".join([settings.MLTEAM_ORGANIZATION, *(one.text for one in segments[:count])])
    place = urns.find(text)
    if place is None:
        raise segments[count - 1].wrong(f"There is no such {segments[0].text}, or it is not yours to share.")
    return place, segments[count:]


def _goes_down(pair: list[Part]) -> bool:
    return pair[0].text == "project" and pair[1].text != "*"


def _below(place: str, rest: list[Part]) -> Iterator[Reach]:
    """What the segments after a project's name say."""
    texts = [one.text for one in rest]
    if texts == ["*"]:
        yield from _everything(place, 0)
        return
    steps = 0
    while texts[2 * steps : 2 * steps + 2] == ["project", "*"]:
        steps += 1
    left = rest[2 * steps :]
    if not left:
        yield from [Reach(place, "project")] if not steps else _everything(place, steps)
    elif len(left) == 2 and left[0].text in THINGS and left[1].text:
        one = "" if left[1].text == "*" else left[1].text
        yield Reach(place, left[0].text, one[:16], steps, steps)
    else:
        raise left[0].wrong(
            f"After a project comes one of {', '.join(THINGS)} with an id or *, project with an id or *, or *."
        )


def _everything(place: str, steps: int) -> Iterator[Reach]:
    """All that is in the place or below it; from `steps` down, projects at least one."""
    for kind in THINGS:
        yield Reach(place, kind, "", steps, FARTHEST)
    yield Reach(place, "project", "", max(1, steps), FARTHEST)
