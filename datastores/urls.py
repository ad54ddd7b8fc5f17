"""Addresses of datasets and models; each lies under its project's."""

from django.urls import path

from datastores import import_views, views, volume_views

app_name = "datastores"

datastore = "p/<slug:slug>/data/<slug:datastore_id>"
version = f"{datastore}/versions/<int:number>"

urlpatterns = [
    path("p/<slug:slug>/data", views.list_datastores, name="list"),
    path("p/<slug:slug>/data/new", views.new, name="new"),
    path("p/<slug:slug>/data/description", views.description, name="description"),
    path(datastore, views.detail, name="detail"),
    path(f"{datastore}/edit", views.edit, name="edit"),
    path(f"{datastore}/remove", views.remove, name="remove"),
    path(f"{datastore}/upload", views.upload, name="upload"),
    path(f"{datastore}/uploads/<slug:upload_id>/abandon", views.abandon, name="abandon"),
    path(f"{datastore}/import", import_views.new, name="import"),
    path(f"{datastore}/imports", import_views.listed, name="imports"),
    path(f"{datastore}/imports/<slug:import_id>/stop", import_views.stop, name="import_stop"),
    path(f"{datastore}/imports/<slug:import_id>/again", import_views.again, name="import_again"),
    path(f"{datastore}/compare", views.compare, name="compare"),
    path(f"{datastore}/show/<path:path>", volume_views.show, name="volume_show"),
    path(f"{datastore}/files/<path:path>", volume_views.file, name="volume_file"),
    path(f"{datastore}/archive", volume_views.archive, name="volume_archive"),
    path(f"{datastore}/folders", volume_views.new_folder, name="new_folder"),
    path(f"{datastore}/content/remove", volume_views.remove_content, name="remove_content"),
    path(version, views.detail, name="version"),
    path(f"{version}/show/<path:path>", views.show, name="show"),
    path(f"{version}/files/<path:path>", views.file, name="file"),
    path(f"{version}/archive", views.archive, name="archive"),
]
