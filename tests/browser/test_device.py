"""Signing in a program from a browser: Chromium approves with password and TOTP code what a program asks for by its two calls."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.hands import Team, sign_in
from tests.browser.test_pages import look_at
from tests.browser.test_second_step import code_now, heading, type_password

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
MACHINE = "<b>node-0</b>.rather-long.department.example.org"


def call(team: Team, what: str, **fields: str) -> dict[str, Any]:
    """What a program is answered, whether it is good news or not."""
    data = urlencode({"client_id": "mlteam", **fields}).encode()
    try:
        with urllib.request.urlopen(f"{team.url}/api/v1/device/{what}", data, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


def poll(team: Team, begun: dict[str, Any]) -> dict[str, Any]:
    return call(team, "token", grant_type=GRANT, device_code=begun["device_code"])


def add_app(page: Page, team: Team, name: str) -> str:
    """Gives the account an authenticator app; answers its secret."""
    sign_in(page, team.email(name), team.password)
    page.goto("/profile/security/apps/new/")
    secret = page.locator(".secret code").inner_text()
    page.get_by_label("Six-digit code").fill(code_now(secret))
    page.get_by_role("button", name="Add the app").click()
    heading(page, "Keep these recovery codes")
    return secret


def next_code(secret: str) -> str:
    """The code of the step after now: that of now may be used up."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + 1))


def test_it_is_approved_with_password_and_code(page_of: Callable[..., Page], team: Team) -> None:
    secret = add_app(page_of(""), team, "dee")
    begun = call(team, "code", machine=MACHINE)
    page = page_of("")
    page.goto(begun["verification_uri_complete"])
    heading(page, "Sign in")
    page.get_by_label("Email").fill(team.email("dee"))
    page.get_by_label("Password").fill(team.password)
    page.get_by_role("button", name="Sign in").click()
    heading(page, "Second step")
    assert poll(team, begun) == {"error": "authorization_pending"}
    page.get_by_label("Code").fill(next_code(secret))
    page.get_by_role("button", name="Sign in").click()

    heading(page, "Sign a program in")
    expect(page.get_by_label("Code")).to_have_value(begun["user_code"])
    look_at(page)
    page.get_by_role("button", name="Continue").click()
    heading(page, "Sign this program in?")
    for text in (begun["user_code"], MACHINE, "127.0.0.1", "Everything that you may do", "90 days"):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.get_by_text("Approve only if you typed mlteam login yourself a moment ago.")).to_be_visible()
    look_at(page)
    page.get_by_role("button", name="Approve").click()
    heading(page, "Approved")
    expect(page.get_by_text("You can close this page; the command goes on.")).to_be_visible()
    look_at(page)

    assert poll(team, begun)["token_type"] == "Bearer"
    assert poll(team, begun) == {"error": "invalid_grant"}
    page.get_by_role("link", name="personal tokens").click()
    expect(page.get_by_text(f"mlteam on {MACHINE}").first).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_it_is_denied_without_scripts_and_by_keyboard(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("", java_script_enabled=False)
    type_password(page, team, "grace")
    begun = call(team, "code", machine="laptop", scope="read")
    page.goto(begun["verification_uri"])
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type("bbbb bbbb")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Code")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("No program waits with this code.")).to_be_visible()
    page.get_by_label("Code").fill(begun["user_code"].lower())
    page.keyboard.press("Enter")
    heading(page, "Sign this program in?")
    expect(page.get_by_text("Read only")).to_be_visible()
    page.get_by_role("button", name="Deny").click()
    heading(page, "Sign a program in")
    expect(page.get_by_text("Denied. The program gets nothing.")).to_be_visible()
    assert poll(team, begun) == {"error": "access_denied"}
