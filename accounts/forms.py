"""Forms about accounts. Labels are those that people and tests look for."""

from collections.abc import Callable
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.core import context
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.base.internal.flows import check_rate_limit
from allauth.mfa.webauthn import forms as webauthn_forms
from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from accounts import attempts, notices, second_step, tokens, wishes
from accounts.invited import Invited
from accounts.models import AuthenticatorApp, PersonalToken, User, time_zones
from accounts.names import fold_email, printable
from accounts.selects import Select


class UserField(forms.CharField):
    """Somebody by username; its cleaned value is the User."""

    widget = forms.TextInput({"autocomplete": "off"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=100, **kwargs)

    def clean(self, value: Any) -> User:
        found = User.objects.filter(username=super().clean(value), is_active=True).first()
        if found is None:
            raise ValidationError("Nobody here has this username.")
        return found


class LoginForm(allauth_forms.LoginForm):
    """Sign-in by email; a username does too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login = self.fields["login"]
        login.label = "Email"
        login.widget.attrs = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}

    def clean_login(self) -> str:
        login = super().clean_login()
        return fold_email(login) if "@" in login else login


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

    # The proof of one's own address, where sign-up is open: it comes with the link and goes with the form.
    address = forms.CharField(required=False, widget=forms.HiddenInput)

    def invite(self, invited: Invited) -> None:
        """Ties the form to an invitation."""
        self.fields["email"].disabled = True
        self.fields["email"].initial = invited.email
        self.initial["email"] = invited.email

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        """The account, its address and its Personal project, all or nothing."""
        return super().save(request)


class AddressForm(forms.Form):
    """The address with which somebody wants an account."""

    email = forms.EmailField(widget=forms.EmailInput({"autocomplete": "email"}))

    def clean_email(self) -> str:
        return fold_email(self.cleaned_data["email"])


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

    time_zone = forms.ChoiceField(choices=lambda: [(name, name) for name in sorted(time_zones())], widget=Select)

    class Meta:
        model = User
        fields = ["name", "username", "time_zone", "theme"]


CODE = {"autocomplete": "one-time-code", "inputmode": "numeric", "autocapitalize": "none", "spellcheck": "false"}
WARN_AGAIN = 24 * 3600  # seconds between two emails about guessed codes
TOO_MANY_TODAY = (
    "Too many wrong codes in a day. Use a passkey, wait until tomorrow, or set a new password by “Reset your password”: "
    "if it was not you who typed them, somebody knows yours."
)


class ConfirmPasswordForm(allauth_forms.ReauthenticateForm):
    """The password once more, before something about the account changes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].widget.attrs = {"autocomplete": "current-password"}


class _CodeForm(mfa_forms.BaseAuthenticateForm):
    """A code of any of the account's apps, or a recovery code. Each works once; wrong ones are counted for the account."""

    code = forms.CharField(max_length=40, widget=forms.TextInput(CODE | {"autofocus": True}))

    def clean_code(self) -> str:
        code = self.cleaned_data["code"]
        forget_attempts = self._count_attempt()
        authenticator = second_step.use_code(self.user, code)
        if authenticator is None:
            raise ValidationError("This code is not right, or it was used before. Take the newest one.")
        self.authenticator = authenticator
        forget_attempts()
        return code

    def _count_attempt(self) -> Callable[[], None]:
        """Counts one; answers what takes it back when it was right. Too many end in the form's error, and in an email."""
        try:
            today = attempts.begin_code(context.request, self.user)
            forget_lately = check_rate_limit(self.user)
        except attempts.TooMany:
            self._warn()
            raise ValidationError(TOO_MANY_TODAY) from None
        except ValidationError:
            self._warn()
            raise ValidationError("Too many codes were tried. Wait five minutes, then take the newest one.") from None

        def forget() -> None:
            forget_lately()
            today.rollback()  # this one alone: the wrong ones of a day stay counted

        return forget

    def _warn(self) -> None:
        if cache.add(f"guessed:{self.user.pk}", True, WARN_AGAIN):
            notices.send(context.request, self.user, notices.GUESSED)


class SecondStepForm(_CodeForm, mfa_forms.AuthenticateForm):
    """The code at sign-in."""


class ConfirmCodeForm(_CodeForm, mfa_forms.ReauthenticateForm):
    """The code before something about the account changes."""


class AppForm(forms.ModelForm):
    """A new authenticator app: what to call it, and a code that proves that it has the secret."""

    code = forms.CharField(label="Six-digit code", max_length=40, widget=forms.TextInput(CODE))

    class Meta:
        model = AuthenticatorApp
        fields = ["name"]
        labels = {"name": "Name of the device"}
        help_texts = {"name": "So that you know which one it is, when you have several."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = False

    def clean_name(self) -> str:
        return self.cleaned_data["name"].strip() or "Authenticator app"


class CredentialField(forms.JSONField):
    """What a device answered; the script fills it in."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except ValueError:  # a number of thousands of digits
            found = None
        if not isinstance(found, dict):
            raise ValidationError("This is no answer of a passkey. Try again.")
        return found

    def bound_data(self, data: Any, initial: Any) -> None:
        """An answer is of one moment: it is not sent back."""

    def prepare_value(self, value: Any) -> str:
        return ""


class _WithCredential(forms.Form):
    """Refuses what no device answers, where allauth's parser would fail in its own ways."""

    credential = CredentialField()

    def full_clean(self) -> None:
        try:
            super().full_clean()
        except (KeyError, TypeError, ValueError):
            self.add_error("credential", "This is no answer of a passkey. Try again.")


class PasskeyForm(_WithCredential, webauthn_forms.AddWebAuthnForm):
    """A new passkey."""

    name = forms.CharField(
        label="Name of the device",
        max_length=60,
        required=False,
        validators=[printable],
        help_text="So that you know which one it is, when you have several.",
    )

    def clean_name(self) -> str:
        return self.cleaned_data["name"].strip() or super().clean_name()


class PasskeyStepForm(_WithCredential, webauthn_forms.AuthenticateWebAuthnForm):
    """A passkey at sign-in."""


class ConfirmPasskeyForm(_WithCredential, webauthn_forms.ReauthenticateWebAuthnForm):
    """A passkey before something about the account changes."""


class TokenForm(forms.ModelForm):
    """A new personal token. `days`: None for one that does not expire."""

    scope = forms.ChoiceField(
        choices=PersonalToken.Scope.choices,
        help_text="Read only: it sees what you see, and changes nothing.",
    )
    days = forms.TypedChoiceField(label="Lasts", choices=tokens.lifetimes, coerce=int, initial=tokens.usual_lifetime)

    class Meta:
        model = PersonalToken
        fields = ["name", "scope"]
        help_texts = {"name": "What it is for: “laptop”, “nightly evaluation”."}

    def clean_days(self) -> int | None:
        return self.cleaned_data["days"] or None


class DeviceCodeForm(forms.Form):
    """The code that a program shows which waits to be signed in."""

    code = forms.CharField(
        max_length=40,
        help_text="Eight letters; small ones will do, and the dash may be left out.",
        widget=forms.TextInput(
            {
                "autocomplete": "off",
                "autocapitalize": "characters",
                "spellcheck": "false",
                "class": "mono",
                "autofocus": True,
            }
        ),
    )


class EmailsForm(forms.Form):
    """Which emails a person wants. What is about the account itself comes in any case."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind, sentence in wishes.KINDS.items():
            wanted = wishes.wants(user, kind)
            self.fields[kind] = forms.BooleanField(label=sentence, required=False, initial=wanted)


class CloseForm(forms.Form):
    """Deleting one's account: the username, typed."""

    confirm = forms.CharField(widget=forms.TextInput({"autocomplete": "off"}))

    def __init__(self, *args: Any, username: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.username = username

    def clean_confirm(self) -> str:
        if self.cleaned_data["confirm"] != self.username:
            raise ValidationError(f"Type {self.username} to confirm.")
        return self.username
