"""Every address of the installation."""

from django.urls import include, path

import billing.admin  # noqa: F401 - registers its pages with both sites
import projects.admin  # noqa: F401 - and with the owners'
from access.sites import staff
from mlteam import docs_views
from mlteam.api import api
from projects.owners import owners
from projects.views import home

urlpatterns = [
    path("", home, name="home"),
    path("", include("accounts.urls")),
    path("", include("teams.urls")),
    path("", include("projects.urls")),
    path("", include("billing.urls")),
    path("", include("datastores.urls")),
    path("", include("jobs.urls")),
    path("staff/", staff.urls),
    path("owners/", owners.urls),
    path("api/v1/docs", docs_views.reference, name="api_docs"),
    path("api/v1/", api.urls),
]

handler400 = "mlteam.errors.bad_request"
handler403 = "mlteam.errors.refused"
handler404 = "mlteam.errors.not_found"
handler500 = "mlteam.errors.failed"
