"""Addresses of accounts. Those of allauth are listed one by one: what is not here does not exist."""

from collections.abc import Callable
from typing import Any

from allauth.account import views as allauth
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as webauthn
from django.urls import URLPattern, path, re_path

import access
from accounts import admin_views, views
from accounts import device_views as device
from accounts import github_views as github
from accounts import security_views as security
from accounts import token_views as tokens


def _public(view: Callable[..., Any]) -> Callable[..., Any]:
    return access.route("public")(view)


def _own(view: Callable[..., Any]) -> Callable[..., Any]:
    return access.route("self")(view)


def _token(view: Callable[..., Any]) -> Callable[..., Any]:
    return access.route("token")(view)


_reset_key = r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$"

urlpatterns: list[URLPattern] = [
    path("setup/<str:token>/", views.setup, name="setup"),
    path("admins/", admin_views.index, name="admins"),
    path("admins/add/", admin_views.add, name="admin_add"),
    path("admins/<str:username>/remove/", admin_views.remove, name="admin_remove"),
    path("profile/", views.profile, name="profile"),
    path("profile/security/", security.security, name="account_security"),
    path("profile/security/apps/new/", security.app_new, name="app_new"),
    path("profile/security/apps/<str:app_id>/remove/", security.app_remove, name="app_remove"),
    path("profile/security/passkeys/new/", security.passkey_new, name="passkey_new"),
    path("profile/security/passkeys/<int:passkey_id>/remove/", security.passkey_remove, name="passkey_remove"),
    path("profile/security/recovery-codes/", security.recovery_codes, name="recovery_codes"),
    path("profile/security/sessions/end/", security.sessions_end, name="sessions_end"),
    path("profile/security/sessions/<int:session_id>/end/", security.session_end, name="session_end"),
    path("profile/tokens/", tokens.tokens, name="tokens"),
    path("profile/tokens/new/", tokens.token_new, name="token_new"),
    path("profile/tokens/<str:token_id>/revoke/", tokens.token_revoke, name="token_revoke"),
    path("device", device.ask, name="device"),
    path("device/approve", device.approve, name="device_approve"),
    path("device/deny", device.deny, name="device_deny"),
    path("device/approved", device.approved, name="device_approved"),
    path("api/v1/device/code", device.code, name="device_code"),
    path("api/v1/device/token", device.token, name="device_token"),
    path("profile/emails/", views.emails, name="account_emails"),
    path("profile/delete/", security.close, name="account_close"),
    path("accounts/second-step/", _public(mfa.authenticate), name="mfa_authenticate"),
    path("accounts/confirm/", _own(allauth.reauthenticate), name="account_reauthenticate"),
    path("accounts/confirm/code/", _own(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("accounts/confirm/passkey/", _own(webauthn.reauthenticate_webauthn), name="mfa_reauthenticate_webauthn"),
    path("accounts/login/", views.login, name="account_login"),
    path("accounts/github/", github.ask, name="github_ask"),
    path("accounts/github/answer/", github.answer, name="github_answer"),
    path("profile/security/github/remove/", github.disconnect, name="github_remove"),
    path("accounts/logout/", _public(allauth.logout), name="account_logout"),
    path("accounts/inactive/", _public(allauth.account_inactive), name="account_inactive"),
    path("accounts/signup/", views.signup, name="account_signup"),
    path("accounts/email/", views.email, name="account_email"),
    path("accounts/password/change/", _own(allauth.password_change), name="account_change_password"),
    path("accounts/password/reset/", _public(allauth.password_reset), name="account_reset_password"),
    path("accounts/password/reset/done/", _public(allauth.password_reset_done), name="account_reset_password_done"),
    path(
        "accounts/password/reset/key/done/",
        _public(allauth.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
    re_path(_reset_key, _token(allauth.password_reset_from_key), name="account_reset_password_from_key"),
    path(
        "accounts/confirm-email/",
        _public(allauth.email_verification_sent),
        name="account_email_verification_sent",
    ),
    re_path(r"^accounts/confirm-email/(?P<key>[-:\w]+)/$", _token(allauth.confirm_email), name="account_confirm_email"),
]
