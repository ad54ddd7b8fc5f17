"""Pages on which a project changes hands."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts.requests import UserRequest
from projects import ownership, third_party
from projects.models import Member
from projects.views import attempt, project_for


@access.route("project:rm")
@require_http_methods(["GET", "POST"])
def offer(request: UserRequest, slug: str, member_id: str) -> HttpResponse:
    """Asks, then offers the project to a member."""
    project = project_for(request, slug)
    ownership.check_owner(project, request.user)
    member = get_object_or_404(Member.objects.filter(project=project).select_related("project", "user"), pk=member_id)
    if request.method == "POST":
        done = f"{member.user.shown} is asked to take {project.name} over."
        return attempt(request, slug, lambda: ownership.offer(member=member, by=request.user), done)
    key_count = third_party.below(project).count()
    context = {"project": project, "member": member, "key_count": key_count}
    return render(request, "projects/ownership_offer.html", context)


@access.route("project:rm")
@require_POST
def withdraw(request: UserRequest, slug: str) -> HttpResponse:
    """Takes the offer back."""
    project = project_for(request, slug)
    done = f"{project.name} stays yours."
    return attempt(request, slug, lambda: ownership.withdraw(project=project, by=request.user), done)


@access.route("project:get")
@require_GET
def page(request: UserRequest, slug: str) -> HttpResponse:
    """Where the email of an offer leads: what taking it over means, and the answer."""
    project = project_for(request, slug)
    context = {"project": project, "offered": project.offered_to_id == request.user.pk}
    return render(request, "projects/ownership.html", context)


@access.route("project:get")
@require_POST
def accept(request: UserRequest, slug: str) -> HttpResponse:
    """Takes the project over."""
    project = project_for(request, slug)
    done = f"{project.name} is yours now."
    return attempt(request, slug, lambda: ownership.accept(project=project, by=request.user), done)


@access.route("project:get")
@require_POST
def decline(request: UserRequest, slug: str) -> HttpResponse:
    """Says no."""
    project = project_for(request, slug)
    done = f"You have declined. {project.name} stays with {project.owner.shown}."
    return attempt(request, slug, lambda: ownership.decline(project=project, by=request.user), done)
