"""What makes and proves accounts."""

from typing import TYPE_CHECKING

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import device_grants, first, signals
from accounts.ids import new_id
from accounts.models import GitHubLink, Installation, PersonalToken, User

if TYPE_CHECKING:
    from collections.abc import Mapping


LAST_ADMIN = "You are this installation's only admin. Make somebody else one first."


class Objection(Exception):
    """The account cannot be deleted as things stand. `reasons`: sentences for its owner."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


class SetupClosed(Exception):
    """The token does not open this installation: it is wrong, or the first account exists."""


def create_first_account(*, token: str, email: str, username: str, name: str, password: str) -> User:
    """The installation's admin, once. Raises SetupClosed, or ValidationError by field.

    Nobody acts here: whoever has the token may do this, and the row of the installation is set by compare-and-set, so
    that of two at once one gets an account.
    """
    Installation.objects.get_or_create(pk=1)
    with transaction.atomic():
        if not first.opens(token) or not Installation.objects.filter(pk=1, set_up_at=None).update(
            set_up_at=timezone.now()
        ):
            raise SetupClosed
        user = create_account(email=email, username=username, name=name, password=password, verified=True, admin=True)
        transaction.on_commit(first.discard_token)
    return user


@transaction.atomic
def create_account(
    *, email: str, username: str, name: str = "", password: str, verified: bool, admin: bool = False
) -> User:
    """An account with its address, and with what other apps make for it. Raises ValidationError by field."""
    check_password(password, email=email, username=username, name=name)
    user = User.objects.create_user(
        email=email, username=username, name=name, password=password, is_staff=admin, is_superuser=admin
    )
    EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    return user


def check_password(password: str, **about: str) -> None:
    """Raises ValidationError for the field `password` unless it is long and unlike what is known about its owner."""
    try:
        validate_password(password, User(**about))
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None


@transaction.atomic
def prove_address(*, user: User) -> None:
    """Marks the account's address as its own: something that was sent only there has come back."""
    EmailAddress.objects.filter(user=user, primary=True).exclude(email=user.email).update(primary=False)
    proven = {"primary": True, "verified": True}
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults=proven)


@transaction.atomic
def change_profile(*, user: User, fields: "Mapping[str, str]") -> None:
    """Changes one's own name, username, time zone, theme. Raises ValidationError by field."""
    for field, value in fields.items():
        setattr(user, field, value)
    user.full_clean(exclude=["password"])
    user.save(update_fields=list(fields))


def objections(*, user: User) -> list[str]:
    """Why the account cannot be deleted now; empty when it can."""
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    mine = [LAST_ADMIN] if user.is_superuser and not others.exists() else []
    said = signals.account_closing_asked.send(User, user=user)
    return mine + [reason for _, reasons in said for reason in reasons or ()]


@transaction.atomic
def close(*, user: User) -> None:
    """Deletes one's account: nobody can sign in to it any more, and nothing of the person is left in it. Raises Objection.

    The empty row goes when the last of its projects has gone (`forget_closed`).
    """
    if reasons := objections(user=user):
        raise Objection(reasons)
    signals.account_closing.send(sender=User, user=user)
    for session in UserSession.objects.filter(user=user):
        session.end()
    Authenticator.objects.filter(user=user).delete()
    GitHubLink.objects.filter(user=user).delete()
    PersonalToken.objects.filter(user=user).delete()
    device_grants.withdraw(user=user)
    EmailAddress.objects.filter(user=user).delete()
    mark = new_id()
    user.email, user.username, user.name = f"{mark}@closed.invalid", f"closed-{mark}", "removed account"
    user.is_active = user.is_staff = user.is_superuser = False
    user.closed_at = timezone.now()
    user.set_unusable_password()
    user.save()


def forget_closed() -> int:
    """Removes the rows of deleted accounts that own nothing any more; how many."""
    gone = User.objects.filter(closed_at__isnull=False, owned_projects=None)
    return sum(user.delete()[0] > 0 for user in gone)
