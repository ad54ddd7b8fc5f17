"""Somebody with one of everything in a server of its own, for tests that ask over the network."""

import json

from django.utils import timezone

from access import roles
from accounts import actions as accounts
from accounts import tokens
from compute.models import ComputeResource
from datastores import actions as datastores
from datastores.models import Import
from jobs import logs, places
from jobs.models import Attempt, Job
from projects import actions, links, team_members, third_party
from projects.levels import PRESETS
from projects.models import Project
from teams import actions as teams
from teams import joining
from tests.billing.conftest import price
from tests.datastores.pushing import begin, fill, hash_of, manifest, push

LOG = b"epoch 1\nepoch 2\n\xff is no text\n"


def make() -> None:
    """Makes them, and prints tokens and ids as JSON: path parameter -> id."""
    olga, vera, stan = (
        accounts.create_account(
            email=f"{name}@example.com",
            username=name,
            password="a long enough password",
            verified=True,
            admin=name == "olga",
        )
        for name in ("olga", "vera", "u-stranger")
    )
    price("cpu", "0.10")
    project = actions.create(name="Vision", by=olga)
    team = teams.create(name="Lab", by=olga)
    teams.add_user(team=team, user=vera, role="user", by=olga)
    team_members.add(project=project, team=team, levels=PRESETS["Viewer"], by=olga)
    hers = actions.invite(project=project, email=vera.email, levels=PRESETS["Viewer"], by=olga)
    actions.accept(token=links.token_of(hers, links.EMAILED), by=vera)
    offer = actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=olga)
    role = roles.create(place=project, name="Everything", by=olga)
    policy = roles.add_policy(role=role, text=f"*@{project.urn}+{project.urn}:*", by=olga)
    roles.add_member(role=role, user=vera, by=olga)
    key, secret = roles.add_key(role=role, name="ci", by=olga)
    token = {"token": "hf_0123456789"}
    hub = third_party.add(project=project, kind="huggingface", name="hub", values=token, by=olga)
    dataset = datastores.create(project=project, kind="dataset", name="faces", by=olga)
    push(dataset, {"model.txt": b"weights"}, olga)
    volume = datastores.create(project=project, kind="volume", name="home", by=olga)
    fill(volume, {"model.txt": b"weights"}, olga)
    known = {
        "datastore": dataset.pk,
        "volume": volume.pk,
        "import_id": Import.objects.create(
            datastore=dataset, address="https://example.org/a", state="failed", host="nowhere", created_by=olga
        ).pk,
        "version": "1",
        "upload": begin(dataset, manifest({"other.txt": b"weights"}), olga).upload.pk,
        "sha256": hash_of(b"other"),
        "project": project.pk,
        "team": team.pk,
        "user": vera.pk,
        "member": vera.pk,
        "role": role.pk,
        "policy": policy.pk,
        "key": key.pk,
        "third_party_key": hub.pk,
        "job": job(project, olga).pk,
        "index": 0,
        "path": "model.txt",
        "whose": "project",
        "urn": project.urn,
        "stranger": stan.pk,
        "other_team": teams.create(name="Others", by=olga).pk,
        "invitation": offer.pk,
        "team_invitation": joining.invite(team=team, email="new@example.com", role="user", by=olga).pk,
    }
    asking = {"owner": tokens.make(user=olga, name="t", scope="all", days=1), "role": secret}
    print(json.dumps({"tokens": asking, "known": known}))


def job(project: Project, by: object) -> Job:
    """One that has ended, with a log and a file."""
    spec = {"name": "digits", "command": "true"}
    made = Job.objects.create(
        project=project, name="digits", created_by=by, spec=spec, state="succeeded", ended_at=timezone.now()
    )
    host, _ = ComputeResource.objects.get_or_create(name="here", defaults={"cpu_milli": 4000, "memory_mib": 4096})
    Attempt.objects.create(
        job=made, index=0, resource=host, token_hash="", started_at=timezone.now(), ended_at=timezone.now()
    )
    logs.append(logs.path_of(made.id, 0), 0, LOG)
    output = places.output_directory(made.id)
    output.mkdir(parents=True)
    (output / "model.txt").write_text("weights")
    return made
