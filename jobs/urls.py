"""Addresses of jobs; each lies under its project's."""

from django.urls import path

from jobs import log_views, views

app_name = "jobs"

job = "p/<slug:slug>/jobs/<slug:job_id>"
log = f"{job}/attempts/<int:index>/log"

urlpatterns = [
    path("p/<slug:slug>/jobs", views.list_jobs, name="list"),
    path("p/<slug:slug>/jobs/new", views.new, name="new"),
    path("p/<slug:slug>/jobs/preview", views.preview, name="preview"),
    path(job, views.detail, name="detail"),
    path(f"{job}/artifacts", views.artifacts_tab, name="artifacts"),
    path(f"{job}/spec", views.spec_tab, name="spec"),
    path(f"{job}/history", views.history_tab, name="history"),
    path(f"{job}/stop", views.stop, name="stop"),
    path(f"{job}/store", views.store, name="store"),
    path(f"{job}/remove", views.remove, name="remove"),
    path(f"{job}/files/<path:path>", views.artifact, name="artifact"),
    path(f"{job}/artifacts.zip", views.artifacts_zip, name="artifacts_zip"),
    path(log, log_views.raw, name="log_raw"),
    path(f"{log}/page", log_views.page, name="log_page"),
    path(f"{log}/search", log_views.search, name="log_search"),
]
