"""Two sites of Django's admin stand beside the dashboard: the staff's and, in projects.owners, the owners'. Both are made of this.

A site has the dashboard's own sign-in, its routes name their action, and to who may not enter it does not exist. What it shows are
rows that actions make and change: none is written by the admin itself, and none is found by more than what a list offers.
"""

from collections.abc import Iterable
from typing import Any, Final, NoReturn

from django import forms
from django.contrib.admin import AdminSite, ModelAdmin, ShowFacets
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from django.utils.text import capfirst

from access.routes import route
from accounts.errors import Impossible

# Django's own, which ours replace, and what no page here needs.
LEFT_OUT: Final = {"login", "logout", "password_change", "password_change_done", "autocomplete", "view_on_site"}
NOTHING: Final = "There is nothing here, or nothing that you may see."


class Site(AdminSite):
    """Names its routes' action, and hides from whoever may not enter."""

    action: str
    final_catch_all_view = False
    enable_nav_sidebar = False

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        def hidden(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not self.has_permission(request):
                raise Http404(NOTHING)
            return guarded(request, *args, **kwargs)

        return hidden

    def get_urls(self) -> list[Any]:
        return [one for one in super().get_urls() if self._kept(one)]

    def _kept(self, pattern: URLPattern | URLResolver) -> bool:
        if isinstance(pattern, URLResolver):
            pattern.url_patterns[:] = [one for one in pattern.url_patterns if self._kept(one)]
            return True
        if not pattern.name or pattern.name in LEFT_OUT:
            return False
        view: Any = pattern.callback
        route(view.model_admin.action if hasattr(view, "model_admin") else self.action)(view)
        view.login_url = None  # the dashboard's
        return True


class ActionForm(forms.ModelForm):
    """What is typed here goes to an action, which checks it and writes the row; the form itself changes nothing."""

    refusal: ValidationError | Impossible | None = None  # what the action said when it was tried

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if isinstance(self.refusal, ValidationError):
            fields = getattr(self.refusal, "error_dict", {})
            raise self.refusal if set(fields) <= set(self.fields) else ValidationError(self.refusal.messages)
        if self.refusal:
            raise ValidationError(str(self.refusal))
        return cleaned

    def _post_clean(self) -> None:
        """The row is not touched."""


class Rows(ModelAdmin):
    """Rows to look at; subclasses say what may be done with them, and by which action."""

    action = "staff"  # what its routes name
    actions: Any = None
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    view_on_site = False
    list_per_page = 50

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only by the filters that a list offers: Django would let an address ask about whatever a row refers to."""
        filters: Any = self.list_filter
        return any(
            lookup.split("__")[0] == one if isinstance(one, str) else lookup == one.parameter_name for one in filters
        )

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return False

    def _get_obj_does_not_exist_redirect(self, *args: Any) -> NoReturn:
        raise Http404(NOTHING)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, *args, **kwargs)
        form.user, form.refusal = request.user, getattr(request, "refusal", None)
        return form

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def changeform_view(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """When the action says no, its transaction is undone and the form is shown with what it said."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (ValidationError, Impossible) as error:
            request.refusal = error
            return super().changeform_view(request, *args, **kwargs)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        """Only the rows themselves: what goes with them is not told here, and perhaps not the reader's to see."""
        rows = list(objs)
        lacking = set() if all(self.has_delete_permission(request, row) for row in rows) else {self.opts.verbose_name}
        return [str(row) for row in rows], {self.opts.verbose_name_plural: len(rows)}, lacking, []

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


def become(row: Model, made: Model) -> None:
    """Makes the form's row the one that an action has made."""
    vars(row).update(vars(made))


class StaffSite(Site):
    """For accounts with `is_staff`. What may be done there is said by Django's permissions, which an installation's admin has all
    of. It is about the installation: projects' data is not in it."""

    action = "staff"
    site_header = site_title = "mlteam staff"
    index_title = "This installation"


staff = StaffSite(name="staff")
