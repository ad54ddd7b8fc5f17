"""How views ask: each names its action, and fetches what it works on through the one door."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404

from access.decisions import ACTIONS, Refused, Resource, split_action
from access.evaluator import Holder, abilities
from access.prepared import Prepared

View = TypeVar("View", bound=Callable[..., Any])
Row = TypeVar("Row", bound=Model)

# What a route may name besides an action: open to everybody; a person's own things; a thing that its own secret opens;
# the installation's staff.
PLAIN = frozenset({"public", "self", "token", "staff"})


def route(action: str) -> Callable[[View], View]:
    """Names the action of a view; a test refuses views without one. What is in PLAIN stands for routes about no resource."""
    if action not in PLAIN:
        split_action(action)

    def named(view: View) -> View:
        view.access_action = action  # type: ignore[attr-defined]
        return view

    return named


def fetch(user: Holder, action: str, rows: "QuerySet[Row] | Prepared[Row]", **lookup: Any) -> Row:
    """The row, when the user may do the action to it. Http404 to those who may not even see it, Refused to those who may only see it."""
    row = rows.first(**lookup) if isinstance(rows, Prepared) else rows.filter(**lookup).first()
    if row is None:
        raise Http404("There is nothing here, or nothing that you may see.")
    require(user, action, row)  # type: ignore[arg-type]
    return row


def require(user: Holder, action: str, resource: Resource) -> None:
    """Raises Http404 when the user may not see the resource, Refused when it may be seen but the action is not allowed.

    What is asked about decides what must be seen: a member with no level on jobs may see the project, and is told why its
    jobs are closed; a single job of it does not show. A key, which nobody gets to see, is there for who sees its project.
    """
    held = abilities(user, resource)
    kind = resource.access_target().kind
    seen = held.decide(f"{kind}:get", resource) if "get" in ACTIONS[kind] else held.any("project:get")
    if not seen:
        raise Http404("There is nothing here, or nothing that you may see.")
    decision = held.decide(action, resource)
    if not decision:
        raise Refused(decision)
