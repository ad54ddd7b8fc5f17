"""Addresses of projects, members and invitations."""

from django.urls import path

from projects import access_views, ownership_views, team_views, trail_views, views

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
    path("p/<slug:slug>/members/<str:member_id>/offer", ownership_views.offer, name="ownership_offer"),
    path("p/<slug:slug>/ownership", ownership_views.page, name="ownership"),
    path("p/<slug:slug>/ownership/accept", ownership_views.accept, name="ownership_accept"),
    path("p/<slug:slug>/ownership/decline", ownership_views.decline, name="ownership_decline"),
    path("p/<slug:slug>/ownership/withdraw", ownership_views.withdraw, name="ownership_withdraw"),
    path("p/<slug:slug>/audit", trail_views.audit, name="audit"),
    path("p/<slug:slug>/audit.csv", trail_views.audit_csv, name="audit_csv"),
    path("p/<slug:slug>/audit.jsonl", trail_views.audit_json_lines, name="audit_json_lines"),
    path("p/<slug:slug>/leave", views.leave, name="leave"),
    path("p/<slug:slug>/settings", views.settings, name="settings"),
    path("p/<slug:slug>/remove", views.remove, name="remove"),
]
