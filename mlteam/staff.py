"""The site of the installation's staff: Django's admin at an address of its own, with the dashboard's own sign-in.

Its pages are for accounts with `is_staff`; to everybody else they do not exist. What may be done there is said by Django's
permissions, which an installation's admin has all of. It is about the installation: projects' data is not in it.
"""

from typing import Any, Final

from django.contrib.admin import AdminSite, ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver

import access

# Django's own, which ours replace, and what no page here needs.
LEFT_OUT: Final = {"login", "logout", "password_change", "password_change_done", "autocomplete", "view_on_site"}


class StaffSite(AdminSite):
    """Names its routes' action, and hides from whoever is not of the staff."""

    site_header = "mlteam staff"
    site_title = "mlteam staff"
    index_title = "This installation"
    final_catch_all_view = False
    enable_nav_sidebar = False

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        def staff_only(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not self.has_permission(request):
                raise Http404("There is nothing here, or nothing that you may see.")
            return guarded(request, *args, **kwargs)

        return staff_only

    def get_urls(self) -> list[Any]:
        return [one for one in super().get_urls() if _kept(one)]


def _kept(pattern: URLPattern | URLResolver) -> bool:
    if isinstance(pattern, URLResolver):
        pattern.url_patterns[:] = [one for one in pattern.url_patterns if _kept(one)]
        return True
    if not pattern.name or pattern.name in LEFT_OUT:
        return False
    access.route("staff")(pattern.callback)
    pattern.callback.login_url = None  # type: ignore[attr-defined]  # the dashboard's
    return True


class StaffAdmin(ModelAdmin):
    """Rows that are made by actions and never changed here; subclasses say otherwise."""

    actions = None
    show_full_result_count = False
    view_on_site = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


site = StaffSite(name="staff")
