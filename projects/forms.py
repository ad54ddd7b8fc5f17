"""Forms about projects and members."""

from typing import Any

from django import forms
from django.utils.html import escape

import access
from access.decisions import WORDS
from accounts.models import User
from accounts.selects import Select
from projects import third_party
from projects.levels import DEFAULT_PRESET, KINDS, PRESETS, TEAM_PRESET, Level, Levels
from projects.models import Project
from teams.forms import TeamField

ASKED = [
    (f"{kind}:{verb}", f"{kind}:{verb}")
    for kind in (*KINDS, "project", "key")
    for verb in sorted(access.ACTIONS[kind], key=list(WORDS).index)
]
KIND_LABELS = [(kind, f"{kind.capitalize()}s") for kind in KINDS]


class ProjectForm(forms.ModelForm):
    """A project's name."""

    class Meta:
        model = Project
        fields = ["name"]


class SettingsForm(ProjectForm):
    """A project's name, and whether its data may be read elsewhere."""

    class Meta(ProjectForm.Meta):
        fields = ["name", "lends_data"]


class NewProjectForm(ProjectForm):
    """A new project's name, and whether it begins with what the creator's Personal project has."""

    copy_keys = forms.BooleanField(label="Copy my Personal project's keys", required=False)

    def __init__(self, *args: Any, creator: User, parent: Project | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        box, names = self.fields["copy_keys"], [key.name for key in third_party.of_personal(creator)]
        if parent and parent.owner_id != creator.pk:
            box.help_text, box.disabled = "Only into projects that you own.", True
        elif not names:
            box.help_text, box.disabled = "Your Personal project has no keys yet.", True
        else:
            who = "who may start jobs in it"
            box.help_text = escape(f"{', '.join(names)}. Everybody {who} can read what is attached to a job.")


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


class TrailForm(forms.Form):
    """The filters of the audit trail; `chosen` has those that make sense."""

    by = forms.ChoiceField(label="Who", required=False, widget=Select)
    action = forms.ChoiceField(label="What", required=False, widget=Select)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    q = forms.CharField(label="Text", required=False, max_length=100, widget=forms.TextInput({"type": "search"}))

    def __init__(self, data: Any, *, people: list[tuple[str, str]], actions: list[tuple[str, str]]) -> None:
        super().__init__(data)
        choosable = self.fields["by"], self.fields["action"]
        for field, choices, everything in zip(choosable, (people, actions), ("Anybody", "Anything"), strict=True):
            field.choices = [("", everything), *choices]  # type: ignore[attr-defined]

    @property
    def chosen(self) -> dict[str, Any]:
        """Filter -> value; those that are wrong, and said to be, are left out."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class LevelsForm(forms.Form):
    """Levels, by preset or one by one; `cleaned_data["levels"]` has them."""

    preset = forms.ChoiceField(
        choices=[*((name, name) for name in PRESETS), ("", "Own levels")],
        initial=DEFAULT_PRESET,
        required=False,
        widget=Select,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind, label in KIND_LABELS:
            initial = PRESETS[DEFAULT_PRESET][kind]
            self.fields[kind] = forms.ChoiceField(
                choices=Level.choices, label=label, initial=initial, required=False, widget=Select
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        one_by_one = {kind: cleaned[kind] for kind in KINDS if cleaned.get(kind)}
        levels = _chosen(cleaned.get("preset", ""), one_by_one)
        if len(levels) < len(KINDS) and not self.errors:
            raise forms.ValidationError("Choose a preset, or a level for each kind.")
        return cleaned | {"levels": levels}


class QuestionForm(forms.Form):
    """May `person` do `action` to `resource`? Owners may ask about anybody, others about themselves."""

    action = forms.ChoiceField(choices=ASKED, widget=Select)
    resource = forms.CharField(
        max_length=400, required=False, help_text="The URN of a job or another resource; empty for the project itself."
    )
    person = forms.CharField(max_length=100, required=False, label="Whom", help_text="A username; empty for yourself.")

    def __init__(self, *args: Any, project: Project, asker: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._project, self._asker = project, asker
        self.about: Any = project
        self.may_ask_about_others = bool(access.allowed(asker, "project:share", project))
        if not self.may_ask_about_others:
            del self.fields["person"]
        self.order_fields(["person", "action", "resource"])

    def clean_resource(self) -> str:
        name = self.cleaned_data["resource"].strip()
        found = access.find(name) if name else self._project
        if found is None or not self._shows(found):
            raise forms.ValidationError("Nothing in this project that you may see has this URN.")
        self.about = found
        return name

    def _shows(self, resource: Any) -> bool:
        target = resource.access_target()
        seen = f"{target.kind}:{'get' if 'get' in access.ACTIONS[target.kind] else 'use'}"
        return target.project_id == self._project.id and bool(access.allowed(self._asker, seen, resource))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        asked, found = cleaned.get("action", "").partition(":")[0], self.about.access_target().kind
        if asked and found not in {asked, "project"}:
            self.add_error("action", f"This is asked of a {asked}; the resource is a {found}.")
        return cleaned | {"person": self._person(cleaned.get("person", "").strip())}

    def _person(self, name: str) -> User:
        found = User.objects.filter(username=name).first() if name else self._asker
        if found is None:
            self.add_error("person", "Nobody has this username.")
        return found or self._asker


class InviteForm(LevelsForm):
    """An address and its levels."""

    email = forms.EmailField(widget=forms.EmailInput({"autocomplete": "off"}))
    field_order = ["email", "preset", *KINDS]


class AddTeamForm(LevelsForm):
    """A team by its address, and its levels; `cleaned_data["team"]` is which."""

    team = TeamField()
    field_order = ["team", "preset", *KINDS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        presets = [(name, name) for name in PRESETS]
        self.fields["preset"] = forms.ChoiceField(choices=presets, initial=TEAM_PRESET, widget=Select)


def _chosen(preset: str, one_by_one: Levels) -> Levels:
    """Scripts keep preset and levels in step; without them, the one that was changed from its default counts."""
    levels_changed = len(one_by_one) == len(KINDS) and one_by_one != PRESETS[DEFAULT_PRESET]
    if preset and not (preset == DEFAULT_PRESET and levels_changed):
        return PRESETS[preset]
    return one_by_one
