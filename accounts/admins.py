"""The installation's admins: who they are, and what makes and unmakes one. There is always one left."""

from typing import TYPE_CHECKING

from django.db import transaction

import access
from access import refused
from accounts.errors import Impossible
from accounts.models import Installation, User

if TYPE_CHECKING:
    from django.db.models import QuerySet

ONLY_ADMINS = "Only this installation's admins may do this."
LAST = "An installation keeps an admin: make somebody else one first."


def all_of_them() -> "QuerySet[User]":
    """The admins, by username."""
    return User.objects.filter(is_superuser=True, is_active=True).order_by("username")


@transaction.atomic
def add(*, user: User, by: User) -> None:
    """Makes a user an admin. Raises Refused, and Impossible for an account that is not active or has not proven its address."""
    check(by)
    if not user.is_active or not user.verified:
        raise Impossible(f"{user.shown} has to confirm their address first.")
    User.objects.filter(pk=user.pk).update(is_superuser=True, is_staff=True)


@transaction.atomic
def remove(*, user: User, by: User) -> None:
    """Makes an admin a user like others. Raises Refused, and Impossible for the last one."""
    check(by)
    # The installation's row lets one such change happen at a time: of two who remove each other, one stays.
    Installation.objects.select_for_update().filter(pk=1).first()
    if not all_of_them().exclude(pk=user.pk).exists():
        raise Impossible(LAST)
    User.objects.filter(pk=user.pk).update(is_superuser=False, is_staff=False)
    access.bump()


def check(by: User) -> None:
    """Raises Refused for all but the admins, as they are now."""
    if not User.objects.filter(pk=by.pk, is_superuser=True, is_active=True).exists():
        raise refused("user:set", "not_granted", ONLY_ADMINS)
