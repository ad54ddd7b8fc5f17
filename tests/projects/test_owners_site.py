"""The owners' admin site: what an owner does there, and what somebody might try there with what is another's."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail as sent
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

import access
from accounts import mail
from billing import actions as billing
from billing.models import Budget, Charge
from mlteam import urls
from projects import actions, links, ownership, team_members, third_party
from projects.levels import KINDS, PRESETS
from projects.members import levels_by_user
from projects.models import AuditEntry, Invitation, Member, Project, TeamMember
from projects.owners import owners
from teams import actions as teams
from tests.access.world import populate
from tests.billing.conftest import price

# Django's templates ask for variables that are not always there.
pytestmark = [pytest.mark.django_db, pytest.mark.ignore_template_errors]

assert urls.urlpatterns  # with them all models are registered
MODELS = [f"{model._meta.app_label}_{model._meta.model_name}" for model in owners._registry]
READ_ONLY = {"projects_auditentry", "projects_thirdpartykey", "billing_charge"}
ALL = dict.fromkeys(KINDS, "all")


def address(page, /, *args, **query):
    return reverse(f"owners:{page}", args=args) + (
        "?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""
    )


def post(client, page, /, *args, **fields):
    return client.post(address(page, *args), fields)


def errors(response) -> str:
    return str(response.context["errors"])


def ids(client, model, **query) -> set[str]:
    """The rows that a list shows."""
    response = client.get(address(f"{model}_changelist", **query))
    assert response.status_code == 200, response
    return {str(row.pk) for row in response.context["cl"].result_list}


def entry() -> tuple[str, str, str]:
    """The newest entry of the audit trail."""
    return AuditEntry.objects.order_by("-id").values_list("action", "by_name", "origin")[0]


@pytest.fixture
def olga(as_user, owner) -> Client:
    return as_user(owner)


@pytest.fixture
def member(project, viewer) -> Member:
    return Member.objects.get(project=project, user=viewer)


@pytest.fixture
def team(owner):
    return teams.create(name="Lab", by=owner)


def furnish(project, join, make_user, name) -> dict[str, str]:
    """One of each kind of row in a project: model -> its id."""
    owner = project.owner
    member = join(project, make_user(f"mia-{name}"), "Viewer")
    team = teams.create(name=f"Team {name}", by=owner)
    by_team = team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    offer = actions.invite(project=project, email=f"{name}@new.org", levels=PRESETS["Viewer"], by=owner)
    budget = billing.set_budget(project=project, member=None, amount=5, when_full="stop", by=owner)
    charge = Charge.objects.create(
        source="attempt",
        source_id=name,
        hour=timezone.now().replace(minute=0, second=0, microsecond=0),
        milliseconds=1,
        payer=f"user:{owner.pk}",
        payer_name=owner.shown,
        owner_id=owner.pk,
        owner_name=owner.shown,
        project_id=project.pk,
        project_name=project.name,
        subject_id=name,
        subject_name=f"job-of-{name}",
    )
    trail = AuditEntry.objects.of(project).latest("id")
    token = {"token": f"hf_0123456789-{name}"}
    key = third_party.add(project=project, kind="huggingface", name=f"hub-{name}", values=token, by=owner)
    rows = [project, member, by_team, offer, budget, charge, trail, key]
    return {f"{row._meta.app_label}_{row._meta.model_name}": str(row.pk) for row in rows}


@pytest.fixture
def two(project, make_user, join) -> tuple[dict, dict]:
    """One of each kind that is Olga's, and one that is Otto's."""
    price("cpu", "1")
    theirs = actions.create(name="Theirs", by=make_user("otto"))
    return furnish(project, join, make_user, "mine"), furnish(theirs, join, make_user, "theirs")


# ---- who gets in


def test_a_personal_project_is_enough_to_get_in(as_user, stranger, project, member):
    client = as_user(stranger)
    assert "What you own" in client.get(address("index")).content.decode()
    personal = stranger.owned_projects.get(personal=True)
    assert ids(client, "projects_project") == {personal.pk}
    assert ids(client, "projects_member") == ids(client, "projects_invitation") == set()


def test_without_a_project_there_is_no_site(as_user, make_user):
    user = make_user("nobody")
    user.owned_projects.update(removed_at=timezone.now())
    assert as_user(user).get(address("index")).status_code == 404
    assert as_user(None).get(address("index"))["Location"].startswith("/accounts/login/?next=/owners/")


def test_being_superuser_shows_no_more(as_user, admin, two):
    mine, theirs = two
    client = as_user(admin)
    personal = admin.owned_projects.get().pk
    for model in MODELS:
        assert not ids(client, model) & {mine[model], theirs[model]} - {personal}
        assert client.get(address(f"{model}_change", mine[model])).status_code == 404


@pytest.mark.walk
def test_has_perm_agrees_with_access_and_with_what_the_site_shows(make_user, join, rf):
    """For everybody, in every project: Django's question, ours, and the lists of the site."""
    users, _ = populate(make_user, join)
    project_admin = owners._registry[Project]
    asked = {"view_project": "project:get", "change_project": "project:set", "delete_project": "project:rm"}
    asked |= {f"read_{kind}s": f"{kind}:get" for kind in KINDS} | {f"create_{kind}s": f"{kind}:new" for kind in KINDS}
    asked |= {f"manage_{kind}s": f"{kind}:rm" for kind in KINDS}
    granted = 0
    for user in users:
        request = rf.get("/")
        request.user = user
        shown = set(project_admin.get_queryset(request)) if user.is_active else set()
        for project in Project.objects.all():
            for codename, action in asked.items():
                allowed = bool(access.allowed(user, action, project))
                assert user.has_perm(f"projects.{codename}", project) is allowed, f"{user} {codename} {project}"
                granted += allowed
            owns = project.owner == user and user.has_perm("projects.view_project", project)
            assert (project in shown) is owns
            assert project_admin.has_view_permission(request, project) is owns
    assert granted > 100


# ---- what an owner does


def test_a_project_is_made_and_renamed(olga, owner):
    post(olga, "projects_project_add", name="  Speech ")
    made = Project.objects.get(slug="speech")
    assert (made.owner, made.name, entry()) == (owner, "Speech", ("project:new", "olga", "admin"))
    post(olga, "projects_project_change", made.pk, name="Voices")
    made.refresh_from_db()
    assert (made.name, made.slug, made.lends_data, entry()[0]) == ("Voices", "speech", False, "project:set")
    post(olga, "projects_project_change", made.pk, name="Voices", lends_data="on")
    made.refresh_from_db()
    assert made.lends_data and entry()[0] == "project:lend"


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\u202eb", "a\x1b"])
def test_a_bad_name_is_an_error_of_its_field(olga, project, name):
    for page, args in (("projects_project_add", ()), ("projects_project_change", (project.pk,))):
        response = post(olga, page, *args, name=name)
        assert response.status_code == 200
        assert response.context["adminform"].form.errors["name"]
    assert list(Project.objects.filter(personal=False).values_list("name", flat=True)) == ["Vision"]


def test_an_unproven_account_makes_no_project_there(as_user, make_user):
    client = as_user(make_user("uma", verified=False))
    assert post(client, "projects_project_add", name="Mine").status_code == 403
    assert ids(client, "projects_auditentry") == set()  # nor does it see more than its pages show


def test_the_personal_project_is_only_looked_at(olga, owner):
    personal = owner.owned_projects.get(personal=True)
    assert olga.get(address("projects_project_change", personal.pk)).status_code == 200
    assert post(olga, "projects_project_change", personal.pk, name="Shared").status_code == 403
    for page in ("projects_invitation_add", "projects_teammember_add"):
        fields = {"project": personal.pk, "email": "new@example.com", "team": "lab", **ALL}
        assert "valid choice" in errors(post(olga, page, **fields))


def test_levels_are_changed_as_on_the_pages(olga, project, member, viewer):
    before = access.generation()
    assert post(olga, "projects_member_change", member.pk, **ALL).status_code == 302
    assert levels_by_user(project)[viewer.pk] == PRESETS["Full"]
    assert entry() == ("member:set", "olga", "admin")
    assert access.generation() > before
    mail.send_waiting()
    assert "Your levels in Vision have changed" in [email.subject for email in sent.outbox]


def test_bad_levels_are_errors(olga, project, member, viewer):
    for wrong in ({**ALL, "job": "root"}, {"job": "all"}, {}):
        assert errors(post(olga, "projects_member_change", member.pk, **wrong))
    assert levels_by_user(project)[viewer.pk] == PRESETS["Viewer"]


def test_a_member_is_removed_and_loses_everything(olga, project, member, viewer):
    page = olga.get(address("projects_member_delete", member.pk)).content.decode()
    assert "vera in Vision" in page
    post(olga, "projects_member_delete", member.pk, post="yes")
    assert not access.allowed(viewer, "project:get", project)
    assert levels_by_user(project) == {}
    assert entry() == ("member:rm", "olga", "admin")


def test_several_are_removed_at_once_after_a_question(olga, project, viewer, teammate):
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in project.members.all()]}
    question = olga.post(address("projects_member_changelist"), chosen).content.decode()
    assert "vera in Vision" in question
    assert project.members.count() == 2
    olga.post(address("projects_member_changelist"), {**chosen, "post": "yes"})
    assert project.members.count() == 0
    assert AuditEntry.objects.filter(action="member:rm", origin="admin").count() == 2


def test_a_project_is_offered_and_the_offer_taken_back(olga, project, member, viewer, teammate):
    rows = list(project.members.values_list("pk", flat=True))
    lists = address("projects_member_changelist")
    olga.post(lists, {"action": "offer", "_selected_action": rows})
    project.refresh_from_db()
    assert project.offered_to is None
    olga.post(lists, {"action": "offer", "_selected_action": [member.pk]})
    project.refresh_from_db()
    assert project.offered_to == viewer
    taken_back = {"action": "withdraw", "_selected_action": [project.pk]}
    olga.post(address("projects_project_changelist"), taken_back)
    project.refresh_from_db()
    assert project.offered_to is None
    assert entry() == ("owner:withdraw", "olga", "admin")
    again = olga.post(address("projects_project_changelist"), taken_back, follow=True)
    assert ownership.GONE in again.content.decode()


def test_the_new_owner_sees_what_the_former_one_no_longer_does(olga, as_user, project, member, viewer, owner):
    post(olga, "projects_project_change", project.pk, name="Optics")
    ownership.offer(member=member, by=owner)
    ownership.accept(project=Project.objects.get(pk=project.pk), by=viewer)
    assert project.pk not in ids(olga, "projects_project")
    assert olga.get(address("projects_project_history", project.pk)).status_code == 404
    assert "Optics" not in olga.get(address("index")).content.decode().partition("content-main")[2]
    assert project.pk in ids(as_user(viewer), "projects_project")


def test_a_team_comes_changes_and_goes(olga, project, team):
    post(olga, "projects_teammember_add", project=project.pk, team="lab", **ALL)
    row = TeamMember.objects.get()
    assert (team_members.levels_of_team(project, team), entry()[::2]) == (PRESETS["Full"], ("team:new", "admin"))
    post(olga, "projects_teammember_change", row.pk, **PRESETS["Viewer"])
    assert (team_members.levels_of_team(project, team), entry()[0]) == (PRESETS["Viewer"], "team:set")
    assert "already" in errors(post(olga, "projects_teammember_add", project=project.pk, team="lab", **ALL))
    post(olga, "projects_teammember_delete", row.pk, post="yes")
    assert entry()[0] == "team:rm"
    assert not TeamMember.objects.exists()


def test_a_team_that_is_not_there_is_an_error(olga, project):
    assert "No team has this address" in errors(
        post(olga, "projects_teammember_add", project=project.pk, team="no", **ALL)
    )


def test_an_invitation_is_sent_sent_again_and_revoked(olga, project, make_user):
    post(olga, "projects_invitation_add", project=project.pk, email="NEW@example.com", **ALL)
    row = Invitation.objects.get()
    assert (row.email, row.levels, entry()[::2]) == ("new@example.com", ALL, ("invitation:new", "admin"))
    shown = olga.get(address("projects_invitation_change", row.pk)).content.decode()
    assert links.address_of(row, links.COPIED) in shown
    assert links.token_of(row, links.EMAILED) not in shown
    lists = address("projects_invitation_changelist")
    olga.post(lists, {"action": "send_again", "_selected_action": [row.pk]})
    assert entry()[0] == "invitation:send"
    olga.post(lists, {"action": "revoke", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.revoked_at
    again = olga.post(lists, {"action": "revoke", "_selected_action": [row.pk]}, follow=True)
    assert "accepted or revoked meanwhile" in again.content.decode()
    mail.send_waiting()
    assert [email.to for email in sent.outbox] == [["new@example.com"]] * 2


def test_what_the_action_refuses_is_an_error_of_the_form_and_leaves_nothing(olga, project, owner, viewer):
    for email in (owner.email, viewer.email, "no address", ""):
        response = post(olga, "projects_invitation_add", project=project.pk, email=email, **ALL)
        assert errors(response)
        assert response.status_code == 200
    assert not Invitation.objects.open().exists()
    assert not LogEntry.objects.exists()


def test_a_budget_is_set_changed_and_lifted(olga, project, member):
    price("cpu", "1")
    post(olga, "billing_budget_add", project=project.pk, member="vera", amount="10", when_full="finish")
    row = Budget.objects.get()
    assert (row.project, row.member, row.amount, entry()[0]) == (project, member.user, 10, "budget:set")
    post(olga, "billing_budget_change", row.pk, amount="20", when_full="stop")
    row.refresh_from_db()
    assert (row.amount, row.when_full, row.member) == (20, "stop", member.user)
    post(olga, "billing_budget_delete", row.pk, post="yes")
    assert not Budget.objects.exists()
    assert entry() == ("budget:rm", "olga", "admin")


def test_a_budget_of_who_is_no_member_is_the_same_error_as_of_nobody(olga, project, stranger):
    price("cpu", "1")
    said = {
        errors(post(olga, "billing_budget_add", project=project.pk, member=name, amount="1", when_full="stop"))
        for name in ("stan", "nobody-at-all")
    }
    assert len(said) == 1
    assert "Choose the owner or a member" in said.pop()
    assert errors(post(olga, "billing_budget_add", project=project.pk, amount="-1", when_full="stop"))
    assert not Budget.objects.exists()


def test_where_nothing_costs_anything_nothing_about_money_shows(olga, project, join, make_user):
    furnish(project, join, make_user, "mine")
    assert "udget" not in olga.get(address("index")).content.decode()
    assert olga.get(address("billing_budget_changelist")).status_code == 403
    page = olga.get(address("billing_charge_changelist")).content.decode()
    assert "job-of-mine" in page
    assert "mount" not in page


# ---- what is another's


@pytest.mark.parametrize("model", MODELS)
def test_a_list_shows_ones_own_alone(olga, two, model):
    mine, theirs = two
    shown = ids(olga, model)
    assert mine[model] in shown
    assert theirs[model] not in shown
    for query in ({"q": "theirs"}, {"q": "otto"}, {"e": "1", "q": "theirs"}, {"project": theirs["projects_project"]}):
        if model != "projects_project" or "project" not in query:
            assert theirs[model] not in ids(olga, model, **query)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_on_a_list_says_that_the_other_is_there(olga, two, model):
    """Neither the filters' choices nor the forms'."""
    _, theirs = two
    pages = [address(f"{model}_changelist")]
    pages += [address(f"{model}_add")] if olga.get(address(f"{model}_add")).status_code == 200 else []
    for page in pages:
        text = olga.get(page).content.decode()
        assert "Theirs" not in text
        assert theirs["projects_project"] not in text
        assert "otto" not in text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("page", ["change", "history", "delete"])
def test_an_id_of_anothers_answers_like_one_that_nobody_has(olga, two, model, page):
    _, theirs = two
    for method in (olga.get, olga.post):
        data = {"post": "yes", "name": "Mine now", "amount": "1", "when_full": "stop", **ALL}
        answers = [method(address(f"{model}_{page}", pk), data) for pk in (theirs[model], "999999999")]
        assert answers[0].status_code in {403, 404}
        said = [(one.status_code, _plain(one.content.decode())) for one in answers]
        assert said[0] == said[1]
    assert Project.objects.get(pk=theirs["projects_project"]).name == "Theirs"
    assert Member.objects.filter(pk=theirs["projects_member"]).exists()
    assert Budget.objects.get(pk=theirs["billing_budget"]).amount == 5


def _plain(page: str) -> str:
    """What a page says, without what differs from request to request."""
    return re.sub(r"<[^>]*>|[0-9a-z]{10,}", "", page)


QUERIES = [
    "project__owner__password__startswith=md5",
    "project__owner__email__contains=a",
    "user__password__startswith=md5",
    "owner__password__startswith=md5",
    "offered_to__password__startswith=md5",
    "member__password__startswith=md5",
    "invited_by__password__startswith=md5",
    "team__group__user__password__startswith=md5",
    "nonce__startswith=a",
    "project__nonce=a",
    "project__slug=theirs",
    "words__contains=theirs",
    "pk=1",
]


@pytest.mark.parametrize("model", MODELS)
def test_an_address_asks_by_nothing_but_what_the_list_offers(olga, two, model):
    for query in QUERIES:
        response = olga.get(f"{address(f'{model}_changelist')}?{query}")
        assert response.status_code == 400, query


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_named_by_their_id_alone(olga, two, model):
    mine, theirs = two
    for field in ("id", "slug", "owner", "owner__password", "nonce", "email", "project"):
        for pk in (mine[model], theirs[model], "theirs"):
            for page in ("change", "delete"):
                response = olga.get(address(f"{model}_{page}", pk, _to_field=field))
                assert response.status_code == 400, (page, field)
        assert olga.get(address(f"{model}_changelist", _to_field=field)).status_code == 400


@pytest.mark.parametrize("model", MODELS)
def test_a_popup_shows_and_changes_no_more(olga, two, model):
    _, theirs = two
    assert theirs[model] not in ids(olga, model, _popup="1")
    assert olga.get(address(f"{model}_change", theirs[model], _popup="1")).status_code == 404
    data = {"_popup": "1", "post": "yes", "name": "Mine now", **ALL}
    assert post(olga, f"{model}_change", theirs[model], **data).status_code in {403, 404}


def test_there_is_no_autocomplete_and_no_way_round_by_content_types(olga, two):
    _, theirs = two
    for path in ("autocomplete/", "autocomplete/?app_label=projects&model_name=member&field_name=user&term=o"):
        assert olga.get(f"/owners/{path}").status_code == 404
    for path in (
        "r/1/1/",
        "password_change/",
        "login/",
        "auth/user/",
        "accounts/user/",
        f"projects/project/{theirs['projects_project']}/permissions/",
    ):
        assert olga.get(f"/owners/{path}").status_code == 404


BULK = {
    "projects_project": ["withdraw", "delete_selected"],
    "projects_member": ["offer", "delete_selected"],
    "projects_teammember": ["delete_selected"],
    "projects_invitation": ["send_again", "revoke", "delete_selected"],
    "billing_budget": ["delete_selected"],
    "billing_charge": ["delete_selected"],
    "projects_auditentry": ["delete_selected"],
    "projects_thirdpartykey": ["delete_selected"],
}


def test_every_bulk_action_is_among_those_that_are_tried():
    for model, admin in owners._registry.items():
        assert set(admin.actions or ()) <= set(BULK[f"{model._meta.app_label}_{model._meta.model_name}"])


@pytest.mark.parametrize(("model", "act"), [(model, act) for model, acts in BULK.items() for act in acts])
def test_a_bulk_action_reaches_nothing_of_anothers(olga, two, model, act):
    _, theirs = two
    ownership.offer(
        member=Member.objects.get(pk=theirs["projects_member"]), by=Project.objects.get(slug="theirs").owner
    )
    before = _state(theirs)
    for more in ({}, {"select_across": "1"}):
        data = {"action": act, "_selected_action": [theirs[model]], "post": "yes", **more}
        page = olga.post(address(f"{model}_changelist"), data).content.decode()
        assert "Theirs" not in page
    assert _state(theirs) == before


def _state(theirs) -> list:
    """All that could have changed of Otto's."""
    project = Project.objects.get(pk=theirs["projects_project"])
    nonces = list(project.invitations.values_list("nonce", "revoked_at"))
    rows = [list(getattr(project, name).values_list("pk")) for name in ("members", "team_members", "budgets")]
    return [
        project.name,
        project.offered_to,
        nonces,
        rows,
        AuditEntry.objects.of(project).count(),
        levels_by_user(project),
    ]


@pytest.mark.parametrize("page", ["projects_invitation_add", "projects_teammember_add", "billing_budget_add"])
def test_nothing_is_added_to_anothers_project(olga, two, team, page):
    _, theirs = two
    before = _state(theirs)
    data = {
        "project": theirs["projects_project"],
        "email": "new@example.com",
        "team": "lab",
        "amount": "1",
        "when_full": "stop",
        **ALL,
    }
    assert "valid choice" in errors(post(olga, page, **data))
    assert _state(theirs) == before


@pytest.mark.parametrize("page", ["projects_member", "projects_teammember", "billing_budget"])
def test_a_row_cannot_be_moved_to_another_project_or_person(olga, two, page):
    mine, theirs = two
    row = owners._registry
    moved = {"project": theirs["projects_project"], "user": Project.objects.get(slug="theirs").owner_id}
    data = {
        **moved,
        "team": "team-theirs",
        "member": "otto",
        "id": theirs[page],
        "amount": "7",
        "when_full": "stop",
        **ALL,
    }
    before = _state(theirs)
    assert post(olga, f"{page}_change", mine[page], **data).status_code == 302
    model = next(model for model in row if f"{model._meta.app_label}_{model._meta.model_name}" == page)
    assert model.objects.get(pk=mine[page]).project_id == mine["projects_project"]
    assert _state(theirs) == before


def test_forms_of_rows_inside_rows_are_not_taken(olga, two):
    """There are none: what is posted as if there were changes nothing, of neither project."""
    mine, theirs = two
    before = _state(theirs), _state(mine)[1:4]
    inline = {}
    for prefix, row in (
        ("members", "projects_member"),
        ("budgets", "billing_budget"),
        ("invitations", "projects_invitation"),
    ):
        inline |= {f"{prefix}-TOTAL_FORMS": "1", f"{prefix}-INITIAL_FORMS": "1", f"{prefix}-0-id": theirs[row]}
        inline |= {f"{prefix}-0-project": theirs["projects_project"], f"{prefix}-0-DELETE": "on"}
    assert post(olga, "projects_project_change", mine["projects_project"], name="Vision", **inline).status_code == 302
    listed = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": theirs["projects_member"],
        "_save": "Save",
    }
    olga.post(address("projects_member_changelist"), listed)
    assert (_state(theirs), _state(mine)[1:4]) == before


def test_saving_as_new_makes_nothing(olga, two):
    mine, _ = two
    before = Member.objects.count()
    assert post(olga, "projects_member_change", mine["projects_member"], _saveasnew="1", **ALL).status_code == 403
    assert Member.objects.count() == before


def test_a_projects_owner_is_not_changed_by_its_form(olga, project, stranger):
    data = {"name": "Vision", "owner": stranger.pk, "personal": "on", "slug": "other", "removed_at": "2020-01-01"}
    post(olga, "projects_project_change", project.pk, **data)
    project.refresh_from_db()
    assert (project.owner.username, project.personal, project.slug, project.removed_at) == (
        "olga",
        False,
        "vision",
        None,
    )


def test_the_history_of_ones_own_is_there_and_the_first_page_lists_nobodys(olga, two, as_user):
    mine, theirs = two
    post(olga, "projects_member_change", mine["projects_member"], **ALL)
    otto = as_user(Project.objects.get(slug="theirs").owner)
    post(otto, "projects_member_change", theirs["projects_member"], **ALL)
    assert LogEntry.objects.count() == 2
    history = olga.get(address("projects_member_history", mine["projects_member"])).content.decode()
    assert "Changed" in history
    for page in ("index", "projects_member_changelist"):
        assert "mia-theirs" not in olga.get(address(page)).content.decode()


def test_the_trail_and_the_ledger_are_only_looked_at(olga, two):
    mine, _ = two
    for model in READ_ONLY:
        assert olga.get(address(f"{model}_change", mine[model])).status_code == 200
        for page in ("change", "delete"):
            assert post(olga, f"{model}_{page}", mine[model], post="yes").status_code == 403
        assert post(olga, f"{model}_add").status_code == 403


def test_the_trail_is_searched_in_what_it_says(olga, two):
    found = AuditEntry.objects.filter(pk__in=ids(olga, "projects_auditentry", q="MINE@new.org"))
    assert {row.action for row in found} == {"invitation:new"}


def test_a_removed_project_is_gone(olga, project, owner, two):
    mine, _ = two
    actions.remove(project=project, by=owner)
    for model in MODELS:
        assert mine[model] not in ids(olga, model)


def test_names_are_text(olga, project, owner):
    actions.rename(project=project, name="<script>alert(1)</script>", by=owner)
    for page in (address("projects_project_changelist"), address("projects_project_change", project.pk)):
        assert "<script>alert" not in olga.get(page).content.decode()


def test_what_a_list_asks_grows_with_nothing(olga, two, project, join, make_user):
    def asked() -> dict[str, int]:
        numbers = {}
        for model in MODELS:
            with CaptureQueriesContext(connection) as queries:
                ids(olga, model)
            numbers[model] = len(queries)
        return numbers

    ids(olga, "projects_project")  # what is asked once a process
    before = asked()
    for number in range(3):
        furnish(actions.create(name=f"More {number}", by=project.owner), join, make_user, f"more-{number}")
    assert asked() == before
