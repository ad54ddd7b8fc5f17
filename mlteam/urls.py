"""Every address of the installation."""

from django.urls import include, path

from projects.views import home

urlpatterns = [
    path("", home, name="home"),
    path("", include("accounts.urls")),
    path("", include("teams.urls")),
    path("", include("projects.urls")),
    path("", include("jobs.urls")),
]

handler400 = "mlteam.errors.bad_request"
handler403 = "mlteam.errors.refused"
handler404 = "mlteam.errors.not_found"
handler500 = "mlteam.errors.failed"
