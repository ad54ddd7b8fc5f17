"""The forms of third-party keys. What was typed as a secret is never in a page again, also not beside its own error."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from projects import third_party_types as types

QUIET = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class Unshown(forms.Textarea):
    """Takes several lines and shows none."""

    def format_value(self, value: Any) -> None:
        return None


class ThirdPartyKeyForm(forms.Form):
    """The values that a type of key has; `values` are those that were sent. With `named` also the key's name."""

    def __init__(self, *args: Any, kind: types.Type, named: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind = kind
        if named:
            help_text = "The name of the variable in which jobs find it." if kind.name == "secret" else ""
            initial = "" if kind.name == "secret" else kind.name
            widget = forms.TextInput(QUIET)
            self.fields["name"] = forms.CharField(
                max_length=60, widget=widget, initial=initial, help_text=help_text, required=False
            )
        stands_for_others = any(field.aside and field.name == kind.file for field in kind.fields)
        for field in kind.fields:
            if not (field.aside and field.name == kind.file):
                self.fields[field.name] = _asked(field, optional=not (field.required or stands_for_others))
        if kind.file:
            label = "Or the file kaggle.json" if stands_for_others else "Or the file itself"
            self.fields["upload"] = forms.FileField(label=label, required=False, allow_empty_file=True)

    def clean_upload(self) -> str:
        """The text of the file."""
        file = self.cleaned_data["upload"]
        if not file:
            return ""
        if file.size > types.LONGEST:
            raise ValidationError(f"At most {types.LONGEST // 1024} KiB. Is this the right file?")
        try:
            text: str = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValidationError("This is no text. Choose the file as it was downloaded.") from None
        if not text.strip():
            raise ValidationError("This file is empty.")
        return text

    @property
    def values(self) -> dict[str, str]:
        """Field -> what was sent; a file goes before what was typed in its place."""
        sent = {field.name: self.cleaned_data.get(field.name, "") for field in self._kind.fields}
        if self.cleaned_data.get("upload"):
            sent[self._kind.file] = self.cleaned_data["upload"]
        return sent

    def refuse(self, error: ValidationError) -> None:
        """Says what is wrong beside the fields that it is about: of a file beside the file."""
        for name, said in error.message_dict.items():
            of_file = name == self._kind.file and (self.cleaned_data.get("upload") or name not in self.fields)
            self.add_error("upload" if of_file else name, said)


def _asked(field: types.Field, *, optional: bool) -> forms.CharField:
    """What is needed is said by the type itself, so that pages and programs hear the same."""
    widget: forms.Widget = forms.TextInput({**QUIET, "placeholder": field.default} if field.default else QUIET)
    if field.secret:
        hidden = {**QUIET, "autocomplete": "new-password"}
        widget = Unshown({**hidden, "rows": 4}) if field.lines else forms.PasswordInput(hidden)
    label = f"{field.label} (optional)" if optional and not field.default else field.label
    return forms.CharField(label=label, help_text=field.help, widget=widget, required=False, strip=False)
