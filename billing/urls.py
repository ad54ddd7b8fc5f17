"""Addresses of usage and budgets."""

from django.urls import path

from billing import views

app_name = "billing"

urlpatterns = [
    path("usage", views.mine, name="mine"),
    path("usage.csv", views.mine_csv, name="mine_csv"),
    path("p/<slug:slug>/usage", views.project, name="project"),
    path("p/<slug:slug>/usage.csv", views.project_csv, name="project_csv"),
    path("p/<slug:slug>/budgets", views.budgets, name="budgets"),
    path("p/<slug:slug>/budgets/<slug:budget_id>/remove", views.budget_remove, name="budget_remove"),
]
