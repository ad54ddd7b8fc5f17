"""One's own pages: tokens, emails, sessions, the end of the account; and signing in with GitHub."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import parts
from tests.accounts import github
from tests.browser.hands import Team, sign_in
from tests.browser.test_pages import look_at
from tests.browser.test_second_step import SECURITY, heading
from tests.browser.test_story import create_account
from tests.server import running

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]


def confirm(page: Page, team: Team) -> None:
    heading(page, "Confirm that it is you")
    page.get_by_label("Password").fill(team.password)
    page.get_by_role("button", name="Confirm").click()


def test_a_token_is_made_copied_and_revoked(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=team.url)
    sign_in(page, team.email("stan"), team.password)
    page.goto("/profile/")
    look_at(page)
    page.get_by_role("link", name="Personal tokens").click()
    expect(page.get_by_text("None yet")).to_be_visible()
    page.get_by_role("link", name="New token").click()
    confirm(page, team)
    heading(page, "New token")
    look_at(page)
    page.get_by_label("Name").fill("nightly evaluation " * 3)
    page.get_by_role("button", name="Make the token").click()
    heading(page, "Copy the token now")
    look_at(page)
    text = page.locator("#token").inner_text()
    assert text.startswith("mlt_")
    page.get_by_role("button", name="Copy token").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text(f"mlt_…{text[-4:]}")).to_be_visible()
    look_at(page)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_contain_text("are refused from now on")
    look_at(page)
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("None yet")).to_be_visible()


def test_emails_are_chosen_without_scripts(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("", java_script_enabled=False)
    sign_in(page, team.email("stan"), team.password)
    page.goto("/profile/emails/")
    box = page.get_by_label("A budget is nearly or wholly used up")
    expect(box).to_be_checked()
    box.uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(box).not_to_be_checked()


def test_an_ended_session_ends_in_what_it_has_open(
    page_of: Callable[..., Page], team: Team, signed_in: dict[str, Any]
) -> None:
    signed_in.pop("emmy", None)  # her session that other tests share ends here too: they get a new one
    here, there = page_of("", java_script_enabled=False), page_of("")
    for page in (here, there):
        sign_in(page, team.email("emmy"), team.password)
    with there.expect_websocket(lambda opened: "vision" in opened.url) as line:
        there.goto("/p/vision/jobs")
    heading(there, "Jobs")
    here.goto(SECURITY)
    with line.value.expect_event("close"):
        here.get_by_role("button", name="End all others").click()
    heading(there, "Sign in")  # the page that was open goes there by itself


def test_an_account_is_deleted_by_its_owner(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("")
    sign_in(page, team.email("ada"), team.password)
    page.goto("/profile/delete/")
    confirm(page, team)
    expect(page.get_by_text("You own Vision, which others share.")).to_be_visible()
    look_at(page)

    page = page_of("")
    sign_in(page, team.email("gone"), team.password)
    page.goto("/profile/delete/")
    confirm(page, team)
    heading(page, "Delete your account?")
    look_at(page)
    page.get_by_label("Type gone to confirm").fill("gone")
    page.get_by_role("button", name="Delete the account").click()
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()
    page.get_by_label("Email").fill(team.email("gone"))
    page.get_by_label("Password").fill(team.password)
    page.get_by_role("button", name="Sign in").click()
    heading(page, "Sign in")


def test_signing_in_with_github(new_page: Callable[..., Page]) -> None:
    parts.need("chromium", "bwrap", "slirp4netns")
    with github.serving() as there:
        keys = {f"MLTEAM_GITHUB_{name.upper()}": value for name, value in github.KEYS.items()}
        there.emails[0]["email"] = "olga@example.org"
        with running(MLTEAM_GITHUB_URL=there.url, **keys) as server:
            page = new_page(base_url=server.url)
            page.goto(server.address)
            page.get_by_label("Email").fill("olga@example.org")
            create_account(page, "olga", "Olga Owner")
            heading(page, "Jobs")
            page.goto("/accounts/logout/")
            page.get_by_role("main").get_by_role("button", name="Sign out").click()
            look_at(page)
            page.get_by_role("button", name="Sign in with GitHub").click()
            heading(page, "Jobs")
            page.goto(SECURITY)
            expect(page.get_by_text("olga-at-github").first).to_be_visible()
            look_at(page)
            page.get_by_role("button", name="Disconnect olga-at-github").click()
            heading(page, "Confirm that it is you")
