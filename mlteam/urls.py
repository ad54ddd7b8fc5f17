"""Every address of the installation."""

from django.urls import include, path

import billing.admin  # noqa: F401 - registers its pages with the staff's site
from mlteam.staff import site
from projects.views import home

urlpatterns = [
    path("", home, name="home"),
    path("", include("accounts.urls")),
    path("", include("teams.urls")),
    path("", include("projects.urls")),
    path("", include("billing.urls")),
    path("", include("jobs.urls")),
    path("staff/", site.urls),
]

handler400 = "mlteam.errors.bad_request"
handler403 = "mlteam.errors.refused"
handler404 = "mlteam.errors.not_found"
handler500 = "mlteam.errors.failed"
