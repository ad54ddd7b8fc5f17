"""Addresses of teams."""

from django.urls import path

from teams import views

app_name = "teams"

urlpatterns = [
    path("teams/", views.index, name="list"),
    path("teams/new", views.new, name="new"),
    path("team-invitations/<str:token>/", views.invitation, name="invitation"),
    path("t/<slug:team>", views.detail, name="detail"),
    path("t/<slug:team>/rename", views.rename, name="rename"),
    path("t/<slug:team>/remove", views.remove, name="remove"),
    path("t/<slug:team>/users/add", views.user_add, name="user_add"),
    path("t/<slug:team>/users/<str:member_id>/set", views.user_set, name="user_set"),
    path("t/<slug:team>/users/<str:member_id>/remove", views.user_remove, name="user_remove"),
    path("t/<slug:team>/invitations/<str:invitation_id>/resend", views.invitation_resend, name="invitation_resend"),
    path("t/<slug:team>/invitations/<str:invitation_id>/revoke", views.invitation_revoke, name="invitation_revoke"),
    path("t/<slug:team>/teams/add", views.team_add, name="team_add"),
    path("t/<slug:team>/teams/<slug:inner>/remove", views.team_remove, name="team_remove"),
]
