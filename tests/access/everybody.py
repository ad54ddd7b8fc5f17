"""Everybody who could ask for something, and one of everything that they could ask for; for the tables of answers."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client
from django.utils import timezone

from access import roles
from accounts import tokens
from accounts.models import PersonalToken
from billing import ledger
from billing.models import BillingAccount, Budget, Charge, Credit
from compute.models import ComputeResource
from datastores import actions as datastores
from datastores.models import Import
from jobs import places
from jobs.models import Attempt, Job
from projects import actions, team_members, third_party
from projects.levels import KINDS, PRESETS
from projects.models import AuditEntry, Member, Project
from teams import actions as teams
from teams import joining
from tests.billing.conftest import price as price_of
from tests.datastores.pushing import begin, fill, manifest, push

# Columns. own: level own, on what they created; other: the same person on another's; team: a member by a team that has all.
WHO = ["anon", "invited", "stranger", "removed", "none", "read", "own", "other", "all", "team", "owner", "admin"]


@pytest.fixture
def world(db, owner, project, make_user, join):
    """Everybody in WHO, and one of everything that an address can name."""
    levels = {level: dict.fromkeys(KINDS, level) for level in ("none", "read", "own", "all")}
    people = {level: join(project, make_user(f"m-{level}"), chosen).user for level, chosen in levels.items()}
    people |= {"other": people["own"], "owner": owner, "anon": None}
    people |= {name: make_user(f"u-{name}") for name in ("invited", "stranger", "removed", "team")}
    people["admin"] = make_user("anna", admin=True)
    actions.remove_member(member=join(project, people["removed"], "Full"), by=owner)
    team = teams.create(name="Lab", by=owner)
    in_team = teams.add_user(team=team, user=people["team"], role="user", by=owner)
    offer = actions.invite(project=project, email=people["invited"].email, levels=PRESETS["Viewer"], by=owner)
    by_team = team_members.add(project=project, team=team, levels=levels["all"], by=owner)
    jobs = {
        who: job_of(project, people[creator]) for who, creator in (("own", "own"), ("other", "owner"), ("all", "own"))
    }
    return {
        "people": people,
        "sessions": {who: session_of(user) for who, user in people.items()},
        "jobs": {who: jobs.get(who, jobs["other"]) for who in WHO},
        "offer": offer,
        "member": Member.objects.get(user=people["read"]),
        "team": by_team,
        "in_team": in_team,
        "team_offer": joining.invite(team=team, email=people["invited"].email, role="user", by=owner),
        **_data(project, people),
        "rows": _billing(project, people["read"]) | _rows(project),
        **_roles(project, owner, make_user("u-role")),
        "beside": _beside(project, owner, make_user, join),
    }


def _data(project: Project, people: dict[str, Any]) -> dict[str, Any]:
    """A dataset of whom the level is about, one of the owner's, each with a version; a volume of each; and an upload of the owner's."""
    made = {
        who: datastores.create(project=project, kind="dataset", name=f"of {who}", by=people[who])
        for who in ("own", "owner")
    }
    volumes = {
        who: datastores.create(project=project, kind="volume", name=f"volume of {who}", by=people[who]) for who in made
    }
    for who, dataset in made.items():
        push(dataset, {"model.txt": b"weights"}, people[who])
        fill(volumes[who], {"model.txt": b"weights"}, people[who])
    upload = begin(made["owner"], manifest({"other.txt": b"weights"}), people["owner"]).upload
    of = {"own": "own", "all": "own"}
    failed = {
        who: Import.objects.create(
            datastore=dataset, address="https://example.org/a", state="failed", host="nowhere", created_by=people[who]
        )
        for who, dataset in made.items()
    }
    whose = {who: of.get(who, "owner") for who in WHO}
    return {
        "datastores": {who: made[whose[who]] for who in WHO},
        "volumes": {who: volumes[whose[who]] for who in WHO},
        "imports": {who: failed[whose[who]] for who in WHO},
        "upload": upload,
    }


def _roles(project: Project, owner, member) -> dict[str, object]:
    """A role with a policy, a member and a key."""
    role = roles.create(place=project, name="Operators", by=owner)
    return {
        "role": role,
        "policy": roles.add_policy(role=role, text=f"job:*@{project.urn}:job:*", by=owner),
        "role_member": roles.add_member(role=role, user=member, by=owner),
        "key": roles.add_key(role=role, name="ci", by=owner)[0],
    }


def _beside(project: Project, owner, make_user, join) -> dict[str, Any]:
    """What those come with who are answered as somebody of the table is: a session, a role's key, a personal token."""
    child = actions.create(name="Production", by=owner, parent=project)
    role = roles.create(place=project, name="Everything", by=owner)
    roles.add_policy(role=role, text=f"*@{project.urn}+{project.urn}:*", by=owner)
    key = roles.add_key(role=role, name="ci", by=owner)[1]
    token = tokens.make(user=owner, name="laptop", scope=PersonalToken.Scope.ALL, days=30)
    member = join(child, make_user("u-child"), "Full").user
    return {"child": session_of(member), "member": member, "key": key, "token": token}


def _billing(project: Project, member) -> dict[str, str]:
    """Things that cost, so that all there is about money shows; one row of each kind: the id of each."""
    price = price_of("cpu", "0.10")
    use = {"project": project, "member": member, "start": timezone.now() - timedelta(hours=3), "until": timezone.now()}
    names = {"source": "attempt", "source_id": "a", "subject_id": "j", "subject_name": "digits"}
    ledger.charge(ledger.Use(**names, **use, over=True, cpu_milli=1000))
    made = {
        "budget": Budget.objects.create(project=project, amount=1),
        "price": price,
        "credit": Credit.objects.create(payer="user:a", payer_name="a", amount=1, reason="a", by_id="a", by_name="a"),
        "billingaccount": BillingAccount.objects.create(name="Institute"),
        "charge": Charge.objects.first(),
    }
    return {name: str(row.pk) for name, row in made.items()}


def _rows(project: Project) -> dict[str, str]:
    """One of each kind that owners have in their admin site: the id of each."""
    made = {
        "project": project,
        "member": project.members.first(),
        "teammember": project.team_members.first(),
        "invitation": project.invitations.filter(accepted_at=None).first(),
        "thirdpartykey": third_party.add(
            project=project, kind="huggingface", name="hub", values={"token": "hf_0123456789"}, by=project.owner
        ),
        "auditentry": AuditEntry.objects.of(project).first(),
    }
    return {name: str(row.pk) for name, row in made.items()}


def job_of(project, by) -> Job:
    spec = {"name": "digits", "command": "true"}
    job = Job.objects.create(project=project, name="digits", created_by=by, spec=spec, state="running")
    host, _ = ComputeResource.objects.get_or_create(name="here", defaults={"cpu_milli": 4000, "memory_mib": 4096})
    Attempt.objects.create(job=job, index=0, resource=host, token_hash="", started_at=timezone.now())
    output = places.output_directory(job.id)
    output.mkdir(parents=True)
    (output / "model.txt").write_text("weights")
    return job


def session_of(user) -> str:
    client = Client()
    if user is None:
        return ""
    client.force_login(user, backend="accounts.backends.Backend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def read(response) -> None:
    """Reads a response that streams to its end."""
    async_to_sync(_read)(response)


async def _read(response) -> None:
    async for _ in response.streaming_content:
        pass
