"""Answers to questions about access: what somebody holds, may they, why not, and who may; for pages and programs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models.functions import Lower

import access
from access import Decision, Grant
from accounts.models import User
from projects.models import Project
from teams.models import Team

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from access.keys import RoleHolder
    from projects.querysets import ProjectQuerySet

MOST: Final = 200


@dataclass(frozen=True)
class Rule:
    """A line of a list of rules: action@expression, and where it comes from."""

    actions: list[str]
    expression: str
    only_mine: bool
    source: str


@dataclass(frozen=True)
class Answer:
    """Whether `person` may do what was asked, and for a refusal who can grant the missing rule."""

    person: User
    decision: Decision
    granters: list[User]


def rules_in(place: Project | Team, held: dict[str, list[Grant]]) -> list[Rule]:
    """What somebody holds in a place, of what `access.rules` found."""
    above = place.access_above()
    return [
        Rule(grant.verbs, grant.expression(above), grant.only_mine, grant.source)
        for grant in held[place.pk]
        if grant.nearest == 0
    ]


def rules_of_everybody(user: User) -> list[Rule]:
    """What the installation gives to everybody who has an account."""
    return [
        Rule(["user:set"], access.urn("user", user.pk), False, "it is you"),
        Rule(["user:get"], access.urn("user", "*"), False, "role user of the installation: names, never addresses"),
        Rule(["team:get"], access.urn("team", "*"), False, "role user of the installation"),
    ]


def personal_of(user: User) -> "ProjectQuerySet":
    """The user's Personal project."""
    return Project.objects.present().filter(owner=user, personal=True)


def shareable_for(by: "User | RoleHolder") -> "ProjectQuerySet":
    """The others that somebody may see, each with its name as `key`, for a list in the order of names."""
    return Project.objects.shareable().sorted_for(by, walked=True).annotate(key=Lower("name"))


def unseen_by(by: "User | RoleHolder", *, project: str = "") -> list[Project]:
    """Projects that somebody does not see, but in which a policy gives them something, of a single job perhaps; at most MOST."""
    named = Project.objects.named_for(by).filter(**({"pk": project} if project else {}))
    found = list(named[:MOST])
    held = access.abilities_in(by, found)
    return [one for one in found if not held[one.pk].any("project:get")]


def teams_to_change(user: User) -> "QuerySet[Team]":
    """Those in which somebody holds more than everybody does."""
    ways = access.scopes(user, "team:set", project="pk", created_by="pk")
    held = [Team.objects.filter(way).order_by().values("pk") for way in ways]
    return Team.objects.filter(pk__in=Team.objects.none().union(*held)).order_by(
        "name", "pk"
    )  # no other team is looked at


def answer(person: Any, action: str, resource: Any) -> Answer:
    """May the person do the action to the resource, and who could grant it."""
    decision = access.allowed(person, action, resource)
    if decision:
        return Answer(person, decision, [])
    grants = "team:set" if resource.access_target().kind == "team" else "project:share"
    return Answer(person, decision, list(access.holders(grants, resource).order_by("username")[:5]))
