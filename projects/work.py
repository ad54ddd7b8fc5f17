"""What the apps above know about the work in a project. They register it at start; projects know nothing of jobs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project
    from projects.querysets import ProjectQuerySet


class Work(Protocol):
    """Answers about the jobs of projects, each in a constant number of queries."""

    def annotate(self, projects: "ProjectQuerySet") -> "ProjectQuerySet":
        """The same rows, each with job_count, active_count and last_activity (a datetime or None)."""

    def running_by_member(self, project: "Project") -> dict[str, int]:
        """User id -> how many of their jobs have started and not ended."""

    def of_member(self, project: "Project", user: "User") -> tuple[Sequence[object], Sequence[object]]:
        """The user's unfinished jobs in the project: (those that have started, those in the queue)."""

    def counts(self, project: "Project") -> tuple[int, int]:
        """(unfinished, all) jobs of the project."""


_registered: list[Work] = []


def register(work: Work) -> None:
    """Names the one who answers; called by the app of the jobs when it is ready."""
    _registered[:] = [work]


def known() -> Work:
    """The one who answers."""
    return _registered[0]
