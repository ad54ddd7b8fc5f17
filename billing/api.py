"""What programs read of use and money, and the budgets that they set.

Whoever may see a project sees what is left of who pays for it, and their own part of its use; all of its use is for who may
change the project.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema, Status

import access
from accounts.api import UserOut, show_user, user_for
from accounts.models import User
from api import etags, lists
from api.callers import ApiRequest, person
from api.lists import In, Listed, Out, Sorted
from api.problems import Problem, invalid
from billing import actions, budgets, exports, payers, usage
from billing.models import SUMMED, Budget, Charge
from billing.prices import money_shows, this_month
from billing.usage import Scope
from projects.api import project_for
from projects.models import Project

router = Router(tags=["billing"])

WHOLE: Final = "project"  # whose budget the project's own is
COSTS: Final = tuple(name for name in SUMMED if not name.endswith("_hours"))
CSV: Final = {200: {"description": "CSV", "content": {"text/csv": {"schema": {"type": "string"}}}}}


class BalanceOut(Out):
    """What is left of who pays for one's projects; below zero it is owed. `amount` is null where nothing costs anything."""

    payer: str
    amount: str | None
    currency: str
    mine: bool


class SumsOut(Out):
    """Hours of GPUs, CPU cores, GiB of memory and of storage, and what each cost; costs are null where nothing costs anything."""

    gpu_hours: str
    cpu_hours: str
    memory_hours: str
    storage_hours: str
    gpu_cost: str | None
    cpu_cost: str | None
    memory_cost: str | None
    storage_cost: str | None
    amount: str | None


class UsagePart(Out):
    """A part of the use: of a member or a project (its id), of a month ("2026-11"), or of a kind (gpu, cpu, memory, storage).
    `mine`: it is what who asks used; of projects, one that they own."""

    id: str
    name: str
    hours: str | None = Field(None, description="of a kind, in its unit")
    unit: str | None = None
    amount: str | None = None
    sums: SumsOut | None = Field(None, description="of all but kinds")
    mine: bool


class UsageOut(Out):
    """Use in a month (UTC), in parts. `whole`: all of the project's, not only one's own; `others`: those that are not among the
    25 largest parts; `balance`: what is left of who pays, null where nothing costs anything; `stored_bytes`: how much datasets,
    models and volumes are now, which is charged by the hour. Among members it is the part with the id `storage`."""

    month: str
    by: str
    whole: bool
    currency: str
    payer: str
    balance: str | None
    stored_bytes: int | None = Field(description="null where members' use is told")
    total: SumsOut
    items: list[UsagePart]
    others: SumsOut | None
    next: str | None = None
    previous: str | None = None


class ChargeOut(Out):
    """What one attempt of a job, or all that a project stores (`source`), used in one hour of the clock. `line`: use, or a later
    correction of it."""

    id: int
    hour: datetime
    source: Literal["attempt", "storage"]
    line: Literal["use", "correction"]
    project: str = Field(description="its name then")
    member: str = Field(description="whose job it was: the name then")
    job: str
    job_id: str = Field(description="empty where it is no job")
    gpus: str
    milliseconds: int
    sums: SumsOut
    mine: bool


class BudgetOut(Out):
    """What a project, or (with `member`) one person in it, may cost in a month; `spent`: this month's. `mine`: it limits who asks."""

    member: UserOut | None
    amount: str
    when_full: Literal["finish", "stop"]
    spent: str
    share: int = Field(description="how much of it is used, in percent")
    currency: str
    mine: bool


class BudgetIn(In):
    """How much a month, and what becomes of running jobs that cannot be restarted when it is used up: they go on, or are stopped."""

    amount: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    when_full: Literal["finish", "stop"] = "finish"


class Period(Schema):
    """Which month, as 2026-11; this one unless it is given."""

    month: str = Field("", pattern="^(2[0-9]{3}-(0[1-9]|1[0-2]))?$")


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _sums(row: Any, *, money: bool) -> dict[str, str | None]:
    """Of a row of sums, or of the ledger."""
    found = row if isinstance(row, dict) else {name: getattr(row, name) for name in SUMMED}
    shown: dict[str, str | None] = {name: _plain(found[name]) for name in SUMMED}
    return shown if money else shown | dict.fromkeys(COSTS)


# One's own


@router.get("/me/balance", response=BalanceOut)
@access.route("self")
def balance(request: ApiRequest) -> dict[str, Any]:
    """What is left to pay for one's projects with."""
    payer = payers.payer_of(person(request))
    amount = _money(payers.balance_of(payer)) if money_shows() else None
    mine = payer == payers.of_user(request.user)
    return {"payer": payer.name, "amount": amount, "currency": settings.MLTEAM_CURRENCY, "mine": mine}


@router.get("/me/usage", response=UsageOut)
@access.route("self")
def my_usage(
    request: ApiRequest,
    when: Query[Period],
    by: Literal["project", "kind", "month"] = "project",
    view: Literal["paid", "used"] = "paid",
) -> dict[str, Any]:
    """What one's own projects used, or what one used oneself anywhere."""
    me = person(request)
    return _usage(request, _my_scope(me, view), payers.payer_of(me), when, by, whole=True)


@router.get("/me/usage.csv", openapi_extra={"responses": CSV})
@access.route("self")
def my_usage_csv(request: ApiRequest, when: Query[Period], view: Literal["paid", "used"] = "paid") -> HttpResponseBase:
    """The hours that make it up, as a file: of a month, or all."""
    return _file(_my_scope(person(request), view), when, view)


def _my_scope(me: User, view: str) -> Scope:
    return Scope({"member_id" if view == "used" else "owner_id": me.pk}, "project")


# A project's


@router.get("/projects/{project}/usage", response=UsageOut)
@access.route("project:get")
def project_usage(
    request: ApiRequest,
    project: str,
    when: Query[Period],
    by: Literal["member", "kind", "month"] = "member",
    member: str = Query("", max_length=16, description="only this person's, by id"),
) -> dict[str, Any]:
    """What a project used in a month; one's own part for who may not change the project."""
    found = project_for(request, project, "project:get")
    scope, whole = _scope(request, found, member)
    return _usage(request, scope, payers.payer_of(found.owner), when, by, whole=whole)


@router.get("/projects/{project}/usage.csv", openapi_extra={"responses": CSV})
@access.route("project:get")
def project_usage_csv(
    request: ApiRequest, project: str, when: Query[Period], member: str = Query("", max_length=16)
) -> HttpResponseBase:
    """The hours that make it up, as a file: of a month, or all."""
    found = project_for(request, project, "project:get")
    return _file(_scope(request, found, member)[0], when, found.slug)


class ByHour(Sorted):
    sort: Literal["hour", "-hour"] = "-hour"


@router.get("/projects/{project}/charges", response=Listed[ChargeOut])
@access.route("project:get")
def list_charges(
    request: ApiRequest,
    project: str,
    when: Query[Period],
    paging: Query[ByHour],
    member: str = Query("", max_length=16, description="only this person's, by id"),
    what: Literal["", "jobs", "storage"] = Query("", description="only those of jobs, or of what is stored"),
) -> dict[str, Any]:
    """The hours that make up a month's use, newest first."""
    found = project_for(request, project, "project:get")
    rows = usage.only(usage.of_month(_scope(request, found, member)[0].charges, usage.month_named(when.month)), what)
    money = money_shows()
    return lists.page(rows, paging, lambda row: _charge(row, request.user, money=money), order=paging.by("hour"))


def _scope(request: ApiRequest, found: Project, member: str) -> tuple[Scope, bool]:
    """What may be seen of a project's use, and whether that is all of it."""
    whole = bool(access.allowed(request.user, "project:set", found))
    seen = member if whole else request.user.pk
    return Scope({"project_id": found.pk, **({"member_id": seen} if seen else {})}, "member"), whole


def _charge(row: Charge, by: Any, *, money: bool) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in ("hour", "source", "line", "gpus", "milliseconds")}
    names = {"project": row.project_name, "member": row.member_name, "job": row.subject_name, "job_id": row.subject_id}
    return {"id": row.pk, "sums": _sums(row, money=money), "mine": row.member_id == by.pk, **plain, **names}


def _usage(
    request: ApiRequest, scope: Scope, payer: payers.Payer, when: Period, by: str, *, whole: bool
) -> dict[str, Any]:
    money, month = money_shows(), usage.month_named(when.month)
    months = usage.by_month(scope, month)
    total = months[-1]
    others = None
    if by == "month":
        items = [_month_part(row, request.user, money=money, mine=not whole) for row in reversed(months)]
    elif by == "kind":
        items = [_kind_part(row, money=money, mine=not whole) for row in usage.kinds(total)]
    else:
        parts = usage.parts(scope, month, total)
        items, others = _parts(parts.rows, by, request.user, money=money), parts.others
    return {
        "month": f"{month:%Y-%m}",
        "by": by,
        "whole": whole,
        "currency": settings.MLTEAM_CURRENCY,
        "payer": payer.name,
        "balance": _money(payers.balance_of(payer)) if money else None,
        "stored_bytes": scope.stored,
        "total": _sums(total, money=money),
        "items": items,
        "others": _sums(others, money=money) if others else None,
    }


def _parts(rows: list[dict[str, Any]], by: str, who: Any, *, money: bool) -> list[dict[str, Any]]:
    """Members or projects; one's own projects are looked up at once."""
    ids = [row["id"] for row in rows]
    mine = (
        {who.pk}
        if by == "member"
        else set(Project.objects.filter(pk__in=ids, owner=who.pk).values_list("pk", flat=True))
    )
    return [_part(row["id"], row["name"], row, money=money, mine=row["id"] in mine) for row in rows]


def _part(key: str, name: str, row: dict[str, Any], *, money: bool, mine: bool) -> dict[str, Any]:
    sums = _sums(row, money=money)
    return {"id": key, "name": name, "sums": sums, "amount": sums["amount"], "mine": mine}


def _month_part(row: dict[str, Any], who: Any, *, money: bool, mine: bool) -> dict[str, Any]:
    month: date = row["month"]
    return _part(f"{month:%Y-%m}", f"{month:%B %Y}", row, money=money, mine=mine)


def _kind_part(row: dict[str, Any], *, money: bool, mine: bool) -> dict[str, Any]:
    amount = _plain(row["cost"]) if money else None
    hours = _plain(row["hours"])
    return {
        "id": row["kind"],
        "name": row["label"],
        "unit": row["unit"],
        "hours": hours,
        "amount": amount,
        "mine": mine,
    }


def _file(scope: Scope, when: Period, name: str) -> HttpResponseBase:
    charges = scope.charges
    if when.month:
        month = usage.month_named(when.month)
        charges, name = usage.of_month(charges, month), f"{name}-{month:%Y-%m}"
    return exports.response(charges, money=money_shows(), filename=f"usage-{name}")


# Budgets


@router.get("/projects/{project}/budgets", response=Listed[BudgetOut])
@access.route("project:get")
def list_budgets(request: ApiRequest, project: str) -> dict[str, Any]:
    """What a project and its members may cost in a month; one's own for who may not change the project."""
    found = project_for(request, project, "project:get")
    whole = bool(access.allowed(request.user, "project:set", found))
    rows = budgets.of_project(found) if money_shows() else []
    return lists.whole(
        (row for row in rows if whole or row.member_id == request.user.pk), lambda row: _budget(row, request.user)
    )


@router.get("/projects/{project}/budgets/{whose}", response=BudgetOut)
@access.route("project:get")
def get_budget(request: ApiRequest, project: str, whose: str, response: HttpResponse) -> dict[str, Any]:
    """The budget of somebody, by id or username, or of the whole project: `project`."""
    found, member = project_for(request, project, "project:get"), _member(whose)
    if member is None or member.pk != request.user.pk:
        access.require(request.user, "project:set", found)
    return _shown(request, _found(found, member), response)


@router.put("/projects/{project}/budgets/{whose}", response=BudgetOut)
@access.route("project:set")
def set_budget(request: ApiRequest, project: str, whose: str, data: BudgetIn, response: HttpResponse) -> dict[str, Any]:
    """Limits what somebody, by id or username, or the whole project (`project`) may cost in a month."""
    by, found, member = person(request), _limited(request, project), _member(whose)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=found.pk)
        _check(request, Budget.objects.filter(project=found, member=member).first())
        try:
            actions.set_budget(project=found, member=member, by=by, **data.dict())
        except ValidationError as error:
            raise invalid(("whose", said) for said in error.messages) from error
    return _shown(request, _found(found, member), response)


@router.delete("/projects/{project}/budgets/{whose}", response={204: None})
@access.route("project:set")
def remove_budget(request: ApiRequest, project: str, whose: str) -> Status:
    """Lifts a limit."""
    by, found = person(request), _limited(request, project)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=found.pk)
        budget = _found(found, _member(whose))
        _check(request, budget)
        actions.remove_budget(budget=budget, by=by)
    return Status(204, None)


def _limited(request: ApiRequest, project: str) -> Project:
    """The project, when who asks may set its budgets; where nothing costs anything there are none."""
    found = project_for(request, project, "project:get")
    access.require(request.user, "project:set", found)
    if not money_shows():
        raise Problem(409, "conflict", "Nothing costs anything here: budgets come with the first price.")
    return found


def _member(whose: str) -> User | None:
    """Whose budget is meant: a user, also one who is gone; None for the whole project. No username is the word for that."""
    return None if whose == WHOLE else user_for(whose, closed=True)


def _found(project: Project, member: User | None) -> Budget:
    rows = budgets.with_spent(Budget.objects.select_related("project", "member"), this_month())
    budget = get_object_or_404(rows, project=project, member=member)
    budget.spent = budgets.spent_of(budget)
    return budget


def _check(request: ApiRequest, budget: Budget | None) -> None:
    if budget or request.headers.get("If-Match"):
        etags.check(request, _tag(budget) if budget else "")


def _tag(budget: Budget) -> str:
    return etags.tag_of(budget.pk, _money(budget.amount), budget.when_full)


def _budget(budget: Budget, by: Any) -> dict[str, Any]:
    amounts = {"amount": _money(budget.amount), "spent": _money(budget.spent), "currency": settings.MLTEAM_CURRENCY}
    whose = {"member": show_user(budget.member, by) if budget.member else None, "mine": budget.member_id == by.pk}
    return {"when_full": budget.when_full, "share": budget.share, **amounts, **whose}


def _shown(request: ApiRequest, budget: Budget, response: HttpResponse) -> dict[str, Any]:
    etags.tell(response, _tag(budget))
    return _budget(budget, request.user)
