"""Lists of jobs."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

import access
from jobs.states import ACTIVE, FINAL, JobState

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: "User") -> "JobQuerySet":
        """Those that the user may see; the filter is SQL."""
        return self.filter(access.scope(user, "job:get"))

    def in_project(self, project: "Project") -> "JobQuerySet":
        return self.filter(project=project)

    def newest(self) -> "JobQuerySet":
        return self.order_by("-created_at", "-id")

    def active(self) -> "JobQuerySet":
        return self.filter(state__in=ACTIVE)

    def unfinished(self) -> "JobQuerySet":
        return self.exclude(state__in=FINAL)

    def queued(self) -> "JobQuerySet":
        return self.filter(state=JobState.QUEUED)

    def matching(self, text: str) -> "JobQuerySet":
        """Those whose name, id or creator contains the text."""
        return self.filter(
            Q(name__icontains=text) | Q(id=text.lower()) | Q(created_by__username__icontains=text) | Q(tags__icontains=text)
        )
