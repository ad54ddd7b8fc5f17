"""Lists of datastores and of their versions."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import OuterRef, Q, Subquery

import access
from access.keys import RoleHolder
from datastores.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accounts.models import User
    from datastores.models import Datastore, Version
    from projects.models import Project


def made_by(by: "User | RoleHolder") -> Q:
    """What somebody made, or the keys of a role."""
    return Q(by_role_id=by.role_id) if isinstance(by, RoleHolder) else Q(created_by=by.pk)


class DatastoreQuerySet(models.QuerySet):
    def present(self) -> "DatastoreQuerySet":
        """Those that have not been removed, with what they are in."""
        return self.filter(removed_at=None, project__removed_at=None)

    def visible_to(self, user: "User | RoleHolder") -> "DatastoreQuerySet":
        """Those that the user may read."""
        condition = Q(pk__in=[])
        for kind in Kind.values:
            condition |= Q(kind=kind) & access.scope(user, f"{kind}:get")
        return self.filter(condition)

    def in_project(self, project: "Project") -> "DatastoreQuerySet":
        return self.filter(project=project)

    def made_by(self, by: "User | RoleHolder", *, others: bool = False) -> "DatastoreQuerySet":
        """Those that somebody made, or the keys of a role; or those of `others`."""
        return self.exclude(made_by(by)) if others else self.filter(made_by(by))

    def matching(self, text: str) -> "DatastoreQuerySet":
        """Those in whose name or description the text occurs, whatever its case."""
        return self.filter(Q(name__icontains=text) | Q(description__icontains=text))

    def for_programs(self) -> "DatastoreQuerySet":
        """With what is said of them: the project and who made them."""
        return self.select_related("project", "created_by")


class VersionQuerySet(models.QuerySet):
    def latest_of(self, datastores: "Iterable[Datastore]") -> "dict[str, Version]":
        """The newest version of each of these that has one: the datastore's id -> the version; one query."""
        every = self.model._default_manager.filter(datastore=OuterRef("datastore"))
        newest = every.order_by("-number").values("number")[:1]
        rows: Any = self.filter(datastore__in=[one.pk for one in datastores], number=Subquery(newest))
        return {one.datastore_id: one for one in rows.select_related("created_by")}
