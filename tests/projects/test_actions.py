"""Projects and members: what the actions do, refuse, record and tell."""

import pytest
from django.core.exceptions import ValidationError
from django.http import Http404

import access
from access import Refused
from access.signals import may_hold_less
from projects import actions, signals
from projects.errors import Impossible
from projects.levels import KINDS, PRESETS
from projects.members import levels_by_user
from projects.models import AuditEntry, Invitation, Member, Project, ProjectUserPermission
from projects.purging import KEPT, purge
from tests.access.world import job


def entries(project):
    return list(AuditEntry.objects.filter(project_id=project.pk).order_by("id").values_list("action", "by_name"))


def test_creating_makes_the_creator_its_owner_and_says_so_in_the_audit_trail(owner):
    project = actions.create(name=" Speech lab ", by=owner)
    assert (project.name, project.slug, project.owner) == ("Speech lab", "speech-lab", owner)
    assert entries(project) == [("project:new", "olga")]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Vision", "vision"),
        ("Über Größe", "uber-groe"),
        ("видение", "project"),
        ("Personal", "project-personal"),
        ("personal-olga", "project-personal-olga"),
        ("__x", "x"),
        ("a" * 100, "a" * 50),
    ],
)
def test_slugs_come_from_names_and_never_look_like_a_personal_project(owner, name, slug):
    assert actions.create(name=name, by=owner).slug == slug


def test_equal_names_get_numbered_slugs_and_a_removed_projects_slug_is_free(owner):
    first, second = actions.create(name="Vision", by=owner), actions.create(name="Vision", by=owner)
    assert (first.slug, second.slug) == ("vision", "vision-2")
    actions.remove(project=first, by=owner)
    assert actions.create(name="Vision", by=owner).slug == "vision"


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_name_must_be_there_and_fit(owner, name):
    with pytest.raises(ValidationError):
        actions.create(name=name, by=owner)


def test_an_unproven_account_creates_no_projects(make_user):
    with pytest.raises(Refused) as refusal:
        actions.create(name="Mine", by=make_user("uma", verified=False))
    assert refusal.value.decision.code == "unverified"


def test_renaming_changes_the_name_and_never_the_address(project, owner):
    actions.rename(project=project, name="Sight", by=owner)
    project.refresh_from_db()
    assert (project.name, project.slug) == ("Sight", "vision")
    entry = AuditEntry.objects.get(action="project:set")
    assert (entry.before, entry.after) == ({"name": "Vision"}, {"name": "Sight"})


@pytest.mark.parametrize("who", ["collaborator", "stranger", "removed", "admin"])
def test_only_the_owner_renames_shares_and_removes(who, project, request):
    by = request.getfixturevalue(who)
    expected = Refused if who == "collaborator" else Http404
    before = entries(project)
    with pytest.raises(expected):
        actions.rename(project=project, name="Mine", by=by)
    with pytest.raises(expected):
        actions.remove(project=project, by=by)
    with pytest.raises(expected):
        actions.invite(project=project, email="new@example.com", levels=PRESETS["Full"], by=by)
    assert entries(project) == before
    assert Project.objects.present().filter(pk=project.pk, name="Vision").exists()


def test_a_personal_project_is_made_with_the_account_and_is_never_shared_renamed_or_removed(owner, stranger):
    personal = owner.owned_projects.get(personal=True)
    assert (personal.name, personal.slug) == ("Personal", "personal-olga")
    for act in (
        lambda by: actions.rename(project=personal, name="Mine", by=by),
        lambda by: actions.remove(project=personal, by=by),
        lambda by: actions.invite(project=personal, email="x@example.com", levels=PRESETS["Viewer"], by=by),
    ):
        with pytest.raises(Refused) as refusal:
            act(owner)
        assert refusal.value.decision.code == "personal"
        with pytest.raises(Http404):
            act(stranger)


def test_removing_refuses_while_jobs_are_unfinished(project, owner):
    job(project, owner)
    with pytest.raises(Impossible, match="not ended yet"):
        actions.remove(project=project, by=owner)
    project.refresh_from_db()
    assert project.removed_at is None


def test_a_removed_project_is_gone_for_all_at_once_and_its_invitations_with_it(project, owner, collaborator):
    offer = actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=owner)
    before = access.generation()
    actions.remove(project=project, by=owner)
    for user in (owner, collaborator):
        assert not access.allowed(user, "project:get", project)
        assert not Project.objects.visible_to(user).filter(pk=project.pk).exists()
    assert access.generation() > before
    offer.refresh_from_db()
    assert offer.revoked_at is not None


def test_removed_projects_are_deleted_later_but_for_their_audit_trail(project, owner, collaborator):
    actions.remove(project=project, by=owner)
    assert purge() == 0
    Project.objects.filter(pk=project.pk).update(removed_at=project.removed_at - 2 * KEPT)
    told = []

    def listen(sender, project, **_):
        told.append(project.pk)

    signals.project_purging.connect(listen)
    try:
        assert purge() == 1
    finally:
        signals.project_purging.disconnect(listen)
    assert told == [project.pk]
    assert not Project.objects.filter(pk=project.pk).exists()
    assert not ProjectUserPermission.objects.filter(user=collaborator).exists()
    assert ("project:rm", "olga") in entries(project)


def test_levels_are_exactly_what_was_set(project, owner, collaborator):
    member = Member.objects.get(user=collaborator)
    for levels in (
        {"job": "read", "dataset": "own", "model": "all", "volume": "none"},
        PRESETS["Full"],
        dict.fromkeys(KINDS, "none"),
        PRESETS["Teammate"],
    ):
        actions.set_levels(member=member, levels=levels, by=owner)
        assert levels_by_user(project) == {collaborator.pk: levels}
        assert access.allowed(collaborator, "project:get", project)


def test_changing_levels_raises_the_access_generation_and_is_recorded(project, owner, collaborator):
    before = access.generation()
    actions.set_levels(member=Member.objects.get(user=collaborator), levels=PRESETS["Viewer"], by=owner)
    assert access.generation() == before + 1
    entry = AuditEntry.objects.get(action="member:set")
    assert (entry.before, entry.after) == (PRESETS["Collaborator"], PRESETS["Viewer"])
    assert entry.details == {"user": "carl"}


@pytest.mark.parametrize(
    "levels", [{}, {"job": "all"}, dict.fromkeys(KINDS, "root"), dict.fromkeys((*KINDS, "key"), "all")]
)
def test_levels_that_do_not_exist_are_refused(project, owner, collaborator, levels):
    with pytest.raises(ValidationError):
        actions.set_levels(member=Member.objects.get(user=collaborator), levels=levels, by=owner)
    assert levels_by_user(project)[collaborator.pk] == PRESETS["Collaborator"]


def test_members_change_nobodys_levels(project, collaborator, viewer):
    with pytest.raises(Refused):
        actions.set_levels(member=Member.objects.get(user=viewer), levels=PRESETS["Full"], by=collaborator)
    with pytest.raises(Refused):
        actions.remove_member(member=Member.objects.get(user=viewer), by=collaborator)
    assert levels_by_user(project)[viewer.pk] == PRESETS["Viewer"]


def test_removing_a_member_takes_all_access_and_cancels_what_they_queued(project, owner, collaborator, viewer):
    theirs, mine = job(project, collaborator), job(project, owner)
    before = access.generation()
    actions.remove_member(member=Member.objects.get(user=collaborator), by=owner)
    assert not ProjectUserPermission.objects.filter(user=collaborator).exists()
    assert not access.allowed(collaborator, "job:get", theirs)
    assert access.generation() > before
    theirs.refresh_from_db()
    mine.refresh_from_db()
    assert (theirs.state, mine.state) == ("cancelled", "queued")
    assert access.allowed(viewer, "job:get", theirs)  # what they made stays, and so do the others


def test_a_member_who_was_removed_twice_was_removed_once(project, owner, collaborator):
    member = Member.objects.get(user=collaborator)
    actions.remove_member(member=member, by=owner)
    actions.remove_member(member=member, by=owner)
    assert entries(project).count(("member:rm", "olga")) == 1


def test_leaving(project, viewer):
    before = access.generation()
    actions.leave(project=project, by=viewer)
    assert not access.allowed(viewer, "project:get", project)
    assert access.generation() > before
    assert ("member:leave", "vera") in entries(project)


def test_the_owner_cannot_leave_and_a_stranger_learns_nothing(project, owner, stranger):
    with pytest.raises(Refused):
        actions.leave(project=project, by=owner)
    with pytest.raises(Http404):
        actions.leave(project=project, by=stranger)


def test_setting_permissions_costs_the_same_for_every_level(
    project, owner, collaborator, django_assert_max_num_queries
):
    from projects.members import set_permissions

    for preset in PRESETS.values():
        with django_assert_max_num_queries(5):
            set_permissions(project, collaborator, preset)


def test_nothing_is_left_half_done(project, owner, collaborator):
    def object_to_it(sender, **_):
        raise Impossible("no")

    may_hold_less.connect(object_to_it)
    try:
        with pytest.raises(Impossible):
            actions.remove_member(member=Member.objects.get(user=collaborator), by=owner)
    finally:
        may_hold_less.disconnect(object_to_it)
    assert Member.objects.filter(user=collaborator).exists()
    assert access.allowed(collaborator, "job:new", project)
    assert Invitation.objects.count() == 1
