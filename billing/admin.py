"""What billing has in the admin. The staff: prices, credits, billing accounts, the ledger. Owners: budgets, and their part of the
ledger. What changes goes through billing.actions."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from access.sites import Rows, become, staff
from billing import actions
from billing.forms import AccountForm, CreditForm, OwnBudgetForm, PriceForm
from billing.models import SUMMED, BillingAccount, Budget, Charge, Credit, Price
from billing.prices import money_shows
from projects.owners import Changed, Owned, OwnProject, owners


@admin.register(Price, site=staff)
class PriceAdmin(Rows):
    """Prices are added; one that is not in force yet can be deleted."""

    form = PriceForm
    list_display = ["kind", "gpu_type", "amount", "effective_from", "set_by_name"]
    list_filter = ["kind"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None and obj.effective_from > timezone.now() and request.user.has_perm("billing.delete_price")

    def save_model(self, request: Any, obj: Price, form: Any, change: bool) -> None:
        obj.pk = actions.set_price(**form.cleaned_data, by=request.user).pk

    def delete_model(self, request: Any, obj: Price) -> None:
        actions.withdraw_price(price=obj, by=request.user)


@admin.register(Credit, site=staff)
class CreditAdmin(Rows):
    """Credits are granted, and never changed: one below zero takes back."""

    form = CreditForm
    list_display = ["at", "payer_name", "amount", "reason", "by_name"]
    search_fields = ["payer_name", "reason", "by_name"]

    def save_model(self, request: Any, obj: Credit, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("payer", "amount", "reason")}
        obj.pk = actions.grant(**given, by=request.user).pk


@admin.register(BillingAccount, site=staff)
class BillingAccountAdmin(Rows):
    """Billing accounts, and for whom each pays."""

    form = AccountForm
    list_display = ["name", "created_at"]
    search_fields = ["name"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.change_billingaccount")

    def save_model(self, request: Any, obj: BillingAccount, form: Any, change: bool) -> None:
        actions.set_account(account=obj, **form.cleaned_data, by=request.user)


@admin.register(Charge, site=staff)
class ChargeAdmin(Rows):
    """The ledger, to look at."""

    list_display = [
        "hour",
        "project_name",
        "member_name",
        "subject_name",
        "line",
        "gpu_hours",
        "cpu_hours",
        "amount",
        "payer_name",
        "final",
    ]
    list_display_links = None
    list_filter = ["line"]
    search_fields = ["project_name", "member_name", "subject_name", "payer_name"]
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Budget, site=owners)
class BudgetAdmin(Changed):
    """What one's own projects and their members may cost in a month. Where nothing costs anything there are none."""

    action = "project:set"
    form = OwnBudgetForm
    list_display = ["project", "member", "amount", "when_full"]
    list_filter = [OwnProject]
    search_fields = ["project__name", "member__username", "member__name"]
    ordering = ["project__name", "member__username", "pk"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("project__owner", "member")

    def mine(self, request: HttpRequest, obj: Any) -> bool:
        return money_shows() and super().mine(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return money_shows()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return money_shows()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["project", "member", "amount", "when_full"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["project", "member"] if obj else []

    def save_model(self, request: Any, obj: Budget, form: Any, change: bool) -> None:
        known = {"project": obj.project, "member": obj.member} if change else {}
        become(obj, actions.set_budget(**known | form.cleaned_data, by=request.user))

    def delete_model(self, request: Any, obj: Budget) -> None:
        actions.remove_budget(budget=obj, by=request.user)


@admin.register(Charge, site=owners)
class OwnChargeAdmin(Owned):
    """The ledger of one's own projects, to look at."""

    action = "project:set"
    list_display = ["hour", "project_name", "member_name", "subject_name", "line", "gpu_hours", "cpu_hours", "amount"]
    list_filter = [OwnProject, "line", "hour"]
    search_fields = ["project_name", "member_name", "subject_name"]
    ordering = ["-hour", "-id"]
    readonly_fields = [
        *("hour", "project_name", "member_name", "subject_name", "gpus", "line"),
        *(*SUMMED, "payer_name", "final"),
    ]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return _without_money(self.list_display)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return _without_money(self.readonly_fields)


def _without_money(names: Sequence[Any]) -> list[Any]:
    """The columns that say no amounts, where nothing costs anything."""
    if money_shows():
        return list(names)
    return [name for name in names if not name.endswith(("amount", "_cost", "payer_name"))]
