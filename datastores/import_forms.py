"""The form that has a version made of what lies at an address."""

from typing import Any

from django import forms

import access
from accounts.models import User
from datastores.remote.keys import OPENS
from projects.models import Project, ThirdPartyKey


class AddressForm(forms.Form):
    """Where it lies, and what opens it."""

    address = forms.CharField(
        max_length=4096,
        help_text="A file or archive at https://…, or a folder or file in a bucket: s3://bucket/path, gs://bucket/path.",
        widget=forms.TextInput(
            {"class": "mono", "placeholder": "https://example.org/faces.tar.gz", "autocomplete": "off"}
        ),
    )
    key = forms.ChoiceField(
        required=False, help_text="For a bucket that is not for everybody; it needs to read there, and nothing more."
    )
    unpack = forms.BooleanField(
        required=False, initial=True, label="Unpack a single archive", help_text="tar, tar.gz, tar.bz2, tar.xz, zip."
    )

    def __init__(self, *args: Any, project: Project, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["key"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "None: it is public"), *keys_of(project, by)]


class ImportForm(AddressForm):
    """The same, for a version of what is there already."""

    note = forms.CharField(required=False, max_length=1000, help_text="What is new in this version.")


def keys_of(project: Project, by: User) -> list[tuple[str, str]]:
    """The keys that somebody may use and that open buckets, by name and type."""
    if not access.allowed(by, "key:use", project):
        return []
    types = [kind for kinds in OPENS.values() for kind in kinds]
    rows = ThirdPartyKey.objects.filter(project=project, type__in=types).order_by("name").values_list("name", "type")
    return [(name, f"{name} ({kind})") for name, kind in rows]
