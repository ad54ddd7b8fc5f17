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
from projects import links as project_links
from teams import actions as teams
from teams import links as team_links
from tests.access.everybody import WHO, read
from tests.api.conftest import ROOT
from tests.conftest import no_writes

# Beside them: a full member of a project in this one; the owner's token that only reads; the key of a role that may everything.
COLUMNS = [*WHO, "child", "reads", "key"]

TABLE = """
                                                           anon inv  str  rem  none read own  oth  all  team own  adm  chld rd   key
GET    /compute                                            401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /datastores                                         401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
DELETE /datastores/{datastore}                             401  404  404  404  404  403  204  403  204  204  204  404  404  403  204
GET    /datastores/{datastore}                             401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
PATCH  /datastores/{datastore}                             401  404  404  404  404  403  200  403  200  200  200  404  404  403  200
GET    /datastores/{datastore}/archive                     401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/compare                     401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
DELETE /datastores/{datastore}/content                     401  404  404  404  404  403  409  403  409  409  409  404  404  403  409
GET    /datastores/{datastore}/content                     401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/files/{path:path}           401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
HEAD   /datastores/{datastore}/files/{path:path}           401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /datastores/{datastore}/folders                     401  404  404  404  404  403  201  403  201  201  201  404  404  403  201
GET    /datastores/{datastore}/listing                     401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /datastores/{datastore}/pack                        401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/users                       401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/imports                     401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /datastores/{datastore}/imports                     401  404  404  404  404  403  201  403  201  201  201  404  404  403  201
GET    /datastores/{datastore}/versions                    401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/versions/{version}          401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/versions/{version}/archive  401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/versions/{version}/content  401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /datastores/{datastore}/versions/{version}/doubts   401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/versions/{version}/files/{path:path} 401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
HEAD   /datastores/{datastore}/versions/{version}/files/{path:path} 401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /datastores/{datastore}/versions/{version}/manifest 401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /datastores/{datastore}/versions/{version}/pack     401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /health                                             200  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /imports/{import_id}                                401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /imports/{import_id}/again                          401  404  404  404  404  403  200  403  200  200  200  404  404  403  200
POST   /imports/{import_id}/stop                           401  404  404  404  404  403  200  403  200  200  200  404  404  403  200
GET    /installation                                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /installation/roles                                 401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /installation/roles                                 401  403  403  403  403  403  403  403  403  403  403  201  403  403  403
POST   /invitations/accept                                 401  200  403  403  403  403  403  403  403  403  403  403  403  403  403
GET    /jobs                                               401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
DELETE /jobs/{job}                                         401  404  404  404  404  403  409  403  409  409  409  404  404  403  409
GET    /jobs/{job}                                         401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/artifacts                               401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/artifacts.zip                           401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/artifacts/files/{path:path}             401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
HEAD   /jobs/{job}/artifacts/files/{path:path}             401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log                401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
HEAD   /jobs/{job}/attempts/{int:index}/log                401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log/events         401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log/lines          401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/attempts/{int:index}/log/search         401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /jobs/{job}/history                                 401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
POST   /jobs/{job}/stop                                    401  404  404  404  404  403  200  403  200  200  200  404  404  403  200
POST   /jobs/{job}/store                                   401  404  404  404  404  403  409  403  409  409  409  404  404  403  409
GET    /jobs/{job}/verify                                  401  404  404  404  404  200  200  200  200  200  200  404  404  200  200
GET    /key-types                                          401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /me                                                 401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
PATCH  /me                                                 401  200  200  200  200  200  200  200  200  200  200  200  200  403  403
GET    /me/balance                                         401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /me/tokens                                          401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
DELETE /me/tokens/current                                  401  204  204  204  204  204  204  204  204  204  204  204  204  204  403
DELETE /me/tokens/{token}                                  401  404  404  404  404  404  404  404  404  404  404  404  404  403  403
GET    /me/usage                                           401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /me/usage.csv                                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
DELETE /policies/{policy}                                  401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /policies/{policy}                                  401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
GET    /projects                                           401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
POST   /projects                                           401  201  201  201  201  201  201  201  201  201  201  201  201  403  403
DELETE /projects/{project}                                 401  404  404  404  403  403  403  403  403  403  409  404  404  403  403
GET    /projects/{project}                                 401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
PATCH  /projects/{project}                                 401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
GET    /projects/{project}/audit                           401  404  404  404  403  403  403  403  403  403  200  404  404  200  200
GET    /projects/{project}/audit.jsonl                     401  404  404  404  403  403  403  403  403  403  200  404  404  200  200
GET    /projects/{project}/budgets                         401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
DELETE /projects/{project}/budgets/{whose}                 401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /projects/{project}/budgets/{whose}                 401  404  404  404  403  403  403  403  403  403  200  404  404  200  200
PUT    /projects/{project}/budgets/{whose}                 401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
GET    /projects/{project}/charges                         401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
GET    /projects/{project}/invitations                     401  404  404  404  403  403  403  403  403  403  200  404  404  200  200
POST   /projects/{project}/invitations                     401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /projects/{project}/invitations/{invitation}        401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /projects/{project}/invitations/{invitation}        401  404  404  404  403  403  403  403  403  403  200  404  404  200  200
POST   /projects/{project}/invitations/{invitation}/send   401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
POST   /projects/{project}/jobs                            401  404  404  404  403  403  201  201  201  201  201  404  404  403  201
POST   /projects/{project}/jobs/check                      401  404  404  404  403  403  200  200  200  200  200  404  404  403  200
POST   /projects/{project}/jobs/with-files                 401  404  404  404  403  403  201  201  201  201  201  404  404  403  201
POST   /projects/{project}/leave                           401  404  404  404  204  204  204  204  204  403  403  404  404  403  403
GET    /projects/{project}/members                         401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
DELETE /projects/{project}/members/{user}                  401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /projects/{project}/members/{user}                  401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
PATCH  /projects/{project}/members/{user}                  401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
DELETE /projects/{project}/offer                           401  404  404  404  403  403  403  403  403  403  409  404  404  403  403
GET    /projects/{project}/offer                           401  404  404  404  404  404  404  404  404  404  404  404  404  404  404
POST   /projects/{project}/offer                           401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
POST   /projects/{project}/offer/accept                    401  404  404  404  409  409  409  409  409  409  409  404  404  403  403
POST   /projects/{project}/offer/decline                   401  404  404  404  409  409  409  409  409  409  409  404  404  403  403
POST   /projects/{project}/datastores                      401  404  404  404  403  403  201  201  201  201  201  404  404  403  201
GET    /projects/{project}/keys                            401  404  404  404  403  403  200  200  200  200  200  404  404  200  200
POST   /projects/{project}/keys                            401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /projects/{project}/keys/{third_party_key}          401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /projects/{project}/keys/{third_party_key}          401  404  404  404  403  403  200  200  200  200  200  404  404  200  200
PUT    /projects/{project}/keys/{third_party_key}          401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
POST   /projects/{project}/keys/{third_party_key}/test     401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
GET    /projects/{project}/roles                           401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
POST   /projects/{project}/roles                           401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
GET    /projects/{project}/teams                           401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
POST   /projects/{project}/teams                           401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /projects/{project}/teams/{team}                    401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /projects/{project}/teams/{team}                    401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
PATCH  /projects/{project}/teams/{team}                    401  404  404  404  403  403  403  403  403  403  200  404  404  403  403
GET    /projects/{project}/usage                           401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
GET    /projects/{project}/usage.csv                       401  404  404  404  200  200  200  200  200  200  200  404  404  200  200
GET    /roles/admin/members                                401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /roles/admin/members                                401  403  403  403  403  403  403  403  403  403  403  201  403  403  403
DELETE /roles/admin/members/{member}                       401  403  403  403  403  403  403  403  403  403  403  404  403  403  403
GET    /roles/user/members                                 401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
DELETE /roles/{role}                                       401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /roles/{role}                                       401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
GET    /roles/{role}/keys                                  401  404  404  404  403  403  403  403  403  403  200  404  404  200  403
POST   /roles/{role}/keys                                  401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /roles/{role}/keys/{key}                            401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /roles/{role}/members                               401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
POST   /roles/{role}/members                               401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
DELETE /roles/{role}/members/{member}                      401  404  404  404  403  403  403  403  403  403  204  404  404  403  403
GET    /roles/{role}/policies                              401  404  404  404  200  200  200  200  200  200  200  404  404  200  403
POST   /roles/{role}/policies                              401  404  404  404  403  403  403  403  403  403  201  404  404  403  403
GET    /rules                                              401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /rules/allowed                                      401  200  200  200  200  200  200  200  200  200  200  200  200  200  200
GET    /rules/holders                                      401  404  404  404  404  200  200  200  200  200  200  404  404  200  403
POST   /team-invitations/accept                            401  200  403  403  403  403  403  403  403  403  403  403  403  403  403
GET    /teams                                              401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /teams                                              401  201  201  201  201  201  201  201  201  201  201  201  201  403  403
DELETE /teams/{team}                                       401  403  403  403  403  403  403  403  403  403  204  403  403  403  403
GET    /teams/{team}                                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
PATCH  /teams/{team}                                       401  403  403  403  403  403  403  403  403  403  200  403  403  403  403
GET    /teams/{team}/invitations                           401  403  403  403  403  403  403  403  403  403  200  403  403  200  403
POST   /teams/{team}/invitations                           401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
DELETE /teams/{team}/invitations/{invitation}              401  403  403  403  403  403  403  403  403  403  204  403  403  403  403
GET    /teams/{team}/invitations/{invitation}              401  403  403  403  403  403  403  403  403  403  200  403  403  200  403
POST   /teams/{team}/invitations/{invitation}/send         401  403  403  403  403  403  403  403  403  403  200  403  403  403  403
POST   /teams/{team}/leave                                 401  404  404  404  404  404  404  404  404  204  409  404  404  403  403
GET    /teams/{team}/members                               401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /teams/{team}/members                               401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
DELETE /teams/{team}/members/{user}                        401  403  403  403  403  403  403  403  403  204  204  403  403  403  403
GET    /teams/{team}/members/{user}                        401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
PATCH  /teams/{team}/members/{user}                        401  403  403  403  403  403  403  403  403  403  200  403  403  403  403
GET    /teams/{team}/people                                401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /teams/{team}/policies                              401  403  403  403  403  403  403  403  403  200  200  403  403  200  403
POST   /teams/{team}/policies                              401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
GET    /teams/{team}/roles                                 401  403  403  403  403  403  403  403  403  200  200  403  403  200  403
POST   /teams/{team}/roles                                 401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
GET    /teams/{team}/teams                                 401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /teams/{team}/teams                                 401  403  403  403  403  403  403  403  403  403  201  403  403  403  403
DELETE /teams/{team}/teams/{inner}                         401  403  403  403  403  403  403  403  403  403  204  403  403  403  403
DELETE /uploads/{upload}                                   401  404  404  404  404  404  404  404  404  404  204  404  404  403  404
POST   /uploads/{upload}/commit                            401  404  404  404  404  404  404  404  404  404  201  404  404  403  404
GET    /uploads/{upload}/missing                           401  404  404  404  404  404  404  404  404  404  200  404  404  200  404
GET    /users                                              401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /users/{user}                                       401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
GET    /users/{user}/policies                              401  200  200  200  200  200  200  200  200  200  200  200  200  200  403
POST   /users/{user}/policies                              401  403  403  403  403  403  403  403  403  403  403  403  403  403  403
"""  # noqa: E501

# What is sent, so that the owner's is done. The names in braces are those of `known`.
SENT: dict[str, dict[str, object]] = {
    "PATCH /me": {"name": "New"},
    "POST /projects": {"name": "New"},
    "PATCH /projects/{project}": {"name": "New"},
    "POST /projects/{project}/datastores": {"kind": "dataset", "name": "new"},
    "PATCH /datastores/{datastore}": {"description": "New"},
    "POST /datastores/{datastore}/versions/{version}/pack": {"paths": ["model.txt"]},
    "POST /datastores/{datastore}/versions/{version}/doubts": {"paths": ["model.txt"]},
    "POST /datastores/{datastore}/imports": {"address": "https://example.org/a"},
    "POST /datastores/{datastore}/folders": {"path": "new"},
    "POST /datastores/{datastore}/pack": {"paths": ["model.txt"]},
    "POST /uploads/{upload}/commit": {},
    "POST /projects/{project}/keys": {"name": "new", "type": "wandb", "fields": {"api_key": "0123456789"}},
    "PUT /projects/{project}/keys/{third_party_key}": {"fields": {"token": "hf_9876543210"}},
    "POST /projects/{project}/roles": {"name": "New"},
    "POST /teams/{team}/roles": {"name": "New"},
    "POST /installation/roles": {"name": "New"},
    "POST /roles/{role}/policies": {"text": "job:get@{urn}:job:*"},
    "POST /teams/{team}/policies": {"text": "job:get@{urn}:job:*"},
    "POST /users/{user}/policies": {"text": "job:get@{urn}:job:*"},
    "POST /roles/{role}/members": {"user": "{stranger}"},
    "POST /roles/admin/members": {"user": "{stranger}"},
    "POST /roles/{role}/keys": {"name": "New"},
    "POST /invitations/accept": {"token": "{link}"},
    "POST /team-invitations/accept": {"token": "{team_link}"},
    "POST /projects/{project}/invitations": {"email": "somebody@example.com", "preset": "Viewer"},
    "PATCH /projects/{project}/members/{user}": {"preset": "Viewer"},
    "POST /projects/{project}/offer": {"user": "{user}"},
    "POST /projects/{project}/teams": {"team": "{other_team}", "preset": "Viewer"},
    "PATCH /projects/{project}/teams/{team}": {"preset": "Viewer"},
    "PUT /projects/{project}/budgets/{whose}": {"amount": "5.00"},
    "POST /teams": {"name": "Friends"},
    "PATCH /teams/{team}": {"name": "Friends"},
    "POST /teams/{team}/invitations": {"email": "somebody@example.com"},
    "POST /teams/{team}/members": {"user": "u-stranger"},
    "PATCH /teams/{team}/members/{user}": {"role": "admin"},
    "POST /teams/{team}/teams": {"team": "{other_team}"},
    "POST /projects/{project}/jobs": {"spec": {"name": "digits", "command": "true"}},
    "POST /projects/{project}/jobs/check": {"spec": {"name": "digits", "command": "true"}},
}

# The same for forms.
FORMS = {"POST /projects/{project}/jobs/with-files": {"spec": '{"name": "digits", "command": "true"}'}}

# What is asked of a volume; but removing content, which a dataset refuses, and nothing would bring back.
OF_VOLUMES = re.compile(r"/datastores/{datastore}/(archive|content|files|folders|listing|pack)\b")
LASTING = {"DELETE /datastores/{datastore}/content"}

# Parameters without which an operation is not asked at all.
ASKED = {
    "GET /jobs/{job}/attempts/{int:index}/log/search": "?q=a",
    "GET /datastores/{datastore}/compare": "?old=1",
    "DELETE /datastores/{datastore}/content": "?path=model.txt",
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
    owner = people["owner"]
    world["other_team"], world["inner"] = (teams.create(name=name, by=owner) for name in ("Others", "Inner"))
    teams.add_team(outer=world["team"].team, inner=world["inner"], by=owner)
    later = timezone.now() + timedelta(days=1)
    PersonalToken.objects.update(last_used_at=later)
    RoleKey.objects.update(last_used_at=later)
    return made | {"key": world["beside"]["key"]}


def known(world, who: str, path: str) -> dict[str, str]:
    """What stands for each name in braces: of a team where the operation is about one."""
    team, people = path.startswith("/teams"), world["people"]
    job = world["jobs"].get(who, world["jobs"]["other"])
    member = {"/roles": world["role_member"].user.pk, "/teams": people["team"].pk}.get(path[:6], people["read"].pk)
    data = world["volumes" if OF_VOLUMES.match(path) else "datastores"]
    return {
        "project": world["member"].project_id,
        "job": job.pk,
        "datastore": data.get(who, data["other"]).pk,
        "import_id": world["imports"].get(who, world["imports"]["other"]).pk,
        "version": "1",
        "upload": world["upload"].pk,
        "job_urn": job.urn,
        "team": world["team"].team_id,
        "user": people["team"].pk if team else people["read"].pk,
        "member": member,
        "role": world["role"].pk,
        "policy": world["policy"].pk,
        "key": world["key"].pk,
        "third_party_key": world["rows"]["thirdpartykey"],
        "index": "0",
        "token": "guess",
        "invitation": world["team_offer" if team else "offer"].pk,
        "link": project_links.token_of(world["offer"], project_links.EMAILED),
        "team_link": team_links.token_of(world["team_offer"], project_links.EMAILED),
        "inner": world["inner"].pk,
        "other_team": world["other_team"].pk,
        "path": "model.txt",
        "whose": "project",
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
    names = known(world, who, "" if operation in LASTING else path)
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


@pytest.mark.walk
@pytest.mark.slow
def test_every_answer_is_the_tables(world, asking):
    wrong = []
    for operation, expected in rows().items():
        for who in COLUMNS:
            answer = ask(world, asking, who, operation)
            if answer != expected[who]:
                wrong.append(f"{operation} for {who}: {answer}, not {expected[who]}")
    assert not wrong, "\n".join(wrong)
