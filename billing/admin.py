"""The staff's pages of prices, credits, billing accounts and the ledger. What changes goes through billing.actions."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from billing import actions
from billing.forms import AccountForm, CreditForm, PriceForm
from billing.models import BillingAccount, Charge, Credit, Price
from mlteam.staff import StaffAdmin, site


@admin.register(Price, site=site)
class PriceAdmin(StaffAdmin):
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


@admin.register(Credit, site=site)
class CreditAdmin(StaffAdmin):
    """Credits are granted, and never changed: one below zero takes back."""

    form = CreditForm
    list_display = ["at", "payer_name", "amount", "reason", "by_name"]
    search_fields = ["payer_name", "reason", "by_name"]

    def save_model(self, request: Any, obj: Credit, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("payer", "amount", "reason")}
        obj.pk = actions.grant(**given, by=request.user).pk


@admin.register(BillingAccount, site=site)
class BillingAccountAdmin(StaffAdmin):
    """Billing accounts, and for whom each pays."""

    form = AccountForm
    list_display = ["name", "created_at"]
    search_fields = ["name"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.change_billingaccount")

    def save_model(self, request: Any, obj: BillingAccount, form: Any, change: bool) -> None:
        actions.set_account(account=obj, **form.cleaned_data, by=request.user)


@admin.register(Charge, site=site)
class ChargeAdmin(StaffAdmin):
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
