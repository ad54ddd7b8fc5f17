"""What a page says about itself and its forms, as people fill them in."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hands import Team
from tests.browser.test_pages import look_at

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]


def opened(page: Page, title: str):
    """What the foot says about the page or a form."""
    if not page.locator("#copy-as").is_visible():
        page.get_by_role("button", name="as command, Python, curl").click()
    section = page.locator("#copy-as details", has=page.get_by_text(title, exact=True))
    if section.get_attribute("open") is None:
        section.locator("summary").click()
    return section


def closed(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.locator("#copy-as")).to_be_hidden()


def test_a_form_is_copied_with_what_is_typed(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("ada")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=team.url)
    page.goto("/p/vision/members")
    look_at(page)
    expect(opened(page, "Invite someone").get_by_label("Terminal", exact=True)).to_contain_text("-- EMAIL")
    look_at(page)
    closed(page)
    page.get_by_label("Email").fill("o'hara+new@example.org")
    page.get_by_label("Preset").last.select_option("Viewer")
    page.get_by_role("button", name="as command, Python, curl").click()
    section = page.locator("#copy-as details[open]")
    expect(section.locator("summary")).to_have_text("Invite someone")
    section.get_by_role("button", name="Copy for Terminal").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("mlteam project invite --level job=read --level dataset=read --level model=read ")
    assert " -- 'o'\\''hara+new@example.org' " in copied
    expect(section.get_by_label("curl", exact=True)).to_contain_text(
        '''{"email": "o'\\''hara+new@example.org", "levels": {"job": "read"'''
    )


def test_of_many_rows_the_one_that_was_used_is_meant(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("ada")
    page.goto("/p/vision/members")
    expect(opened(page, "Change a member's levels").get_by_label("Terminal", exact=True)).to_contain_text(
        "/members/USER"
    )
    closed(page)
    grace = page.locator("li[id^=member-]", has_text="Grace Murray")
    grace.locator("summary").click()
    grace.get_by_label("Jobs").select_option("own")
    said = opened(page, "Change a member's levels").get_by_label("Terminal", exact=True)
    expect(said).to_contain_text('"job": "own"')
    grace_id = grace.locator("form[data-way='projects:member_set']").get_attribute("data-user")
    assert grace_id
    expect(said).to_contain_text(f"/members/{grace_id}'")


def test_boxes_and_rows_of_the_owners_site_are_meant_too(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("ada")
    page.goto("/profile/emails/")
    page.get_by_label("A budget is nearly or wholly used up").uncheck()
    said = opened(page, "Choose emails")
    expect(said.get_by_label("Terminal", exact=True)).to_contain_text('"budget": false}')
    expect(said.get_by_label("Python", exact=True)).to_contain_text('"membership": True, "budget": False}')
    page.goto("/owners/projects/member/")
    look_at(page)
    page.get_by_role("link", name="grace").first.click()
    page.get_by_label("Jobs").select_option("read")
    said = opened(page, "Change a member's levels").get_by_label("curl", exact=True)
    expect(said).to_contain_text('"levels": {"job": "read"')
    expect(said).not_to_contain_text("USER")
