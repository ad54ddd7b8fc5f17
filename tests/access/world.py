"""A small world in which everything that access depends on differs: levels, owners, creators, accounts."""

from dataclasses import dataclass

from django.utils import timezone

import access
from access import Target, policies, roles
from jobs.models import Job
from projects import actions, team_members
from projects.levels import KINDS, PRESETS
from projects.models import Project
from teams import actions as teams

LEVELS = ("none", "read", "own", "all")


@dataclass(frozen=True)
class Thing:
    """A resource of any kind that stands where a job stands: datastores have no tables yet."""

    kind: str
    job: Job

    @property
    def urn(self) -> str:
        return access.urn("project", self.job.project_id, self.kind, self.job.id)

    def access_target(self) -> Target:
        return Target(self.kind, self.job.id, self.job.project_id, self.job.created_by_id)

    def access_above(self) -> tuple[str, ...]:
        return self.job.access_above()


def job(project: Project, by) -> Job:
    """A job that is only looked at."""
    return Job.objects.create(project=project, name="job", created_by=by, spec={})


def populate(make_user, join) -> tuple[list, list[Job]]:
    """Users and jobs: members of every level in one project, of mixed levels in another, by teams in both, and those beside them."""
    owner, other = make_user("olga"), make_user("otto")
    even, mixed = actions.create(name="Even", by=owner), actions.create(name="Mixed", by=other)
    gone = actions.create(name="Gone", by=owner)
    members = [make_user(f"m-{level}") for level in LEVELS]
    for shift, (user, level) in enumerate(zip(members, LEVELS, strict=True)):
        join(even, user, dict.fromkeys(KINDS, level))
        join(mixed, user, {kind: LEVELS[(shift + place) % 4] for place, kind in enumerate(KINDS)})
        join(gone, user, "Full")
    in_teams = _teams(even, mixed, owner, other, make_user)
    by_rules = _rules(even, mixed, owner, other, make_user)
    policies.attach(text=f"project:get+project:new@{even.urn}", by=owner, user=other)
    below = actions.create(name="Below", by=other, parent=even)
    deep = actions.create(name="Deep", by=owner, parent=below)
    join(below, members[0], "Teammate")
    inactive = make_user("ivan")
    join(even, inactive, "Full")
    inactive.is_active = False
    inactive.save()
    unproven = make_user("uma", verified=False)
    users = [
        owner,
        other,
        *members,
        *in_teams,
        *by_rules,
        inactive,
        unproven,
        make_user("stan"),
        make_user("anna", admin=True),
    ]
    projects = [even, mixed, gone, below, deep, *Project.objects.filter(personal=True, owner__in=[owner, unproven])]
    creators = [owner, members[2], members[3], in_teams[0], None]
    jobs = [job(project, creator) for project in projects for creator in creators]
    for kind in KINDS:
        text = f"{kind}:get+{kind}:set@{even.urn}:{kind}:{jobs[0].id}+{below.urn}:{kind}:{jobs[16].id}"
        policies.attach(text=text, by=owner, user=by_rules[0])
    Job.objects.in_project(gone).update(state="succeeded", ended_at=timezone.now())
    actions.remove(project=gone, by=owner)
    return users, jobs


def _rules(even: Project, mixed: Project, owner, other, make_user) -> list:
    """Users with policies of their own, by a team, by a role, and by a team in a role; about all, one step below, and all below."""
    paula, pete, rick, rita, adam = users = [make_user(name) for name in ("paula", "pete", "rick", "rita", "adam")]
    policies.attach(text=f"job:get+*:stop+key:use@{mixed.urn}:*", by=other, user=paula)
    third, fourth = teams.create(name="Third", by=pete), teams.create(name="Fourth", by=rita)
    policies.attach(text=f"*:get@{even.urn}:project:*:job:*+{even.urn}:project:*:model:*", by=owner, group=third.group)
    role = roles.create(place=even, name="Operators", by=owner)
    roles.add_policy(role=role, text=f"*:get+job:*+dataset:rm@{even.urn}:*+{even.urn}", by=owner)
    roles.add_member(role=role, user=rick, by=owner)
    admin = next(one for one in roles.of_place(mixed) if one.name == "admin")
    roles.add_member(role=admin, group=fourth.group, by=other)
    roles.add_member(role=admin, user=adam, by=other)
    return users


def _teams(even: Project, mixed: Project, owner, other, make_user) -> list:
    """A user in a team that is a member of both projects, and one who is so through a team in it."""
    users = [make_user("ted"), make_user("tina")]
    outer, inner = teams.create(name="Outer", by=owner), teams.create(name="Inner", by=owner)
    for team, user in ((outer, users[0]), (inner, users[1])):
        teams.add_user(team=team, user=user, role="user", by=owner)
    teams.add_team(outer=outer, inner=inner, by=owner)
    team_members.add(project=even, team=outer, levels=PRESETS["Teammate"], by=owner)
    team_members.add(project=mixed, team=outer, levels=PRESETS["Collaborator"], by=other)
    return users
