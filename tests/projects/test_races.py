"""Many at once: whatever people do to one project in the same moment, the database never has to refuse, and all of it fits together."""

import random

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from projects import actions, links, ownership, team_members
from projects.errors import Impossible, InvalidInvitation, OtherAccount
from projects.levels import PRESETS
from projects.models import Invitation, Member, Project, ProjectGroupPermission, ProjectUserPermission, TeamMember
from teams import actions as teams
from teams.models import Team, TeamUser
from tests.at_once import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# What a person may be told, because somebody else was there first. A row that has gone is a 404 of the page that names it.
TOLD = (Impossible, InvalidInvitation, OtherAccount, PermissionDenied, ValidationError, Http404)
THREADS, STEPS = 4, 60
LEVELS = list(PRESETS.values())


class Hands:
    """Does one thing after the other, by chance, in a thread of its own; `failures`: what nobody should ever see."""

    def __init__(self, seed: int, people: list) -> None:
        self.chance, self.people, self.failures = random.Random(seed), people, []

    def run(self) -> None:
        for _ in range(STEPS):
            act = self.chance.choice(ACTS)
            try:
                act(self)
            except TOLD:
                continue
            except Exception as error:
                self.failures.append(f"{act.__name__}: {type(error).__name__}: {error}")

    def one_of(self, rows):
        """Any of them; Http404 for none, as a page would answer."""
        found = list(rows)
        if not found:
            raise Http404
        return self.chance.choice(found)

    @property
    def project(self) -> Project:
        return Project.objects.select_related("owner").get(personal=False)

    @property
    def levels(self) -> dict[str, str]:
        return self.chance.choice(LEVELS)

    def invite(self) -> None:
        email = self.chance.choice(self.people).email
        actions.invite(project=self.project, email=email, levels=self.levels, by=self.project.owner)

    def accept(self) -> None:
        offer = self.one_of(Invitation.objects.open())
        user = next(one for one in self.people if one.email == offer.email)
        actions.accept(token=links.token_of(offer, links.EMAILED), by=user)

    def revoke(self) -> None:
        actions.revoke(invitation=self.one_of(Invitation.objects.open()), by=self.project.owner)

    def set_levels(self) -> None:
        actions.set_levels(member=self._member(), levels=self.levels, by=self.project.owner)

    def remove(self) -> None:
        actions.remove_member(member=self._member(), by=self.project.owner)

    def leave(self) -> None:
        actions.leave(project=self.project, by=self._member().user)

    def offer(self) -> None:
        ownership.offer(member=self._member(), by=self.project.owner)

    def take_over(self) -> None:
        project = self.project
        ownership.accept(project=project, by=project.offered_to or self.people[0])

    def add_team(self) -> None:
        team = self.one_of(Team.objects.select_related("group"))
        team_members.add(project=self.project, team=team, levels=self.levels, by=self.project.owner)

    def set_team(self) -> None:
        team_members.set_levels(member=self._team(), levels=self.levels, by=self.project.owner)

    def remove_team(self) -> None:
        team_members.remove(member=self._team(), by=self.project.owner)

    def take_in(self) -> None:
        team, user = self.one_of(Team.objects.select_related("group")), self.chance.choice(self.people)
        teams.add_user(team=team, user=user, role="user", by=self.people[0])

    def take_out(self) -> None:
        place = self.one_of(TeamUser.objects.select_related("team__group", "user").filter(role="user"))
        teams.remove_user(member=place, by=self.people[0])

    def nest(self) -> None:
        pair = self.chance.sample(list(Team.objects.select_related("group")), 2)
        act = self.chance.choice([teams.add_team, teams.remove_team])
        act(outer=pair[0], inner=pair[1], by=self.people[0])

    def _member(self) -> Member:
        return self.one_of(Member.objects.select_related("project__owner", "user"))

    def _team(self) -> TeamMember:
        return self.one_of(TeamMember.objects.select_related("project__owner", "team__group"))


ACTS = [
    one
    for name, one in vars(Hands).items()
    if not name.startswith("_") and name not in {"run", "one_of", "project", "levels"}
]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_done_at_once_fits_together(make_user, seed):
    people = [make_user(name) for name in ("olga", "vera", "carl", "tess")]
    project = actions.create(name="Vision", by=people[0])
    for name in ("Lab", "Interns"):
        teams.create(name=name, by=people[0])
    hands = [Hands(seed * 10 + number, people) for number in range(THREADS)]
    assert at_once(*[one.run for one in hands]) == [None] * THREADS
    assert [failure for one in hands for failure in one.failures] == []
    _fits_together(project)


def _fits_together(project: Project) -> None:
    """Levels only for members, the owner no member, an offer only to a member, groups as the teams say."""
    project.refresh_from_db()
    members = set(project.members.values_list("user", flat=True))
    assert set(ProjectUserPermission.objects.values_list("user", flat=True)) == members
    assert project.owner_id not in members
    assert project.offered_to_id is None or project.offered_to_id in members
    groups = set(project.team_members.values_list("team__group", flat=True))
    assert set(ProjectGroupPermission.objects.values_list("group", flat=True)) == groups
    emails = list(Invitation.objects.open().values_list("email", flat=True))
    assert len(emails) == len(set(emails))
