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
    """Somebody by username, and their role; `cleaned_data["user"]` is who."""

    username = forms.CharField(max_length=100, widget=forms.TextInput({"autocomplete": "off"}))
    role = forms.ChoiceField(choices=Role.choices, initial=Role.USER)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        found = User.objects.filter(username=cleaned.get("username", "").strip(), is_active=True).first()
        if found is None and "username" in cleaned:
            self.add_error("username", "Nobody here has this username.")
        return cleaned | {"user": found}


class AddTeamForm(forms.Form):
    """Another team by its address; `cleaned_data["team"]` is which."""

    team = forms.SlugField(max_length=60, widget=forms.TextInput({"autocomplete": "off"}), help_text="Its address.")

    def clean_team(self) -> Team:
        found = Team.objects.filter(slug=self.cleaned_data["team"]).first()
        if found is None:
            raise forms.ValidationError("No team has this address.")
        return found
