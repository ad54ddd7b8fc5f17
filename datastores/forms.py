"""Forms of datasets and models."""

from typing import Any

from django import forms

from datastores.kinds import Kind
from datastores.models import Datastore


class DatastoreForm(forms.ModelForm):
    """What a dataset or model is called, and what there is to say about it."""

    class Meta:
        model = Datastore
        fields = ["name", "description"]
        widgets = {"description": forms.Textarea({"rows": 8})}
        help_texts = {"description": "Where it comes from, what is in it, who may use it for what. Markdown is read."}

    def validate_unique(self) -> None:
        """Whoever saves it says so: a name may be taken in between."""


class NewDatastoreForm(DatastoreForm):
    """The same for a new one, of a kind that its maker may create."""

    kind = forms.ChoiceField(widget=forms.RadioSelect)
    field_order = ["kind", "name", "description"]

    def __init__(self, *args: Any, kinds: list[Kind], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)
        field.choices, field.initial = [(kind.value, kind.label) for kind in kinds], kinds[0].value
