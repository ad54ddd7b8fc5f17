"""What people do on the pages, by the names that they see and hear; and what they read there."""

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.server import PATIENCE, Server

FINAL = "succeeded|failed|cancelled|interrupted"


@dataclass
class Team:
    """A server with people, projects and jobs: see tests.browser.world."""

    server: Server
    made: dict

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def password(self) -> str:
        return self.made["password"]

    def email(self, name: str) -> str:
        return f"{name}@example.org"

    def job(self, name: str) -> str:
        """The address of a job that the world has."""
        return f"/p/vision/jobs/{self.made['jobs'][name]}"


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


def submit(page: Page, project: str, name: str, command: str, **fields: str) -> str:
    """Writes a job and submits it; returns the address of its page, which is open then."""
    page.goto(f"/p/{project}/jobs")
    page.get_by_role("button", name=re.compile("New job|Write the first job")).first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Command").fill(command)
    for label, value in fields.items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return page.url


def state(page: Page) -> Locator:
    """Where a job's page says its state."""
    return page.locator("#job-status [data-state]")


def expect_state(page: Page, value: str, patience: float = PATIENCE) -> None:
    """`value`: a state, or several with | between them."""
    expect(state(page)).to_have_attribute("data-state", re.compile(f"^({value})$"), timeout=patience * 1000)


def log(page: Page) -> Locator:
    return page.get_by_role("log", name="Log")


def log_status(page: Page) -> Locator:
    """The line below the log that says how it stands."""
    return page.locator("[data-log-status]")


def lines(page: Page) -> list[tuple[int, str]]:
    """The log's lines in the page, by number."""
    script = "rows => rows.map(row => [Number(row.children[0].textContent), row.children[1].textContent])"
    return [tuple(row) for row in log(page).locator(".log-row").evaluate_all(script)]


def texts(page: Page) -> list[str]:
    """The texts of the log's lines; the empty one after the last newline is none."""
    found = [text for _, text in lines(page)]
    return found[:-1] if found and not found[-1] else found
