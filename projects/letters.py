"""What members are told by email about their place in a project. The texts are templates; the sending is the outbox's."""

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import mail, wishes
from projects.levels import KINDS, Levels, preset_of
from projects.models import Member, Project, TeamMember

if TYPE_CHECKING:
    from accounts.models import User

# Which letters somebody may do without. The others ask for an answer, or tell an owner what they own.
WISHES: Final = {"added": wishes.ADDED, "levels": wishes.MEMBERSHIP, "removed": wishes.MEMBERSHIP}


def added(member: Member, *, levels: Levels, by: "User") -> None:
    """They are in a project now, with these levels."""
    subject = f"You are a member of {member.project.name}"
    _send(member.user, subject, "added", member.project, page="members", by=by, levels=in_words(levels))


def levels_changed(member: Member, *, before: Levels, after: Levels, by: "User") -> None:
    """Their levels are others now."""
    subject = f"Your levels in {member.project.name} have changed"
    levels = {"before": in_words(before), "after": in_words(after)}
    _send(member.user, subject, "levels", member.project, page="members", by=by, **levels)


def removed(member: Member, *, by: "User") -> None:
    """They are no member any more."""
    _send(member.user, f"You are no longer a member of {member.project.name}", "removed", member.project, by=by)


def team_added(member: TeamMember, *, levels: Levels, by: "User") -> None:
    """All in a team are in a project now, with these levels."""
    subject = f"Your team {member.team.name} is a member of {member.project.name}"
    _send_all(member, subject, "team_added", wishes.ADDED, page="members", by=by, levels=in_words(levels))


def team_levels_changed(member: TeamMember, *, before: Levels, after: Levels, by: "User") -> None:
    """The levels of a team, and so of all in it, are others now."""
    subject = f"The levels of your team {member.team.name} in {member.project.name} have changed"
    levels = {"before": in_words(before), "after": in_words(after)}
    _send_all(member, subject, "team_levels", wishes.MEMBERSHIP, page="members", by=by, **levels)


def team_removed(member: TeamMember, *, by: "User") -> None:
    """A team is no member any more."""
    subject = f"Your team {member.team.name} is no longer a member of {member.project.name}"
    _send_all(member, subject, "team_removed", wishes.MEMBERSHIP, by=by)


def offered(project: Project, *, to: "User", by: "User") -> None:
    """A project is offered to them."""
    _send(to, f"{by.shown} offers you the project {project.name}", "offered", project, page="ownership", by=by)


def accepted(project: Project, *, former: "User", by: "User") -> None:
    """Both are told that a project has changed hands: its new owner (`by`) and its former one."""
    _send(former, f"{by.shown} owns {project.name} now", "accepted", project, page="members", by=by)
    _send(by, f"You own {project.name} now", "owned", project, page="members", by=former)


def declined(project: Project, *, by: "User") -> None:
    """Its owner is told that a project stays theirs."""
    _send(project.owner, f"{by.shown} does not take over {project.name}", "declined", project, page="members", by=by)


def in_words(levels: Levels) -> str:
    """ "Viewer (jobs read, datasets read, models read, volumes read)"."""
    each = ", ".join(f"{kind}s {levels[kind]}" for kind in KINDS)
    preset = preset_of(levels)
    return f"{preset} ({each})" if preset else each


def _send(
    to: "User", subject: str, template: str, project: Project, *, by: "User", page: str = "", **more: Any
) -> None:
    if not wishes.wants(to, WISHES.get(template, "")):
        return
    context = {"project": project, "by": by, "link": _address(project, page), **more}
    mail.put(to=to.email, subject=subject, body=render_to_string(f"projects/email/{template}.txt", context))


def _send_all(
    member: TeamMember, subject: str, template: str, wish: str, *, by: "User", page: str = "", **more: Any
) -> None:
    """To all in the team, through however many teams in it; a membership of one's own stays what it is."""
    project, team = member.project, member.team
    context = {"project": project, "team": team, "by": by, "link": _address(project, page), **more}
    body = render_to_string(f"projects/email/{template}.txt", context)
    mail.put_all(to=wishes.addresses(team.group.user_set.all(), wish, but=by), subject=subject, body=body)


def _address(project: Project, page: str) -> str:
    return settings.MLTEAM_URL + (reverse(f"projects:{page}", args=[project.slug]) if page else reverse("home"))
