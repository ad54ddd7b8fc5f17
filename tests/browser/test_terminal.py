"""The log in a real browser: what a terminal would show, and a page that follows, goes back, searches and recovers."""

import asyncio
import functools
import http.server
import re
import threading
from pathlib import Path

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.urls import reverse
from playwright.async_api import async_playwright, expect

from jobs import logs
from jobs.log_hub import hub
from projects import actions as projects
from projects.models import Member
from tests.browser.conftest import FLAGS, chromium_path
from tests.jobs.conftest import queued, resource  # noqa: F401 - fixtures
from tests.jobs.live import attempt, serving, threads  # noqa: F401 - fixtures
from tests.jobs.test_log_stream import finish, write
from tests.server import PATIENCE

# ruff: noqa: F811

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="module")]

STATIC = Path(__file__).resolve().parents[2] / "static"

expect.set_options(timeout=PATIENCE * 1000)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser():
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield chromium
        await chromium.close()


# The terminal by itself


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def terminal(browser):
    """terminal(bytes or a list of chunks) answers the rows that would be shown."""
    files = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=STATIC))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    page = await browser.new_page()
    await page.goto(f"http://127.0.0.1:{files.server_port}/js/")

    async def show(*chunks, script=SHOW, **options):
        return await page.evaluate(script, [[list(chunk) for chunk in chunks], options])

    yield show
    await page.close()
    files.shutdown()
    files.server_close()


SHOW = """async ([chunks, options]) => {
  const { Terminal, paint } = await import("/js/terminal.js");
  const terminal = new Terminal(options);
  for (const chunk of chunks) terminal.write(Uint8Array.from(chunk));
  return terminal.flush().created.map((row) => {
    const element = document.createElement("span");
    paint(element, row);
    const { text, number, offset, cut } = row;
    return { text, number, offset, cut, shown: element.textContent, html: element.innerHTML };
  });
}"""

EVERY_CUT = """async ([[chunk], options]) => {
  const { Terminal } = await import("/js/terminal.js");
  const rows = (...cuts) => {
    const terminal = new Terminal(options);
    for (const [at, cut] of cuts.entries()) terminal.write(Uint8Array.from(chunk.slice(cut, cuts[at + 1])));
    return JSON.stringify(terminal.flush().created.map(({ runs, number, offset }) => ({ runs, number, offset })));
  };
  const whole = rows(0);
  const differing = chunk.map((_, at) => at).filter((at) => rows(0, at) !== whole);
  return { differing, bytewise: rows(...chunk.keys()) === whole };
}"""


def texts(rows):
    return [row["text"] for row in rows]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"one\ntwo\n", ["one", "two", ""]),
        (b"one\r\ntwo\r\n", ["one", "two", ""]),
        (b" 10%\r 50%\r100%\ndone", ["100%", "done"]),
        (b"a long line\rshort", ["shortg line"]),
        (b"a long line\r\x1b[Kshort", ["short"]),
        (b"abc\b\bX", ["aXc"]),
        (b"\b\bok", ["ok"]),
        (b"a\tb\n12345678\tx", ["a       b", "12345678        x"]),
        (b"abcdef\r\x1b[2Cxy", ["abxyef"]),
        (b"abcdef\x1b[3DX\x1b[1K|", ["    |f"]),
        (b"first\x1b[2K!", ["     !"]),
        (b"bar 0\nbar 1\x1b[A\rbar 2\n\rbar 3\n", ["bar 2", "bar 3", ""]),
        (b"one\ntwo\nthree\x1b[2A\r\x1b[Jx", ["x", "", ""]),
        (b"\x1b[9Atop", ["top"]),
        (b"abc\x1b[10Gx", ["abc      x"]),
        (b"\x1b]0;title\x07shown \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\!", ["shown link!"]),
        (b"\x1b]0;never ended\nnext", ["", "next"]),
        (b"\x1b(Bplain\x1b=\x1b>", ["plain"]),
        (b"\x1b[?25l\x1b[?2004hhidden cursor\x1b[?25h", ["hidden cursor"]),
        (b"\x1b[31", [""]),
        (b"nul\x00 bell\x07 del\x7f esc", ["nul\u2400 bell del\u2421 esc"]),
        ("caf\u00e9 \u4f60 \U0001f600".encode(), ["caf\u00e9 \u4f60 \U0001f600"]),
        (b"bad \xff\xfe utf \xe4\xbd\nnext", ["bad \ufffd\ufffd utf \ufffd", "next"]),
        ("turn \u202eround".encode(), ["turn \ufffdround"]),
    ],
)
async def test_what_is_shown(terminal, data, lines):
    assert texts(await terminal(data)) == lines


async def test_a_tqdm_bar_of_several_rows_stays_where_it_is(terminal):
    data = b"start\n"
    for step in range(50):
        data += b"\router: %d%%" % step + b"\n\rinner: %d%%\x1b[A" % (step * 2)
    rows = await terminal(data + b"\n\ndone\n")
    assert texts(rows) == ["start", "outer: 49%", "inner: 98%", "done", ""]
    assert [row["number"] for row in rows] == [1, 2, 3, 54, 55]


async def test_rows_know_their_lines_and_bytes(terminal):
    rows = await terminal(b"one\n", b"tw", b"o\nthree", offset=100, line=7)
    assert [(row["number"], row["offset"]) for row in rows] == [(7, 100), (8, 104), (9, 108)]


async def test_colours_and_looks(terminal):
    [row] = await terminal(
        b"\x1b[1;31mred\x1b[0m \x1b[38;5;208mfar\x1b[39m \x1b[48;2;1;2;3mtrue\x1b[m \x1b[7mback\x1b[27m \x1b[92mx"
    )
    assert '<span class="t-fg-1 t-bold">red</span>' in row["html"]
    assert 'style="color: rgb(255, 135, 0);">far' in row["html"]
    assert 'style="background-color: rgb(1, 2, 3);">true' in row["html"]
    assert '<span class="t-inverse t-fg-page t-bg-text">back</span>' in row["html"]
    assert '<span class="t-fg-10">x</span>' in row["html"]


async def test_a_log_never_becomes_html(terminal):
    data = b"<script>alert(1)</script>\x1b[31m<img src=x onerror=alert(1)>&amp;\x1b[0m"
    [row] = await terminal(data)
    assert row["shown"] == "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;"
    assert "<img" not in row["html"] and "<script" not in row["html"]


async def test_it_does_not_matter_where_the_bytes_are_cut(terminal):
    nasty = (
        "\x1b[1;38;5;208mcolour\x1b[0m caf\u00e9 \U0001f600\r\n 10%\r 50%\r\x1b[K100%\n\x1b]0;title\x1b\\a\tb\n"
        "bar\n\x1b[A\x1b[2Kbar 2\n\n\x1b[?25h\x1b(B\x00\b\bx\u202e"
    ).encode() + b"\xff\xe4\xbd\nend"
    assert await terminal(nasty, script=EVERY_CUT) == {"differing": [], "bytewise": True}


async def test_a_line_without_end_is_cut_and_counted(terminal):
    rows = await terminal(b"x" * 25_000 + b"\nnext")
    assert (len(rows[0]["text"]), rows[0]["cut"], rows[1]["text"]) == (10_000, 15_000, "next")


# The page


@pytest_asyncio.fixture(loop_scope="module")
async def page_of(browser, as_user, attempt):
    """page_of(user, "#L5") opens the job's page as the user; script errors and refused loads fail the test."""
    async with serving() as server:
        opened = Opened(browser, server, as_user, await sync_to_async(address)(attempt))
        yield opened.page
        await opened.close()
    assert opened.troubles == []


def address(attempt):
    return reverse("jobs:detail", args=[attempt.job.project.slug, attempt.job_id])


class Opened:
    """Pages opened by people, each in a browser of its own, and what those browsers complained of."""

    def __init__(self, browser, port, as_user, path):
        self.browser, self.as_user, self.path = browser, as_user, path
        self.base, self.contexts, self.troubles = f"http://localhost:{port}", [], []

    async def page(self, user, fragment="", prepare=None):
        client = await sync_to_async(self.as_user)(user)
        context = await self.browser.new_context(base_url=self.base)
        self.contexts.append(context)
        await context.add_cookies(
            [{"name": one.key, "value": one.value, "url": self.base} for one in client.cookies.values()]
        )
        page = await context.new_page()
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", self.said)
        if prepare:
            await prepare(page)
        await page.goto(self.path + fragment)
        return page

    def said(self, message):
        if "Content Security" in message.text:
            self.troubles.append(message.text)

    async def close(self):
        for context in self.contexts:
            await context.close()


def log_of(page):
    return page.get_by_role("log", name="Log")


def rows(page):
    return page.locator(".log-row .log-text")


def status(page):
    return page.locator("[data-log-status]")


def numbered(first, last):
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


async def shown_numbers(page):
    """The line numbers of all rows in the page."""
    return await page.evaluate("[...document.querySelectorAll('.log-number')].map((one) => Number(one.textContent))")


async def first_visible(page):
    return await page.evaluate(
        """() => {
          const top = document.querySelector("[data-log-view]").getBoundingClientRect().top;
          const row = [...document.querySelectorAll(".log-row")].find((one) => one.getBoundingClientRect().bottom > top + 1);
          return [row.firstChild.textContent, row.getBoundingClientRect().top - top];
        }"""
    )


async def scroll(page, script):
    await page.evaluate(f"(() => {{ const view = document.querySelector('[data-log-view]'); {script} }})()")


async def test_a_live_log_is_followed_to_its_verified_end(page_of, owner, attempt):
    write(attempt, b"one\n")
    page = await page_of(owner)
    await expect(log_of(page)).to_contain_text("one")
    await expect(status(page)).to_have_text("Live")
    write(attempt, b" 50%\r100%\n<b>bold?</b>\n")
    await expect(rows(page).nth(1)).to_have_text("100%")
    await expect(rows(page).nth(2)).to_have_text("<b>bold?</b>")
    await sync_to_async(finish)(attempt)
    hub().changed(attempt.job_id)
    await expect(status(page)).to_have_text("Complete and verified, 3 lines")


async def test_what_was_dropped_and_what_is_missing_is_said_in_its_place(page_of, owner, attempt):
    write(attempt, b"head\ntail\n")
    gaps = [{"offset": 5, "bytes": 3 * 2**20}]
    await sync_to_async(finish)(attempt, log_size=15, log_verified=False, log_gaps=gaps)
    page = await page_of(owner)
    await expect(page.locator(".log-row", has_text="tail")).to_contain_text("3.0 MiB of output were dropped here")
    await expect(status(page)).to_contain_text("Incomplete: 5 bytes are missing at the end")


async def test_with_the_first_line_a_log_is_no_longer_called_empty(page_of, owner, attempt):
    page = await page_of(owner)
    await expect(page.get_by_text("Nothing printed yet.")).to_be_visible()
    write(attempt, b"first\n")
    await expect(rows(page).nth(0)).to_have_text("first")
    await expect(page.get_by_text("Nothing printed yet.")).to_be_hidden()


async def test_an_empty_log_explains_itself(page_of, owner, attempt):
    page = await page_of(owner)
    await expect(page.get_by_text("Nothing printed yet.")).to_be_visible()
    await sync_to_async(finish)(attempt)
    hub().changed(attempt.job_id)
    await expect(page.get_by_text("This attempt printed nothing.")).to_be_visible()


async def test_a_large_log_opens_at_its_end_and_goes_back_without_a_jump(page_of, owner, attempt):
    write(attempt, numbered(1, 200_000))
    page = await page_of(owner)
    await expect(rows(page).nth(-2)).to_have_text("line 200000")
    before = (await shown_numbers(page))[0]
    await scroll(page, "view.scrollTop = 0")
    while (await shown_numbers(page))[0] == before:
        await asyncio.sleep(0.02)
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    number, at = await first_visible(page)
    assert int(number) in {before - 1, before}  # the head of the list had a margin, where now the line before shows
    assert abs(at) <= 18
    for _ in range(6):
        first = (await shown_numbers(page))[0]
        await scroll(page, "view.scrollTop = 0")
        while (await shown_numbers(page))[0] == first:
            await asyncio.sleep(0.02)
    numbers = await shown_numbers(page)
    assert len(numbers) <= 4000
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    write(attempt, b"meanwhile\n")
    await page.get_by_role("button", name="Follow").click()
    await expect(rows(page).nth(-2)).to_have_text("meanwhile")


async def test_scrolling_down_again_reaches_the_live_end(page_of, owner, attempt):
    write(attempt, numbered(1, 12_000))
    page = await page_of(owner, "#L100")
    await expect(page.locator(".log-row.current .log-text")).to_have_text("line 100")
    seen = set()
    async with asyncio.timeout(PATIENCE):
        while 12_000 not in seen:
            numbers = await shown_numbers(page)
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            seen.update(numbers)
            await scroll(page, "view.scrollTop = view.scrollHeight")
            await asyncio.sleep(0.02)
    assert seen >= set(range(1, 12_001))
    write(attempt, b"and on\n")
    await expect(rows(page).nth(-2)).to_have_text("and on")


async def test_somebody_who_reads_further_up_is_not_moved_by_new_lines(page_of, owner, attempt):
    write(attempt, numbered(1, 3000))
    page = await page_of(owner, "#L1500")
    await expect(page.locator(".log-row.current .log-text")).to_have_text("line 1500")
    while (await shown_numbers(page))[-1] < 3000:
        await scroll(page, "view.scrollTop += 3000")
        await asyncio.sleep(0.05)
    await page.evaluate("location.hash = '#L2000'")
    await expect(page.locator(".log-row.current .log-text")).to_have_text("line 2000")
    before = await first_visible(page)
    for start in range(3001, 13_001, 1000):
        write(attempt, numbered(start, start + 999))
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    assert await first_visible(page) == before
    assert len(await shown_numbers(page)) <= 4000
    await page.keyboard.press("f")
    await expect(rows(page).nth(-2)).to_have_text("line 13000")


class Held:
    """Requests for pages of the log, which wait until they are let go."""

    def __init__(self):
        self.here, self.on = asyncio.Event(), asyncio.Event()

    async def __call__(self, route):
        self.here.set()
        await self.on.wait()
        await route.continue_()

    async def let_go(self, page):
        async with page.expect_response(re.compile(r"/page\?")):
            self.on.set()


@pytest.mark.parametrize("reading", ["view.scrollTop = 0", "location.hash = '#L500'"], ids=["older", "line"])
async def test_the_end_is_followed_whatever_is_still_on_its_way(page_of, owner, attempt, reading):
    write(attempt, numbered(1, 12_000))
    page = await page_of(owner)
    await expect(rows(page).nth(-2)).to_have_text("line 12000")
    assert len(await shown_numbers(page)) == 4000  # with older lines the newest go
    held = Held()
    await page.route(re.compile(r"/page\?"), held)
    await scroll(page, reading)
    await held.here.wait()
    await page.keyboard.press("f")
    await held.let_go(page)
    write(attempt, b"and on\n")
    await expect(rows(page).nth(-2)).to_have_text("and on")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")


async def test_the_end_is_followed_although_the_line_is_not_yet_open(page_of, owner, attempt):
    write(attempt, numbered(1, 12_000))
    here, on = asyncio.Event(), asyncio.Event()

    async def hold(route):
        here.set()
        await on.wait()
        route.connect_to_server()

    page = await page_of(owner, "#L5000", lambda page: page.route_web_socket(re.compile("/log"), hold))
    await here.wait()
    await expect(page.locator(".log-row.current .log-text")).to_have_text("line 5000")
    await page.keyboard.press("f")
    on.set()
    await expect(rows(page).nth(-2)).to_have_text("line 12000")


async def test_search_goes_through_the_whole_log(page_of, owner, attempt):
    write(attempt, numbered(1, 50_000))
    page = await page_of(owner)
    await expect(rows(page).nth(-2)).to_have_text("line 50000")
    await page.keyboard.press("/")
    await page.keyboard.type("line 123")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-log-count]")).to_have_text("111 of 111")  # the last, as the end was in view
    await page.get_by_role("button", name="Next match").click()
    await expect(page.locator("[data-log-count]")).to_have_text("1 of 111")
    await expect(page.locator(".log-row.current .log-text")).to_have_text("line 123")
    await page.get_by_role("button", name="Previous match").click()
    await expect(page.locator(".log-row.current .log-text")).to_have_text("line 12399")
    assert await page.evaluate("CSS.highlights.get('log-match').size") > 1
    await page.get_by_role("searchbox", name="Search the log").fill("no such thing")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-log-count]")).to_have_text("Not found")


async def test_keys_move_through_the_log(page_of, owner, attempt):
    write(attempt, numbered(1, 9000))
    page = await page_of(owner)
    await expect(rows(page).nth(-2)).to_have_text("line 9000")
    await log_of(page).focus()
    await page.keyboard.press("Home")
    await expect(rows(page).first).to_have_text("line 1")
    assert (await first_visible(page))[0] == "1"
    await page.keyboard.press("End")
    await expect(rows(page).nth(-2)).to_have_text("line 9000")
    await page.keyboard.press("PageUp")
    await expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")


async def test_one_line_of_many_megabytes_is_cut_where_it_is_shown(page_of, owner, attempt):
    write(attempt, b"before\n")
    for _ in range(8):
        write(attempt, b"z" * 2**20)
    write(attempt, b"\nafter\n")
    page = await page_of(owner)
    await expect(rows(page).nth(-2)).to_have_text("after")
    await expect(page.get_by_text(re.compile("MiB more of this line not shown"))).to_be_attached()
    await scroll(page, "view.scrollTop = 0")
    await expect(rows(page).first).to_have_text("before")


async def test_a_log_that_ends_in_one_endless_line_shows_its_newest_part(page_of, owner, attempt):
    write(attempt, b"before\n" + b"z" * 2**20)
    page = await page_of(owner)
    await expect(page.get_by_text("The beginning of this line is not shown here")).to_be_attached()
    await log_of(page).focus()
    await page.keyboard.press("Home")
    await expect(rows(page).first).to_have_text("before")


async def test_a_cut_connection_is_taken_up_at_the_same_byte(page_of, owner, attempt):
    write(attempt, b"one\ntw")
    page = await page_of(owner)
    await expect(log_of(page)).to_contain_text("tw")
    await page.context.set_offline(True)
    await page.evaluate("0")
    path = logs.path_of(attempt.job_id, attempt.index)
    logs.append(path, 6, b"o\nthree\n")
    await page.context.set_offline(False)
    await expect(rows(page).nth(2)).to_have_text("three")
    assert await rows(page).all_text_contents() == ["one", "two", "three", ""]


async def test_a_removed_member_sees_the_log_end(page_of, viewer, project, attempt):
    write(attempt, b"secret\n")
    page = await page_of(viewer)
    await expect(log_of(page)).to_contain_text("secret")

    def remove():
        projects.remove_member(member=Member.objects.get(user=viewer, project=project), by=project.owner)

    await sync_to_async(remove)()
    await expect(status(page)).to_have_text("You no longer have access to this log.")
    await expect(log_of(page)).not_to_contain_text("secret")
