"""What changes teams and who is in them. Each action checks access and is one transaction; who leaves, loses at once what the team gave."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils.text import slugify

import access
from access import policies, refused
from accounts.errors import Impossible
from accounts.ids import new_id
from accounts.names import RESERVED
from teams import closure, emails, joining, signals
from teams.models import Nesting, Role, Team, TeamUser
from teams.roles import check_role

if TYPE_CHECKING:
    from accounts.models import User

WHO_CREATES = "You may not create teams: your address is not confirmed, or only this installation's admins may."
LONGEST = 50  # of a slug's 60 characters, so that a number can follow


def may_create(user: "User") -> bool:
    """Whether the user may make teams: everybody with a proven address, or only admins, as the setting says."""
    return user.verified and (user.is_superuser or not settings.MLTEAM_ADMINS_MAKE_TEAMS)


def create(*, name: str, by: "User") -> Team:
    """A new team, whose first owner is its creator. Raises ValidationError for a bad name."""
    if not may_create(by):
        raise refused("team:new", "not_granted", WHO_CREATES)
    while True:
        try:
            return _create(name=name.strip(), slug=_free_slug(name), by=by)
        except IntegrityError:  # somebody took the slug in between
            continue


@transaction.atomic
def _create(*, name: str, slug: str, by: "User") -> Team:
    team = Team(name=name, slug=slug)
    team.clean_fields(exclude=["group"])
    team.group = Group.objects.create(name=f"team:{new_id()}")
    team.save(force_insert=True)
    TeamUser.objects.create(team=team, user=by, role=Role.OWNER)
    closure.refresh([team.pk], by=by)
    return team


def _free_slug(name: str) -> str:
    slug = slugify(name)[:LONGEST].strip("-_") or "group"
    taken = RESERVED | set(Team.objects.filter(slug__startswith=slug).values_list("slug", flat=True))
    number, candidate = 1, slug
    while candidate in taken:
        number += 1
        candidate = f"{slug}-{number}"
    return candidate


@transaction.atomic
def rename(*, team: Team, name: str, by: "User") -> None:
    """Changes the name; the address stays. Raises ValidationError for a bad name."""
    access.require(by, "team:set", team)
    team.name = name.strip()
    team.clean_fields(exclude=["group"])
    team.save(update_fields=["name"])


@transaction.atomic
def remove(*, team: Team, by: "User") -> None:
    """Takes the team away, and with it at once what it gave to those in it."""
    access.require(by, "team:rm", team)
    access.bump()
    outer = closure.outer_of(team.pk) - {team.pk}
    emails.ended(team=team, by=by)
    signals.team_removing.send(sender=Team, team=team, by=by)
    policies.end_all_of(team.group, by=by)
    policies.forget(team.pk, by=by)
    group = team.group
    team.delete()
    closure.refresh(outer, by=by)
    group.delete()


@transaction.atomic
def add_user(*, team: Team, user: "User", role: str, by: "User") -> TeamUser:
    """Takes a user in, who has at once what the team has, and hears of it by email. Raises Impossible for who is in already."""
    access.require(by, "team:set", team)
    check_role(role, team, by)
    access.bump()
    membership, new = TeamUser.objects.get_or_create(team=team, user=user, defaults={"role": role})
    if not new:
        raise Impossible(f"{user.shown} is in this team already.")
    _refresh(team, by)
    emails.added(team=team, user=user, by=by)
    return membership


@transaction.atomic
def set_role(*, member: TeamUser, role: str, by: "User") -> None:
    """Changes a role. Only owners make or unmake owners; the last owner stays one."""
    access.require(by, "team:set", member.team)
    check_role(role, member.team, by)
    check_role(member.role, member.team, by)
    access.bump()
    if role != Role.OWNER:
        _check_not_the_last_owner(member)
    if not TeamUser.objects.filter(pk=member.pk).exclude(role=role).update(role=role):
        return
    joining.lapse(member.team, member.user)
    emails.role_changed(member=member, before=member.role, after=role, by=by)


@transaction.atomic
def remove_user(*, member: TeamUser, by: "User") -> None:
    """Takes a user out; who goes by themselves needs no right. Raises Impossible for the last owner."""
    if member.user_id != by.pk:
        access.require(by, "team:set", member.team)
        check_role(member.role, member.team, by)
    access.bump()
    _check_not_the_last_owner(member)
    if TeamUser.objects.filter(pk=member.pk).delete()[0]:
        joining.lapse(member.team, member.user)
        _refresh(member.team, by)
        emails.removed(member=member, by=by)


@transaction.atomic
def add_team(*, outer: Team, inner: Team, by: "User") -> None:
    """Puts a team into another: all in the inner one belong to the outer one. Raises Impossible where it would go round in a circle."""
    access.require(by, "team:set", outer)
    access.bump()
    if inner.pk in closure.outer_of(outer.pk):
        raise Impossible(f"{outer.name} is in {inner.name} already, so it cannot also be the other way round.")
    before = _people(outer)
    Nesting.objects.get_or_create(outer=outer, inner=inner)
    _refresh(outer, by)
    emails.nested(team=outer, inner=inner, users=_people(outer) - before, by=by)


@transaction.atomic
def remove_team(*, outer: Team, inner: Team, by: "User") -> None:
    """Takes a team out of another."""
    access.require(by, "team:set", outer)
    access.bump()
    before = _people(outer)
    if Nesting.objects.filter(outer=outer, inner=inner).delete()[0]:
        _refresh(outer, by)
        emails.unnested(team=outer, inner=inner, users=before - _people(outer), by=by)


def _people(team: Team) -> set[str]:
    return set(team.group.user_set.values_list("pk", flat=True))


def _refresh(team: Team, by: "User") -> None:
    closure.refresh(closure.outer_of(team.pk), by=by)


def _check_not_the_last_owner(member: TeamUser) -> None:
    others = TeamUser.objects.filter(team=member.team, role=Role.OWNER, user__is_active=True).exclude(pk=member.pk)
    if member.role == Role.OWNER and not others.exists():
        raise Impossible("A team keeps an owner: make somebody else one first, or remove the team.")
