"""The owners' admin site in a browser: as part of the house, and with what its scripts do under the policy."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_pages import look_at

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]


@pytest.fixture
def page(page_of: Callable[..., Page]) -> Page:
    return page_of("ada")


def test_one_gets_there_by_the_account_menu_and_back(page: Page) -> None:
    page.goto("/projects/")
    page.get_by_role("button", name="Account of Ada Byron").click()
    page.get_by_role("link", name="Owner pages").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What you own")
    page.get_by_role("link", name="Members", exact=True).last.click()
    page.get_by_role("link", name="Back to the dashboard").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


def test_a_member_is_looked_at_changed_and_asked_about(page: Page) -> None:
    page.goto("/owners/projects/member/?q=emmy")
    page.get_by_role("link", name="emmy", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change member")
    look_at(page)
    page.get_by_label("Jobs").select_option("own")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("status")).to_contain_text("changed successfully")
    page.get_by_label("Jobs").select_option("read")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Members")
    page.get_by_role("link", name="emmy", exact=True).click()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("main")).to_contain_text("Changed Jobs")
    look_at(page)
    page.go_back()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("button", name="Yes, I’m sure")).to_be_visible()
    look_at(page)
    page.wait_for_load_state()  # a script of Django's makes a way back of the link
    page.get_by_role("link", name="No, take me back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change member")


def test_rows_are_chosen_for_an_action(page: Page) -> None:
    page.goto("/owners/projects/invitation/")
    page.get_by_label("Select this object for an action - late@example.org").check()
    expect(page.get_by_text("1 of 5 selected")).to_be_visible()
    page.get_by_role("combobox", name="Action").select_option(label="Send again, with a new link")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("status")).to_contain_text("Sent again: late@example.org")


def test_what_is_wrong_is_said_beside_its_field(page: Page) -> None:
    page.goto("/owners/projects/teammember/add/")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Please correct the errors below")).to_be_visible()
    expect(page.get_by_label("Team", exact=False).last).to_have_attribute("aria-invalid", "true")
    look_at(page)
