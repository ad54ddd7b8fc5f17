"""What changes the third-party keys of projects. Values go in and are not told again: not by pages, answers, the trail or errors.

A key belongs to its project, not to a person: it stays when the project changes hands, and goes when the project is removed. What
is in a project does not inherit its keys.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone

import access
from access.models import Nested
from mlteam import state
from projects import ownership, sealing
from projects.errors import Impossible, TooOften, refused
from projects.models import AuditEntry, Project, ThirdPartyKey, record
from projects.third_party_types import TYPES, check, check_name

if TYPE_CHECKING:
    from accounts.models import User
    from projects.third_party_tries import Outcome

MOST: Final = 100  # keys of a project
AT_ONCE: Final = 100  # rows that a rotation reads
IN_USE: Final = (
    3600.0  # seconds for which whatever has just been encrypted with an older secret may not be in the database yet
)
TAKEN: Final = "The project has a key of this name. Choose another, or replace that one."


@transaction.atomic
def add(*, project: Project, kind: str, name: str, values: Mapping[str, Any], by: "User") -> ThirdPartyKey:
    """A new key. `values`: what its type has, by field. Raises ValidationError by field, Impossible where there are too many."""
    access.require(by, "key:set", project)
    if kind not in TYPES:
        raise ValidationError({"type": f"One of {', '.join(TYPES)}."})
    name = name.strip()
    check_name(kind, name)
    secrets, about = check(kind, values)
    ownership.lock(project)
    if project.third_party_keys.count() >= MOST:
        raise Impossible(f"A project has at most {MOST} keys. Remove one that nothing uses.")
    key = ThirdPartyKey(project=project, name=name, type=kind, about=about, created_by=by)
    _insert(key, secrets)
    _record(key, "key:new", by, after=_said(key))
    return key


@transaction.atomic
def replace(*, key: ThirdPartyKey, values: Mapping[str, Any], by: "User") -> None:
    """Gives a key other values, all of them; what it had is gone. Raises ValidationError by field."""
    access.require(by, "key:set", key)
    secrets, about = check(key.type, values)
    sealed, number = sealing.seal(secrets, key.pk)
    new = {"about": about, "sealed": sealed, "sealed_with": number, "replaced_at": timezone.now()}
    if not ThirdPartyKey.objects.filter(pk=key.pk).update(**new):
        raise Impossible(f"The key {key.name} has been removed meanwhile.")
    for field, value in new.items():
        setattr(key, field, value)
    _record(key, "key:set", by, after=_said(key))


@transaction.atomic
def remove(*, key: ThirdPartyKey, by: "User") -> None:
    """Takes a key away, for good."""
    access.require(by, "key:set", key)
    if ThirdPartyKey.objects.filter(pk=key.pk).delete()[0]:
        _record(key, "key:rm", by, before=_said(key))


def remove_all(project: Project) -> int:
    """The keys of a project that is removed; how many there were."""
    return ThirdPartyKey.objects.filter(project=project).delete()[0]


def below(project: Project) -> QuerySet[ThirdPartyKey]:
    """The keys of a project and of all that are in it: what changes hands with it."""
    inside = Nested.objects.filter(above=project.pk).values("place")
    return ThirdPartyKey.objects.filter(Q(project=project) | Q(project__in=inside), project__removed_at=None)


def of_personal(user: "User") -> list[ThirdPartyKey]:
    """The keys of somebody's own Personal project, which they may copy; none while they may not set any there."""
    personal = Project.objects.present().filter(owner=user, personal=True).first()
    if personal is None or not access.allowed(user, "key:set", personal):
        return []
    return list(ThirdPartyKey.objects.filter(project=personal).select_related("project").order_by("name"))


@transaction.atomic
def copy_personal(*, to: Project, by: "User") -> int:
    """Copies the keys of `by`'s Personal project into another one of theirs; how many."""
    if to.owner_id != by.pk:
        said = "Your keys are copied only into projects that you own: the owner of this one could use them."
        raise refused("key:set", "owner", said)
    access.require(by, "key:set", to)
    keys = of_personal(by)
    for key in keys:
        copied = ThirdPartyKey(project=to, name=key.name, type=key.type, about=key.about, created_by=by)
        _insert(copied, sealing.unseal(key.sealed, key.pk))
        _record(copied, "key:new", by, after=_said(copied), copied_from=key.project.name)
    if keys:
        names = [key.name for key in keys]
        record(by=by, project=keys[0].project, action="key:copy", keys=names, to=to.name, to_urn=to.urn)
    return len(keys)


def _insert(key: ThirdPartyKey, secrets: sealing.Values) -> None:
    key.sealed, key.sealed_with = sealing.seal(secrets, key.pk)
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        raise ValidationError({"name": TAKEN}) from None


def _said(key: ThirdPartyKey) -> dict[str, str]:
    return {"key": key.name, "type": key.type}


def _record(key: ThirdPartyKey, action: str, by: "User", **values: Any) -> None:
    record(by=by, project=key.project, action=action, urn=key.urn, **values)


# Trying them out

A_MINUTE: Final = 10  # tests of one person in a project
A_WHILE: Final = 15  # seconds after which a test has ended
BESIDE_EACH_OTHER: Final = 8  # tests that one process makes: each waits in a thread of its own

_testing: set[str] = set()  # who tests something just now
_lock = threading.Lock()


def test(*, key: ThirdPartyKey, by: "User") -> "Outcome":
    """Tries a key where it opens something. It waits for others: not for use in a transaction. Raises Impossible, TooOften."""
    from projects.third_party_tries import TRIES, attempt  # and what asks over HTTP, which few processes do

    access.require(by, "key:set", key)
    if key.type not in TRIES:
        raise Impossible(f"There is nothing to try with a key of the type {key.type}: it does not say what it opens.")
    with _one_at_a_time(by):
        _not_too_often(key.project, by)
        secrets = sealing.unseal(key.sealed, key.pk)
        if not connection.in_atomic_block:
            connection.close()  # others can use it meanwhile
        outcome = attempt(key.type, secrets | key.about, secrets)
    with transaction.atomic():
        _record(key, "key:test", by, after=_said(key) | {"works": outcome.works}, said=outcome.said)
    return outcome


@contextmanager
def _one_at_a_time(by: "User") -> Iterator[None]:
    with _lock:
        if by.pk in _testing or len(_testing) >= BESIDE_EACH_OTHER:
            raise TooOften("A key is being tested just now. Wait for its end.", seconds=A_WHILE)
        _testing.add(by.pk)
    try:
        yield
    finally:
        with _lock:
            _testing.discard(by.pk)


def _not_too_often(project: Project, by: "User") -> None:
    minute = timezone.now() - timedelta(minutes=1)
    tested = AuditEntry.objects.filter(project_id=project.pk, action="key:test", by_id=by.pk, at__gt=minute)
    if tested.count() >= A_MINUTE:
        raise TooOften(f"You tested {A_MINUTE} keys within a minute. Wait for its end.", seconds=60)


# Rotation


@dataclass(frozen=True, slots=True)
class Rotation:
    """What `rotate` did: `begun` is False where it ended one that had been begun. `unreadable`: keys that nothing can read."""

    begun: bool
    sealed: int
    unreadable: list[ThirdPartyKey]


def rotate() -> Rotation:
    """Encrypts all keys with a new secret, or with the newest where an earlier rotation has not come to its end.

    It may be interrupted at any time and runs beside everything else: each row is replaced where it is still what was read.
    """
    newest = max(state.numbered_secrets(sealing.SECRETS))
    begun = not _older(newest).exists()
    if begun:
        newest = state.add_numbered_secret(sealing.SECRETS)
    sealed, unreadable = 0, []
    for key in _each(newest):
        try:
            fresh, number = sealing.seal(sealing.unseal(key.sealed, key.pk), key.pk)
        except Impossible:
            unreadable.append(key)
        else:
            rows = ThirdPartyKey.objects.filter(pk=key.pk, sealed=key.sealed)
            sealed += rows.update(sealed=fresh, sealed_with=number)
    return Rotation(begun, sealed, unreadable)


def _older(newest: int) -> Any:
    return ThirdPartyKey.objects.exclude(sealed_with=newest)


def _each(newest: int) -> Iterator[ThirdPartyKey]:
    """Every row that another secret encrypts, some at a time."""
    last = ""
    while rows := list(_older(newest).filter(pk__gt=last).select_related("project").order_by("pk")[:AT_ONCE]):
        yield from rows
        last = rows[-1].pk


def drop_old_secrets() -> list[int]:
    """Takes away the older secrets that no key needs any more; their numbers.

    One goes an hour after the one that follows it was made: until then something may be on its way into the database with it.
    """
    needed = ThirdPartyKey.objects.aggregate(oldest=Min("sealed_with"))["oldest"]
    *older, newest = state.numbered_secrets(sealing.SECRETS)
    gone = [number for number in older if number < (needed or newest) and _superseded(number + 1)]
    for number in gone:
        state.drop_numbered_secret(sealing.SECRETS, number)
    return gone


def _superseded(follower: int) -> bool:
    return state.age_of_secret(sealing.SECRETS, follower) > IN_USE
