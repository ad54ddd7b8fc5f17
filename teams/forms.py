"""Forms about teams."""

from typing import Any

from django import forms

from accounts.models import User
from teams.models import Role, Team


class TeamForm(forms.ModelForm):
    """A team's name."""

    class Meta:
        model = Team
        fields = ["name"]


class AddUserForm(forms.Form):
    """Somebody by username or email, and their role: `cleaned_data["user"]` is who, or `cleaned_data["email"]` the address."""

    username = forms.CharField(
        max_length=254,
        label="Username or email",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.USER)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        name = cleaned.get("username", "").strip()
        if "@" in name:  # whether it has an account is not looked at
            return cleaned | {"user": None, "email": self._address(name)}
        found = User.objects.filter(username=name, is_active=True).first()
        if found is None and "username" in cleaned:
            self.add_error("username", "Nobody here has this username. An email address would be invited.")
        return cleaned | {"user": found, "email": ""}

    def _address(self, name: str) -> str:
        try:
            return forms.EmailField().clean(name)
        except forms.ValidationError as error:
            self.add_error("username", error)
            return ""


class TeamField(forms.SlugField):
    """A team by its address; its cleaned value is the Team."""

    widget = forms.TextInput({"autocomplete": "off"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=60, help_text="Its address.", **kwargs)

    def clean(self, value: Any) -> Team:
        found = Team.objects.filter(slug=super().clean(value)).select_related("group").first()
        if found is None:
            raise forms.ValidationError("No team has this address.")
        return found


class AddTeamForm(forms.Form):
    """Another team by its address; `cleaned_data["team"]` is which."""

    team = TeamField()
