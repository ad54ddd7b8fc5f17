"""The owners' admin site: whoever owns a project sees and changes there what is theirs, and nothing of anybody else.

Which rows there are is one filter, that of access with its owner (`ProjectQuerySet.owned_by`). Lists, searches, single pages and
bulk actions all begin with it. What changes goes through the actions that the pages use.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from access.sites import Rows, Site
from projects.errors import Impossible
from projects.models import Project

OFFERED: Final = 100  # projects in a list's filter; the list of projects has all


class OwnersSite(Site):
    """For everybody who owns a project: their Personal one is enough."""

    action = "self"
    site_header = site_title = "mlteam owners"
    index_title = "What you own"

    def has_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return user.is_active and Project.objects.owned_by(user).exists()


owners = OwnersSite(name="owners")


class OwnProject(admin.SimpleListFilter):
    """One of one's own projects. Another's, or none at all, shows nothing."""

    title = "project"
    parameter_name = "project"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        own = Project.objects.owned_by(request.user, model_admin.action).order_by("-personal", "name", "pk")
        return list(own.values_list("pk", "name")[:OFFERED])

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(project_id=self.value()) if self.value() else queryset


class Owned(Rows):
    """Rows of one's own projects, in which one may do `action`; `place` is their column that names the project."""

    action = "project:share"
    place = "project_id"

    def get_queryset(self, request: Any) -> QuerySet:
        own = Project.objects.owned_by(request.user, self.action)
        return super().get_queryset(request).filter(**{f"{self.place}__in": own.values("pk")})

    def mine(self, request: HttpRequest, obj: Any) -> bool:
        """Whether the row is one of these; for no row whether there can be any."""
        return obj is None or self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.mine(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only what is named: no column of a row shows by itself."""
        return self.fields or self.get_readonly_fields(request, obj)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list, with what each row of the page needs besides, asked for all of them at once."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = self.prepared(list(changelist.result_list))
        return changelist

    def prepared(self, rows: list[Any]) -> list[Any]:
        return rows

    def attempt(self, request: Any, rows: Iterable[Any], act: Callable[[Any], None], done: str) -> None:
        """Does it to each, and says of each what came of it."""
        for row in rows:
            try:
                act(row)
            except Impossible as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.message_user(request, done.format(row), messages.SUCCESS)


class Changed(Owned):
    """Rows that their owner may also change and delete."""

    actions: Any = ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.mine(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.mine(request, obj)
