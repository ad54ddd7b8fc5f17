"""Addresses of projects, members and invitations."""

from django.urls import path

from projects import access_views, ownership_views, role_views, team_views, trail_views, views

app_name = "projects"

urlpatterns = [
    path("rules/", access_views.my_rules, name="rules"),
    path("rules/policies", role_views.user_policy_add, name="user_policy_add"),
    path("policies/<str:policy_id>/remove", role_views.policy_remove, name="policy_remove"),
    path("p/<slug:slug>/roles", role_views.of_project, name="roles"),
    path("t/<slug:team>/roles", role_views.of_team, name="team_roles"),
    path("t/<slug:team>/policies", role_views.team_policy_add, name="team_policy_add"),
    path("roles/", role_views.of_installation, name="installation_roles"),
    path("roles/<str:role_id>", role_views.role, name="role"),
    path("roles/<str:role_id>/remove", role_views.role_remove, name="role_remove"),
    path("roles/<str:role_id>/policies", role_views.role_policy_add, name="role_policy_add"),
    path("roles/<str:role_id>/members", role_views.role_member_add, name="role_member_add"),
    path("roles/<str:role_id>/members/<str:member_id>", role_views.role_member_remove, name="role_member_remove"),
    path("roles/<str:role_id>/keys", role_views.role_key_add, name="role_key_add"),
    path("roles/<str:role_id>/keys/<str:key_id>", role_views.role_key_remove, name="role_key_remove"),
    path("projects/", views.index, name="list"),
    path("projects/new", views.new, name="new"),
    path("projects/find", views.find, name="find"),
    path("projects/switch", views.switch, name="switch"),
    path("invitations/<str:token>/", views.invitation, name="invitation"),
    path("p/<slug:slug>/members", views.members, name="members"),
    path("p/<slug:slug>/access", access_views.questions, name="access"),
    path("p/<slug:slug>/view-as", access_views.view_as, name="view_as"),
    path("p/<slug:slug>/view-as/end", access_views.view_end, name="view_end"),
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
