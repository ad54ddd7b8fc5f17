"""Who may do what: the one place that decides.

    access.allowed(user, "job:stop", job)        -> Decision: true or false, and why
    access.abilities(user, project)              -> all that a user holds in a project, for pages that ask many questions
    access.abilities_in(user, projects)          -> the same for some projects at once
    access.scope(user, "job:get", …)             -> the same answer as a filter in SQL
    access.holders("job:stop", job)              -> everybody for whom allowed() says yes, as a query; who_is_allowed(): and why
    access.who("job:stop", job)                  -> how many they are, and the first of them with why
    access.rules(user, projects)                 -> what a user holds in each of some projects, and where from
    access.fetch(user, "job:stop", queryset, …)  -> the object, or 404 to a stranger, or a refusal that says why
    access.seen_as(…)                            -> while it lasts, an owner sees a project as a member does
    access.route("job:stop")                     -> names the action of a view
    access.urn("project", id), access.find(urn)  -> the name of a resource, and the resource of a name

It knows no app above it: the apps register their sources of rules at start (`access.register`), and what is asked about says
by itself where it stands (`access_target()`).
"""

from access.crowds import who
from access.decisions import ACTIONS, Decision, Grant, Refused, Target, refused
from access.evaluator import (
    Abilities,
    Seen,
    abilities,
    abilities_in,
    allowed,
    holders,
    rules,
    scope,
    scopes,
    scopes_of,
    seen_as,
    who_is_allowed,
)
from access.generation import bump, generation
from access.routes import fetch, require, route
from access.sources import Source, register
from access.urns import find, register_finder, urn

__all__ = [
    "ACTIONS",
    "Abilities",
    "Decision",
    "Grant",
    "Refused",
    "Seen",
    "Source",
    "Target",
    "abilities",
    "abilities_in",
    "allowed",
    "bump",
    "fetch",
    "find",
    "generation",
    "holders",
    "refused",
    "register",
    "register_finder",
    "require",
    "route",
    "rules",
    "scope",
    "scopes",
    "scopes_of",
    "seen_as",
    "urn",
    "who",
    "who_is_allowed",
]
