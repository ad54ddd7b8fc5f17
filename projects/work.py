"""What the apps above know about the work in a project. They register it at start; projects know nothing of jobs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from django.apps import apps
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project
    from projects.querysets import ProjectQuerySet


class Work(Protocol):
    """Answers about the jobs of projects, each a constant number of queries."""

    def money_shows(self) -> bool:
        """Whether lists say what projects cost: where anything costs anything."""

    def listed(self, *, pks: list[str], seen_by: str, money: bool) -> "list[Project]":
        """The projects with these ids, in no order, with owner and parent and what a list shows of each to this user (by id):
        job_count, running_count, waiting_count, last_activity (null before the first job); with `money` also cost_this_month:
        all of it to the project's owner, to others their own share."""

    def by_cost(self, projects: "ProjectQuerySet", seen_by: "User", *, owned: bool) -> "list[ProjectQuerySet]":
        """The projects with their cost_this_month in millionths as `key`, in two parts, each in falling order: those that cost
        something, and all others. `owned`: whether all of them are the user's own, or none."""

    def of_member(self, project: "Project", user: "User") -> tuple[Sequence[object], Sequence[object]]:
        """The user's unfinished jobs in the project: (those that have started, those in the queue)."""

    def counts(self, project: "Project") -> tuple[int, int]:
        """(unfinished, all) jobs of the project."""


STEP: Final = timedelta(minutes=1)  # between two notes: many jobs of a project do not wait for its row

_registered: list[Work] = []


def register(work: Work) -> None:
    """Names the one who answers; called by the app of the jobs when it is ready."""
    _registered[:] = [work]


def known() -> Work:
    """The one who answers."""
    return _registered[0]


def note_activity(project_id: str) -> None:
    """Something has happened in the project, which is why lists by last activity have it first; called after the commit."""
    rows, now = apps.get_model("projects", "Project").objects, timezone.now()
    rows.filter(pk=project_id, active_at__lt=now - STEP).update(active_at=now)
