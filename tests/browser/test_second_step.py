"""The second step at sign-in, in a real browser with an authenticator that answers as a security key does."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, Route, expect

from tests import parts
from tests.browser.hands import Team, sign_in
from tests.browser.test_pages import look_at
from tests.browser.test_story import create_account
from tests.server import running

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

SECURITY = "/profile/security/"


def code_now(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def security_key(page: Page) -> None:
    """A key in the machine's socket that its owner touches whenever it is asked for."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def type_password(page: Page, team: Team, name: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(team.email(name))
    page.get_by_label("Password").fill(team.password)
    page.get_by_role("button", name="Sign in").click()


def add_app(page: Page) -> list[str]:
    """Adds an app from the security page; answers the recovery codes."""
    page.get_by_role("link", name="Add an authenticator app").click()
    heading(page, "Add an authenticator app")
    look_at(page)
    expect(page.get_by_alt_text("QR code with the secret")).to_have_js_property("complete", True)
    assert page.get_by_alt_text("QR code with the secret").evaluate("image => image.naturalWidth") > 0
    page.get_by_label("Name of the device").fill("Phone")
    page.get_by_label("Six-digit code").fill("000000")
    page.get_by_role("button", name="Add the app").click()
    expect(page.get_by_label("Six-digit code")).to_have_accessible_description(re.compile("This code is not right"))
    page.get_by_label("Six-digit code").fill(code_now(page.locator(".secret code").inner_text()))
    page.get_by_role("button", name="Add the app").click()
    heading(page, "Keep these recovery codes")
    return page.locator("#codes").inner_text().split()


def test_setting_up_and_signing_in_with_all_of_them(page_of: Callable[..., Page], team: Team, tmp_path: Path) -> None:
    page = page_of("")
    sign_in(page, team.email("fay"), team.password)
    page.goto(SECURITY)
    look_at(page)
    codes = add_app(page)
    assert len(codes) == 10
    look_at(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    assert download.value.suggested_filename == "mlteam-recovery-codes.txt"
    download.value.save_as(tmp_path / "codes.txt")
    assert (tmp_path / "codes.txt").read_text().split() == codes
    page.get_by_role("link", name="I have kept them").click()

    security_key(page)
    page.get_by_role("link", name="Add a passkey").click()
    heading(page, "Confirm that it is you")
    look_at(page)
    page.get_by_label("Password").fill(team.password)
    waiting: list[Route] = []
    page.route("**/passkey*.js", lambda route: waiting.append(route), times=1)
    with page.expect_request("**/passkey*.js"):
        page.get_by_role("button", name="Confirm").click()
    heading(page, "Add a passkey")
    page.get_by_label("Name of the device").fill("Key on my keyring")
    page.get_by_role("button", name="Add the passkey").click()
    waiting.pop().continue_()
    heading(page, "Sign-in and security")
    for name in ("Phone", "Key on my keyring", "10 codes left", "This one"):
        expect(page.get_by_text(name).first).to_be_visible()
    look_at(page)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("This passkey belongs to your account already.")
    look_at(page)

    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    type_password(page, team, "fay")
    heading(page, "Second step")
    look_at(page)
    page.get_by_role("button", name="Use a passkey").click()
    heading(page, "Jobs")

    other = page_of("", java_script_enabled=False)
    type_password(other, team, "fay")
    other.get_by_label("Code").fill(codes[0])
    other.get_by_role("button", name="Sign in").click()
    heading(other, "Jobs")
    page.goto(SECURITY)
    expect(page.get_by_text("9 codes left")).to_be_visible()
    look_at(page)
    page.get_by_role("button", name="End all others").click()
    expect(page.get_by_text("Signed out in 1 other browser.")).to_be_visible()
    other.goto("/projects/")
    heading(other, "Sign in")

    page.get_by_role("button", name="Remove Phone").click()
    heading(page, "Confirm that it is you")
    page.get_by_role("link", name="Use a passkey").click()
    look_at(page)
    page.get_by_role("button", name="Use a passkey").click()
    heading(page, "Remove Phone?")
    look_at(page)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Removed.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove Key on my keyring").click()
    expect(page.get_by_role("dialog")).to_contain_text("With the last of your devices")
    look_at(page)
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("your password alone opens this account")).to_be_visible()


def test_where_it_is_required_the_first_account_sets_it_up_before_anything_else(new_page: Callable[..., Page]) -> None:
    parts.need("chromium", "bwrap", "slirp4netns")
    with running(MLTEAM_REQUIRE_MFA="1") as server:
        page = new_page(base_url=server.url)
        page.goto(server.address)
        page.get_by_label("Email").fill("olga@example.org")
        create_account(page, "olga", "Olga Owner")
        heading(page, "Sign-in and security")
        expect(page.get_by_text("requires one for every account")).to_be_visible()
        look_at(page)
        page.goto("/projects/")
        heading(page, "Sign-in and security")
        page.goto("/accounts/logout/")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Email").fill("olga@example.org")
        page.get_by_label("Password").fill("a long enough password")
        page.get_by_role("button", name="Sign in").click()
        add_app(page)
        page.get_by_role("link", name="I have kept them").click()
        heading(page, "Jobs")
        page.goto("/projects/")
        heading(page, "Projects")
