"""Addresses of projects, members and invitations."""

from django.urls import path

from projects import access_views, team_views, views

app_name = "projects"

urlpatterns = [
    path("rules/", access_views.my_rules, name="rules"),
    path("projects/", views.index, name="list"),
    path("projects/new", views.new, name="new"),
    path("projects/switch", views.switch, name="switch"),
    path("invitations/<str:token>/", views.invitation, name="invitation"),
    path("p/<slug:slug>/members", views.members, name="members"),
    path("p/<slug:slug>/access", access_views.questions, name="access"),
    path("p/<slug:slug>/members/invite", views.invite, name="invite"),
    path("p/<slug:slug>/members/<str:member_id>/set", views.member_set, name="member_set"),
    path("p/<slug:slug>/members/<str:member_id>/remove", views.member_remove, name="member_remove"),
    path("p/<slug:slug>/teams/add", team_views.add, name="team_add"),
    path("p/<slug:slug>/teams/<str:member_id>/set", team_views.change, name="team_set"),
    path("p/<slug:slug>/teams/<str:member_id>/remove", team_views.remove, name="team_remove"),
    path("p/<slug:slug>/invitations/<str:invitation_id>/resend", views.invitation_resend, name="invitation_resend"),
    path("p/<slug:slug>/invitations/<str:invitation_id>/revoke", views.invitation_revoke, name="invitation_revoke"),
    path("p/<slug:slug>/leave", views.leave, name="leave"),
    path("p/<slug:slug>/settings", views.settings, name="settings"),
    path("p/<slug:slug>/remove", views.remove, name="remove"),
]
