"""Invitations: a place in a project or a team is offered to an address. What they all are; the apps above say to what.

Each has two links: the emailed one proves the address, the one that is shown to be copied does not. Both work once, for
one address, for a week. Known and unknown addresses get the same email, and who invites the same answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.db import models
from django.urls import reverse
from django.utils import timezone

from accounts import mail
from accounts.errors import Impossible
from accounts.ids import new_id
from accounts.names import fold_email
from accounts.signals import email_attempted

if TYPE_CHECKING:
    from accounts.models import OutgoingEmail, User
    from accounts.paging import Page

VALID_FOR: Final = timedelta(days=7)
EMAILED, COPIED = "e", "c"
GONE: Final = "This invitation has been accepted or revoked meanwhile."


class InvitationQuerySet(models.QuerySet):
    def open(self) -> "InvitationQuerySet":
        """Those that can still be accepted or revoked; an expired one can only be re-sent or revoked."""
        return self.filter(accepted_at=None, revoked_at=None)

    def acceptable(self) -> "InvitationQuerySet":
        return self.open().filter(expires_at__gt=timezone.now())


class InvitationBase(models.Model):
    """An offer to an address. `nonce` is part of its links: a new one makes older links worthless."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    email = models.EmailField()
    nonce = models.CharField(max_length=16, default=new_id)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # Whether the email went out: "" while on its way, "sent", or the error that the inviter is shown.
    delivery = models.CharField(max_length=300, blank=True)

    objects: ClassVar = InvitationQuerySet.as_manager()

    class Meta:
        abstract = True


@dataclass(frozen=True, slots=True)
class Token:
    """What a link says; only its signature says that it is ours."""

    invitation_id: str
    nonce: str
    proves_address: bool


class Links:
    """The links of one kind of invitation. `place`: the column that says to what; `route`: the page that they open."""

    def __init__(self, model: type[Any], *, place: str, route: str) -> None:
        self._model, self._place, self._route = model, place, route
        self._signer = signing.Signer(salt=route.replace(":", "."), sep=".")

    def token_of(self, invitation: InvitationBase, kind: str) -> str:
        """`id.nonce.kind.signature`; worthless as soon as the invitation has another nonce."""
        return self._signer.sign(f"{invitation.id}.{invitation.nonce}.{kind}")

    def address_of(self, invitation: InvitationBase, kind: str) -> str:
        """The absolute address to open."""
        return settings.MLTEAM_URL + reverse(self._route, args=[self.token_of(invitation, kind)])

    def read(self, token: str) -> Token | None:
        """What a token says, or None for one that is not ours."""
        try:
            invitation_id, nonce, kind = self._signer.unsign(token).split(".")
        except (signing.BadSignature, ValueError):
            return None
        return Token(invitation_id, nonce, kind == EMAILED)

    def find(self, token: str) -> tuple[Any, Token] | None:
        """The invitation that a token still opens; None when it is used, expired, revoked or never was."""
        read_token = self.read(token)
        if read_token is None:
            return None
        rows = self._model.objects.acceptable().filter(pk=read_token.invitation_id, nonce=read_token.nonce)
        found = rows.select_related(self._place, "invited_by").first()
        return (found, read_token) if found else None

    def listed(self, page: "Page[Any]", tag: Callable[[Any], str]) -> "Page[dict[str, Any]]":
        """A page of open invitations for who invites, with the link to copy. `tag`: in a word, to what one is invited."""
        now = timezone.now()
        return page.showing(
            {
                "id": one.pk,
                "email": one.email,
                "tag": tag(one),
                "created_at": one.created_at,
                "expires_at": one.expires_at,
                "expired": one.expires_at <= now,
                "delivery": one.delivery,
                "link": self.address_of(one, COPIED),
            }
            for one in page.rows
        )


def fresh() -> dict[str, object]:
    """The columns of an invitation that begins now: older links of it die."""
    now = timezone.now()
    return {"nonce": new_id(), "created_at": now, "expires_at": now + VALID_FOR, "delivery": ""}


def renew(invitation: InvitationBase, **changes: object) -> None:
    """Lets an open one begin anew. Raises Impossible when it was accepted or revoked a moment before."""
    if not _open(invitation).update(**fresh(), **changes):
        raise Impossible(GONE)
    invitation.refresh_from_db()


def revoke(invitation: InvitationBase) -> None:
    """Makes its links worthless. Raises Impossible as renew."""
    if not _open(invitation).update(revoked_at=timezone.now()):
        raise Impossible(GONE)


def use(invitation: InvitationBase) -> bool:
    """Single use, by compare-and-set on the row's own columns: of two at once, one wins on every database."""
    now = timezone.now()
    return bool(_open(invitation).filter(nonce=invitation.nonce, expires_at__gt=now).update(accepted_at=now))


def _open(invitation: InvitationBase) -> InvitationQuerySet:
    return InvitationQuerySet(type(invitation)).open().filter(pk=invitation.pk)


def is_for(invitation: InvitationBase, user: "User") -> bool:
    """Whether the invitation is for the account's address; addresses are compared case-folded."""
    return fold_email(user.email) == invitation.email


# What the apps that invite register

_models: dict[str, type[Any]] = {}
_joined: list[Callable[["User"], bool]] = []


def register(kind: str, model: type[Any], joined: "Callable[[User], bool]") -> None:
    """Adds a kind of invitation. `joined` says whether a user is anywhere by one of this kind."""
    if kind not in _models:
        _models[kind] = model
        _joined.append(joined)
    email_attempted.connect(_note, dispatch_uid="accounts.invitations")


def is_enough(link: Token, user: "User") -> bool:
    """Whether the link lets the user in: an account that has not proven its address is in one place alone.

    Of two that such an account accepts at once, the second waits here and sees the first.
    """
    get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)
    return link.proves_address or user.verified or not any(joined(user) for joined in _joined)


def send(invitation: InvitationBase, kind: str, *, subject: str, body: str) -> None:
    """Puts the email in the outbox: the same for every address, known or not."""
    reference = f"{kind}:{invitation.id}:{invitation.nonce}"
    mail.put(to=invitation.email, subject=subject, body=body, reference=reference)


def _note(sender: type, email: "OutgoingEmail", error: str, **more: object) -> None:
    """Lets the inviter see whether it went out; a resent invitation no longer hears of its older email."""
    kind, _, rest = email.reference.partition(":")
    if kind in _models:
        invitation_id, _, nonce = rest.partition(":")
        rows = _models[kind].objects.filter(pk=invitation_id, nonce=nonce)
        rows.update(delivery=(error or "sent")[:300])
