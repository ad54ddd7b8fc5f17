"""Budgets: how far this month's are used, what they hold back, and the emails that say so."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.template.loader import render_to_string
from django.urls import reverse

from access.prepared import Prepared
from accounts import mail, wishes
from accounts.paging import Order, Page, paged
from billing import payers
from billing.models import Budget, MonthTotal, ProjectMonth, money_field
from billing.money import in_words
from billing.prices import money_shows, this_month

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project

WARN_AT: Final = Decimal("0.8")
SHOWN: Final = 25  # budgets of members on a page
BY_USERNAME: Final = Order("username", descending=False)


def with_spent(budgets: QuerySet, month: date) -> QuerySet:
    """Budgets, each with `spent`: what was charged in the month for what it limits."""
    place = {"month": month, "project_id": OuterRef("project_id")}
    whole = ProjectMonth.objects.filter(**place).values("amount")
    own = MonthTotal.objects.filter(**place, member_id=OuterRef("member_id")).values("amount")
    nothing = Decimal(0)
    # A subquery of nothing is null: a member's own one finds nothing for the project's budget.
    return budgets.annotate(
        whole=Coalesce(Subquery(whole), nothing, output_field=money_field()),
        own=Coalesce(Subquery(own), nothing, output_field=money_field()),
    )


def spent_of(budget: Budget) -> Decimal:
    """What was charged in the month; of a row from `with_spent`."""
    return budget.own if budget.member_id else budget.whole  # type: ignore[attr-defined]


def of_project(project: "Project", *, members: bool = True) -> list[Budget]:
    """The project's budgets with `spent`, its own first; `members`: and those of its members."""
    rows = Budget.objects.filter(project=project, **({} if members else {"member": None}))
    ordered = rows.select_related("member").order_by(F("member__username").asc(nulls_first=True))
    return _prepared(with_spent(ordered, this_month()))


def of_person(project: "Project", person: "User", *, whole: bool) -> list[Budget]:
    """What limits a person in the project, with `spent`: their own budget, and with `whole` the project's before it."""
    return _prepared(_limiting(this_month(), whole).objects(project=project.pk, person=person.pk))


@cache
def _limiting(month: date, whole: bool) -> Prepared[Budget]:
    def limiting(project: str, person: str) -> QuerySet:
        theirs = Q(member=person) | Q(member=None) if whole else Q(member=person)
        rows = Budget.objects.filter(theirs, project=project).select_related("member")
        return with_spent(rows.order_by(F("member").asc(nulls_first=True)), month)

    return Prepared(limiting)


def of_members(project: "Project", *, q: str = "", cursor: str = "") -> Page[Budget]:
    """A page of the budgets of members in whose name or username the text occurs, by username, with `spent`."""
    rows = Budget.objects.filter(project=project, member__isnull=False).annotate(username=F("member__username"))
    found = rows.filter(Q(username__icontains=q) | Q(member__name__icontains=q)) if q else rows
    page = paged(found, cursor, order=BY_USERNAME, size=SHOWN, fetch=_with_member(this_month()).objects)
    return page.showing(_prepared(page.rows))


@cache
def _with_member(month: date) -> Prepared[Budget]:
    return Prepared(lambda pks: with_spent(Budget.objects.filter(pk__in=pks).select_related("member"), month))


def _prepared(rows: Iterable[Budget]) -> list[Budget]:
    budgets = list(rows)
    for budget in budgets:
        budget.spent = spent_of(budget)
    return budgets


def _full() -> Q:
    return Q(member=None, whole__gte=F("amount")) | Q(member__isnull=False, own__gte=F("amount"))


# What they hold back


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing new starts. `ends`: what runs, and cannot be started again later, is stopped too."""

    sentence: str
    ends: bool


@dataclass(frozen=True, slots=True)
class Holds:
    """What is held back now; answers without another query."""

    projects: dict[str, Hold] = field(default_factory=dict)
    members: dict[tuple[str, str], Hold] = field(default_factory=dict)
    solvent: payers.Solvent | None = None

    def of(self, *, project_id: str, owner_id: str, member_id: str | None) -> Hold | None:
        """Why nothing more may start for this person in this project; None when it may."""
        held = [self.projects.get(project_id), self.members.get((project_id, member_id or ""))]
        if self.solvent and not self.solvent.owner(owner_id):
            held.append(_no_credit())
        found = [one for one in held if one]
        return Hold(found[0].sentence, any(one.ends for one in found)) if found else None

    def __bool__(self) -> bool:
        return bool(self.projects or self.members or self.solvent)


def holds() -> Holds:
    """What is held back now; a constant number of queries, one while nothing costs anything."""
    if not money_shows():
        return Holds()
    month = this_month()
    full = with_spent(Budget.objects.select_related("member", "project__owner"), month).filter(_full())
    projects, members = {}, {}
    for budget in full:
        if budget.member:
            members[budget.project_id, budget.member.pk] = _hold(budget, month)
        else:
            projects[budget.project_id] = _hold(budget, month)
    return Holds(projects, members, payers.with_credit() if settings.MLTEAM_CREDIT_NEEDED else None)


def _hold(budget: Budget, month: date) -> Hold:
    """Everybody who sees the job reads it: it names no amounts."""
    whose = f"{budget.member.shown}'s budget in this project" if budget.member else "The budget of this project"
    sentence = f"Held: {whose[0].lower() + whose[1:] if not budget.member else whose} for {month:%B} is used up. "
    return Hold(
        f"{sentence}{budget.project.owner.shown} can raise it; it begins anew on {_next(month):%-d %B}.",
        ends=budget.when_full == Budget.WhenFull.STOP,
    )


def _no_credit() -> Hold:
    return Hold(
        "Held: who pays for this project has no credit left. The installation's admin can add some.",
        ends=settings.MLTEAM_CREDIT_NEEDED == "stop",
    )


def _next(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


# The emails


def warn() -> int:
    """Sends what is due: at 80 % and at 100 % once a month each; the number of budgets that were told of."""
    if not money_shows():
        return 0
    month = this_month()
    rows = with_spent(Budget.objects.select_related("member", "project__owner"), month)
    due = rows.filter(project__removed_at=None).exclude(warned_for=month, full_for=month)
    return sum(_warn(budget, month) for budget in _prepared(due))


@transaction.atomic
def _warn(budget: Budget, month: date) -> bool:
    """By compare-and-set, so that of two at once one sends."""
    if budget.spent >= budget.amount:
        mine = Budget.objects.filter(pk=budget.pk).exclude(full_for=month)
        claimed, full = mine.update(full_for=month, warned_for=month), True
    elif budget.spent >= budget.amount * WARN_AT:
        claimed = Budget.objects.filter(pk=budget.pk).exclude(warned_for=month).update(warned_for=month)
        full = False
    else:
        return False
    if claimed:
        for user in {budget.project.owner, *([budget.member] if budget.member else [])}:
            if wishes.wants(user, wishes.BUDGET):
                _send(budget, user, month, full=full)
    return bool(claimed)


def _send(budget: Budget, to: "User", month: date, *, full: bool) -> None:
    whose = "Your" if budget.member == to else f"{budget.member.shown}'s" if budget.member else "The"
    context = {
        "budget": budget,
        "whose": whose,
        "is_owner": budget.project.owner == to,
        "month": f"{month:%B %Y}",
        "next": f"{_next(month):%-d %B}",
        "spent": in_words(budget.spent),
        "amount": in_words(budget.amount),
        "share": budget.share,
        "full": full,
        "stops": budget.when_full == Budget.WhenFull.STOP,
        "link": settings.MLTEAM_URL + reverse("billing:project", args=[budget.project.slug]),
    }
    what = "is used up" if full else f"is used to {budget.share} %"
    mail.put(
        to=to.email,
        subject=f"{whose} budget in {budget.project.name} {what}",
        body=render_to_string("billing/email/budget.txt", context),
        reference=f"budget:{budget.pk}",
    )
