"""Who may see and change roles and policies, which stand in projects, in teams and in the installation; for pages and programs."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

import access
from access import policies, refused, roles
from access.installation import Installation
from access.models import Policy, Role
from access.sites import NOTHING
from access.urns import find_place
from accounts.models import User
from projects.models import Project
from teams.models import Team

Place = Project | Team | Installation


def may_change(by: User, place: Place) -> bool:
    """Whether somebody may change the roles of a place; for what is offered to them."""
    if isinstance(place, Installation):
        return by.is_superuser
    return bool(access.allowed(by, "team:set" if isinstance(place, Team) else "project:share", place))


def check_in(by: User, team: Team) -> None:
    """What a team holds is for those in it, and for who may change it. Raises Refused for others."""
    if not may_change(by, team) and not team.group.user_set.filter(pk=by.pk).exists():
        raise refused("team:get", "not_granted", "Only those in a team see its roles and policies.")


def seen(by: User, place: Place) -> "QuerySet[Role]":
    """The roles of a place, each with `people`, how many members it has; `by` may see the place.

    Of the installation's own roles one sees those that one has, and its admins all; a Personal project has none.
    """
    rows = roles.of_place(place)
    if isinstance(place, Project) and place.personal:
        return rows.none()
    if isinstance(place, Installation) and not may_change(by, place):
        return rows.filter(pk__in=[role.pk for role in roles.roles_of(by)])
    return rows


def role_for(by: User, role_id: str) -> tuple[Role, Place]:
    """The role and what it belongs to, when `by` may see that. Raises Http404, or Refused for a team's."""
    found = get_object_or_404(Role, pk=role_id)
    place: Any = find_place(found.place_id)
    if place is None:
        raise Http404(NOTHING)
    if isinstance(place, Installation):
        if not seen(by, place).filter(pk=role_id).exists():
            raise Http404(NOTHING)
        return found, place
    access.require(by, "team:get" if isinstance(place, Team) else "project:get", place)
    if isinstance(place, Team):
        check_in(by, place)
    return found, place


def changed_by(by: User, role_id: str) -> tuple[Role, Place]:
    """The same, when `by` may change it."""
    found, place = role_for(by, role_id)
    roles.may_change(by, place)
    return found, place


def policy_for(by: User, policy_id: str) -> Policy:
    """The policy, when `by` may see who holds it, or granted it. Raises Http404, or Refused for a team's."""
    rows = Policy.objects.select_related("user", "role", "group__team", "granted_by")
    policy = get_object_or_404(rows, pk=policy_id)
    if policy.granted_by_id != by.pk:
        if policy.role:
            role_for(by, policy.role.pk)
        elif policy.group:
            check_in(by, policy.group.team)
        else:
            _check_mine(by, policy)
    return policy


def take_away(policy: Policy, *, by: User, granted: bool = False) -> None:
    """Takes a policy from a role or team that `by` may change, or from themselves; with `granted` also what they granted."""
    if granted and policy.granted_by_id == by.pk:
        policies.detach(policy=policy, by=by)
    elif policy.role:
        role_for(by, policy.role.pk)
        roles.remove_policy(policy=policy, by=by)
    else:
        if policy.group:
            access.require(by, "team:set", policy.group.team)
        else:
            _check_mine(by, policy)
        policies.detach(policy=policy, by=by)


def _check_mine(by: User, policy: Policy) -> None:
    """A user's policy is theirs to lay down, and its granter's to take back; nobody else hears of it."""
    if by.pk not in {policy.user_id, policy.granted_by_id}:
        raise Http404(NOTHING)


def check_may_give_users(by: User) -> None:
    """Raises Refused unless `by` may attach policies to users, as the installation's admins may."""
    if not by.is_superuser:
        raise refused("user:set", "not_granted", "Only this installation's admins change users. Use a role instead.")
