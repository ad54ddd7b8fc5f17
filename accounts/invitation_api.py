"""What programs see of invitations, to whatever they are."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field

from accounts.api import UserOut, show_user
from api.lists import In, Out


class AnyInvitationOut(Out):
    """An offer to an address. `sent`: where its email is, `error` why it failed; `link`: to hand over in another way, which proves
    no address. `mine`: who asks invited."""

    id: str
    email: str
    invited_by: UserOut
    created_at: datetime
    expires_at: datetime
    sent: Literal["waiting", "sent", "failed"]
    error: str
    link: str
    mine: bool


class LinkIn(In):
    """What the link of an invitation ends with, between the last two slashes."""

    token: str = Field(max_length=200)


def show_invitation(one: Any, link: str, by: Any) -> dict[str, Any]:
    """What an invitation says to who may see it; `link`: the one to copy."""
    sent = {"": "waiting", "sent": "sent"}.get(one.delivery, "failed")
    times = {"created_at": one.created_at, "expires_at": one.expires_at}
    delivery = {"sent": sent, "error": one.delivery if sent == "failed" else ""}
    inviter = {"invited_by": show_user(one.invited_by, by), "mine": one.invited_by_id == by.pk}
    return {"id": one.pk, "email": one.email, "link": link, **times, **delivery, **inviter}
