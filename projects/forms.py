"""Forms about projects and members."""

from typing import Any

from django import forms

from projects.levels import DEFAULT_PRESET, KINDS, PRESETS, Level, Levels
from projects.models import Project

KIND_LABELS = [(kind, f"{kind.capitalize()}s") for kind in KINDS]


class ProjectForm(forms.ModelForm):
    """A project's name."""

    class Meta:
        model = Project
        fields = ["name"]


class RemoveForm(forms.Form):
    """Removal is confirmed by typing the name."""

    confirm = forms.CharField(required=False)

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name

    def clean_confirm(self) -> str:
        if self.cleaned_data["confirm"].strip() != self._name:
            raise forms.ValidationError(f"Type the project's name, {self._name}, to remove it.")
        return self.cleaned_data["confirm"]


class LevelsForm(forms.Form):
    """Levels, by preset or one by one; `cleaned_data["levels"]` has them."""

    preset = forms.ChoiceField(
        choices=[*((name, name) for name in PRESETS), ("", "Own levels")], initial=DEFAULT_PRESET, required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind, label in KIND_LABELS:
            initial = PRESETS[DEFAULT_PRESET][kind]
            self.fields[kind] = forms.ChoiceField(choices=Level.choices, label=label, initial=initial, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        one_by_one = {kind: cleaned[kind] for kind in KINDS if cleaned.get(kind)}
        levels = _chosen(cleaned.get("preset", ""), one_by_one)
        if len(levels) < len(KINDS) and not self.errors:
            raise forms.ValidationError("Choose a preset, or a level for each kind.")
        return cleaned | {"levels": levels}


class InviteForm(LevelsForm):
    """An address and its levels."""

    email = forms.EmailField(widget=forms.EmailInput({"autocomplete": "off"}))
    field_order = ["email", "preset", *KINDS]


def _chosen(preset: str, one_by_one: Levels) -> Levels:
    """Scripts keep preset and levels in step; without them, the one that was changed from its default counts."""
    levels_changed = len(one_by_one) == len(KINDS) and one_by_one != PRESETS[DEFAULT_PRESET]
    if preset and not (preset == DEFAULT_PRESET and levels_changed):
        return PRESETS[preset]
    return one_by_one
