"""From what was typed to the thing meant: ids, URNs, names, `USER:NAME`."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mlteam_sdk.cli.command import Trouble
from mlteam_sdk.cli.texts import clean, note
from mlteam_sdk.errors import MLTeamError

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

Thing = dict[str, Any]
_ID: Final = re.compile(r"[a-z2-7]{16}\Z")
ENOUGH: Final = 200  # things of one name that are looked at
SHOWN: Final = 10  # candidates that are listed
ENDED: Final = frozenset({"succeeded", "failed", "cancelled", "interrupted"})


def is_id(text: str) -> bool:
    return bool(_ID.match(text))


def id_in(text: str, kind: str) -> str:
    """The id in an id or a URN of that kind; "" for anything else."""
    parts = text.split(":")
    if len(parts) >= 3 and parts[-2] == kind and is_id(parts[-1]):
        return parts[-1]
    return text if is_id(text) else ""


def project(session: "Session", text: str) -> Thing:
    """The project with this id, URN, full name, name or slug."""
    if found := _by_id(session, "projects", id_in(text, "project")):
        return found
    if "." in text and (exact := session.some("/projects", ENOUGH, full_name=text)):
        return only(exact, "project", text)
    found_by_name = [
        thing for thing in session.some("/projects", ENOUGH, q=text.rpartition(".")[2]) if _is_called(thing, text)
    ]
    exactly = [thing for thing in found_by_name if text in (thing["name"], thing["full_name"])]
    return only(exactly or found_by_name, "project", text)


def _is_called(thing: Thing, text: str) -> bool:
    return text.casefold() in {str(thing.get(name, "")).casefold() for name in ("name", "slug", "full_name")}


def user(session: "Session", text: str) -> Thing:
    """The user with this id, URN or username."""
    if found := _by_id(session, "users", id_in(text, "user")):
        return found
    if text == "me":
        return session.me
    return only(session.some("/users", 2, username=text), "user", text)


def team(session: "Session", text: str) -> Thing:
    """The team with this id, URN, name or address."""
    if found := _by_id(session, "teams", id_in(text, "team")):
        return found
    return only(session.some("/teams", ENOUGH, name=text) or session.some("/teams", 2, slug=text), "team", text)


def job(session: "Session", text: str, *, strictly: bool = False, states: str = "") -> Thing:
    """The job with this id or URN, the newest of this name, or of `USER:NAME`.

    Of jobs of one name those that I made come first. `strictly` refuses several of one name: for what cannot be undone. `states`: "active"
    or "ended" jobs only, when it is searched by name.
    """
    if found := _by_id(session, "jobs", id_in(text, "job")):
        return found
    owner, _, name = text.rpartition(":")
    if owner and id_in(text, "job"):  # a URN, whose beginning is nobody's name
        return _newest([], text)
    if owner:
        found_jobs = session.some("/jobs", ENOUGH, user=user(session, owner)["username"], name=name, sort="-created_at")
    else:
        found_jobs = _jobs_named(session, name)
    if states:
        found_jobs = [thing for thing in found_jobs if (thing["state"] in ENDED) == (states == "ended")] or found_jobs
    if strictly:
        return only(found_jobs, "job", text)
    return _newest(found_jobs, text)


def _jobs_named(session: "Session", name: str) -> list[Thing]:
    """My jobs of this name in the active project; otherwise anybody's there; otherwise those anywhere."""
    here = None if is_id(name) else session.project_id_or_none  # about an id, a project says nothing
    places: list[dict[str, Any]] = [{"mine": True}, {}]
    if here:
        places = [{"project": here, "mine": True}, {"project": here}, *places]
    for place in places:
        if found := session.some("/jobs", ENOUGH, name=name, sort="-created_at", **place):
            return found
    return []


def _newest(found: list[Thing], text: str) -> Thing:
    if not found:
        raise Missing(f"There is no job {clean(text)} that you may see. `mlteam job ls --all` lists yours.")
    newest = found[0]
    whose = "" if newest.get("mine", True) else f" of {_person(newest.get('created_by'))}"
    if len(found) > 1:
        note(f"{len(found)} jobs are named {text}; this is the newest{whose}: {newest['id']} of {newest['created_at']}")
    elif whose and ":" not in text:
        note(f"This is job {newest['id']}{whose}.")
    return newest


def last_job(session: "Session") -> Thing:
    """My newest job, in the project that was named on the command line, or anywhere."""
    place = {"project": session.project_id} if session.project_named else {}
    found = session.some("/jobs", 1, mine=True, sort="-created_at", **place)
    if not found:
        raise Trouble("You have no job yet. `mlteam job submit -- COMMAND` makes one.")
    return found[0]


def role(session: "Session", text: str, *, place: Callable[[], str] | None = None) -> Thing:
    """The role with this id, or by name: `PROJECT.ROLE` with the project's full name, `TEAM.ROLE`, `organization.ROLE`.

    `place` says where it is when a name alone was given, as the address of the API: `/projects/ID`; otherwise the active project.
    """
    if found := _by_id(session, "roles", id_in(text, "role")):
        return found
    where, _, name = text.rpartition(".")
    if where:
        place = partial(role_place, session, where)
    try:
        at = place() if place else f"/projects/{session.project_id}"
        found_roles = [thing for thing in session.some(f"{at}/roles", ENOUGH) if thing["name"] == name]
    except (Trouble, MLTeamError):
        if not id_in(text, "role"):  # about an id, a place that is not to be seen says nothing
            raise
        found_roles = []
    return only(found_roles, "role", text)


def role_place(session: "Session", text: str) -> str:
    """Where roles are, as the address of the API: a project, a team, or the installation."""
    if text in ("organization", "installation"):
        return "/installation"
    for kind, find in (("projects", project), ("teams", team)):
        try:
            return f"/{kind}/{find(session, text)['id']}"
        except Missing:
            continue
    raise Missing(
        f"There is no project or team {clean(text)} that you may see. Write PROJECT.ROLE, TEAM.ROLE or organization.ROLE."
    )


DATASTORES: Final = ("dataset", "model", "volume")


def datastore(session: "Session", text: str) -> Thing:
    """The dataset, model or volume with this id, URN or name in the active project, or `USER:NAME`, or `PROJECT.NAME`.

    `PROJECT` is a project's full name. A name that the active project has not is looked for in all others. Where a name with a dot means
    one thing here and one of another project, neither hides the other: Trouble lists both, unless a project was named on the command line.
    """
    known = next(filter(None, (id_in(text, kind) for kind in DATASTORES)), "")
    if found := _by_id(session, "datastores", known):
        return found
    owner, _, name = text.rpartition(":")
    if owner and not known:
        whose = user(session, owner)["id"]
        listed = session.some("/datastores", ENOUGH, name=name)
        return only([one for one in listed if (one.get("created_by") or {}).get("id") == whose], "datastore", text)
    here = None if known else session.project_id_or_none
    found_here = session.some("/datastores", 2, name=text, project=here) if here else []
    found_there = [] if found_here and session.project_named else _in_project(session, text)
    found = {thing["id"]: thing for thing in (*found_here, *found_there)}
    return only(found.values() or session.some("/datastores", ENOUGH, name=text), "datastore", text)


def home(session: "Session", text: str) -> tuple[str, str]:
    """Where what is made as `[PROJECT.]NAME` comes, as that project's id, and what it is called.

    A project that was named on the command line is where, and then NAME may have dots. Raises Trouble where the active project has one
    that is itself called so: of the two, nobody could tell which is meant.
    """
    where, _, name = text.rpartition(".")
    if not where or session.project_named:
        return session.project_id, text
    try:
        found = project(session, where)["id"]
    except Missing as error:
        how = "A name that has a dot itself is made with --project PROJECT."
        raise Missing(error.message, more=[how]) from None
    here = session.project_id_or_none
    for thing in session.some("/datastores", 1, name=text, project=here) if here else ():
        whose = (
            f"{thing['project']['full_name']} has a {thing['kind']} that is itself called {clean(text)} ({thing['id']})"
        )
        how = f"`mlteam data rename {thing['id']} NEW` gives it another name"
        raise Trouble(
            f"{whose}.", more=[f"{how}; --project {clean(where)} and {clean(name)} makes this one all the same."]
        )
    return str(found), name


def _in_project(session: "Session", text: str) -> list[Thing]:
    """What `PROJECT.NAME` means; both may have dots."""
    for place in reversed([at for at, sign in enumerate(text) if sign == "."]):
        try:
            where = project(session, text[:place])["id"]
        except Trouble:
            continue
        if found := session.some("/datastores", 2, project=where, name=text[place + 1 :]):
            return found
    return []


class Missing(Trouble):
    """Nothing goes by that name."""


def _by_id(session: "Session", kind: str, found: str) -> Thing | None:
    """The thing with this id; None when there is none, for a name may look like an id."""
    return session.get_or_none(f"/{kind}/{found}") if found else None


def only(found: Iterable[Thing], kind: str, text: str) -> Thing:
    """The one thing of that name. Raises Missing for none, and Trouble that lists them for several."""
    things = list(found)
    if not things:
        raise Missing(f"There is no {kind} {clean(text)} that you may see. {_WHERE_LISTED[kind]}")
    if len(things) > 1:
        more = [candidate(thing) for thing in things[:SHOWN]] + [f"and {len(things) - SHOWN} more"] * (
            len(things) > SHOWN
        )
        raise Trouble(f"{len(things)} {kind}s are named {clean(text)}. Give the id of one:", more=more)
    return things[0]


_WHERE_LISTED: Final = {
    "project": "`mlteam project ls` lists them.",
    "user": "`mlteam user ls` lists usernames.",
    "team": "`mlteam team ls` lists them.",
    "job": "`mlteam job ls` lists them.",
    "role": "`mlteam role ls` lists them.",
    "key": "`mlteam role key ls ROLE` lists them.",
    "third-party key": "`mlteam key ls` lists them.",
    "datastore": "`mlteam data ls --global` lists them.",
}


def candidate(thing: Thing) -> str:
    """One of several things of a name: its id and what tells it from the others."""
    told = [thing["id"], thing.get("full_name") or thing.get("name") or thing.get("username")]
    told += [thing.get("state"), thing.get("created_at")] if "state" in thing else []
    told += [thing["kind"], thing["project"]["full_name"]] if thing.get("kind") in DATASTORES else []
    whose = thing.get("owner") or thing.get("created_by")
    return "  ".join(str(part) for part in [*told, f"of {_person(whose)}" if whose else ""] if part)


def _person(person: Thing | None) -> str:
    return str(person["username"]) if person else "somebody who is gone"
