"""A project changes hands, and what somebody might try with an offer."""

import pytest
from django.core import mail as sent
from django.http import Http404

import access
from access import Refused
from accounts import mail
from projects import actions, ownership
from projects.errors import Impossible
from projects.levels import PRESETS
from projects.members import levels_by_user
from projects.models import AuditEntry, Member, Project
from tests.access.world import job
from tests.at_once import together


@pytest.fixture
def member(project, viewer):
    return Member.objects.get(user=viewer)


@pytest.fixture
def offered(member, owner, project):
    """The project is offered to the viewer."""
    ownership.offer(member=member, by=owner)
    project.refresh_from_db()
    return project


@pytest.fixture
def child(project, owner):
    return actions.create(name="Production", by=owner, parent=project)


def test_what_is_in_a_project_goes_with_it(project, child, offered, owner, viewer, join):
    join(child, viewer, "Teammate")
    deeper = actions.create(name="Canary", by=owner, parent=child)
    ownership.accept(project=offered, by=viewer)
    assert set(Project.objects.filter(personal=False).values_list("owner__username", flat=True)) == {"vera"}
    for one in (child, deeper):
        one.refresh_from_db()
        assert access.allowed(viewer, "project:rm", one)
        assert access.allowed(owner, "job:new", one).reason.startswith("allowed by membership of Vision")
        assert not access.allowed(owner, "project:set", one)
    assert not Member.objects.filter(project=child, user=viewer).exists()


def test_what_is_in_a_project_is_not_handed_over_without_it(child, owner, viewer, join):
    with pytest.raises(Refused, match="hand that one over"):
        ownership.offer(member=join(child, viewer, "Full"), by=owner)


def written():
    return list(AuditEntry.objects.filter(action__startswith="owner:").order_by("id").values_list("action", "by_name"))


def test_an_offer_alone_changes_nothing(offered, owner, viewer):
    assert (offered.owner, offered.offered_to) == (owner, viewer)
    assert not access.allowed(viewer, "project:share", offered)
    assert levels_by_user(offered)[viewer.pk] == PRESETS["Viewer"]


def test_who_accepts_is_the_owner_and_the_former_one_a_member_with_full(offered, owner, viewer):
    before = access.generation()
    ownership.accept(project=offered, by=viewer)
    offered.refresh_from_db()
    assert (offered.owner, offered.offered_to) == (viewer, None)
    assert levels_by_user(offered) == {owner.pk: PRESETS["Full"]}
    assert list(Member.objects.filter(project=offered).values_list("user", "invited_by")) == [(owner.pk, viewer.pk)]
    assert access.allowed(viewer, "project:rm", offered)
    assert not access.allowed(owner, "project:share", offered)
    assert access.generation() > before


def test_jobs_of_both_go_on(offered, owner, viewer):
    theirs, ours = job(offered, viewer), job(offered, owner)
    ownership.accept(project=offered, by=viewer)
    for one in (theirs, ours):
        one.refresh_from_db()
        assert one.state == "queued"


def test_declined_or_taken_back_it_can_no_longer_be_accepted(member, offered, owner, viewer):
    ownership.decline(project=offered, by=viewer)
    with pytest.raises(Impossible):
        ownership.accept(project=offered, by=viewer)
    ownership.offer(member=member, by=owner)
    ownership.withdraw(project=offered, by=owner)
    for answer in (ownership.accept, ownership.decline):
        with pytest.raises(Impossible):
            answer(project=offered, by=viewer)
    with pytest.raises(Impossible):
        ownership.withdraw(project=offered, by=owner)
    offered.refresh_from_db()
    assert offered.owner == owner


def test_only_the_one_to_whom_it_is_offered_accepts(offered, collaborator, owner, stranger, removed):
    for by, expected in ((collaborator, Impossible), (owner, Impossible), (stranger, Http404), (removed, Http404)):
        with pytest.raises(expected):
            ownership.accept(project=offered, by=by)
        with pytest.raises(expected):
            ownership.decline(project=offered, by=by)


def test_only_the_owner_offers_and_takes_back(member, offered, collaborator, viewer, stranger):
    for by, expected in ((collaborator, Refused), (viewer, Refused), (stranger, Http404)):
        with pytest.raises(expected):
            ownership.offer(member=member, by=by)
        with pytest.raises(expected):
            ownership.withdraw(project=offered, by=by)


def test_another_offer_makes_the_first_void(offered, owner, viewer, collaborator):
    ownership.offer(member=Member.objects.get(user=collaborator), by=owner)
    with pytest.raises(Impossible):
        ownership.accept(project=offered, by=viewer)
    ownership.accept(project=offered, by=collaborator)
    assert Project.objects.get(pk=offered.pk).owner == collaborator


def test_a_removed_members_offer_is_void_even_if_they_come_back(offered, owner, viewer, join, member):
    actions.remove_member(member=member, by=owner)
    with pytest.raises(Http404):
        ownership.accept(project=offered, by=viewer)
    join(offered, viewer, "Viewer")
    with pytest.raises(Impossible):
        ownership.accept(project=offered, by=viewer)
    with pytest.raises(Impossible):
        ownership.offer(member=member, by=owner)  # a page that still shows the old membership


def test_so_is_that_of_a_member_who_left(offered, owner, viewer, join):
    actions.leave(project=offered, by=viewer)
    offered.refresh_from_db()
    assert offered.offered_to is None
    join(offered, viewer, "Viewer")
    with pytest.raises(Impossible):
        ownership.accept(project=offered, by=viewer)


def test_and_that_of_a_removed_project(offered, owner, viewer):
    actions.remove(project=offered, by=owner)
    with pytest.raises(Http404):
        ownership.accept(project=offered, by=viewer)
    offered.refresh_from_db()
    assert (offered.owner, offered.offered_to) == (owner, None)


def test_a_personal_project_is_not_handed_over(owner):
    personal = owner.owned_projects.get(personal=True)
    with pytest.raises(Refused) as refusal:
        ownership.withdraw(project=personal, by=owner)
    assert refusal.value.decision.code == "personal"
    with pytest.raises(Refused):
        ownership.offer(member=Member(project=personal, user=owner), by=owner)


def test_who_has_not_proven_their_address_owns_nothing(project, owner, make_user, join):
    user = make_user("uma")
    member = join(project, user, "Viewer")
    ownership.offer(member=member, by=owner)
    user.emailaddress_set.update(verified=False)
    with pytest.raises(Refused) as refusal:
        ownership.accept(project=project, by=user)
    assert refusal.value.decision.code == "unverified"
    with pytest.raises(Impossible):
        ownership.offer(member=member, by=owner)


def test_an_account_that_goes_takes_its_offer_with_it(offered, viewer):
    viewer.owned_projects.all().delete()
    viewer.delete()
    offered.refresh_from_db()
    assert offered.offered_to is None


def test_each_step_is_in_the_audit_trail(member, offered, owner, viewer):
    ownership.withdraw(project=offered, by=owner)
    ownership.offer(member=member, by=owner)
    ownership.decline(project=offered, by=viewer)
    ownership.offer(member=member, by=owner)
    ownership.accept(project=offered, by=viewer)
    steps = ["offer", "withdraw", "offer", "decline", "offer", "accept"]
    assert [action.removeprefix("owner:") for action, _ in written()] == steps
    entry = AuditEntry.objects.first()
    assert (entry.by_name, entry.before, entry.after) == ("vera", {"owner": "olga"}, {"owner": "vera"})


def test_those_whom_it_concerns_get_an_email(offered, owner, viewer):
    ownership.accept(project=offered, by=viewer)
    mail.send_waiting()
    subjects = [(email.to[0], email.subject) for email in sent.outbox][-3:]
    assert set(subjects) == {
        ("vera@example.com", "Olga Owner offers you the project Vision"),
        ("olga@example.com", "vera owns Vision now"),
        ("vera@example.com", "You own Vision now"),
    }


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_does(make_user, join):
    owner, user = make_user("olga"), make_user("vera")
    project = actions.create(name="Vision", by=owner)
    ownership.offer(member=join(project, user), by=owner)
    results = together(*[lambda: ownership.accept(project=project, by=user)] * 3)
    assert sorted(results) == ["Impossible", "Impossible", "done"]
    assert Member.objects.filter(project=project).count() == 1
    assert written().count(("owner:accept", "vera")) == 1


@pytest.mark.django_db(transaction=True)
def test_of_accepting_and_taking_back_at_once_one_counts(make_user, join):
    owner, user = make_user("olga"), make_user("vera")
    project = actions.create(name="Vision", by=owner)
    ownership.offer(member=join(project, user), by=owner)
    accepted, withdrawn = together(
        lambda: ownership.accept(project=project, by=user), lambda: ownership.withdraw(project=project, by=owner)
    )
    assert [accepted, withdrawn].count("done") == 1
    assert Project.objects.get(pk=project.pk).owner == (user if accepted == "done" else owner)


@pytest.mark.django_db(transaction=True)
def test_an_offer_and_the_removal_of_its_member_at_once_leave_no_offer(make_user, join):
    owner, user = make_user("olga"), make_user("vera")
    project = actions.create(name="Vision", by=owner)
    member = join(project, user)
    together(lambda: ownership.offer(member=member, by=owner), lambda: actions.remove_member(member=member, by=owner))
    assert Project.objects.get(pk=project.pk).offered_to is None


# ---- the pages


def test_the_whole_way_through_the_pages(as_user, project, owner, viewer, member):
    mine, theirs = as_user(owner), as_user(viewer)
    path = f"/p/vision/members/{member.pk}/offer"
    assert "Offer Vision to vera?" in mine.get(path).content.decode()
    mine.post(path)
    assert "You offer this project to" in mine.get("/p/vision/members").content.decode()
    assert "You offer this project to" in mine.get("/p/vision/settings").content.decode()
    assert "asks you to take over" in theirs.get("/p/vision/members").content.decode()
    assert "Take over Vision?" in theirs.get("/p/vision/ownership").content.decode()
    assert "No offer for you" in mine.get("/p/vision/ownership").content.decode()
    theirs.post("/p/vision/ownership/accept")
    assert theirs.get("/p/vision/audit").status_code == 200
    assert mine.get("/p/vision/audit").status_code == 403
    assert mine.get("/p/vision/jobs").status_code == 200


def test_members_do_not_see_offers_to_others(as_user, offered, collaborator):
    page = as_user(collaborator).get("/p/vision/members").content.decode()
    assert "offer this project" not in page
    assert "asks you" not in page
    assert "asked to take over" not in page


def test_a_member_of_another_project_is_offered_nothing_through_ones_own(as_user, owner, project, make_user, join):
    other = join(actions.create(name="Theirs", by=make_user("otto")), make_user("mia"))
    assert as_user(owner).post(f"/p/vision/members/{other.pk}/offer").status_code == 404
