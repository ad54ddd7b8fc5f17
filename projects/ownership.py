"""A project changes hands: its owner offers it to a member, who accepts. Until then the owner may take the offer back.
What is in it goes with it: a project and all that are in each other have one owner.

The offer is on the project's own row, and every step is a compare-and-set on that row: of two at once one counts, and an
offer that was taken back, declined, or whose member has gone, can no longer be accepted.
"""

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

import access
from access import policies
from access.models import Nested
from projects import letters, signals
from projects.errors import Impossible, refused
from projects.levels import PRESETS
from projects.members import clear_permissions, levels_of_user, set_permissions
from projects.models import Invitation, Member, Project, record

if TYPE_CHECKING:
    from accounts.models import User

NOBODY = {"offered_to": None, "offered_at": None}
GONE = "This offer has been taken back or answered meanwhile."


@transaction.atomic
def offer(*, member: Member, by: "User") -> None:
    """Offers the project to a member; an older offer to somebody else is void. Raises Impossible for who cannot own one."""
    project, user = member.project, member.user
    check_owner(project, by)
    lock(project)
    if not (user.verified and user.is_active):
        raise Impossible(f"{user.shown} has to confirm their address before they can own a project.")
    before = _offered(project)
    rows = Project.objects.present().filter(pk=project.pk, owner=by, members=member)
    if not rows.update(offered_to=user, offered_at=timezone.now()):
        raise Impossible(f"{user.shown} is no member any more.")
    _record(project, "owner:offer", by, before=before and {"offered_to": before}, after={"offered_to": user.username})
    letters.offered(project, to=user, by=by)


@transaction.atomic
def withdraw(*, project: Project, by: "User") -> None:
    """Takes the offer back. Raises Impossible when there is none, or when it was answered a moment before."""
    check_owner(project, by)
    before = _offered(project)
    if not Project.objects.filter(pk=project.pk, owner=by, offered_to__isnull=False).update(**NOBODY):
        raise Impossible(GONE)
    _record(project, "owner:withdraw", by, before={"offered_to": before})


@transaction.atomic
def decline(*, project: Project, by: "User") -> None:
    """Says no to an offer. Raises Impossible when there is none for this person."""
    access.require(by, "project:get", project)
    if not Project.objects.present().filter(pk=project.pk, offered_to=by).update(**NOBODY):
        raise Impossible(GONE)
    _record(project, "owner:decline", by, before={"offered_to": by.username})
    letters.declined(project, by=by)


@transaction.atomic
def accept(*, project: Project, by: "User") -> None:
    """Makes the one to whom it is offered the owner, and the former owner a member with Full. Raises Impossible as decline."""
    access.require(by, "project:get", project)
    if not by.verified:
        raise refused("project:get", "unverified", "Confirm your address first; then you can own projects.")
    former = lock(project).owner
    theirs = Project.objects.present().filter(pk=project.pk, owner=former, offered_to=by, members__user=by)
    if not theirs.update(owner=by, **NOBODY):
        raise Impossible(GONE)
    before = levels_of_user(project, by)
    for one in (project, *Project.objects.filter(pk__in=Nested.objects.filter(above=project.pk).values("place"))):
        _hand_over(one, former, by)
    _make_member(project, former, by)
    access.bump()
    policies.lapse({former.pk}, by=by)
    project.owner, project.offered_to = by, None
    members = {"former_owner": "now a member with Full", "levels_until_now": before}
    _record(project, "owner:accept", by, before={"owner": former.username}, after={"owner": by.username}, **members)
    letters.accepted(project, former=former, by=by)


def _hand_over(project: Project, former: "User", to: "User") -> None:
    """One of the projects that change hands: its owner is no member, and what the former one gave there is given by the new one."""
    project.owner = former
    signals.owner_changing.send(sender=Project, project=project)
    Project.objects.filter(pk=project.pk).update(owner=to, **NOBODY)
    _end_membership(project, to)
    policies.hand_over(project.pk, former=former, to=to)
    Invitation.objects.open().filter(project=project, invited_by=former).update(invited_by=to)


def lock(project: Project) -> Project:
    """The project's row as it is now, kept for this transaction: an offer and the end of a membership do not cross."""
    return Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def void(project: Project, user: "User") -> bool:
    """Ends an offer to somebody who is no member any more; whether there was one."""
    return bool(Project.objects.filter(pk=project.pk, offered_to=user).update(**NOBODY))


def check_owner(project: Project, by: "User") -> None:
    """Raises Http404 for strangers, Refused for a Personal project and for all but the owner."""
    access.require(by, "project:get", project)
    if project.personal:
        raise refused("project:rm", "personal", "Your Personal project is yours for good: nobody else can own it.")
    access.require(by, "project:rm", project)
    if project.owner_id != by.pk:
        raise refused("project:rm", "owner", "Only its owner can hand this project over.")
    if project.parent_id:
        raise refused("project:rm", "child", "It has the owner of the project that it is in: hand that one over.")


def _end_membership(project: Project, user: "User") -> None:
    Member.objects.filter(project=project, user=user).delete()
    clear_permissions(project, user)


def _make_member(project: Project, user: "User", by: "User") -> None:
    Member.objects.create(project=project, user=user, invited_by=by)
    set_permissions(project, user, PRESETS["Full"])


def _offered(project: Project) -> str | None:
    rows = Project.objects.filter(pk=project.pk)
    return rows.values_list("offered_to__username", flat=True).first()


def _record(project: Project, action: str, by: "User", **values: Any) -> None:
    record(by=by, project=project, action=action, **values)
