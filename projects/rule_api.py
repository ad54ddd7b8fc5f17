"""What programs ask about access: what do I hold, may I, why not, and who may."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.http import Http404
from ninja import Field, Query, Router, Schema

import access
from access import Decision, refused
from access.sites import NOTHING
from access.statements import THINGS
from access.urns import find_place
from accounts.api import UserOut, show_user
from accounts.models import User
from accounts.paging import Order
from api import lists
from api.callers import ApiRequest, person
from api.lists import Listed, Out, Paging
from api.problems import invalid
from projects.api import project_for
from projects.models import Project
from projects.questions import (
    Rule,
    answer,
    personal_of,
    rules_in,
    rules_of_everybody,
    shareable_for,
    teams_to_change,
    unseen_by,
)
from teams.models import Team

router = Router(tags=["rules"])

TEAMS: Final = 200  # in a list of one's rules
BY_NAME: Final = Order("key", descending=False)
EVERYBODY: Final = "role user of the installation"


class RuleOut(Out):
    """A rule that one holds, and so always `mine`. `action`@`expression` is how a policy would say it; `only_mine`: only of what one
    created."""

    action: str
    actions: list[str]
    expression: str
    only_mine: bool
    source: str
    mine: bool = True


class DecisionOut(Out):
    """Whether somebody may; when not, which rule is missing and who can grant it. What one may not see is as what is not there."""

    allowed: bool
    action: str
    urn: str
    code: str
    reason: str
    missing: str
    who_can_grant: list[UserOut]


class HolderOut(Out):
    """Who may, and by what."""

    user: UserOut
    source: str
    mine: bool


class HoldersOut(Out):
    """Who may: how many, and a page of them by username."""

    count: int
    items: list[HolderOut]
    next: str | None
    previous: str | None


class Question(Schema):
    """The action, and the URN of what it is done to; `PROJECT-URN:job:*` asks about all jobs of a project."""

    action: str = Field(max_length=40)
    urn: str = Field(max_length=400)


@router.get("/rules", response=Listed[RuleOut])
@access.route("self")
def list_rules(
    request: ApiRequest,
    paging: Query[Paging],
    project: str | None = Query(None, max_length=16, description="only of the project with this id"),
) -> dict[str, Any]:
    """All that one holds, with where it comes from: what everybody holds, teams, single things, and then project by project.

    `limit` counts projects here, besides Personal; each comes with all rules in it.
    """
    if project is not None:
        only = unseen_by(request.user, project=project) or [project_for(request, project, "project:get")]
        return lists.whole(_in_projects(request.user, only), _show_rule)
    page = lists.page(shareable_for(request.user), paging, lambda one: one, order=BY_NAME)
    first = [] if page["previous"] else _besides(request.user)
    return page | {"items": [_show_rule(rule) for rule in (*first, *_in_projects(request.user, page["items"]))]}


def _besides(by: Any) -> list[Rule]:
    """The rules about people and teams and in Personal, of which a role's key has none, and about things in projects that one does
    not see."""
    unseen = list(_in_projects(by, unseen_by(by)))
    if not isinstance(by, User):
        return unseen
    teams = list(teams_to_change(by)[:TEAMS])
    held = access.rules(by, teams, kind="team")
    of_teams = [rule for team in teams for rule in rules_in(team, held)]
    return [*rules_of_everybody(by), *of_teams, *unseen, *_in_projects(by, list(personal_of(by)))]


def _in_projects(by: Any, projects: list[Project]) -> Iterator[Rule]:
    held = access.rules(by, projects)
    return (rule for project in projects for rule in rules_in(project, held))


def _show_rule(rule: Rule) -> dict[str, Any]:
    plain = {name: getattr(rule, name) for name in ("actions", "expression", "only_mine", "source")}
    return plain | {"action": "+".join(rule.actions)}


# May somebody, and who may


def _about(by: Any, asked: Question) -> Any:
    """What is asked about; None for what is not there or what `by` may not see. Raises Problem for an action that it does not take."""
    kind, _, verb = asked.action.partition(":")
    if verb not in access.ACTIONS.get(kind, ()):
        raise invalid([("action", f"An action is KIND:VERB, as job:get. The kinds are {', '.join(access.ACTIONS)}.")])
    found = access.find(asked.urn) or _all_in_project(asked.urn, kind)
    target = found.access_target().kind if found is not None else ""
    if target not in {"project", "team", *THINGS} or not access.allowed(by, f"{target}:get", found):
        return None
    if kind != target and not (target == "project" and kind in THINGS):
        raise invalid([("action", f"This is asked of a {kind}; the resource is a {target}.")])
    return found


def _all_in_project(urn: str, kind: str) -> Any:
    """The project of `PROJECT-URN:job:*`."""
    stem = urn.removesuffix(f":{kind}:*")
    found = access.find(stem) if kind in THINGS and stem != urn else None
    return found if isinstance(found, Project) else None


def _person_of(asked: Question) -> User | None:
    """The user whom a URN names."""
    *_, kind, user = ("", *asked.urn.split(":"))
    named = kind == "user" and asked.urn == access.urn("user", user)
    return User.objects.filter(pk=user, is_active=True).first() if named else None


def _whom(by: Any, username: str | None, about: Any) -> Any:
    """Whose rules are asked for: one's own, or those of anybody in what one may share."""
    if not username or username == by.username:
        return by
    if about is None or not _may_share(by, about):
        raise refused("project:share", "not_granted", "Only who may share a project asks what others may there.")
    found = User.objects.filter(username=username).first()
    if found is None:
        raise invalid([("user", "Nobody has this username.")])
    return found


def _may_share(by: Any, about: Any) -> bool:
    place = find_place(about.access_target().project_id)
    assert place
    return bool(access.allowed(by, "team:set" if isinstance(place, Team) else "project:share", place))


@router.get("/rules/allowed", response=DecisionOut)
@access.route("self")
def is_allowed(
    request: ApiRequest,
    asked: Query[Question],
    user: str | None = Query(None, max_length=31, description="a username, where one may share; empty for oneself"),
) -> dict[str, Any]:
    """Whether one may do this; why not, which rule is missing and who can grant it."""
    by = request.user
    if (named := _person_of(asked)) and user is None and isinstance(by, User):
        return _show(_of_person(by, asked.action, named), asked, by)
    about = _about(by, asked)
    whom = _whom(by, user, about)
    if about is None:
        return _show(Decision(False, asked.action, "not_found", NOTHING), asked, by)
    found = answer(whom, asked.action, about)
    return _show(found.decision, asked, by, found.granters)


def _of_person(by: User, action: str, named: User) -> Decision:
    if _may_to_person(action, named).filter(pk=by.pk).exists():
        return Decision(True, action, "granted", f"allowed by {_why_to_person(action, named, by)}")
    return Decision(False, action, "not_granted", "Everybody changes their own account; admins give them policies.")


def _show(decision: Decision, asked: Question, by: Any, granters: Iterable[User] = ()) -> dict[str, Any]:
    plain = {name: getattr(decision, name) for name in ("allowed", "action", "code", "reason", "missing")}
    return plain | {"urn": asked.urn, "who_can_grant": [show_user(one, by) for one in granters]}


@router.get("/rules/holders", response=HoldersOut)
@access.route("self")
def list_holders(request: ApiRequest, asked: Query[Question], paging: Query[Paging]) -> dict[str, Any]:
    """Who may do this, by username, each with what gives it; for those who may see what it is done to."""
    by = person(request)
    count, found = _holders(by, asked, paging)
    shown, more = found[: paging.limit], len(found) > paging.limit
    items = [{"user": show_user(user, by), "source": source, "mine": user.pk == by.pk} for user, source in shown]
    return {"count": count, "items": items, "next": shown[-1][0].username if more else None, "previous": None}


def _holders(by: User, asked: Question, paging: Paging) -> tuple[int, list[tuple[User, str]]]:
    """How many, and those after the cursor, one more than asked for."""
    if named := _person_of(asked):
        everybody = _may_to_person(asked.action, named)
        rows = everybody.filter(username__gt=paging.cursor).order_by("username")[: paging.limit + 1]
        return everybody.count(), [(user, _why_to_person(asked.action, named, user)) for user in rows]
    about = _about(by, asked)
    if about is None:
        raise Http404(NOTHING)
    found = access.who(asked.action, about, first=paging.limit + 1, after=paging.cursor)
    return found.count, found.first


def _may_to_person(action: str, named: User) -> QuerySet[User]:
    """Who may do this to an account: everybody sees the name, and it is changed by who it is, and by admins."""
    active = User.objects.filter(is_active=True)
    if action not in {"user:get", "user:set"}:
        raise invalid([("action", "The resource is a user: ask for user:get or user:set.")])
    return active if action == "user:get" else active.filter(Q(pk=named.pk) | Q(is_superuser=True))


def _why_to_person(action: str, named: User, user: User) -> str:
    if user.pk == named.pk:
        return "being this user"
    return EVERYBODY if action == "user:get" else "role admin of the installation"
