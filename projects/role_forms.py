"""Forms about roles, policies and keys."""

from typing import Any

from django import forms

from access import statements
from access.models import RoleKey
from accounts.forms import UserField
from accounts.models import User
from teams.models import Team


class RoleForm(forms.Form):
    """A role's name."""

    name = forms.CharField(max_length=60, widget=forms.TextInput({"autocomplete": "off"}))


class KeyForm(forms.ModelForm):
    """What a key is for."""

    class Meta:
        model = RoleKey
        fields = ["name"]


class PolicyForm(forms.Form):
    """A policy as text; `marked` says where it is wrong. With `with_user`, `cleaned_data["username"]` is the User."""

    username = UserField(label="User")
    text = forms.CharField(
        label="Policy",
        max_length=statements.LONGEST,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "placeholder": "job:get+job:stop@URN"}),
    )

    def __init__(self, *args: Any, with_user: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.marked: tuple[str, str, str] | None = None
        if not with_user:
            del self.fields["username"]

    def clean_text(self) -> str:
        text = self.cleaned_data["text"].strip()
        try:
            statements.read(text)
        except statements.BadStatement as error:
            self.marked = (text[: error.start], text[error.start : error.end], text[error.end :])
            raise forms.ValidationError(error.message) from error
        return text


class RoleMemberForm(forms.Form):
    """A username or a team's address; `cleaned_data` has `user` or `group`, the other None."""

    KINDS = (("user", "User"), ("team", "Team"))
    kind = forms.ChoiceField(choices=KINDS, initial="user", label="What")
    name = forms.CharField(
        max_length=100, label="Username, or the team's address", widget=forms.TextInput({"autocomplete": "off"})
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        name, is_team = cleaned.get("name", "").strip(), cleaned.get("kind") == "team"
        user = None if is_team else User.objects.filter(username=name, is_active=True).first()
        team = Team.objects.select_related("group").filter(slug=name).first() if is_team else None
        if name and not (user or team):
            self.add_error("name", "No team has this address." if is_team else "Nobody here has this username.")
        return cleaned | {"user": user, "group": team.group if team else None}
