"""The options of every command that lists jobs, and the jobs that they choose."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from mlteam_sdk.cli import completing

if TYPE_CHECKING:
    from mlteam_sdk.cli.session import Session

STATES: Final = (
    "queued",
    "preparing",
    "running",
    "uploading",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
    "interrupted",
)
WHO: Final = "created_by.username"  # the column that says whose a job is, where others' are listed


def chooses_jobs(function: Callable[..., Any]) -> Callable[..., Any]:
    """--global, --user, --state, --tag and --limit."""
    for option in (
        click.option(
            "--limit", "-n", type=click.IntRange(min=1), default=100, show_default=True, help="At most that many."
        ),
        click.option(
            "--tag", "tags", multiple=True, metavar="TAG", help="Only jobs with this tag; repeatable, for all of them."
        ),
        click.option(
            "--state", "states", multiple=True, type=click.Choice(STATES), help="Only jobs in this state; repeatable."
        ),
        click.option("--user", metavar="USER", help="Jobs of this person.", shell_complete=completing.users),
        click.option("--global", "everyone", is_flag=True, help="Everyone's jobs, with who made them."),
    ):
        function = option(function)
    return function


def jobs(
    session: "Session",
    *,
    everyone: bool,
    user: str | None,
    states: tuple[str, ...],
    tags: tuple[str, ...],
    limit: int,
    project: str | None,
) -> Iterator[dict[str, Any]]:
    """The newest jobs that were chosen; mine unless others' are asked for."""
    from mlteam_sdk.cli.names import user as find_user

    asked: dict[str, Any] = {"sort": "-created_at", "state": list(states)}
    if user:
        asked["user"] = find_user(session, user)["username"]
    elif not everyone:
        asked["mine"] = True
    if project:
        asked["project"] = project
    return islice(tagged(session, tags, **asked), limit) if tags else session.items("/jobs", limit, **asked)


def tagged(session: "Session", tags: Sequence[str], **asked: Any) -> Iterator[dict[str, Any]]:
    """Jobs that bear all these tags; the server looks for one of them."""
    found = session.items("/jobs", None, tag=tags[0], **asked)
    return (thing for thing in found if set(tags) <= set(thing["tags"]))
