"""What somebody might try on every route at once: forms of another site, guessed ids, names that are HTML."""

import re

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.urls import reverse

from access import roles
from billing.models import Budget
from jobs.models import Job
from projects import actions, team_members
from projects.levels import PRESETS
from projects.models import AuditEntry, Project
from teams import actions as teams
from tests.access.everybody import job_of
from tests.access.test_routes import OWNERS, POSTED, STAFF, TABLE, _address, _arguments, routes, rows

pytestmark = [pytest.mark.slow, pytest.mark.ignore_template_errors]

EVIL = "<img src=x onerror=alert(1)>"


def browser(world, who: str, **options) -> Client:
    client = Client(**options)
    if world["sessions"][who]:
        client.cookies[settings.SESSION_COOKIE_NAME] = world["sessions"][who]
    return client


# ---- forms of another site


# Programs begin a sign-in here; whose browser it is in says nothing.
OPEN = {"device_code", "device_token"}


def posts() -> list[str]:
    """The routes that are posted to by forms of ours."""
    return [name for name, method in rows(TABLE) | rows(STAFF) | rows(OWNERS) if method == "POST" and name not in OPEN]


def test_what_takes_posts_from_everywhere_answers_everybody_alike(world):
    exempt = {name for name, pattern in routes() if getattr(pattern.callback, "csrf_exempt", False)}
    assert {name for name in exempt if not name.startswith("api:")} == OPEN  # the API's door asks for it by itself
    for name in OPEN:
        assert set(rows(TABLE)[name, "POST"].values()) == {"400"}
        address = _address(name, dict(routes())[name], world, "owner")
        made = {"client_id": "mlteam", "scope": "all", "machine": "evil"}
        answers = [browser(world, who, enforce_csrf_checks=True).post(address, made) for who in ("anon", "owner")]
        assert [set(answer.json()) for answer in answers] == [set(answers[0].json())] * 2
        assert not [answer for answer in answers if answer.cookies]


@pytest.mark.walk
@pytest.mark.parametrize("who", ["owner", "admin", "anon"])
def test_every_post_needs_the_token_of_our_own_form(world, who):
    client, known = browser(world, who, enforce_csrf_checks=True), dict(routes())
    for name in posts():
        response = client.post(_address(name, known[name], world, "owner"), POSTED)
        assert response.status_code == 403, name
        assert "403_csrf.html" in [template.name for template in response.templates], name


@pytest.mark.walk
def test_and_not_that_of_somebody_else_nor_from_another_page(world):
    client, known = browser(world, "owner", enforce_csrf_checks=True), dict(routes())
    form = client.get("/projects/new").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
    assert client.post("/projects/new", {"name": "Mine", "csrfmiddlewaretoken": token}).status_code == 302
    for name in posts():
        path = _address(name, known[name], world, "owner")
        elsewhere = {"HTTP_ORIGIN": "https://evil.example"}
        assert client.post(path, {**POSTED, "csrfmiddlewaretoken": token}, **elsewhere).status_code == 403, name
        assert client.post(path, {**POSTED, "csrfmiddlewaretoken": "x" * 64}).status_code == 403, name


# ---- ids that are guessed


@pytest.fixture
def theirs(make_user, join) -> dict[str, object]:
    """A project of somebody else, with one of everything that an address can name."""
    otto = make_user("otto")
    project = actions.create(name="Theirs", by=otto)
    team = teams.create(name="Their team", by=otto)
    job = job_of(project, otto)
    role = roles.create(place=project, name="Theirs", by=otto)
    return {
        "role": role.pk,
        "policy": roles.add_policy(role=role, text=f"job:get@{project.urn}:job:*", by=otto).pk,
        "role_member": roles.add_member(role=role, user=otto, by=otto).pk,
        "key": roles.add_key(role=role, name="ci", by=otto)[0].pk,
        "project": project,
        "member": join(project, make_user("mia"), "Viewer").pk,
        "by_team": team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=otto).pk,
        "in_team": team.members.get().pk,
        "invitation": actions.invite(project=project, email="new@theirs.org", levels=PRESETS["Viewer"], by=otto).pk,
        "job": job.pk,
        "budget": Budget.objects.create(project=project, amount=1).pk,
    }


def _foreign(name: str, theirs) -> dict[str, object]:
    of_team, of_role = name.startswith("projects:team"), name.startswith("projects:role_")
    member = (
        "in_team" if name.startswith("teams:") else "by_team" if of_team else "role_member" if of_role else "member"
    )
    known = {"member_id": theirs[member], "invitation_id": theirs["invitation"], "job_id": theirs["job"]}
    return known | {"budget_id": theirs["budget"], "policy_id": theirs["policy"], "key_id": theirs["key"]}


def test_ids_of_anothers_open_nothing_under_ones_own_address(world, theirs):
    """The address names the owner's own project or team, the id is of another's: found nowhere, changed nothing."""
    client, tried = browser(world, "owner"), []
    before = _count(theirs["project"])
    for name, method in rows(TABLE):
        pattern = dict(routes())[name]
        foreign = {key: value for key, value in _foreign(name, theirs).items() if key in pattern.pattern.converters}
        if foreign:
            known = {**_arguments(world, "owner", name), **foreign}
            path = reverse(name, kwargs={argument: known[argument] for argument in pattern.pattern.converters})
            response = client.get(path) if method == "GET" else client.post(path, POSTED)
            assert response.status_code == 404, f"{method} {name}"
            tried.append(name)
    assert len(set(tried)) >= 20
    assert _count(theirs["project"]) == before


def test_a_role_of_anothers_is_found_by_nobody_else(world, theirs):
    client = browser(world, "owner")
    for name, method in rows(TABLE):
        pattern = dict(routes())[name]
        if "role_id" in pattern.pattern.converters:
            known = {**_arguments(world, "owner", name), **_foreign(name, theirs), "role_id": theirs["role"]}
            path = reverse(name, kwargs={argument: known[argument] for argument in pattern.pattern.converters})
            answer = client.get(path) if method == "GET" else client.post(path, POSTED)
            assert answer.status_code == 404, f"{method} {name}"


def _count(project: Project) -> tuple:
    project.refresh_from_db()
    kept = [getattr(project, name).count() for name in ("members", "team_members", "invitations", "budgets")]
    return (*kept, project.name, AuditEntry.objects.of(project).count(), Job.objects.get(project=project).state)


@pytest.mark.parametrize("guess", ["", " ", "0", "-1", "' OR 1=1 --", "../../vision", "a" * 10_000, "%00", "\u202e"])
def test_what_is_no_id_is_found_nowhere(world, guess):
    client = browser(world, "owner")
    for path in (
        f"/p/{guess}/members",
        f"/p/vision/members/{guess}/set",
        f"/t/{guess}",
        f"/owners/projects/member/{guess}/change/",
    ):
        for response in (client.get(path), client.post(path)):
            assert response.status_code in {400, 404, 405}, path


@pytest.mark.parametrize("sent", ["\x00", "a\x00b", "x" * 10_000, "\u202e", "%", "'\"\\", "[(", "٣"])
def test_searches_and_filters_take_whatever_is_typed(world, sent):
    client = browser(world, "owner")
    pages = {
        "/teams/": ["q"],
        "/rules/": ["q", "page"],
        "/p/vision/audit": ["q", "by", "action", "since", "until", "page"],
        "/p/vision/access": ["action", "resource", "person"],
        "/p/vision/usage": ["member", "month", "page"],
        "/p/vision/jobs": ["q", "state", "page"],
        "/owners/projects/member/": ["q", "project"],
        "/owners/projects/auditentry/": ["q", "project", "origin__exact"],
        "/owners/billing/charge/": ["q", "project", "line__exact"],
    }
    for path, names in pages.items():
        for name in names:
            assert client.get(path, {name: sent}, follow=True).status_code in {200, 400, 404}, f"{path}?{name}"
    assert client.post("/projects/switch", {"project": sent}).status_code in {400, 404}


# ---- names that are HTML


@pytest.fixture
def named(world) -> None:
    """Everything that has a name has one that is HTML, whichever way it came to it."""
    for model in apps.get_models():
        ours = model._meta.app_label in {
            "accounts",
            "access",
            "teams",
            "projects",
            "billing",
            "compute",
            "datastores",
            "jobs",
        }
        if ours and "name" in {field.name for field in model._meta.fields}:
            for number, pk in enumerate(model.objects.values_list("pk", flat=True)):
                model.objects.filter(pk=pk).update(name=f"{EVIL}{number}")
    Project.objects.filter(slug="vision").update(offered_to=world["people"]["read"])


@pytest.mark.walk
@pytest.mark.parametrize("who", ["owner", "read", "admin"])
def test_a_name_is_text_on_every_page(world, named, who):
    client, known, seen = browser(world, who), dict(routes()), 0
    for name, method in rows(TABLE) | rows(STAFF) | rows(OWNERS):
        if method == "GET":
            response = client.get(_address(name, known[name], world, who), follow=True)
            if not response.streaming and response["Content-Type"].startswith("text/html"):
                page = response.content.decode()
                assert "<img src=x" not in page, name
                seen += "&lt;img src=x" in page
    assert seen > 10
