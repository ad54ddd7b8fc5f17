"""A real server and a real Chromium; people who are signed in; and a watch over what their browsers complain of."""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    ViewportSize,
    WebError,
    expect,
    sync_playwright,
)

from tests import parts
from tests.browser.hands import Team, sign_in
from tests.server import PATIENCE, Server, running

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK: ViewportSize = {"width": 1440, "height": 900}
CPUS = 4  # that the installation believes it has: so many jobs run at once
NEEDED = ("chromium", "bwrap", "slirp4netns")

expect.set_options(timeout=PATIENCE * 1000)


def chromium_path() -> str:
    """The system's browser: where it is here, the one without windows, which opens a page with a third of the work."""
    return next(filter(None, map(shutil.which, parts.BROWSERS)))


@pytest.fixture(scope="session")
def team() -> Iterator[Team]:
    """A server with the cast and the projects of tests.browser.world; shared by all tests here but the story."""
    parts.need(*NEEDED)
    with running(MLTEAM_CPUS=str(CPUS), MLTEAM_STOP_GRACE="2", MLTEAM_REACHABLE="127.0.0.1/32") as server:
        made = server.manage("shell", "--no-imports", "-v", "0", "-c", "from tests.browser import world; world.make()")
        yield Team(server, json.loads(made))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's browser, started anew for each module: Playwright's event loop must not stand in other tests' way."""
    parts.need(*NEEDED)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


class Watch:
    """What the pages of a test complained of: errors of scripts, of the console, of the policy; dialogs that came up."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected = [
            r"Failed to load resource: the server responded with a status of 4\d\d",
            r"htmx:(afterRequest|sendAbort), ",  # the page was left while it asked for something
        ]

    def over(self, context: BrowserContext) -> None:
        for event, heard in self._events():
            context.on(event, heard)

    def leave(self, context: BrowserContext) -> None:
        for event, heard in self._events():
            context.remove_listener(event, heard)

    def _events(self) -> Iterable[tuple[Any, Callable[..., None]]]:
        return ("console", self._console), ("weberror", self._error), ("dialog", self._dialog)

    def expect(self, pattern: str) -> None:
        """Takes complaints that match for what the test wants to see."""
        self.expected.append(pattern)

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(re.search(known, one) for known in self.expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"script: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":
            self.complaints.append(f"dialog: {dialog.message}")
        dialog.accept()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test when a page complained."""
    made = Watch()
    yield made
    assert not made.unexpected()


def new_context(chromium: Browser, **options: Any) -> BrowserContext:
    context = chromium.new_context(**{"viewport": DESK, **options})
    context.set_default_timeout(PATIENCE * 1000)
    return context


@pytest.fixture
def new_page(chromium: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """new_page(base_url=…, …) is a page in a browser context of its own, so that nobody is signed in."""
    contexts = []

    def make(**options: Any) -> Page:
        context = new_context(chromium, **options)
        watch.over(context)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def signed_in() -> dict[str, Any]:
    """The cookies of those who have signed in already, by name."""
    return {}


@pytest.fixture
def page_of(team: Team, new_page: Callable[..., Page], signed_in: dict[str, Any]) -> Callable[..., Page]:
    """page_of("ada") is a page in which Ada is signed in at the team's server; page_of("") one with nobody."""

    def make(name: str, **options: Any) -> Page:
        if name and name not in signed_in:
            page = new_page(base_url=team.url)
            sign_in(page, team.email(name), team.password)
            signed_in[name] = page.context.storage_state()
        state = {"storage_state": signed_in[name]} if name else {}
        return new_page(base_url=team.url, **state, **options)

    return make


@pytest.fixture(scope="module")
def windows() -> Iterator[dict[str, Page]]:
    """The pages of those who only look, by name."""
    kept: dict[str, Page] = {}
    yield kept
    for page in kept.values():
        page.context.close()


@pytest.fixture
def window_of(
    chromium: Browser,
    team: Team,
    page_of: Callable[..., Page],
    windows: dict[str, Page],
    watch: Watch,
) -> Iterator[Callable[[str], Page]]:
    """window_of("ada") is a page in which Ada is signed in, for a test that does nothing there but look: each is another address
    in the same window, so that the browser has the scripts and styles already. It is as new: light, and of a desk's size."""
    opened = []

    def make(name: str) -> Page:
        if name not in windows:
            state = {"storage_state": page_of(name).context.storage_state()} if name else {}
            windows[name] = new_context(chromium, base_url=team.url, **state).new_page()
        page = windows[name]
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="null", reduced_motion="null")
        watch.over(page.context)
        opened.append(page)
        return page

    yield make
    for page in opened:
        page.goto("about:blank")  # what it complains of as it is left belongs to this test
        watch.leave(page.context)


@pytest.fixture
def fresh() -> Iterator[Server]:
    """A server that nobody has an account at."""
    parts.need(*NEEDED)
    with running() as server:
        yield server
