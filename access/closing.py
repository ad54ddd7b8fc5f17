"""What becomes of somebody's roles and policies, and of what they have granted, when they delete their account."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from access import policies
from access.models import Policy, RoleKey, RoleMember

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.models import User


def close(sender: type, user: "User", **_: object) -> None:
    """Ends what they hold and what they have granted, and what hung on that; inside the transaction that deletes the account."""
    for key in _each(RoleKey.objects.filter(created_by=user)):
        policies.end_key(key, user)
    for member in _each(RoleMember.objects.filter(Q(user=user) | Q(added_by=user))):
        users = policies.users_of(member)
        policies.end_membership(member, user)
        policies.lapse(users, by=user)
    for policy in _each(Policy.objects.filter(Q(user=user) | Q(granted_by=user))):
        policies.detach(policy=policy, by=user)


def _each(rows: models.QuerySet) -> "Iterator":
    """The rows one by one, without those that went with an earlier one."""
    while (row := rows.first()) is not None:
        yield row
