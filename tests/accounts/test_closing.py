"""Changing the address, and deleting an account."""

import re
from datetime import timedelta

import pytest
from django.core import mail as sent
from django.test import Client
from django.utils import timezone

import access
from access import keys, policies, roles
from accounts import actions, bearer, mail, tasks
from accounts.models import OutgoingEmail, User
from jobs.models import Job
from projects import actions as projects
from projects import ownership, purging, team_members
from projects.levels import PRESETS
from projects.models import AuditEntry, Invitation, Member, Project
from teams import actions as teams
from tests.accounts.hands import CONFIRM, add_app, confirm, is_in, sign_in

EMAIL, CLOSE = "/accounts/email/", "/profile/delete/"


@pytest.fixture
def signed_in(client, owner):
    sign_in(client, owner)
    confirm(client)
    OutgoingEmail.objects.all().delete()
    return client


def ask_for(client, address):
    return client.post(EMAIL, {"email": address, "action_add": "1"})


def links():
    mail.send_waiting()
    return [re.search(r"http://localhost:8000(\S+)", message.body)[1] for message in sent.outbox]


# The address


def test_a_new_address_counts_once_its_link_was_followed_and_the_old_one_is_told(signed_in, owner):
    ask_for(signed_in, "Olga@New.example")
    owner.refresh_from_db()
    assert owner.email == "olga@example.com"
    (email,) = OutgoingEmail.objects.all()
    assert email.to == "olga@new.example"
    (link,) = links()
    signed_in.post(link)
    owner.refresh_from_db()
    assert (owner.email, owner.verified) == ("olga@new.example", True)
    assert sorted((email.to, email.subject) for email in OutgoingEmail.objects.all()) == [
        ("olga@example.com", "The address of your account was changed")
    ]
    assert sign_in(Client(), owner)["Location"] == "/"


def test_with_a_second_step_too(client, owner, clock):
    _, codes = add_app(owner, clock)
    sign_in(client, owner)
    client.post("/accounts/second-step/", {"code": codes[0]})
    confirm(client)
    ask_for(client, "olga@new.example")
    client.post(links()[-1])
    owner.refresh_from_db()
    assert owner.email == "olga@new.example"


def test_an_open_browser_alone_does_not_change_it(as_user, owner):
    client = as_user(owner)
    assert ask_for(client, "eve@example.com")["Location"].startswith(CONFIRM)
    assert not OutgoingEmail.objects.exists()
    answer = client.post(f"{CONFIRM}?next={EMAIL}", {"password": "wrong", "next": EMAIL})
    assert answer.context["form"].errors
    assert not OutgoingEmail.objects.exists()


def test_an_address_of_another_account_is_answered_the_same_and_cannot_be_had(signed_in, owner, stranger):
    known, unknown = ask_for(signed_in, stranger.email), ask_for(signed_in, "nobody@example.com")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    ask_for(signed_in, stranger.email)
    for link in links():
        signed_in.post(link)
    stranger.refresh_from_db()
    owner.refresh_from_db()
    assert stranger.email == "stan@example.com"
    assert owner.email != stranger.email


def test_an_address_of_an_account_that_has_not_proven_it_cannot_be_had_either(signed_in, owner, make_user):
    make_user("uma", verified=False)
    ask_for(signed_in, "uma@example.com")
    for link in links():
        signed_in.post(link)
    owner.refresh_from_db()
    assert owner.email == "olga@example.com"
    assert owner.verified


# Deleting the account


def test_a_deleted_account_is_gone(signed_in, owner, as_user):
    other = as_user(owner)
    add = projects.create(name="Alone", by=owner)
    before = access.generation()
    page = signed_in.post(CLOSE, {"confirm": "olga"})
    assert page["Location"] == "/accounts/login/"
    owner.refresh_from_db()
    assert (owner.is_active, owner.shown) == (False, "removed account")
    assert not User.objects.filter(email="olga@example.com").exists()
    assert access.generation() > before
    assert not Project.objects.present().filter(owner=owner).exists()
    assert not is_in(signed_in)
    assert not is_in(other)
    assert "form" in sign_in(Client(), User(email="olga@example.com")).context
    assert [email.to for email in OutgoingEmail.objects.all()] == ["olga@example.com"]
    assert AuditEntry.objects.filter(project_id=add.pk, action="project:rm", by_name="olga").exists()


def test_nothing_of_it_is_left_when_its_projects_have_gone(signed_in, owner):
    signed_in.post(CLOSE, {"confirm": "olga"})
    tasks.forget_closed()
    assert User.objects.filter(pk=owner.pk).exists()
    Project.objects.update(removed_at=timezone.now() - timedelta(days=1))
    purging.purge()
    tasks.forget_closed()
    assert not User.objects.filter(pk=owner.pk).exists()
    assert AuditEntry.objects.filter(by_name="olga").exists()


def test_the_address_and_the_username_are_free_again(signed_in, owner, make_user):
    signed_in.post(CLOSE, {"confirm": "olga"})
    again = make_user("olga")
    assert again.pk != owner.pk
    assert again.owned_projects.get().slug == "personal-olga"


@pytest.mark.parametrize("typed", ["", "Olga", "ada", "olga@example.com"])
def test_the_username_is_typed_to_confirm(signed_in, owner, typed):
    assert signed_in.post(CLOSE, {"confirm": typed}).context["form"].errors
    owner.refresh_from_db()
    assert owner.is_active


def test_an_open_browser_alone_does_not_delete_it(as_user, owner):
    client = as_user(owner)
    for answer in (client.get(CLOSE), client.post(CLOSE, {"confirm": "olga"})):
        assert answer["Location"].startswith(CONFIRM)
    owner.refresh_from_db()
    assert owner.is_active


def test_shared_projects_must_go_first_and_are_named(signed_in, owner, project, viewer):
    assert "You own Vision, which others share" in signed_in.get(CLOSE).content.decode()
    assert signed_in.post(CLOSE, {"confirm": "olga"}).context["reasons"]
    owner.refresh_from_db()
    assert owner.is_active
    projects.remove_member(member=Member.objects.get(user=viewer), by=owner)
    assert signed_in.post(CLOSE, {"confirm": "olga"}).status_code == 302


def test_unfinished_jobs_must_end_first(signed_in, owner):
    personal = owner.owned_projects.get()
    job = Job.objects.create(project=personal, name="job", created_by=owner, spec={})
    assert "1 job in Personal must end first" in signed_in.get(CLOSE).content.decode()
    with pytest.raises(actions.Objection):
        actions.close(user=owner)
    Job.objects.filter(pk=job.pk).update(state="succeeded", ended_at=timezone.now())
    actions.close(user=owner)


def test_memberships_and_invitations_end_and_queued_jobs_are_cancelled(owner, project, collaborator, join):
    job = Job.objects.create(project=project, name="job", created_by=collaborator, spec={})
    other = projects.create(name="Other", by=owner)
    offer = projects.invite(project=other, email="carl@example.com", levels=PRESETS["Viewer"], by=owner)
    actions.close(user=collaborator)
    assert not Member.objects.filter(user=collaborator).exists()
    job.refresh_from_db()
    assert job.state in {"cancelled", "cancelling"}
    assert Invitation.objects.get(pk=offer.pk).revoked_at
    assert not access.allowed(collaborator, "job:get", project)


def test_the_second_step_goes_with_the_account(owner, clock):
    add_app(owner, clock)
    actions.close(user=owner)
    assert not owner.authenticator_set.exists()
    assert not owner.emailaddress_set.exists()


def test_a_team_that_others_are_in_keeps_an_owner(signed_in, owner, stranger, make_user):
    team, alone = teams.create(name="Lab", by=owner), teams.create(name="Alone", by=owner)
    teams.add_user(team=team, user=stranger, role="user", by=owner)
    assert "You are the only owner of the team Lab" in signed_in.get(CLOSE).content.decode()
    assert "Alone" not in signed_in.get(CLOSE).content.decode()
    with pytest.raises(actions.Objection):
        actions.close(user=owner)
    teams.add_user(team=team, user=make_user("nora"), role="owner", by=owner)
    actions.close(user=owner)
    assert not owner.team_roles.exists()
    assert not owner.groups.exists()
    assert not type(alone).objects.filter(pk=alone.pk).exists()


def test_a_project_that_a_team_has_is_shared(owner, stranger):
    project = projects.create(name="Vision", by=owner)
    team = teams.create(name="Lab", by=stranger)
    team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    with pytest.raises(actions.Objection, match="Vision, which others share"):
        actions.close(user=owner)


def test_a_place_by_a_team_ends_too(owner, project, stranger):
    team = teams.create(name="Lab", by=owner)
    teams.add_user(team=team, user=stranger, role="user", by=owner)
    team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=owner)
    assert access.allowed(stranger, "job:get", project)
    actions.close(user=stranger)
    assert not access.allowed(stranger, "job:get", project)


def test_an_offer_to_own_a_project_ends_too(owner, project, viewer):
    ownership.offer(member=Member.objects.get(user=viewer), by=owner)
    actions.close(user=viewer)
    project.refresh_from_db()
    assert project.offered_to is None


def test_somebody_stays_who_runs_the_installation(admin, make_user):
    with pytest.raises(actions.Objection, match="only admin"):
        actions.close(user=admin)
    make_user("nora", admin=True)
    actions.close(user=admin)


def test_the_trail_of_it_stays(owner, project, collaborator):
    actions.close(user=collaborator)
    Project.objects.filter(owner=collaborator).update(removed_at=timezone.now() - timedelta(days=1))
    purging.purge()
    tasks.forget_closed()
    assert not User.objects.filter(pk=collaborator.pk).exists()
    assert AuditEntry.objects.filter(action="member:leave", by_name="carl").exists()


def test_projects_in_projects_go_with_them_and_shared_ones_hold_them(owner, stranger, join):
    top = projects.create(name="Top", by=owner)
    inner = projects.create(name="Inner", by=owner, parent=top)
    member = join(inner, stranger, "Viewer")
    with pytest.raises(actions.Objection, match="You own Inner, which others share"):
        actions.close(user=owner)
    projects.remove_member(member=member, by=owner)
    actions.close(user=owner)
    assert not Project.objects.present().filter(pk__in=[top.pk, inner.pk]).exists()


def test_roles_and_policies_end_and_so_does_what_was_granted(owner, project, stranger, viewer):
    for text in (f"project:get+project:share@{project.urn}", f"job:get@{project.urn}:job:*"):
        policies.attach(text=text, by=owner, user=stranger)
    policies.attach(text=f"job:get@{project.urn}:job:*", by=stranger, user=viewer)
    role = roles.create(place=project, name="reader", by=owner)
    roles.add_policy(role=role, text=f"job:get@{project.urn}:job:*", by=owner)
    roles.add_member(role=role, user=stranger, by=owner)
    token = bearer.new(keys.PREFIX)
    role.keys.create(name="ci", digest=bearer.digest(token), created_by=stranger)
    assert keys.holder_of(token)
    actions.close(user=stranger)
    assert not access.allowed(stranger, "job:get", project)
    assert not policies.Policy.objects.filter(granted_by=stranger).exists()
    assert not stranger.policies.exists()
    assert not stranger.roles.exists()
    assert keys.holder_of(token) is None
    assert AuditEntry.objects.filter(project_id=project.pk, action="role:key:rm", by_name="stan").exists()
