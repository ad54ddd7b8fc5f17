"""What changes projects, their members and invitations. Each action checks access, writes the audit trail, and is one transaction.

Unverified accounts: the invitation's link that the owner copies proves no address, so an account made through it stays
unverified. Until it confirms its address it may use the project that it was invited to and nothing else: it creates no
projects, accepts no other invitation, and only looks at its Personal project (projects.rules.Ownership).
"""

from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

import access
from access import policies, roles
from access.models import Nested
from accounts import invitations
from accounts.actions import prove_address
from accounts.names import fold_email
from projects import delivery, letters, links, ownership, signals, third_party
from projects.errors import Impossible, InvalidInvitation, OtherAccount, refused
from projects.levels import Levels
from projects.members import check_levels, clear_permissions, levels_of_user, set_permissions
from projects.models import Invitation, Member, Project, record
from projects.slugs import free_slug, personal_slug

if TYPE_CHECKING:
    from accounts.models import User

DEEPEST: Final = 6  # how many projects may be in each other


def create(*, name: str, by: "User", parent: Project | None = None, copy_keys: bool = False) -> Project:
    """A new project, owned by its creator; in another one with `parent`, whose owner owns it and whose members are its members.

    With `copy_keys` it begins with the keys of the creator's Personal project. Raises ValidationError for a bad name, Refused for
    an unverified account and for keys into a project that will be another's, Impossible where projects are nested too deep.
    """
    if not by.verified:
        raise refused("project:new", "unverified", "Confirm your address first; then you can create projects.")
    if parent:
        _check_parent(parent, by)
    while True:
        try:
            return _create(name=name, slug=free_slug(name), by=by, parent=parent, copy_keys=copy_keys)
        except IntegrityError:  # somebody took the slug in between
            continue


def _check_parent(parent: Project, by: "User") -> None:
    require(by, "project:new", parent, "a parent of other projects")
    if len(parent.access_above()) + 1 >= DEEPEST:
        raise Impossible(f"Projects are nested at most {DEEPEST} deep.")


@transaction.atomic
def _create(*, name: str, slug: str, by: "User", parent: Project | None, copy_keys: bool) -> Project:
    project = Project(name=name.strip(), slug=slug, owner=by, parent=parent)
    if parent:
        project.owner = ownership.lock(parent).owner
        _check_parent(parent, by)  # it may have been removed meanwhile
        project.path = ".".join((parent.id, *parent.access_above()))
    project.full_clean(validate_unique=False, validate_constraints=False)
    project.save(force_insert=True)
    Nested.objects.bulk_create(
        Nested(place=project.id, above=above, depth=depth) for depth, above in enumerate(project.access_above(), 1)
    )
    roles.set_up(project)
    _record_new(project, by)
    if copy_keys:
        third_party.copy_personal(to=project, by=by)
    return project


@transaction.atomic
def create_personal(*, user: "User") -> Project:
    """The Personal project of a new account; part of the transaction that makes the account."""
    project = Project.objects.create(name="Personal", slug=personal_slug(user.username), owner=user, personal=True)
    _record_new(project, user)
    return project


def _record_new(project: Project, by: "User") -> None:
    record(by=by, project=project, action="project:new", after={"name": project.name, "slug": project.slug})


@transaction.atomic
def rename(*, project: Project, name: str, by: "User") -> None:
    """Changes the name; the address stays. Raises ValidationError for a bad name."""
    require(by, "project:set", project, "renamed")
    before, project.name = project.name, name.strip()
    project.full_clean(validate_unique=False, validate_constraints=False)
    project.save(update_fields=["name"])
    record(by=by, project=project, action="project:set", before={"name": before}, after={"name": project.name})


@transaction.atomic
def edit(*, project: Project, name: str | None = None, lends_data: bool | None = None, by: "User") -> None:
    """Renames it, says whether its data may be read elsewhere; what is None stays. Raises ValidationError for a bad name."""
    require(by, "project:set", project, "renamed or opened to jobs of other projects")
    if lends_data is not None and lends_data != project.lends_data:
        lend_data(project=project, lends=lends_data, by=by)
    if name is not None and (name.strip() != project.name or lends_data is None):
        rename(project=project, name=name, by=by)


@transaction.atomic
def lend_data(*, project: Project, lends: bool, by: "User") -> None:
    """Says whether jobs of other projects may have its data, of whoever may read these. What runs goes on; what waits is refused."""
    require(by, "project:set", project, "opened to jobs of other projects")
    if Project.objects.filter(pk=project.pk, lends_data=not lends).update(lends_data=lends):
        said = {"before": {"lends_data": not lends}, "after": {"lends_data": lends}}
        record(by=by, project=project, action="project:lend", urn=project.urn, **said)
    project.lends_data = lends


@transaction.atomic
def remove(*, project: Project, by: "User") -> None:
    """Takes the project from everybody at once; its content is deleted later. Raises Impossible while jobs are unfinished."""
    require(by, "project:rm", project, "removed")
    take_away(project=project, by=by)


@transaction.atomic
def take_away(*, project: Project, by: "User") -> None:
    """Removes a project without asking who may; also a Personal one, whose account goes. Raises Impossible as `remove`."""
    ownership.lock(project)
    if names := list(project.children.filter(removed_at=None).order_by("name").values_list("name", flat=True)[:3]):
        raise Impossible(f"There are projects in it: {', '.join(names)}. Remove them first.")
    signals.project_removing.send(sender=Project, project=project, by=by)
    now = timezone.now()
    nobody = {"offered_to": None, "offered_at": None}
    if not Project.objects.filter(pk=project.pk, removed_at=None).update(removed_at=now, **nobody):
        return
    project.removed_at = now
    revoked = Invitation.objects.open().filter(project=project).update(revoked_at=now)
    access.bump()
    policies.forget(project.pk, by=by)
    keys = third_party.remove_all(project)
    was = {"name": project.name, "slug": project.slug}
    record(by=by, project=project, action="project:rm", before=was, invitations_revoked=revoked, keys_removed=keys)


@transaction.atomic
def invite(*, project: Project, email: str, levels: Levels, by: "User") -> Invitation:
    """Invites an address; one that has an open invitation gets a new email with the new levels, and older links die.

    The answer is the same whether the address has an account or not. Raises ValidationError for the owner's address, a
    member's, or none at all: those the owner sees anyway.
    """
    require(by, "project:share", project, "shared")
    email = Invitation._meta.get_field("email").clean(fold_email(email), None)
    check_levels(levels, project, by)
    _check_outsider(project, email)
    older = Invitation.objects.open().filter(project=project, email=email).values_list("levels", flat=True).first()
    fresh = {"levels": levels, "invited_by": by, **invitations.fresh()}
    invitation, _ = Invitation.objects.update_or_create(
        project=project, email=email, accepted_at=None, revoked_at=None, defaults=fresh
    )
    _send(invitation, action="invitation:new", by=by, before=older)
    return invitation


@transaction.atomic
def resend(*, invitation: Invitation, by: "User") -> None:
    """Sends the email again, with a new link that is valid from now; older links die."""
    access.require(by, "project:share", invitation.project)
    invitations.renew(invitation)
    _send(invitation, action="invitation:send", by=by)


@transaction.atomic
def revoke(*, invitation: Invitation, by: "User") -> None:
    """Makes the invitation's links worthless. Raises Impossible when it was accepted a moment before."""
    access.require(by, "project:share", invitation.project)
    invitations.revoke(invitation)
    _record(invitation, action="invitation:rm", by=by, before=invitation.levels)


@transaction.atomic
def accept(*, token: str, by: "User") -> Project:
    """Makes the invited one a member, once. Raises InvalidInvitation, OtherAccount, or Refused for an unverified account."""
    found = links.find(token)
    if found is None:
        raise InvalidInvitation
    invitation, link = found
    _check_acceptable(invitation, link, by)
    if not invitations.use(invitation):
        raise InvalidInvitation
    if link.proves_address:
        prove_address(user=by)
    project = invitation.project
    member, joined = Member.objects.get_or_create(
        project=project, user=by, defaults={"invited_by": invitation.invited_by}
    )
    _record(invitation, action="invitation:accept", by=by)
    if joined:
        set_permissions(project, by, invitation.levels)
        _record_member(member, action="member:new", by=by, after=invitation.levels)
        letters.added(member, levels=invitation.levels, by=invitation.invited_by)
    return project


@transaction.atomic
def set_levels(*, member: Member, levels: Levels, by: "User") -> None:
    """Changes what a member may do, within a second also in what they have open."""
    access.require(by, "project:share", member.project)
    check_levels(levels, member.project, by)
    ownership.lock(member.project)
    if not Member.objects.filter(pk=member.pk).exists():  # they have left, or own the project now
        raise Impossible(f"{member.user.shown} is no member any more.")
    before = levels_of_user(member.project, member.user)
    if before == levels:
        return
    set_permissions(member.project, member.user, levels)
    access.bump()
    _record_member(member, action="member:set", by=by, before=before, after=levels)
    policies.lapse({member.user_id}, by=by)
    letters.levels_changed(member, before=before, after=levels, by=by)


@transaction.atomic
def remove_member(*, member: Member, by: "User") -> None:
    """Ends a membership, within a second also in what the member has open. Their jobs stay; queued ones are cancelled."""
    access.require(by, "project:share", member.project)
    if _end(member, by=by, action="member:rm"):
        letters.removed(member, by=by)


@transaction.atomic
def leave(*, project: Project, by: "User") -> None:
    """Ends one's own membership. The owner is refused."""
    access.require(by, "project:get", project)
    _end(require_member(project, by), by=by, action="member:leave")


def require_member(project: Project, user: "User") -> Member:
    """The user's own membership; who sees the project without one is refused, and told why."""
    member = Member.objects.filter(project=project, user=user).select_related("project", "user").first()
    teams = project.team_members.filter(team__group__user=user).values_list("team__name", flat=True)
    if member is None and teams:
        names = " and ".join(sorted(teams))
        raise refused(
            "project:get", "by_team", f"You are here by the team {names}: leave that team to leave this project."
        )
    if member is None and project.owner_id == user.pk:
        raise refused("project:get", "owner", "You own this project: you can remove it, but not leave it.")
    if member is None:
        _check_not_from_above(project, user)
        said = "You are here by a role, by a policy, or as the owner of a project above: the page Access says by which."
        raise refused("project:get", "by_rules", said)
    return member


def _check_not_from_above(project: Project, user: "User") -> None:
    above = Member.objects.filter(project__in=project.access_above(), user=user)
    if names := " and ".join(sorted(above.values_list("project__name", flat=True))):
        said = f"You are here as a member of {names}: leave that project to leave this one."
        raise refused("project:get", "from_above", said)


def _end(member: Member, *, by: "User", action: str) -> bool:
    """False when the membership had ended already."""
    project, user = member.project, member.user
    ownership.lock(project)
    before = levels_of_user(project, user)
    if not Member.objects.filter(pk=member.pk).delete()[0]:
        return False
    clear_permissions(project, user)
    access.bump()
    policies.leave(project.pk, user=user, by=by)
    void = ownership.void(project, user)
    more = {"ownership_offer": "void"} if void else {}
    urn = f"{project.urn}:member:{member.pk}"
    record(by=by, project=project, action=action, urn=urn, before=before, user=user.username, **more)
    policies.lapse({user.pk}, by=by)
    return True


def _record_member(member: Member, *, action: str, by: "User", **values: object) -> None:
    urn, user = f"{member.project.urn}:member:{member.pk}", member.user.username
    record(by=by, project=member.project, action=action, urn=urn, user=user, **values)


def require(by: "User", action: str, project: Project, verb: str) -> None:
    """The access check of what no Personal project allows; strangers learn nothing, its owner a reason. `verb`: "shared"."""
    access.require(by, "project:get", project)
    if project.personal:
        raise refused(action, "personal", f"Your Personal project cannot be {verb}. Create a project for that.")
    access.require(by, action, project)


def _check_outsider(project: Project, email: str) -> None:
    if email == fold_email(project.owner.email):
        raise ValidationError("This is the owner's address.")
    if Member.objects.filter(project=project, user__email=email).exists():
        raise ValidationError("Who has this address is a member already. Change their levels in the list.")


def _send(invitation: Invitation, *, action: str, by: "User", before: Levels | None = None) -> None:
    delivery.send(invitation)
    _record(invitation, action=action, by=by, before=before, after=invitation.levels)


def _record(invitation: Invitation, *, action: str, by: "User", **values: object) -> None:
    urn = f"{invitation.project.urn}:invitation:{invitation.pk}"
    record(by=by, project=invitation.project, action=action, urn=urn, email=invitation.email, **values)


def _check_acceptable(invitation: Invitation, link: invitations.Token, by: "User") -> None:
    if not invitations.is_for(invitation, by):
        raise OtherAccount
    if invitation.project.owner_id == by.pk:
        raise InvalidInvitation
    if not invitations.is_enough(link, by):
        raise refused("project:get", "unverified", "Confirm your address first; then you can join more projects.")
