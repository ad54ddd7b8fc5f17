"""Every page, for people who see little, use a phone, a dark room, a keyboard or a browser without scripts."""

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.hands import Team, expect_state, log, log_status, sign_in, state, submit
from tests.browser.world import LONG

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

DESK, PHONE = (1440, 900), (390, 844)
VISION = "/p/vision"
LOOP = "for i in $(seq 1 600); do echo line $i; sleep 0.5; done"

# Who opens which page, and what its heading is.
PAGES = [
    ("", "/accounts/login/", "Sign in"),
    ("", "/accounts/password/reset/", "Reset your password"),
    ("", "/accounts/password/reset/done/", "Look at your email"),
    ("", "/accounts/password/reset/key/0-x/", "This link no longer works"),
    ("", "/accounts/signup/", "Sign-up is by invitation"),
    ("", "/accounts/confirm-email/wrong/", "This link no longer works"),
    ("", "/invitations/wrong/", "This invitation no longer works"),
    ("", "/team-invitations/wrong/", "This invitation no longer works"),
    ("", "/setup/wrong/", "There is nothing here"),
    ("", "/nowhere", "There is nothing here"),
    ("ada", "/projects/", "Projects"),
    ("ada", "/projects/?q=nothing-is-called-so", "Projects"),
    ("ada", "/projects/new", "New project"),
    ("ada", "/profile/", "Profile"),
    ("ada", "/rules/", "My rules"),
    ("ada", "/teams/", "Teams"),
    ("ada", "/teams/new", "New team"),
    ("ada", "/t/vision-lab", "Vision lab"),
    ("ada", "/t/vision-lab/remove", "Remove Vision lab?"),
    ("ada", "/t/vision-lab/roles", "Roles and policies"),
    ("ada", "/admins/", "Admins"),
    ("ada", "/roles/", "Roles"),
    ("ada", f"{VISION}/roles", "Roles"),
    ("ada", f"{VISION}/usage", "Usage"),
    ("ada", f"{VISION}/audit", "Audit"),
    ("ada", f"{VISION}/access?action=job:new&person=grace", "Access"),
    ("ada", "/profile/security/", "Sign-in and security"),
    ("ada", "/profile/tokens/", "Personal tokens"),
    ("ada", "/profile/emails/", "Emails"),
    ("ada", "/accounts/confirm/", "Confirm that it is you"),
    ("ada", "/accounts/email/", "Your address"),
    ("ada", "/accounts/password/change/", "Change the password"),
    ("ada", "/accounts/logout/", "Sign out?"),
    ("ada", "/p/empty-corner/jobs", "Jobs"),
    ("ada", f"{VISION}/jobs", "Jobs"),
    ("ada", f"{VISION}/jobs?q=nothing-is-called-so", "Jobs"),
    ("ada", "/p/archive-of-everything-that-we-ever-trained/jobs", "Jobs"),
    ("ada", f"{VISION}/jobs/new", "New job"),
    ("ada", f"{VISION}/members", "Members"),
    ("ada", f"{VISION}/settings", "Settings"),
    ("ada", f"{VISION}/remove", "Remove Vision?"),
    ("ada", "/owners/", "What you own"),
    ("ada", "/owners/projects/", "Projects administration"),
    ("ada", "/owners/projects/project/", "Projects"),
    ("ada", "/owners/projects/project/add/", "Add project"),
    ("ada", "/owners/projects/member/", "Members"),
    ("ada", "/owners/projects/member/?q=grace", "Members"),
    ("ada", "/owners/projects/teammember/add/", "Add team member"),
    ("ada", "/owners/projects/invitation/", "Invitations"),
    ("ada", "/owners/projects/auditentry/", "Audit entries"),
    ("ada", "/owners/billing/charge/", "Charges"),
    ("ada", "/staff/", "This installation"),
    ("ada", "/staff/billing/price/add/", "Add price"),
    ("grace", f"{VISION}/members", "Members"),
    ("grace", f"{VISION}/leave", "Leave Vision?"),
    ("emmy", f"{VISION}/jobs", "Jobs"),
    ("emmy", f"{VISION}/jobs/new", "You may not do this"),
    ("nora", "/projects/", "Projects"),
    ("stan", f"{VISION}/jobs", "There is nothing here"),
]
TABS = ("", "/artifacts", "/spec", "/history")


def violations(page: Page, only: tuple[str, ...] = ()) -> list[str]:
    """What axe-core calls serious or critical on the page as it is, by all rules or those named; of a long table the beginning."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(Axe().axe_script)
    options = {"resultTypes": ["violations"]} | ({"runOnly": only} if only else {})
    found = page.evaluate("options => axe.run({exclude: ['tbody tr:nth-child(n+12)']}, options)", options)["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def sideways(page: Page) -> list[str]:
    """What makes the page wider than its window."""
    script = """() => {
      const width = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth <= width) return [];
      return [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > width + 1)
        .map((one) => one.outerHTML.slice(0, 120)).slice(0, 4).concat(`${document.documentElement.scrollWidth} px`);
    }"""
    return page.evaluate(script)


def look_at(page: Page) -> None:
    """The page holds on a desk and on a phone, and on a desk in both themes: the theme changes colours alone."""
    found = {}
    for width, height in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found[f"light, {width} px"] = violations(page)
        found[f"wider than {width} px"] = sideways(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    found["dark"] = violations(page, only=("color-contrast", "link-in-text-block"))
    assert not {where: what for where, what in found.items() if what}


def test_what_is_wrong_would_be_found(page_of: Callable[..., Page]) -> None:
    page = page_of("")
    page.goto("/accounts/login/")
    page.evaluate(
        "document.querySelector('.card').insertAdjacentHTML('beforeend', '<input name=x><img src=/static/x>')"
    )
    page.evaluate("document.querySelector('.card').style.minWidth = '2000px'")
    assert any(one.startswith("label:") for one in violations(page))
    assert sideways(page)


@pytest.mark.parametrize(("name", "path", "heading"), PAGES)
def test_a_page_can_be_used_by_everybody(window_of: Callable[[str], Page], name: str, path: str, heading: str) -> None:
    page = window_of(name)
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    look_at(page)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("name", ["failed", "succeeded"])
def test_an_ended_job_can_be_looked_at_by_everybody(
    window_of: Callable[[str], Page], team: Team, name: str, tab: str
) -> None:
    page = window_of("grace")
    page.goto(team.job(name) + tab)
    expect_state(page, name)
    if not tab:
        expect(log_status(page)).to_contain_text("Complete and verified")
    look_at(page)


def test_a_failed_job_opens_with_its_error(window_of: Callable[[str], Page], team: Team) -> None:
    page = window_of("emmy")
    page.goto(team.job("failed"))
    expect_state(page, "failed")
    page.reload()
    error = page.get_by_role("region", name="What went wrong")
    expect(error).to_contain_text("No such file or directory: '/nowhere/data.csv'")
    expect(error).to_be_in_viewport()


@pytest.fixture
def going(page_of: Callable[..., Page]) -> Iterator[tuple[str, str]]:
    """The addresses of a job that runs and of one that waits for it."""
    page = page_of("grace")
    running = submit(page, "vision", "goes on", LOOP)
    expect_state(page, "running")
    waiting = submit(page, "vision", "waits", "true", **{"CPU cores": "4"})
    expect_state(page, "queued")
    yield running, waiting
    for address in (waiting, running):
        page.goto(address)
        page.get_by_role("button", name="Stop").click()
        expect_state(page, "cancelled")


@pytest.mark.slow
def test_jobs_that_run_and_wait_can_be_looked_at_by_everybody(
    page_of: Callable[..., Page], going: tuple[str, str]
) -> None:
    page, (running, waiting) = page_of("ada"), going
    page.goto(running)
    expect(log(page)).to_contain_text("line 2")
    look_at(page)
    page.goto(f"{running}/artifacts")
    look_at(page)
    page.goto(waiting)
    expect(page.locator("#job-status")).to_contain_text("Waits for 4 CPU")
    look_at(page)
    page.goto(f"{VISION}/members")
    page.get_by_role("button", name="Remove Grace Murray").click()
    expect(page.get_by_role("dialog")).to_contain_text("goes on")
    look_at(page)


def test_a_form_with_errors_says_them_beside_its_fields_and_keeps_what_was_typed(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    page.goto(f"{VISION}/jobs/new")
    page.get_by_label("Name", exact=True).fill("too large")
    page.get_by_label("Command").fill("true")
    page.get_by_label("CPU cores").fill("many")
    page.get_by_label("Environment variables").fill("not a variable")
    page.get_by_role("button", name="Submit").click()
    for label, typed in (("CPU cores", "many"), ("Environment variables", "not a variable")):
        expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label(label)).to_have_value(typed)
    expect(page.get_by_label("Environment variables")).to_have_accessible_description(re.compile("expected"))
    expect(page.get_by_label("Command")).to_have_value("true")
    look_at(page)
    page.get_by_label("CPU cores").fill("1")
    page.get_by_label("Environment variables").fill("A=1")
    page.get_by_label("GPUs").fill("1000")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_label("GPUs")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("GPUs")).to_have_accessible_description(re.compile("1000 asked for"))


def test_rows_of_a_form_come_and_go(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    page.goto(f"{VISION}/jobs/new")
    inputs, spec = page.get_by_role("group", name="Inputs from elsewhere"), page.get_by_role("region", name="job.yml")
    inputs.get_by_label("Fetched from").fill("https://example.org/a")
    inputs.get_by_role("button", name="Add another").click()
    expect(inputs.get_by_label("Fetched from").nth(1)).to_be_focused()
    page.keyboard.type("https://example.org/b")
    inputs.get_by_label("Path in the job").nth(1).fill("/b")
    expect(spec).to_contain_text("to: /b")
    inputs.get_by_role("button", name="Remove input 1").click()
    expect(spec).not_to_contain_text("example.org/a")
    inputs.get_by_role("button", name="Remove input 2").click()
    expect(spec).not_to_contain_text("input")
    expect(inputs.get_by_label("Fetched from")).to_have_value("")


def test_an_untouched_form_complains_of_nothing(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    page.goto(f"{VISION}/jobs/new")
    expect(page.get_by_role("region", name="job.yml")).to_contain_text("cpu:")
    expect(page.locator(".errorlist")).to_have_count(0)
    page.get_by_label("Command").fill("python3 train.py")
    expect(page.get_by_role("region", name="job.yml")).to_contain_text("command: python3 train.py")
    expect(page.locator(".errorlist")).to_have_count(0)


def test_menus_and_the_sheet_of_a_narrow_page_can_be_used_by_everybody(page_of: Callable[..., Page]) -> None:
    page = page_of("ada", viewport={"width": 390, "height": 844})
    page.goto(f"{VISION}/jobs")
    for button in ("Menu", "Project", "Account of Ada Byron"):
        page.get_by_role("button", name=button, exact=True).click()
        assert not violations(page)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("navigation", name="Project pages").get_by_role("link", name="Members").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Members")


def test_of_many_projects_the_switcher_finds_what_is_typed(page_of: Callable[..., Page]) -> None:
    page = page_of("stan")
    page.goto("/p/field-30/settings")
    page.goto("/p/field-12/settings")
    page.get_by_role("button", name="Project", exact=True).click()
    box = page.get_by_role("searchbox", name="Find a project")
    expect(box).to_be_focused()
    found = page.locator("#projects-found")
    expect(found.get_by_role("button", name="Field 30")).to_be_visible()  # opened last
    box.fill("field 0")
    expect(found.get_by_role("button")).to_have_count(10)
    assert not violations(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Project", exact=True)).to_have_text("Field 01")
    page.get_by_role("button", name="Project", exact=True).click()
    page.get_by_role("searchbox", name="Find a project").fill("field 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Field 29", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Field 30", exact=True)).to_have_count(0)


@pytest.mark.parametrize("where", [f"{VISION}/members", "/t/vision-lab"])
def test_an_invitation_page_can_be_used_by_everybody(page_of: Callable[..., Page], where: str) -> None:
    page = page_of("ada")
    page.goto(where)
    link = page.get_by_role("listitem").filter(has_text="a.very.long").locator("code").inner_text()
    page.goto(link)
    expect(page.get_by_text("which is another address")).to_be_visible()
    look_at(page)
    signed_out = page_of("")
    signed_out.goto(link)
    look_at(signed_out)
    signed_out.get_by_role("link", name="Create account").click()
    expect(signed_out.get_by_role("button", name="Create account")).to_be_visible()
    look_at(signed_out)


# Hands on the keyboard alone


def focused(page: Page) -> dict:
    """What has the focus, and whether one sees it."""
    script = """() => {
      const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
      const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
      const there = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      return {
        page: one === document.body, seen: ring && there, html: one.outerHTML.slice(0, 150),
        name: (one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || "").trim(),
      };
    }"""
    return page.evaluate(script)


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Presses Tab until what bears the name has the focus, which is seen at every step."""
    for _ in range(60):
        page.keyboard.press(key)
        now = focused(page)
        assert now["page"] or now["seen"], now
        if now["name"] == name:
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_the_keyboard_alone_signs_in_switches_submits_and_stops(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("")
    page.goto("/")
    tab_to(page, "Email")
    page.keyboard.type(team.email("grace"))
    tab_to(page, "Password")
    page.keyboard.type(team.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    tab_to(page, "Project")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Personal", exact=True)).to_be_focused()
    for _ in range(5):
        if focused(page)["name"] == "Vision":
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Project", exact=True)).to_have_accessible_description("Vision")
    tab_to(page, "New job")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    tab_to(page, "Name")
    page.keyboard.type("by keyboard")
    tab_to(page, "Command")
    page.keyboard.type(LOOP)
    tab_to(page, "Submit")
    page.keyboard.press("Enter")
    expect_state(page, "running")
    tab_to(page, "Stop")
    page.keyboard.press("Enter")
    expect_state(page, "cancelled")


def test_j_k_and_enter_walk_the_list(page_of: Callable[..., Page]) -> None:
    page = page_of("ada")
    page.goto("/p/archive-of-everything-that-we-ever-trained/jobs")
    rows = page.get_by_role("table").get_by_role("row").filter(has=page.locator("td"))
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(rows.nth(row).get_by_role("link").first).to_be_focused()
        assert focused(page)["seen"]
    name = rows.nth(1).get_by_role("link").first.inner_text()
    page.keyboard.press("/")
    expect(page.get_by_label("Search jobs")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("k")
    page.keyboard.press("j")
    rows.nth(1).get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_thousands_of_jobs_are_paged(page_of: Callable[..., Page]) -> None:
    page = page_of("ada")
    page.goto("/p/archive-of-everything-that-we-ever-trained/jobs")
    names = page.locator("tbody .row-link").all_inner_texts()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()
    older = page.locator("tbody .row-link").all_inner_texts()
    assert len(names) == len(older) > 20
    assert not {*names} & {*older}
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("tbody .row-link").first).to_have_text(names[0])


# Without scripts


def test_without_scripts_one_signs_in_submits_and_reads_the_log(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("", java_script_enabled=False)
    sign_in(page, team.email("grace"), team.password)
    address = submit(page, "vision", "without scripts", "echo one; echo two")
    for _ in range(60):
        if state(page).get_attribute("data-state") == "succeeded":
            break
        page.wait_for_timeout(500)
        page.goto(address)
    expect_state(page, "succeeded")
    page.get_by_role("link", name="Read it as text").click()
    expect(page.locator("body")).to_have_text("one\ntwo\n")
    page.goto(f"{address}/artifacts")
    expect(page.get_by_role("heading", name="No artifacts")).to_be_visible()


def test_long_names_do_not_push_what_stands_beside_them(page_of: Callable[..., Page], team: Team) -> None:
    page = page_of("grace", viewport={"width": 390, "height": 844})
    page.goto(team.job("succeeded"))
    expect(page.get_by_role("heading", level=1)).to_have_text(LONG)
    expect(page.get_by_role("button", name="Clone")).to_be_in_viewport()
