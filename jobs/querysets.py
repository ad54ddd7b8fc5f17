"""Lists of jobs."""

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Func, OuterRef, Q, Subquery, Value

import access
from access.keys import RoleHolder
from jobs.states import ACTIVE, UNFINISHED, JobState, Reason

if TYPE_CHECKING:
    from django.db.models.sql.compiler import SQLCompiler

    from accounts.models import User
    from projects.models import Project


class _Holds(Func):
    """Whether a JSON list of texts holds a text."""

    output_field = models.BooleanField()
    template = "EXISTS (SELECT 1 FROM json_each(%(expressions)s)"
    arg_joiner = ") WHERE value = "

    def as_postgresql(self, compiler: "SQLCompiler", connection: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s::text)", arg_joiner=" ? ")


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: "User | RoleHolder") -> "JobQuerySet":
        """Those that the user may see; the filter is SQL."""
        return self.filter(access.scope(user, "job:get"))

    def in_project(self, project: "Project") -> "JobQuerySet":
        return self.filter(project=project)

    def newest_first(self) -> "JobQuerySet":
        return self.order_by("-created_at", "-id")

    def as_rows(self) -> "JobQuerySet":
        """With what jobs.rows shows: the creator, and `newest`, the index of the newest attempt."""
        return self._with_newest_attempt().select_related("created_by", "project")

    def as_list(self) -> "JobQuerySet":
        """The same for many jobs of one project, whose few creators come once; without the spec, which no row shows."""
        return self._with_newest_attempt().prefetch_related("created_by").defer("spec", "files")

    def for_programs(self) -> "JobQuerySet":
        """With what jobs.shown says of many: the project and the creator."""
        return self.select_related("project", "created_by")

    def _with_newest_attempt(self) -> "JobQuerySet":
        attempts = apps.get_model("jobs", "Attempt").objects.filter(job=OuterRef("pk"))
        return self.annotate(newest=Subquery(attempts.order_by("-index").values("index")[:1]))

    def active(self) -> "JobQuerySet":
        return self.filter(state__in=ACTIVE)

    def unfinished(self) -> "JobQuerySet":
        return self.filter(state__in=UNFINISHED)  # named, not excluded: that is how the index by state finds them

    def queued(self) -> "JobQuerySet":
        return self.filter(state=JobState.QUEUED)

    def held(self) -> "JobQuerySet":
        """Of waiting ones: those that a budget holds back."""
        return self.filter(reason=Reason.BUDGET)

    def not_held(self) -> "JobQuerySet":
        return self.exclude(reason=Reason.BUDGET)

    def ready(self) -> "JobQuerySet":
        """Of waiting ones: those that need only their slots."""
        return self.not_held().filter(waits_for_data=False)

    def present(self) -> "JobQuerySet":
        """Without those of removed projects. Not by a join: the order of a list stays that of an index."""
        return self.exclude(project__in=apps.get_model("projects", "Project").objects.filter(removed_at__isnull=False))

    def made_by(self, by: "User | RoleHolder", *, others: bool = False) -> "JobQuerySet":
        """Those that somebody submitted, or the keys of a role; or those of `others`."""
        theirs = Q(by_role_id=by.role_id) if isinstance(by, RoleHolder) else Q(created_by=by)
        return self.exclude(theirs) if others else self.filter(theirs)

    def named(self, name: str) -> "JobQuerySet":
        """Those of just this name; the indexes have what is searched, in lower case."""
        return self.filter(name=name, words__contains=name.lower())

    def tagged(self, tag: str) -> "JobQuerySet":
        """Those that have just this tag."""
        return self.filter(_Holds("tags", Value(tag)))

    def matching(self, text: str) -> "JobQuerySet":
        """Those whose name, tags or creator contain the text, whatever its case, or whose id it is."""
        creators = get_user_model().objects.filter(username__icontains=text).values("pk")  # once, not for each job
        return self.filter(Q(words__contains=text.lower()) | Q(id=text.lower()) | Q(created_by__in=creators))


def words_of(name: str, tags: list[str]) -> str:
    """What a search looks through, in lower case: 600 characters of a job's name and tags."""
    return "\n".join([name, *tags]).lower()[:600]
