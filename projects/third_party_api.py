"""Third-party keys of projects, for programs. Values are sent and never answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Status

import access
from accounts.api import UserOut, show_user
from api import etags, lists, problems
from api.callers import ApiRequest, person
from api.lists import ByName, In, Listed, Out
from api.problems import Problem
from api.replays import each_time
from projects import third_party
from projects.api import project_for
from projects.errors import TooOften
from projects.models import Project, ThirdPartyKey
from projects.third_party_tries import Outcome
from projects.third_party_types import TYPES

router = Router(tags=["keys"])

OURS: Final = {"name", "type"}  # of what is sent, all else is in `fields`


class KeyFieldOut(Out):
    """A value that a type of key has. `secret`: it is never answered; `lines`: it may have several; `aside`: few need it."""

    name: str
    label: str
    secret: bool
    required: bool
    lines: bool
    aside: bool
    default: str
    help: str


class KeyTypeOut(Out):
    """A type of key with its fields. `file`: the field that the content of a downloaded file is the value of, "" for none."""

    name: str
    label: str
    about: str
    file: str
    fields: list[KeyFieldOut]


class KeyOut(Out):
    """A key by name and type. The rest is for who may set keys, else null; `about`: what is no secret of it, by field.

    `mine`: who asks has added it.
    """

    id: str
    urn: str
    name: str
    type: str
    about: dict[str, str] | None
    created_by: UserOut | None
    created_at: datetime | None
    replaced_at: datetime | None
    mine: bool


class KeyTestOut(Out):
    """What came of trying a key: whether it works, and a sentence: who one is with it, or what is wrong and what to do."""

    works: bool
    said: str


class KeyValuesIn(In):
    """All values of a key, by field: see `GET /key-types`."""

    fields: dict[str, str] = Field(max_length=20)


class KeyIn(KeyValuesIn):
    """A new key. A secret's name is that of the variable in which jobs find it."""

    name: str = Field(max_length=60)
    type: str = Field(max_length=16)


def _read_too_often(error: TooOften) -> Problem:
    return Problem(429, "too_many_requests", str(error), headers={"Retry-After": str(error.seconds)})


problems.register(TooOften, _read_too_often)


@contextmanager
def _errors_of_fields() -> Iterator[None]:
    """What is wrong with a value is said of `fields.NAME`."""
    try:
        yield
    except ValidationError as error:
        raise ValidationError(
            {name if name in OURS else f"fields.{name}": said for name, said in error.message_dict.items()}
        ) from None


@router.get("/key-types", response=Listed[KeyTypeOut])
@access.route("self")
def list_key_types(request: ApiRequest) -> dict[str, Any]:
    """The types of third-party keys, and which values each has."""
    return lists.whole(TYPES.values(), _show_type)


def _show_type(kind: Any) -> dict[str, Any]:
    names = KeyFieldOut.model_fields
    fields = [{name: getattr(field, name) for name in names} for field in kind.fields]
    return {"name": kind.name, "label": kind.label, "about": kind.says, "file": kind.file, "fields": fields}


def _show(key: ThirdPartyKey, request: ApiRequest, *, whole: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {name: getattr(key, name) for name in ("id", "urn", "name", "type")}
    more: dict[str, Any] = {
        name: getattr(key, name) if whole else None for name in ("about", "created_at", "replaced_at")
    }
    by = show_user(key.created_by, request.user) if whole and key.created_by else None
    return shown | more | {"created_by": by, "mine": key.created_by_id == request.user.pk}


def _may_set(request: ApiRequest, project: Project) -> bool:
    return bool(access.allowed(request.user, "key:set", project))


def _rows(project: Project) -> QuerySet[ThirdPartyKey]:
    return ThirdPartyKey.objects.filter(project=project).select_related("project", "created_by")


def _tag(key: ThirdPartyKey) -> str:
    return etags.tag_of(key.pk, key.name, key.replaced_at)


def _locked(request: ApiRequest, project: Project, key: str) -> ThirdPartyKey:
    """The key, to be changed in this transaction; in the state that If-Match says."""
    found = get_object_or_404(_rows(project).select_for_update(of=("self",)), pk=key)
    etags.check(request, _tag(found))
    return found


def _told(key: ThirdPartyKey, request: ApiRequest, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _tag(key))
    return _show(key, request, whole=_may_set(request, key.project))


@router.get("/projects/{project}/keys", response=Listed[KeyOut])
@access.route("key:use")
def list_keys(
    request: ApiRequest,
    project: str,
    paging: Query[ByName],
    name: str | None = Query(None, max_length=60, description="exactly this name"),
) -> dict[str, Any]:
    """The keys of a project: by name and type for who may use them in jobs, with more for who may set them."""
    found = project_for(request, project, "key:use")
    rows = _rows(found) if name is None else _rows(found).filter(name=name)
    whole = _may_set(request, found)
    return lists.page(rows, paging, lambda key: _show(key, request, whole=whole), order=paging.by("name"))


@router.post("/projects/{project}/keys", response={201: KeyOut})
@access.route("key:set")
def new_key(request: ApiRequest, project: str, data: KeyIn, response: HttpResponse) -> Status:
    """Adds a key. What is secret of it is never answered again."""
    by, found = person(request), project_for(request, project, "key:set")
    with _errors_of_fields():
        key = third_party.add(project=found, kind=data.type, name=data.name, values=data.fields, by=by)
    return Status(201, _told(key, request, response))


@router.get("/projects/{project}/keys/{third_party_key}", response=KeyOut)
@access.route("key:use")
def get_key(request: ApiRequest, project: str, third_party_key: str, response: HttpResponse) -> dict[str, Any]:
    """A key, by its id."""
    found = get_object_or_404(_rows(project_for(request, project, "key:use")), pk=third_party_key)
    return _told(found, request, response)


@router.put("/projects/{project}/keys/{third_party_key}", response=KeyOut)
@access.route("key:set")
def replace_key(
    request: ApiRequest, project: str, third_party_key: str, data: KeyValuesIn, response: HttpResponse
) -> dict[str, Any]:
    """Gives a key other values, all of them; its name and type stay."""
    by, place = person(request), project_for(request, project, "key:set")
    with transaction.atomic(), _errors_of_fields():
        found = _locked(request, place, third_party_key)
        third_party.replace(key=found, values=data.fields, by=by)
    return _told(found, request, response)


@router.post("/projects/{project}/keys/{third_party_key}/test", response=KeyTestOut)
@access.route("key:set")
@each_time
def test_key(request: ApiRequest, project: str, third_party_key: str) -> Outcome:
    """Tries a key where it opens something, with a call that changes nothing; it takes 15 seconds at most.

    Keys of the types git and secret do not say what they open: 409. It is done each time, also with an Idempotency-Key.
    """
    by, place = person(request), project_for(request, project, "key:set")
    found = get_object_or_404(_rows(place), pk=third_party_key)
    return third_party.test(key=found, by=by)


@router.delete("/projects/{project}/keys/{third_party_key}", response={204: None})
@access.route("key:set")
def remove_key(request: ApiRequest, project: str, third_party_key: str) -> Status:
    """Removes a key, for good."""
    by, place = person(request), project_for(request, project, "key:set")
    with transaction.atomic():
        found = _locked(request, place, third_party_key)
        third_party.remove(key=found, by=by)
    return Status(204, None)
