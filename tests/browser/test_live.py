"""What changes under the eyes of people: lists, states, and logs that are cut off, hostile or very long."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.hands import Team, expect_state, lines, log, log_status, submit, texts
from tests.server import wait

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

CUT_OFF = r"WebSocket connection to|Failed to load resource: net::|TypeError: Failed to fetch"
WINDOW = 4000  # lines of a log that a page holds at most


def counting(lines: int, pause: float) -> str:
    """A command that writes "number 1" and so on, each line at once."""
    return f"""python3 -c 'import sys, time
for number in range(1, {lines + 1}):
    sys.stdout.write(f"number {{number}}\\n")
    sys.stdout.flush()
    time.sleep({pause})'"""


def expect_counted(page: Page, at_least: int = 1) -> int:
    """The log has every number once and in order, each in the line of that number; answers the last."""
    shown = [(number, text) for number, text in lines(page) if text]
    assert len(shown) >= at_least
    assert shown == [(number, f"number {number}") for number in range(1, len(shown) + 1)]
    return len(shown)


def seen(page: Page) -> tuple[int, float]:
    """The number of the first line that can be seen, and where it stands."""
    script = """view => {
      const top = view.getBoundingClientRect().top;
      const row = [...view.querySelectorAll(".log-row")].find((row) => row.getBoundingClientRect().bottom > top);
      return [Number(row.children[0].textContent), Math.round(row.getBoundingClientRect().top - top)];
    }"""
    return tuple(log(page).evaluate(script))


def test_rows_of_the_list_and_the_head_of_a_job_change_by_themselves(page_of: Callable[..., Page]) -> None:
    viewer, worker = page_of("emmy"), page_of("grace")
    viewer.goto("/p/vision/jobs")
    viewer.evaluate("window.neverReloaded = true")
    submit(worker, "vision", "seen by all", "sleep 1; exit 3")
    worker.evaluate("window.neverReloaded = true")
    row = viewer.get_by_role("row").filter(has_text="seen by all")
    expect_state(worker, "failed")
    expect(row.locator("[data-state]")).to_have_attribute("data-state", "failed")
    expect(worker.get_by_role("button", name="Stop")).to_have_count(0)
    submit(worker, "vision", "seen to run", counting(3000, 0.1))
    row = viewer.get_by_role("row").filter(has_text="seen to run")
    expect(row.locator("[data-state]")).to_have_text("Running")
    worker.evaluate("window.neverReloaded = true")
    worker.get_by_role("button", name="Stop").click()
    expect(row.locator("[data-state]")).to_have_text("Cancelled")
    assert viewer.evaluate("window.neverReloaded")


@pytest.mark.slow
def test_a_log_that_is_cut_off_neither_loses_nor_repeats_a_line(
    page_of: Callable[..., Page], team: Team, watch: Watch
) -> None:
    watch.expect(CUT_OFF)
    page, other = page_of("grace"), page_of("emmy")
    address = submit(page, "vision", "counts", counting(20_000, 0.05))
    expect(log(page)).to_contain_text("number 10")
    other.goto(address)
    page.reload()
    for one in (page, other):
        expect(log(one)).to_contain_text("number 20")
    expect_counted(page)
    page.context.set_offline(True)
    reached = expect_counted(other)
    wait(lambda: expect_counted(other) > reached + 20, "lines while the other is offline")
    page.context.set_offline(False)
    wait(lambda: expect_counted(page) > reached + 20, "what was missed offline")
    for _ in range(2):
        reached = expect_counted(page)
        team.server.kill("web")
        wait(lambda: expect_counted(page) > reached + 20, "more lines after a restart")  # noqa: B023
    page.reload()
    page.get_by_role("button", name="Stop").click()
    for one in (page, other):
        expect_state(one, "cancelled")
        expect(log_status(one)).to_contain_text("Complete and verified")
    count = expect_counted(page)
    assert expect_counted(other) == count
    expect(log_status(page)).to_have_text(f"Complete and verified, {count:,} lines")


def test_one_follows_the_end_or_reads_further_up_undisturbed(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    submit(page, "vision", "followed", counting(3000, 0.05))
    expect(log(page)).to_contain_text("number 80")
    follow = page.get_by_role("button", name="Follow")
    expect(follow).to_have_attribute("aria-pressed", "true")
    log(page).hover()
    log(page).evaluate("view => view.addEventListener('scrollend', () => { view.dataset.scrolled = 'yes' })")
    page.mouse.wheel(0, -600)
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(log(page)).to_have_attribute("data-scrolled", "yes")
    reading, count = seen(page), len(lines(page))
    wait(lambda: len(lines(page)) > count + 20, "more lines below")
    assert seen(page) == reading
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "true")
    wait(lambda: seen(page)[0] > count - 10, "the end")
    page.get_by_role("button", name="Stop").click()
    expect_state(page, "cancelled")


HOSTILE = r"""
import sys
print("<script>window.injected = 1</script>")
print("<img src=x onerror=\"window.injected = 1\">")
print("<b>bold</b> &amp; &lt;i&gt;")
print("\x1b]0;a new title\x07after the title")
print("\x1b]8;;javascript:alert(1)\x1b\\a link\x1b]8;;\x1b\\")
print("\x1b[31mred\x1b[0m and \x1b[38;2;1;2;3mtrue\x1b[0m, \x1b[999;;;999Zodd\x1b[0m")
print("x" * 1_000_000)
print("\u202egnp.exe")
sys.stdout.buffer.write(b"\xff\xfe\x00 bytes\n")
print("the end")
"""


def test_a_log_injects_nothing(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    title = "hostile"
    page.goto("/p/vision/jobs/new")
    page.get_by_label("Files").set_input_files({"name": "hostile.py", "mimeType": "", "buffer": HOSTILE.encode()})
    page.get_by_label("Name", exact=True).fill(title)
    page.get_by_label("Command").fill("python3 hostile.py; echo '<script>window.injected = 1</script>'; exit 3")
    page.get_by_role("button", name="Submit").click()
    expect_state(page, "failed")
    expect(log_status(page)).to_contain_text("Complete and verified")
    shown = texts(page)
    assert shown[0] == "<script>window.injected = 1</script>"
    assert shown[1].startswith("<img src=x")
    assert shown[2:5] == ["<b>bold</b> &amp; &lt;i&gt;", "after the title", "a link"]
    assert shown[5].startswith("red and true, ")
    assert shown[6].startswith("x" * 1000)
    assert len(shown[6]) <= 10_000
    expect(log(page)).to_contain_text("more characters of this line not shown")
    assert {*log(page).locator("*").evaluate_all("all => all.map(one => one.localName)")} <= {"div", "a", "span"}
    expect(log(page).locator(".t-fg-1")).to_have_text("red")
    page.get_by_role("button", name="Wrap").click()
    page.get_by_role("button", name="Wrap").click()
    page.reload()
    expect(page.get_by_role("region", name="What went wrong")).to_contain_text("<script>")
    page.goto("/p/vision/jobs")
    expect(page.get_by_role("row").filter(has_text=title)).to_contain_text("<script>")
    assert page.evaluate("window.injected") is None


LINES = 2_000_000
LINE = 100  # bytes


def write_long_log(path: Path) -> None:
    """200 MB of numbered lines in the place of a log; its index of lines is made anew by who needs it."""
    path.with_suffix(".lines").unlink(missing_ok=True)
    with path.open("wb") as file:
        for first in range(1, LINES + 1, 10_000):
            numbers = range(first, first + 10_000)
            file.write("".join(f"number {number} ".ljust(LINE - 1, ".") + "\n" for number in numbers).encode())


@pytest.mark.slow
def test_a_very_long_log_opens_at_its_end_and_older_parts_come_when_scrolled_to(
    page_of: Callable[..., Page], team: Team
) -> None:
    page = page_of("grace")
    address = submit(page, "vision", "very long", "true")
    expect_state(page, "succeeded")
    path = team.server.var / "logs" / address.rpartition("/")[2] / "0.log"
    path.parent.mkdir(exist_ok=True)
    write_long_log(path)
    page.goto(address)
    expect(log(page)).to_contain_text(f"number {LINES} ")
    assert len(lines(page)) < 1000
    for _ in range(6):
        first = lines(page)[0][0]
        log(page).evaluate("view => { view.scrollTop = 0; }")
        wait(lambda: lines(page)[0][0] < first, "older lines")  # noqa: B023
    expect_in_place(page)
    page.goto(f"{address}#L1000000")
    expect(log(page)).to_contain_text("number 1000000 ")
    expect(log(page).locator(".log-row.current")).to_be_in_viewport()
    expect_in_place(page)
    log(page).press("Home")
    expect(log(page)).to_contain_text(re.compile(r"^1number 1 "))
    expect_in_place(page)
    page.get_by_role("button", name="Follow").click()
    expect(log(page)).to_contain_text(f"number {LINES} ")
    page.get_by_label("Search the log").fill("number 1234567 ")
    page.keyboard.press("Enter")
    expect(log(page).locator(".log-row.current")).to_contain_text("number 1234567 ")
    expect(page.locator("[data-log-count]")).to_contain_text("1 of 1")
    page.get_by_role("button", name="Follow").click()
    expect(log(page)).to_contain_text(f"number {LINES} ")
    path.unlink()


def expect_in_place(page: Page) -> None:
    """The lines in the page follow one another, each under its own number, and are not too many."""
    shown = [(number, text) for number, text in lines(page) if text]
    first = shown[0][0]
    assert [number for number, _ in shown] == list(range(first, first + len(shown)))
    assert all(text.startswith(f"number {number} ") for number, text in shown)
    assert len(shown) <= WINDOW


def test_two_tabs_submit_to_their_own_projects(page_of: Callable[..., Page]) -> None:
    one = page_of("ada")
    one.goto("/projects/new")
    one.get_by_label("Name").fill("Second project")
    one.get_by_role("button", name="Create project").click()
    two = one.context.new_page()
    one.goto("/p/second-project/jobs/new")
    two.goto("/p/vision/jobs/new")
    for page, name in ((one, "for the second"), (two, "for vision")):
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Command").fill("true")
    for page, project in ((one, "second-project"), (two, "vision")):
        page.get_by_role("button", name="Submit").click()
        expect_state(page, "succeeded")
        assert f"/p/{project}/jobs/" in page.url
    one.goto("/p/second-project/jobs")
    expect(one.get_by_role("link", name="for the second")).to_be_visible()
    expect(one.get_by_role("link", name="for vision")).to_have_count(0)
