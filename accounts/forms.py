"""Forms about accounts. Labels are those that people and tests look for."""

from typing import Any

from allauth.account import forms as allauth_forms
from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.db import transaction
from django.http import HttpRequest

from accounts.invited import Invited
from accounts.models import User, time_zones
from accounts.names import printable


class LoginForm(allauth_forms.LoginForm):
    """Sign-in by email; a username does too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login = self.fields["login"]
        login.label = "Email"
        login.widget.attrs = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}


class SignupForm(allauth_forms.SignupForm):
    """Sign-up; by invitation the address is the invited one and cannot be changed."""

    name = forms.CharField(
        max_length=100,
        required=False,
        validators=[printable],
        help_text="As others see it.",
        widget=forms.TextInput({"autocomplete": "name"}),
    )
    field_order = ["email", "username", "name", "password1"]

    def invite(self, invited: Invited) -> None:
        """Ties the form to an invitation."""
        self.fields["email"].disabled = True
        self.fields["email"].initial = invited.email
        self.initial["email"] = invited.email

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        """The account, its address and its Personal project, all or nothing."""
        return super().save(request)


class SetupForm(forms.Form):
    """The first account."""

    email = forms.EmailField(widget=forms.EmailInput({"autocomplete": "email"}))
    username = forms.CharField(max_length=31, widget=forms.TextInput({"autocomplete": "username"}))
    name = forms.CharField(
        max_length=100, required=False, help_text="As others see it.", widget=forms.TextInput({"autocomplete": "name"})
    )
    password = forms.CharField(
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html(),
    )


class ProfileForm(forms.ModelForm):
    """One's own account."""

    time_zone = forms.ChoiceField(choices=lambda: [(name, name) for name in sorted(time_zones())])

    class Meta:
        model = User
        fields = ["name", "username", "time_zone", "theme"]
