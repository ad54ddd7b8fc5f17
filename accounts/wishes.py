"""Which emails a person wants. What is about the safety of the account, or waits for an answer, comes in any case."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import QuerySet

    from accounts.models import User

ADDED: Final = "added"
MEMBERSHIP: Final = "membership"
BUDGET: Final = "budget"
KINDS: Final = {
    ADDED: "Somebody adds me to a project or a team",
    MEMBERSHIP: "My levels or my role change, or I am removed",
    BUDGET: "A budget is nearly or wholly used up",
}


def wants(user: "User", kind: str) -> bool:
    """Whether the person wants emails of a kind; all of them unless they have said no."""
    return kind not in user.muted


def of(user: "User") -> dict[str, bool]:
    """By kind, whether the person wants such emails."""
    return {kind: wants(user, kind) for kind in KINDS}


def addresses(users: "QuerySet[User]", kind: str, *, but: "User | None" = None) -> list[str]:
    """Where emails of a kind go, of these active users: to who wants them, and not to who did it (`but`)."""
    rows = users.filter(is_active=True).exclude(pk=but.pk if but else "").values_list("email", "muted")
    return [email for email, muted in rows.order_by("email") if kind not in muted]


def choose(*, user: "User", wanted: "Collection[str]") -> None:
    """Keeps what the person wants, and no more than that is asked about."""
    user.muted = [kind for kind in KINDS if kind not in wanted]
    user.save(update_fields=["muted"])
