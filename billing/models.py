"""Who pays, and for what: prices, the ledger, credits, balances, billing accounts, budgets.

Rows of the ledger name what they are about by ids and names of their own, so that they outlive jobs, members and projects.
"""

from datetime import UTC
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import new_id
from accounts.names import printable
from projects.models import Project

ZERO: Final = Decimal(0)


def money_field(**options: object) -> models.DecimalField:
    """An amount in the installation's currency (settings.MLTEAM_CURRENCY), to a millionth."""
    return models.DecimalField(max_digits=18, decimal_places=6, default=ZERO, **options)  # type: ignore[arg-type]


def hours_field() -> models.DecimalField:
    """Hours of use, to a millionth."""
    return models.DecimalField(max_digits=18, decimal_places=6, default=ZERO)


class Kind(models.TextChoices):
    """What is charged for."""

    GPU = "gpu", "GPU hour"
    CPU = "cpu", "CPU core hour"
    MEMORY = "memory", "GiB of memory for an hour"
    STORAGE = "storage", "GiB stored for a month"


class Price(models.Model):
    """What one unit costs from a day on. It is never changed: a later one takes its place, and earlier charges stay."""

    kind = models.CharField(max_length=8, choices=Kind.choices)
    gpu_type = models.CharField(
        "GPU type",
        max_length=100,
        blank=True,
        help_text="Only of a GPU price: the type as job forms name it. Empty: every type without a price of its own.",
    )
    amount = money_field(validators=[MinValueValidator(ZERO)])
    valid_from = models.DateField(help_text="In force from this day, 00:00 UTC; for today from the next full hour on.")
    effective_from = models.DateTimeField(
        editable=False, help_text="the full hour from which it is in force, never before it was set"
    )
    set_by_name = models.CharField("set by", max_length=100, blank=True, editable=False)
    set_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-effective_from", "kind", "gpu_type"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "gpu_type", "effective_from"], name="price_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="price_not_negative"),
            models.CheckConstraint(condition=Q(kind="gpu") | Q(gpu_type=""), name="price_gpu_type"),
        ]

    def __str__(self) -> str:
        what = f"{self.gpu_type} hour" if self.gpu_type else self.get_kind_display()
        return f"{what}: {self.amount.normalize():f} {settings.MLTEAM_CURRENCY}"


class Amounts(models.Model):
    """Hours of use, what each cost, and their sum."""

    gpu_hours = hours_field()
    cpu_hours = hours_field()
    memory_hours = hours_field()  # GiB × hours, as is what is stored
    storage_hours = hours_field()
    gpu_cost = money_field()
    cpu_cost = money_field()
    memory_cost = money_field()
    storage_cost = money_field()
    amount = money_field()

    class Meta:
        abstract = True


SUMMED: Final = tuple(field.name for field in Amounts._meta.local_fields)


class Line(models.TextChoices):
    USE = "use", "Use"
    CORRECTION = "correction", "Correction"


class Source(models.TextChoices):
    """What uses something, for which there is a row an hour."""

    ATTEMPT = "attempt", "An attempt of a job"
    STORAGE = "storage", "What a project stores"


# Stands among the members of a project for what is nobody's use: its datasets, models and volumes.
STORED: Final = "storage"
STORED_NAME: Final = "Stored data"


class Stored(models.Model):
    """How much a project stored when that was last looked at. By this it is charged until the next look, from `at` on."""

    project = models.OneToOneField(Project, primary_key=True, on_delete=models.CASCADE, related_name="stored")
    bytes = models.PositiveBigIntegerField()
    at = models.DateTimeField(help_text="up to this moment it is in the ledger")


class Charge(Amounts):
    """What one attempt, or all that a project stores, used in one hour of the clock (UTC), once. It grows until it is final, and then
    stays: what turns out to be wrong gets a correction, a row of its own."""

    source = models.CharField(max_length=12, choices=Source.choices)
    source_id = models.CharField(max_length=16)
    hour = models.DateTimeField(help_text="the beginning of the hour")
    line = models.CharField(max_length=10, choices=Line.choices, default=Line.USE)
    milliseconds = models.IntegerField(help_text="for which it was used in this hour")
    final = models.BooleanField(default=False)

    payer = models.CharField(max_length=24, help_text="user:ID or account:ID")
    payer_name = models.CharField(max_length=100)
    owner_id = models.CharField(max_length=16)
    owner_name = models.CharField(max_length=100)
    project_id = models.CharField(max_length=16)
    project_name = models.CharField(max_length=100)
    member_id = models.CharField(
        max_length=16, blank=True, help_text='whose job it was; empty: their account was gone; "storage": nobody\'s'
    )
    member_name = models.CharField(max_length=100, blank=True)
    subject_id = models.CharField(max_length=16, blank=True, db_index=True, help_text="the job")
    subject_name = models.CharField(max_length=100)
    gpus = models.CharField(max_length=200, blank=True, help_text='"2 × H200"')
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "source_id", "hour", "line"], name="charge_once")]
        indexes = [
            models.Index(fields=["project_id", "-hour", "-id"], name="charge_project"),
            models.Index(fields=["owner_id", "-hour", "-id"], name="charge_owner"),
            models.Index(fields=["member_id", "-hour", "-id"], name="charge_member"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_name}, {self.at}"

    @property
    def at(self) -> str:
        """The hour as pages write it: "21 Nov 13:00", in UTC as the months are."""
        return f"{self.hour.astimezone(UTC):%d %b %H:%M}"

    @property
    def span(self) -> str:
        """How long it was used in its hour: "59:30"; a correction is below zero."""
        seconds = abs(self.milliseconds) // 1000
        return f"{'−' if self.milliseconds < 0 else ''}{seconds // 60}:{seconds % 60:02}"

    @property
    def stored_bytes(self) -> int:
        """How much was stored, as a mean of the time for which it was looked at."""
        hours = Decimal(abs(self.milliseconds)) / 3_600_000
        return int(abs(self.storage_hours) * 2**30 / hours) if hours else 0


class Month(Amounts):
    """The sum of some of the ledger's rows of a month (UTC); changed in the transaction that changes one of them.

    There is one for whatever pages show as a sum: adding up the months of ten thousand members takes longer than the page.
    """

    month = models.DateField(help_text="its first day")

    class Meta:
        abstract = True


def month_project(related_name: str) -> models.ForeignKey:
    """The project itself, while it is there: its sums stay when it goes."""
    return models.ForeignKey(
        "projects.Project", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name=related_name
    )


class MonthTotal(Month):
    """What a member used in a project."""

    project = month_project("member_months")
    project_name = models.CharField(max_length=100)
    member_id = models.CharField(max_length=16, blank=True)
    member_name = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "member_id", "month"], name="month_total_once")]
        # The dearest members of a project and projects of a member, in the order in which pages show them.
        indexes = [
            models.Index(fields=["project", "month", "-amount", "member_id"], name="month_total_project"),
            models.Index(fields=["member_id", "month", "-amount", "project"], name="month_total_member"),
        ]


class ProjectMonth(Month):
    """What a project used."""

    project = month_project("months")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "month"], name="project_month_once")]
        indexes = [models.Index(fields=["month", "-amount", "project"], name="project_month_dearest")]


class OwnerMonth(Month):
    """What a project used while it was this owner's."""

    project = month_project("owner_months")
    project_name = models.CharField(max_length=100)
    owner_id = models.CharField(max_length=16)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "owner_id", "month"], name="owner_month_once")]
        indexes = [models.Index(fields=["owner_id", "month", "-amount", "project"], name="owner_month_owner")]


class PersonMonth(Month):
    """What all projects of a person used, and what they used themselves, wherever."""

    class Side(models.TextChoices):
        OWNER = "owner", "in their projects"
        MEMBER = "member", "by themselves"

    person_id = models.CharField(max_length=16)
    side = models.CharField(max_length=6, choices=Side.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person_id", "side", "month"], name="person_month_once")]


class Balance(models.Model):
    """What a payer was credited with and charged, ever; changed with the ledger and the credits, in the same transaction."""

    payer = models.CharField(primary_key=True, max_length=24)
    credited = money_field()
    charged = money_field()

    @property
    def left(self) -> Decimal:
        return self.credited - self.charged


class Credit(models.Model):
    """What an admin granted a payer, or took back (below zero), and why. Never changed."""

    payer = models.CharField(max_length=24, db_index=True)
    payer_name = models.CharField(max_length=100)
    amount = money_field()
    reason = models.CharField(max_length=300, validators=[printable])
    by_id = models.CharField(max_length=16)
    by_name = models.CharField(max_length=100)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {settings.MLTEAM_CURRENCY} for {self.payer_name}"


class BillingAccount(models.Model):
    """Pays for several owners."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    name = models.CharField(max_length=100, unique=True, validators=[printable])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class AccountOwner(models.Model):
    """An owner for whom a billing account pays, from then until then."""

    account = models.ForeignKey(BillingAccount, on_delete=models.PROTECT, related_name="owners")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="billing_accounts")
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner"], condition=Q(until=None), name="one_billing_account"),
        ]


class Budget(models.Model):
    """What a project, or one member in it, may cost in a month (UTC)."""

    class WhenFull(models.TextChoices):
        FINISH = "finish", "may go on to their end"
        STOP = "stop", "are stopped"

    id = models.CharField(primary_key=True, max_length=16, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="budgets")
    # None: of the whole project.
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets"
    )
    amount = money_field(validators=[MinValueValidator(ZERO)])
    when_full = models.CharField(max_length=6, choices=WhenFull.choices, default=WhenFull.FINISH)
    # The months whose emails are out: at 80 %, and at 100 %.
    warned_for = models.DateField(null=True, blank=True)
    full_for = models.DateField(null=True, blank=True)

    spent: Decimal  # what billing.budgets adds: this month's charges

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project"], condition=Q(member=None), name="one_project_budget"),
            models.UniqueConstraint(fields=["project", "member"], name="one_member_budget"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="budget_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.member.shown} in {self.project}" if self.member else str(self.project)

    @property
    def share(self) -> int:
        """How much of it is used, in percent."""
        return int(100 * self.spent / self.amount) if self.amount else 100

    @property
    def low(self) -> Decimal:
        """The amount at which it warns."""
        return self.amount * 4 / 5
