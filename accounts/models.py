"""Who you are: users, and the moment an installation got its first one."""

from functools import cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth import get_backends
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from accounts.ids import new_id
from accounts.names import fold_email, printable, username_validators


@cache
def time_zones() -> frozenset[str]:
    """The IANA time zones of this host; looked up once, it reads hundreds of files."""
    return frozenset(available_timezones())


def check_time_zone(name: str) -> None:
    """Raises ValidationError unless the name is one of the IANA time zones."""
    if name not in time_zones():
        raise ValidationError("Choose a time zone from the list.")


class UserManager(BaseUserManager["User"]):
    def create_user(self, *, email: str, username: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=fold_email(email), username=username, **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=fold_email(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A person's account. `is_superuser` marks the installation's admin: it runs the server, and is no rule of access."""

    class Theme(models.TextChoices):
        AUTO = "auto", "As the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    email = models.EmailField(unique=True, error_messages={"unique": "An account with this address exists already."})
    username = models.CharField(
        max_length=31,
        unique=True,
        validators=username_validators,
        error_messages={"unique": "This username is taken."},
    )
    name = models.CharField(max_length=100, blank=True, validators=[printable])
    time_zone = models.CharField(max_length=64, default="UTC", validators=[check_time_zone])
    theme = models.CharField(max_length=5, choices=Theme.choices, default=Theme.AUTO)
    muted = models.JSONField(default=list, blank=True, help_text="kinds of email that the person does not want")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    gpu_approved = models.BooleanField(default=False, help_text="may use GPUs where MLTEAM_GPU_APPROVAL is set")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="when its owner deleted the account")
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["username"]

    class Meta:
        # So that the few who are not are found among many.
        indexes: ClassVar = [models.Index(fields=["id"], condition=models.Q(is_active=False), name="inactive_account")]

    def __str__(self) -> str:
        return self.username

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """One transaction with what other apps make for a new account, whichever way it comes to be."""
        super().save(*args, **kwargs)

    def clean(self) -> None:
        self.email = fold_email(self.email)
        self.name = self.name.strip()

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        """Of an object access decides, whose backend is asked like any other: being superuser says nothing there."""
        if obj is None:
            return super().has_perm(perm)
        return self.is_active and any(backend.has_perm(self, perm, obj=obj) for backend in get_backends())

    @property
    def shown(self) -> str:
        """The name that people see."""
        return self.name or self.username

    @property
    def initials(self) -> str:
        """One or two letters for the creator column."""
        words = self.name.split() or [self.username]
        return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()

    @property
    def verified(self) -> bool:
        """Whether the address is proven. An account that has not proven it may use only the project it was invited to."""
        from allauth.account.models import EmailAddress  # it needs this module first

        return EmailAddress.objects.filter(user=self, email=self.email, verified=True).exists()


class Installation(models.Model):
    """One row: whether the first account exists. It is set by compare-and-set, so that one set-up token makes one admin."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    set_up_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_installation")]


class OutgoingEmail(models.Model):
    """An email on its way: the row is the queue. It goes when it is sent, and with it the links in it."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    to = models.EmailField()
    subject = models.CharField(max_length=300)
    body = models.TextField()
    reference = models.CharField(max_length=100, blank=True, help_text="what the app that sends it knows it by")
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now, db_index=True)


class AuthenticatorApp(models.Model):
    """An app that shows six-digit codes (TOTP). An account may have several; allauth's one row says that there are any."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    authenticator = models.ForeignKey("mfa.Authenticator", on_delete=models.CASCADE, related_name="apps")
    name = models.CharField(max_length=60, validators=[printable])
    secret = models.TextField(help_text="base32, encrypted")
    last_step = models.PositiveBigIntegerField(help_text="the 30-second step of the newest used code: none works twice")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)


class PersonalToken(models.Model):
    """What a program shows in place of a sign-in. The text itself is nowhere: who has the database has no tokens."""

    class Scope(models.TextChoices):
        READ = "read", "Read only"
        ALL = "all", "Everything that you may do"

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=60, validators=[printable])
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the text, hexadecimal")
    ending = models.CharField(max_length=4, help_text="the end of the text, to know it again by")
    scope = models.CharField(max_length=4, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


class DeviceGrant(models.Model):
    """A program that waits for somebody to sign it in from a browser. Its codes are not here, and never a token."""

    class State(models.TextChoices):
        PENDING = "pending", "Nobody has answered"
        APPROVED = "approved", "Approved"
        DENIED = "denied", "Denied"
        FETCHED = "fetched", "Approved, and the token fetched"

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the device code, hexadecimal")
    user_digest = models.CharField(max_length=64, unique=True, help_text="of the short code that people type, keyed")
    machine = models.CharField(max_length=50, validators=[printable], help_text="as the program calls it")
    scope = models.CharField(
        max_length=4, choices=PersonalToken.Scope.choices, default=PersonalToken.Scope.ALL, help_text="of the token"
    )
    address = models.CharField(max_length=45, help_text="the network address that the program asked from")
    network = models.CharField(max_length=45, help_text="the same; of IPv6 what one customer has whole")
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    approved_by = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="+")
    interval = models.PositiveSmallIntegerField(help_text="seconds between two polls, at least")
    next_poll_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["network"], condition=models.Q(state="pending"), name="open_device_grants")
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~models.Q(state="approved") | models.Q(approved_by__isnull=False), name="approved_by_somebody"
            )
        ]

    @property
    def expired(self) -> bool:
        return self.expires_at <= timezone.now()


class GitHubLink(models.Model):
    """The GitHub account that signs somebody in: by its number, for names there change hands."""

    user = models.OneToOneField(User, models.CASCADE, related_name="github")
    github_id = models.BigIntegerField(unique=True)
    login = models.CharField(max_length=39, help_text="its name there when it was last used")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField()


class RateLimit(models.Model):
    """What Django's database cache keeps for allauth: recent attempts to sign in, to reset, to guess a code."""

    cache_key = models.CharField(primary_key=True, max_length=255)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "rate_limits"
