"""The two links of an invitation: the emailed one proves the address, the one shown to the owner does not."""

from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.urls import reverse

from projects.models import Invitation

EMAILED, COPIED = "e", "c"
_signer = signing.Signer(salt="projects.invitation", sep=".")


@dataclass(frozen=True, slots=True)
class Token:
    """What a link says; only its signature says that it is ours."""

    invitation_id: str
    nonce: str
    proves_address: bool


def token_of(invitation: Invitation, kind: str) -> str:
    """`id.nonce.kind.signature`; worthless as soon as the invitation has another nonce."""
    return _signer.sign(f"{invitation.id}.{invitation.nonce}.{kind}")


def address_of(invitation: Invitation, kind: str) -> str:
    """The absolute address to open."""
    return settings.MLTEAM_URL + reverse("projects:invitation", args=[token_of(invitation, kind)])


def read(token: str) -> Token | None:
    """What a token says, or None for one that is not ours."""
    try:
        invitation_id, nonce, kind = _signer.unsign(token).split(".")
    except (signing.BadSignature, ValueError):
        return None
    return Token(invitation_id, nonce, kind == EMAILED)


def find(token: str) -> tuple[Invitation, Token] | None:
    """The invitation that a token still opens; None when it is used, expired, revoked or never was."""
    read_token = read(token)
    if read_token is None:
        return None
    found = (
        Invitation.objects.acceptable()
        .filter(pk=read_token.invitation_id, nonce=read_token.nonce)
        .select_related("project", "invited_by")
        .first()
    )
    return (found, read_token) if found else None
