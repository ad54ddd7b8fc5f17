"""Forms of datasets, models and volumes."""

from decimal import Decimal
from typing import Any, Final

from django import forms

from datastores.import_forms import AddressForm
from datastores.kinds import VERSIONED, Kind
from datastores.models import Datastore

GIB: Final = 2**30


class DatastoreForm(forms.ModelForm):
    """What a dataset, model or volume is called, and what there is to say about it; how much a volume may have."""

    class Meta:
        model = Datastore
        fields = ["name", "description"]
        widgets = {"description": forms.Textarea({"rows": 8})}
        help_texts = {"description": "Where it comes from, what is in it, who may use it for what. Markdown is read."}

    quota = forms.DecimalField(
        label="Quota (GiB)",
        required=False,
        min_value=Decimal("0.001"),
        max_digits=9,
        decimal_places=3,
        help_text="How much jobs and people may put into it. Empty: what this server gives.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.quota is not None:
            self.initial["quota"] = f"{Decimal(self.instance.quota) / GIB:.3f}".rstrip("0").rstrip(".")
        elif self.instance.name:
            del self.fields["quota"]

    def clean_quota(self) -> int | None:
        """In bytes; None leaves it as it is."""
        quota = self.cleaned_data["quota"]
        kept = self.initial.get("quota")
        return None if quota is None or (kept and quota == Decimal(kept)) else int(quota * GIB)

    def validate_unique(self) -> None:
        """Whoever saves it says so: a name may be taken in between."""


class NewDatastoreForm(AddressForm, DatastoreForm):
    """The same for a new one, of a kind that its maker may create; a dataset or model may have its first version from an address."""

    HERE, AWAY = "here", "address"

    kind = forms.ChoiceField(widget=forms.RadioSelect)
    source = forms.ChoiceField(
        label="Where its files come from",
        choices=[(HERE, "From this computer"), (AWAY, "From an address")],
        initial=HERE,
        required=False,
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, kinds: list[Kind], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["address"].required = False
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)
        field.choices, field.initial = [(kind.value, kind.label) for kind in kinds], kinds[0].value
        if Kind.VOLUME not in kinds:
            del self.fields["quota"]

    def clean(self) -> dict[str, Any]:
        """Without what is asked for another kind, or another source."""
        found = super().clean() or self.cleaned_data
        away = found.pop("source", "") == self.AWAY and found.get("kind") in VERSIONED
        if away and not (found.get("address") or self.has_error("address")):
            self.add_error("address", "Write where its files are.")
        unasked = () if away else ("address", "key", "unpack")
        for name in unasked if found.get("kind") == Kind.VOLUME else ("quota", *unasked):
            found.pop(name, None)
        return found
