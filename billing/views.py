"""Pages of usage and budgets.

Whoever may see a project sees what is left of who pays for it, and their own part of its use. All of its use, by member and
with the names of jobs, is for who may change the project: its owner.
"""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import access
from accounts.paging import addresses_of, searched
from accounts.requests import UserRequest
from billing import actions, exports, payers, usage
from billing import budgets as limits
from billing.forms import BudgetForm
from billing.models import Budget
from billing.prices import money_shows, this_month
from billing.usage import Scope
from projects.models import Project
from projects.named import BY_SLUG


@access.route("project:get")
@require_GET
def project(request: UserRequest, slug: str) -> HttpResponse:
    """What a project used: all of it for its owner, one's own part for members."""
    found, whole = _project(request, slug)
    member = request.GET.get("member", "") if whole else request.user.pk
    context = _context(request, _project_scope(found, member))
    more = {
        "project": found,
        "whole": whole,
        "member": member if whole else "",
        "payer": payers.payer_of(found.owner),
        "share": usage.share_of(found.pk, request.user.pk, context["month"]),
        "budgets": limits.of_person(found, request.user, whole=whole) if context["money"] else [],
        "address": reverse("billing:project_csv", args=[slug]),
    }
    return _page(request, {**context, **more})


@access.route("project:get")
@require_GET
def project_csv(request: UserRequest, slug: str) -> HttpResponseBase:
    """The same as a file: of a month, or everything."""
    found, whole = _project(request, slug)
    member = request.GET.get("member", "") if whole else request.user.pk
    return _file(request, _project_scope(found, member), found.slug)


@access.route("self")
@require_GET
def mine(request: UserRequest) -> HttpResponse:
    """What one's own projects used, or what one used oneself anywhere."""
    used = request.GET.get("view") == "used"
    more: dict[str, Any] = {
        "project": None,
        "whole": True,
        "member": "",
        "payer": payers.payer_of(request.user),
        "share": None,
        "budgets": [],
        "used": used,
        "address": reverse("billing:mine_csv"),
    }
    return _page(request, {**_context(request, _my_scope(request, used=used)), **more})


@access.route("self")
@require_GET
def mine_csv(request: UserRequest) -> HttpResponseBase:
    """The same as a file."""
    used = request.GET.get("view") == "used"
    return _file(request, _my_scope(request, used=used), "used" if used else "paid")


def _project(request: UserRequest, slug: str) -> tuple[Project, bool]:
    """The project, and whether all of its use may be seen."""
    found = access.fetch(request.user, "project:get", BY_SLUG, slug=slug)
    return found, bool(access.allowed(request.user, "project:set", found))


def _project_scope(found: Project, member: str) -> Scope:
    return Scope({"project_id": found.pk, **({"member_id": member} if member else {})}, "member")


def _my_scope(request: UserRequest, *, used: bool) -> Scope:
    return Scope({"member_id" if used else "owner_id": request.user.pk}, "project")


def _context(request: UserRequest, scope: Scope) -> dict[str, Any]:
    money, month = money_shows(), usage.month_named(request.GET.get("month", ""))
    now = this_month()
    last = now if month > usage.before(now, usage.MONTHS) else month
    months = usage.by_month(scope, last)
    total = next(row for row in months if row["month"] == month)
    parts = usage.parts(scope, month, total)
    what = request.GET.get("what", "")
    page = usage.paged(usage.only(usage.of_month(scope.charges, month), what), request.GET.get("page", ""))
    return {
        "money": money,
        "currency": settings.MLTEAM_CURRENCY,
        "month": month,
        "months": months[::-1],
        "total": total,
        "stored": scope.stored,
        "what": what if what in usage.WHAT else "",
        "kinds": usage.kinds(total),
        "parts": parts.rows,
        "others": parts.others,
        "by": scope.by,
        "chart": usage.chart(months, money=money, unit=settings.MLTEAM_CURRENCY, chosen=month),
        "rows": page.rows,
        "older": _page_url(request, page.older),
        "newer": _page_url(request, page.newer),
        "used": False,
        "empty": not page.rows
        and not any(row["amount"] or row["cpu_hours"] or row["gpu_hours"] or row["storage_hours"] for row in months),
    }


def _page(request: UserRequest, context: dict[str, Any]) -> HttpResponse:
    balance = payers.balance_of(context["payer"]) if context["money"] else None
    return render(request, "billing/usage.html", {**context, "balance": balance})


def _page_url(request: UserRequest, cursor: str) -> str:
    if not cursor:
        return ""
    kept = {key: value for key, value in request.GET.items() if key != "page"}
    return f"{request.path}?{urlencode({**kept, 'page': cursor})}"


def _file(request: UserRequest, scope: Scope, name: str) -> HttpResponseBase:
    charges = scope.charges
    if named := request.GET.get("month", ""):
        month = usage.month_named(named)
        charges, name = usage.of_month(charges, month), f"{name}-{month:%Y-%m}"
    return exports.response(charges, money=money_shows(), filename=f"usage-{name}")


# Budgets


@access.route("project:set")
@require_http_methods(["GET", "POST"])
def budgets(request: UserRequest, slug: str) -> HttpResponse:
    """What the project and its members may cost in a month."""
    found = _limited(request, slug)
    form = BudgetForm(request.POST or None)
    if form.is_valid() and _set(request, found, form):
        messages.success(request, "The budget is in force.")
        return redirect("billing:budgets", slug)
    context = {
        "project": found,
        "form": form,
        **_budgets(request, found),
        "currency": settings.MLTEAM_CURRENCY,
        "month": this_month(),
        "whens": Budget.WhenFull.choices,
    }
    return render(request, "billing/budgets.html", context)


def _budgets(request: UserRequest, found: Project) -> dict[str, Any]:
    """The project's own, and a page of those of its members."""
    q = searched(request)
    page = limits.of_members(found, q=q, cursor=request.GET.get("page", ""))
    budgets = [*limits.of_project(found, members=False), *page.rows]
    return {"budgets": budgets, "q": q, "none_fits": bool(q) and not page.rows, **addresses_of(request, page)}


def _set(request: UserRequest, found: Project, form: BudgetForm) -> bool:
    try:
        actions.set_budget(project=found, by=request.user, **form.cleaned_data)
    except ValidationError as error:
        form.add_error(None, error)
    return not form.errors


@access.route("project:set")
@require_POST
def budget_remove(request: UserRequest, slug: str, budget_id: str) -> HttpResponse:
    """Lifts a limit."""
    found = _limited(request, slug)
    rows = Budget.objects.filter(project=found).select_related("project", "member")
    actions.remove_budget(budget=get_object_or_404(rows, pk=budget_id), by=request.user)
    messages.success(request, "There is no limit any more.")
    return redirect("billing:budgets", slug)


def _limited(request: UserRequest, slug: str) -> Project:
    """The project whose budgets the user may change. Where nothing costs anything there are none."""
    found, _ = _project(request, slug)
    access.require(request.user, "project:set", found)
    if not money_shows():
        raise Http404("Nothing costs anything here: budgets come with the first price.")
    return found
