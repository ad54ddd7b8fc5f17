"""The installed command against a whole server: members, invitations, teams."""

from collections.abc import Callable

import pytest

from tests.sdk.cli.live import Person
from tests.sdk.site import Site

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns"), pytest.mark.xdist_group("site")]


@pytest.fixture
def ada(person_at: Callable[..., Person]) -> Person:
    """Owns Vision, in which Grace is a viewer."""
    return person_at("ada")


def test_members_are_listed_with_their_levels(ada: Person, site: Site) -> None:
    lines = [line.split() for line in ada("project", "members", "Vision").lines]
    assert lines[0] == ["id", "name", "type", "job", "dataset", "model", "volume", "joined"]
    assert [site.ids["grace"], "grace", "user", "read", "read", "read", "read"] in [line[:7] for line in lines]


def test_somebody_is_invited_by_email(ada: Person) -> None:
    ran = ada("project", "invite", "new@example.com", "Vision", "--level", "jobs=all", "--level", "dataset=read")
    assert ran.lines[1].split()[1] == "new@example.com"
    assert ada("project", "invite", "new@example.com", "Vision", "--preset", "viewer").status == 0
    assert "email" in ada("project", "invite", "no-address", "Vision", status=1).err
    assert ada("project", "invite", "a@example.com", "Vision", "--level", "job=some", status=2).out == ""


def test_a_viewer_does_not_invite_and_is_told_whose_the_project_is(
    ada: Person, person_at: Callable[..., Person]
) -> None:
    refused = person_at("grace")("project", "invite", "x@example.com", "Vision", status=1)
    assert refused.err.startswith("Warning: vision (") and "(ada)." in refused.err


def test_who_leaves_is_out(ada: Person, person_at: Callable[..., Person], site: Site) -> None:
    made = ada("project", "new", "Guests", "--field", "id").out.strip()
    assert ada("project", "lend", made, "--fields", "full_name,lends_data", "-H").out.split() == ["guests", "yes"]
    assert ada("project", "lend", made, "--off", "--field", "lends_data").out == "false\n"
    site.server.manage("shell", "--no-imports", "-v", "0", "-c", JOIN.format(project=made))
    stan = person_at("stan")
    assert "Guests" in stan("project", "ls").out
    stan("configure", "--project", "Guests")
    stan("project", "leave", "Guests", status=1)
    stan("project", "leave", "Guests", "--yes")
    assert "Guests" not in stan("project", "ls").out
    assert stan("configure", input="\n").out.startswith("Current Active Project: UNSET\n")
    ada("project", "rm", made, "--yes")


JOIN = """
from accounts.models import User
from projects import actions, links
from projects.levels import PRESETS
from projects.models import Project
project = Project.objects.get(pk="{project}")
offer = actions.invite(project=project, email="stan@example.com", levels=PRESETS["Viewer"], by=project.owner)
actions.accept(token=links.token_of(offer, links.EMAILED), by=User.objects.get(username="stan"))
"""


TEAM = """
from accounts.models import User
from teams import actions
people = {user.username: user for user in User.objects.all()}
team = actions.create(name="vision-people", by=people["ada"])
actions.add_user(team=team, user=people["grace"], role="admin", by=people["ada"])
inner = actions.create(name="night-shift", by=people["ada"])
actions.add_team(outer=team, inner=inner, by=people["ada"])
"""


def test_a_team_is_shown_as_grid_shows_it_and_holds_roles_and_policies(ada: Person, site: Site) -> None:
    site.server.manage("shell", "--no-imports", "-v", "0", "-c", TEAM)
    shown = ada("teams", "vision-people")
    assert shown.out == ada("team", "vision-people").out == ada("team", "get", "vision-people").out
    assert [line.split()[1:] for line in shown.lines] == [
        ["name", "type", "role"],
        ["ada", "user", "owner"],
        ["grace", "user", "admin"],
        ["night-shift", "team", "user"],
    ]
    urn = ada("team", "vision-people", "--field", "urn").out.strip()
    assert urn.startswith("mlteam:team:") and ada("team", "get", urn, "--field", "name").out == "vision-people\n"
    assert {"vision-people", "night-shift"} <= set(ada("team", "ls", "--field", "name").lines)
    assert ada("open", urn, "--print").out.startswith(f"{site.server.url}/t/")
    assert "no team nobody" in ada("team", "nobody", status=1).err
    made = ada("team", "policy", "new", "vision-people", f"job:get@mlteam:project:{site.vision}:job:*", "--field", "id")
    assert made.out.strip() in ada("team", "policy", "ls", "vision-people").out
    ada("team", "policy", "rm", made.out.strip())
    ada("role", "new", "vision-people.watchers")
    assert "watchers" in ada("team", "role", "ls", "vision-people", "--field", "name").lines
    member = ("team", "role", "member")
    added = ada(*member, "add", "vision-people.watchers", "--team", "night-shift")
    assert added.lines[1].split()[1:] == ["night-shift", "team"]
    assert ada(*member, "rm", "vision-people.watchers", "--team", "night-shift").lines == ["id  name  type"]
