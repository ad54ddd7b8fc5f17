"""A team's first day, from the printed address to a member who is locked out, through the pages alone."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mlteam import state
from tests.browser.hands import expect_state, lines, log, log_status, submit, texts
from tests.server import Server, wait

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

EXAMPLE = state.ROOT / "examples" / "digits"
EPOCHS = 30
PASSWORD = "a long enough password"
BAR = re.compile(rf"\|\s*\d+/{EPOCHS} \[")
COUNTING = "for i in $(seq 1 3000); do echo step $i; sleep 0.2; done"


def create_account(page: Page, username: str, name: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()


def create_first_account(page: Page, server: Server) -> None:
    assert "/setup/" in server.address
    page.goto(server.address)
    page.get_by_label("Email").fill("olga@example.org")
    create_account(page, "olga", "Olga Owner")
    expect(page.get_by_role("heading", name="No jobs here yet")).to_be_visible()


def expect_nothing_here(page: Page, address: str) -> None:
    answer = page.goto(address)
    assert answer
    assert answer.status == 404
    expect(page.get_by_role("button", name="Create account")).to_have_count(0)


def create_project(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_role("banner").get_by_role("link", name="Personal").click()
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("banner")).to_contain_text(name)


def invite(page: Page, email: str, preset: str) -> None:
    page.get_by_role("link", name="Members").click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Preset").select_option(label=preset)
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.get_by_text(f"{email} is invited")).to_be_visible()


def emailed_link(server: Server, email: str) -> str:
    """The link in the newest email to an address."""

    def found() -> str | None:
        for path in sorted((server.var / "outbox").iterdir(), reverse=True):
            text = path.read_text()
            if f"To: {email}" in text and (link := re.search(r"http://\S+/invitations/\S+", text)):
                return link[0]
        return None

    link = server.wait(found, f"an email to {email}")
    assert link
    return link


def copied_link(page: Page, email: str) -> str:
    """The link that the owner copies."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("listitem").filter(has_text=email).get_by_role("button", name="Copy invitation link").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    return page.evaluate("navigator.clipboard.readText()")


def join(page: Page, link: str, email: str, username: str, name: str) -> None:
    page.goto(link)
    expect(page.get_by_role("heading", name="Join Vision")).to_be_visible()
    page.get_by_role("link", name="Create account").click()
    expect(page.get_by_label("Email")).to_have_value(email)
    create_account(page, username, name)
    page.get_by_role("button", name="Accept invitation").click()
    expect(page.get_by_role("banner")).to_contain_text("Vision")


def submit_example(page: Page) -> None:
    page.goto("/p/vision/jobs")
    page.get_by_role("button", name="New job").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    page.wait_for_load_state()
    page.get_by_label("From a job.yml").set_input_files(EXAMPLE / "job.yml")
    expect(page.get_by_label("Name", exact=True)).to_have_value("digits")
    expect(page.get_by_label("Python packages")).to_have_value(re.compile("scikit-learn"))
    page.get_by_label("Files").set_input_files(EXAMPLE / "train.py")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")


def watch_training(*pages: Page) -> None:
    """Everybody sees one bar that moves in its line, and the same log at the end."""
    first = pages[0]
    expect(log(first)).to_contain_text(BAR, timeout=400_000)
    bars = set[str]()

    def moved() -> bool:
        shown = [text for text in texts(first) if BAR.search(text)]
        assert len(shown) <= 1, shown
        bars.update(shown)
        return len(bars) > 1

    wait(moved, "a bar that moves")
    for page in pages:
        expect_state(page, "succeeded")
        expect(log_status(page)).to_contain_text("Complete and verified")
        expect(log(page)).to_contain_text("wrote confusion_matrix.png, metrics.json, model.joblib")
        expect(log(page).locator(".t-fg-2").first).to_have_text(re.compile(r"^accuracy 0\.\d+$"))
    assert lines(pages[0]) == lines(pages[1])
    assert [number for number, _ in lines(first)] == list(range(1, len(lines(first)) + 1))
    assert len([text for text in texts(first) if BAR.search(text)]) == 1


def take_artifacts(page: Page, output: Path) -> None:
    page.get_by_role("link", name="Artifacts").click()
    image = page.get_by_role("img", name="confusion_matrix.png")
    image.scroll_into_view_if_needed()
    wait(lambda: image.evaluate("image => image.complete && image.naturalWidth") > 100, "the picture")
    expect(page.get_by_role("region", name="metrics.json")).to_contain_text('"accuracy": 0.9')
    with page.expect_download() as started:
        page.get_by_role("link", name="model.joblib").click()
    assert started.value.path().read_bytes() == (output / "model.joblib").read_bytes()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download all as zip").click()
    with zipfile.ZipFile(io.BytesIO(started.value.path().read_bytes())) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            path.name: path.read_bytes() for path in output.iterdir()
        }


def remove_member(page: Page, name: str) -> None:
    page.get_by_role("link", name="Members").click()
    page.get_by_role("button", name=f"Remove {name}").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text(f"{name} has no access any more.")).to_be_visible()


def expect_locked_out(page: Page) -> None:
    expect(log_status(page)).to_have_text("You no longer have access to this log.")
    expect(log(page).locator(".log-row")).to_have_count(0)
    answer = page.reload()
    assert answer
    assert answer.status == 404
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.get_by_role("link", name="step")).to_have_count(0)


def clone(page: Page, command: str) -> None:
    page.get_by_role("button", name="Clone").click()
    expect(page.get_by_label("Command")).to_have_value(COUNTING)
    page.get_by_label("Command").fill(command)
    page.get_by_role("button", name="Submit").click()
    expect_state(page, "succeeded")


@pytest.mark.slow
def test_a_team_trains_its_first_model(fresh: Server, chromium: Browser, new_page: Callable[..., Page]) -> None:
    olga, tess, carl = (new_page(base_url=fresh.url, accept_downloads=True) for _ in range(3))

    expect_nothing_here(olga, "/setup/a-wrong-token/")
    create_first_account(olga, fresh)
    expect_nothing_here(tess, fresh.address)

    create_project(olga, "Vision")
    invite(olga, "carl@example.org", "Viewer")
    carls_link = copied_link(olga, "carl@example.org")
    invite(olga, "tess@example.org", "Teammate")
    tess_link = emailed_link(fresh, "tess@example.org")
    assert carls_link != emailed_link(fresh, "carl@example.org")
    join(tess, tess_link, "tess@example.org", "tess", "Tess Teammate")
    join(carl, carls_link, "carl@example.org", "carl", "Carl Careful")
    tess.goto(tess_link)
    expect_invalid(tess)

    submit_example(tess)
    olga.goto("/p/vision/jobs")
    olga.get_by_role("link", name="digits").click()
    watch_training(olga, tess)
    job = olga.url.rpartition("/")[2]
    take_artifacts(olga, fresh.var / "jobs" / job / "output")

    address = submit(tess, "vision", "counting", COUNTING)
    expect(log(tess)).to_contain_text("step 3")
    olga.goto("/p/vision/jobs")
    remove_member(olga, "Tess Teammate")
    expect_locked_out(tess)

    olga.goto(address)
    expect_state(olga, "running")
    seen = len(lines(olga))
    wait(lambda: len(lines(olga)) > seen, "more of the log")
    olga.get_by_role("button", name="Stop").click()
    expect_state(olga, "cancelled")
    expect(log_status(olga)).to_contain_text("Complete and verified")
    clone(olga, "echo cloned")
    expect(log(olga)).to_contain_text("cloned")
    carl.goto(olga.url)
    expect(log(carl)).to_contain_text("cloned")
    expect(carl.get_by_role("button", name="Clone")).to_have_count(0)


def expect_invalid(page: Page) -> None:
    expect(page.get_by_role("heading", name="This invitation no longer works")).to_be_visible()
