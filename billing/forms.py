"""Forms about budgets, and those of the staff's pages."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from access.sites import ActionForm
from accounts.models import User
from billing import actions
from billing.models import BillingAccount, Budget, Credit, Kind, Price
from projects.models import Project


class BudgetForm(forms.Form):
    """Whose budget, how much a month, and what becomes of running jobs. `cleaned_data["member"]` is a User or None."""

    member = forms.CharField(
        label="Of",
        required=False,
        max_length=31,
        empty_value=None,
        help_text="The owner's or a member's username; empty: the whole project.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    amount = forms.DecimalField(label="A month", min_value=0, max_digits=12, decimal_places=2)
    when_full = forms.ChoiceField(
        label="At 100 %, running jobs that cannot be restarted", choices=Budget.WhenFull.choices
    )

    def clean_member(self) -> User | None:
        """Whether they are a member is the action's question: who is none is answered like nobody."""
        name = self.cleaned_data["member"]
        found = User.objects.filter(username=name.lower()).first() if name else None
        if name and found is None:
            raise ValidationError(actions.NO_MEMBER)
        return found


class OwnBudgetForm(ActionForm):
    """A budget of one of the user's own projects, in their admin site; `cleaned_data["member"]` is a User or None."""

    user: Any
    project = forms.ModelChoiceField(Project.objects.none())
    member = BudgetForm.base_fields["member"]
    amount = BudgetForm.base_fields["amount"]
    when_full = BudgetForm.base_fields["when_full"]

    class Meta:
        model = Budget
        fields = ["amount", "when_full"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "project" in self.fields:
            own = Project.objects.owned_by(self.user, "project:set")
            self.fields["project"].queryset = own.order_by("-personal", "name", "pk")  # type: ignore[attr-defined]

    clean_member = BudgetForm.clean_member


class PriceForm(forms.ModelForm):
    """A price from a day on."""

    class Meta:
        model = Price
        fields = ["kind", "gpu_type", "amount", "valid_from"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("gpu_type") and cleaned.get("kind") != Kind.GPU:
            raise ValidationError({"gpu_type": "Only a GPU hour has a GPU type."})
        if "valid_from" in cleaned and "kind" in cleaned:
            self._check_once(cleaned)
        return cleaned

    def _check_once(self, cleaned: dict[str, Any]) -> None:
        since = actions.in_force(cleaned["valid_from"])
        same = Price.objects.filter(kind=cleaned["kind"], gpu_type=cleaned.get("gpu_type", ""), effective_from=since)
        if same.exists():
            raise ValidationError(f"There is a price from {since:%-d %B, %H:%M} UTC on already. Delete that one first.")


class CreditForm(forms.ModelForm):
    """Whom to credit: a user by username, or a billing account. `cleaned_data["payer"]` is the payer."""

    username = forms.CharField(required=False, help_text="Of an owner of projects; or choose a billing account.")
    account = forms.ModelChoiceField(BillingAccount.objects.all(), required=False, label="Billing account")
    field_order = ["username", "account", "amount", "reason"]

    class Meta:
        model = Credit
        fields = ["amount", "reason"]
        help_texts = {"amount": "Below zero takes back.", "reason": "Why; it stays with the credit."}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("amount") == 0:
            raise ValidationError({"amount": "Nothing would change."})
        payer = actions.find_payer(username=cleaned.get("username", ""), account=cleaned.get("account"))
        return cleaned | {"payer": payer}


class AccountForm(forms.ModelForm):
    """A billing account and for whom it pays; `cleaned_data["owners"]` are users."""

    owners = forms.CharField(
        required=False,
        widget=forms.Textarea({"rows": 6}),
        help_text="Usernames, one in a line. It pays for their projects from now on; who is taken out pays again.",
    )

    class Meta:
        model = BillingAccount
        fields = ["name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = self.instance.owners.filter(until=None).order_by("owner__username")
        self.fields["owners"].initial = "\n".join(rows.values_list("owner__username", flat=True))

    def clean_owners(self) -> list[User]:
        names = {name.lower() for name in self.cleaned_data["owners"].split()}
        users = list(User.objects.filter(username__in=names))
        if unknown := sorted(names - {user.username for user in users}):
            raise ValidationError(f"There is no user {', '.join(unknown)}.")
        return users

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        actions.check_owners(self.instance, cleaned.get("owners", []))
        return cleaned
