"""Every operation, for everybody: one table of what is answered, and a walk over all operations to compare with it.

An operation without a row fails. Everybody asks with a token of theirs. Each GET is also made with writing refused.
"""

import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from access.models import RoleKey
from accounts import tokens
from accounts.models import PersonalToken
from mlteam.api import api
from tests.access.everybody import WHO, read
from tests.api.conftest import ROOT
from tests.conftest import no_writes

# Beside them: a full member of a project in this one; the owner's token that only reads; the key of a role that may everything.
COLUMNS = [*WHO, "child", "reads", "key"]

TABLE = """
                                                    anon inv  str  rem  none read own  oth  all  team own  adm  chld rd   key
GET    /health                                      200  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /installation                                401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /installation/roles                          401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /installation/roles                          401  403  403  403  403  403  403  403  403  403  403  201  403  403  403
GET    /jobs                                        401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
DELETE /jobs/{job}                                  401  404  404  404  404  403  409  403  409  409  409  404  404  403  409
GET    /jobs/{job}                                  401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log         401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
HEAD   /jobs/{job}/attempts/{int:index}/log         401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log/events  401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log/lines   401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log/search  401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/history                          401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /jobs/{job}/stop                             401  404  404  404  404  403  200  403  200  200  200  404  404  403  200
GET    /me                                          401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
PATCH  /me                                          401  200  200  200  200  200  200  200  200  200  200  200  200  403  403
GET    /me/tokens                                   401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
DELETE /me/tokens/current                           401  204  204  204  204  204  204  204  204  204  204  204  204  204  403
DELETE /me/tokens/{token}                           401  404  404  404  404  404  404  404  404  404  404  404  404  403  403
DELETE /policies/{policy}                           401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /policies/{policy}                           401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
GET    /projects                                    401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
POST   /projects                                    401  201  201  201  201  201  201  201  201  201  201  201  201  403  403
DELETE /projects/{project}                          401  404  404  404  403  403  403  403  403  403  409  404  404  403  403
GET    /projects/{project}                          401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
PATCH  /projects/{project}                          401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
POST   /projects/{project}/jobs                     401  404  404  404  403  403  201  201  201  201  201  404  404  403  201
POST   /projects/{project}/jobs/check               401  404  404  404  403  403  200  200  200  200  200  404  404  403  200
POST   /projects/{project}/jobs/with-files          401  404  404  404  403  403  201  201  201  201  201  404  404  403  201
GET    /projects/{project}/roles                    401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
POST   /projects/{project}/roles                    401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /roles/{role}                                401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /roles/{role}                                401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
GET    /roles/{role}/keys                           401  404  404  404  403  403  403  403  403  403  200  404  404  200  403
POST   /roles/{role}/keys                           401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /roles/{role}/keys/{key}                     401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /roles/{role}/members                        401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
POST   /roles/{role}/members                        401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /roles/{role}/members/{member}               401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /roles/{role}/policies                       401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
POST   /roles/{role}/policies                       401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
GET    /rules                                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /rules/allowed                               401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /rules/holders                               401  404  404  404  404  200  200  200  200  200  200  404  404  200  403
GET    /teams/{team}/policies                       401  403  403  403  403  403  403  403  403  200  200  403  403  200  403
POST   /teams/{team}/policies                       401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
GET    /teams/{team}/roles                          401  403  403  403  403  403  403  403  403  200  200  403  403  200  403
POST   /teams/{team}/roles                          401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
GET    /users                                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /users/{user}                                401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /users/{user}/policies                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /users/{user}/policies                       401  403  403  403  403  403  403  403  403  403  403  403  403  403  403
"""

# What is sent, so that the owner's is done. The names in braces are those of `known`.
SENT: dict[str, dict[str, object]] = {
    "PATCH /me": {"name": "New"},
    "POST /projects": {"name": "New"},
    "PATCH /projects/{project}": {"name": "New"},
    "POST /projects/{project}/roles": {"name": "New"},
    "POST /teams/{team}/roles": {"name": "New"},
    "POST /installation/roles": {"name": "New"},
    "POST /roles/{role}/policies": {"text": "job:get@{urn}:job:*"},
    "POST /teams/{team}/policies": {"text": "job:get@{urn}:job:*"},
    "POST /users/{user}/policies": {"text": "job:get@{urn}:job:*"},
    "POST /roles/{role}/members": {"user": "{stranger}"},
    "POST /roles/{role}/keys": {"name": "New"},
    "POST /projects/{project}/jobs": {"spec": {"name": "digits", "command": "true"}},
    "POST /projects/{project}/jobs/check": {"spec": {"name": "digits", "command": "true"}},
}

# The same for forms.
FORMS = {"POST /projects/{project}/jobs/with-files": {"spec": '{"name": "digits", "command": "true"}'}}

# Parameters without which an operation is not asked at all.
ASKED = {
    "GET /jobs/{job}/attempts/{int:index}/log/search": "?q=a",
    "GET /rules/allowed": "?action=job:get&urn={job_urn}",
    "DELETE /projects/{project}": "?confirm=Vision",
    "GET /rules/holders": "?action=job:get&urn={job_urn}",
}


def rows() -> dict[str, dict[str, str]]:
    """METHOD /path -> who -> what is answered."""
    parsed = [line.split() for line in TABLE.strip().splitlines()[1:]]
    return {f"{method} {path}": dict(zip(COLUMNS, answers, strict=True)) for method, path, *answers in parsed}


def operations() -> set[str]:
    """Every operation as METHOD /path."""
    return {
        f"{method} {path}"
        for router in api._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }


def test_every_operation_has_its_row_and_every_row_its_operation():
    assert set(rows()) == operations()
    assert set(SENT) | set(ASKED) <= operations()


@pytest.fixture
def asking(world) -> dict[str, str]:
    """Who -> the token that they send; the use of each was noted, so that no GET has to."""
    people = {**world["people"], "child": world["beside"]["member"]}
    made = {who: tokens.make(user=user, name=who, scope="all", days=1) for who, user in people.items() if user}
    made["reads"] = tokens.make(user=people["owner"], name="reads", scope="read", days=1)
    later = timezone.now() + timedelta(days=1)
    PersonalToken.objects.update(last_used_at=later)
    RoleKey.objects.update(last_used_at=later)
    return made | {"key": world["beside"]["key"]}


def known(world, who: str, path: str) -> dict[str, str]:
    """What stands for each name in braces: of a team where the operation is about one."""
    team, people = path.startswith("/teams"), world["people"]
    job = world["jobs"].get(who, world["jobs"]["other"])
    member = {"/roles": world["role_member"].user.pk, "/teams": people["team"].pk}.get(path[:6], people["read"].pk)
    return {
        "project": world["member"].project_id,
        "job": job.pk,
        "job_urn": job.urn,
        "team": world["team"].team_id,
        "user": people["team"].pk if team else people["read"].pk,
        "member": member,
        "role": world["role"].pk,
        "policy": world["policy"].pk,
        "key": world["key"].pk,
        "index": "0",
        "token": "guess",
        "invitation": world["team_offer" if team else "offer"].pk,
        "urn": world["member"].project.urn,
        "stranger": people["stranger"].pk,
    }


def filled(value: object, names: dict[str, str]) -> object:
    """What is sent, with names in braces replaced."""
    if isinstance(value, str):
        return re.sub(r"{(\w+)}", lambda found: names[found[1]], value)
    if isinstance(value, dict):
        return {name: filled(one, names) for name, one in value.items()}
    return value


def ask(world, asking, who: str, operation: str) -> str:
    """The status; nothing that was done is left."""
    method, path = operation.split()
    names = known(world, who, path)
    address = ROOT + str(filled(re.sub(r"{\w+:(\w+)}", r"{\1}", path) + ASKED.get(operation, ""), names))
    body = {"data": filled(SENT[operation], names), "content_type": "application/json"} if operation in SENT else {}
    body |= {"data": FORMS[operation]} if operation in FORMS else {}
    headers = {"Authorization": f"Bearer {asking[who]}"} if who in asking else {}
    with transaction.atomic():
        if method in {"GET", "HEAD"}:
            with no_writes():
                response = getattr(Client(), method.lower())(address, headers=headers)
        else:
            response = getattr(Client(), method.lower())(address, headers=headers, **body)
        if response.streaming and not path.endswith("/events"):  # which end when the job does
            read(response)
        transaction.set_rollback(True)
    return str(response.status_code)


@pytest.mark.slow
def test_every_answer_is_the_tables(world, asking):
    wrong = []
    for operation, expected in rows().items():
        for who in COLUMNS:
            answer = ask(world, asking, who, operation)
            if answer != expected[who]:
                wrong.append(f"{operation} for {who}: {answer}, not {expected[who]}")
    assert not wrong, "\n".join(wrong)
