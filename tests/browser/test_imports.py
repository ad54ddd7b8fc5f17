"""Datasets from an address, in the browser: how far it is, what went wrong and what to do, and that it can be stopped."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.browser.test_pages import look_at
from tests.datastores.remote import websites
from tests.datastores.remote.websites import Site

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

MIB = 2**20


@pytest.fixture(scope="module")
def running_site() -> Iterator[Site]:
    with websites.running() as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    """Gives a file in one piece, so that what was given so far is what has arrived."""
    running_site.clean()
    running_site.ranges = False
    yield running_site
    running_site.released.set()


def create(page: Page, name: str, address: str) -> None:
    page.goto("/p/vision/data/new")
    expect(page.get_by_label("Address", exact=True)).to_be_hidden()
    page.get_by_label("Dataset", exact=True).check()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("From an address").check()
    page.get_by_label("Address", exact=True).fill(address)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def choose(page: Page) -> None:
    chosen: FilePayload = {"name": "mine.csv", "mimeType": "text/csv", "buffer": b"a,b"}
    page.get_by_label("Files", exact=True).set_input_files([chosen])


def about(page: Page, address: str) -> Locator:
    """What the page says of an import."""
    return page.get_by_role("region", name=f"From {address}")


def test_how_far_it_is_is_shown_until_it_is_there(page_of: Callable[..., Page], site: Site) -> None:
    site.files["/faces.bin"] = bytes(8 * MIB)
    site.hold("/faces.bin", after=2 * MIB)
    page, address = page_of("grace"), f"{site.url}/faces.bin"
    create(page, "fetched", address)
    said = about(page, address)
    expect(said).to_contain_text(re.compile(r"Fetching .*: \d\.\d MiB of 8\.0 MiB"))
    expect(said.get_by_role("progressbar")).to_have_attribute("max", str(8 * MIB))
    look_at(page)
    said.get_by_role("button", name="Stop").focus()
    for _ in range(2):  # the second is asked for when the first is shown
        with page.expect_response("**/imports?*"):
            pass
    expect(said.get_by_role("button", name="Stop")).to_be_focused()
    site.released.set()
    expect(said).to_contain_text("Done")
    expect(said.get_by_role("progressbar")).to_have_count(0)
    expect(said.get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("link", name="faces.bin")).to_be_visible()
    expect(page.get_by_role("region", name="Versions")).to_contain_text("Version 1")
    said.get_by_role("link", name="version 1").click()
    expect(page.get_by_role("link", name="faces.bin")).to_be_visible()
    expect(page.get_by_role("region", name="This version")).to_contain_text("8.0 MiB")


def test_what_is_chosen_meanwhile_stays(page_of: Callable[..., Page], site: Site) -> None:
    site.files["/faces.bin"] = bytes(8 * MIB)
    site.hold("/faces.bin", after=2 * MIB)
    page, address = page_of("grace"), f"{site.url}/faces.bin"
    create(page, "chosen", address)
    choose(page)
    site.released.set()
    expect(about(page, address)).to_contain_text("Done")
    expect(page.get_by_text("1 file, 3 B")).to_be_visible()
    page.get_by_role("button", name="Upload as version").click()
    expect(page.get_by_role("link", name="mine.csv")).to_be_visible()


def test_what_is_chosen_while_the_version_is_on_its_way_stays(page_of: Callable[..., Page], site: Site) -> None:
    site.files["/faces.bin"] = bytes(8 * MIB)
    site.hold("/faces.bin", after=2 * MIB)
    page, address = page_of("grace"), f"{site.url}/faces.bin"
    create(page, "crossed", address)
    waiting: list[Route] = []
    page.route(page.url, lambda route: waiting.append(route), times=1)
    with page.expect_request(page.url):
        site.released.set()
    choose(page)
    expect(page.get_by_text("1 file, 3 B")).to_be_visible()
    with page.expect_response(page.url):
        waiting.pop().continue_()
    expect(page.get_by_text("1 file, 3 B")).to_be_visible()
    page.get_by_role("button", name="Upload as version").click()
    expect(page.get_by_role("link", name="mine.csv")).to_be_visible()


def test_what_went_wrong_says_what_to_do_and_is_tried_again(page_of: Callable[..., Page], site: Site) -> None:
    page, address = page_of("grace"), f"{site.url}/missing.csv"
    create(page, "not there", address)
    said = about(page, address)
    expect(said).to_contain_text(f"There is nothing at {address}")
    expect(said).to_contain_text("Look at how it is written")
    look_at(page)
    site.files["/missing.csv"] = b"a,b\n1,2\n"
    said.get_by_role("button", name="Try again").click()
    expect(about(page, address)).to_contain_text("Done")
    about(page, address).get_by_role("link", name="version 1").click()
    page.get_by_role("link", name="missing.csv").click()
    expect(page.get_by_role("cell", name="2", exact=True)).to_be_visible()


def test_it_is_stopped_without_a_version(page_of: Callable[..., Page], site: Site) -> None:
    site.files["/faces.bin"] = bytes(8 * MIB)
    site.hold("/faces.bin", after=MIB)
    page, address = page_of("grace"), f"{site.url}/faces.bin"
    create(page, "stopped", address)
    expect(about(page, address).get_by_role("progressbar")).to_be_visible()
    about(page, address).get_by_role("button", name="Stop").click()
    expect(about(page, address)).to_have_count(0)
    site.released.set()
    page.reload()
    expect(page.get_by_text("Drop a folder or files here")).to_be_visible()
    expect(about(page, address)).to_have_count(0)


def test_what_cannot_be_an_address_is_said_beside_it(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    page.goto("/p/vision/data/new")
    page.get_by_label("Name", exact=True).fill("nowhere")
    page.get_by_label("From an address").check()
    page.get_by_label("Address", exact=True).fill("faces.csv")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Address", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("it begins with https://, s3:// or gs://")).to_be_visible()
    look_at(page)
    page.get_by_label("Volume", exact=True).check()
    expect(page.get_by_label("Address", exact=True)).to_be_hidden()
    expect(page.get_by_label("Quota of a volume (GiB)")).to_be_visible()


def test_what_can_be_copied_follows_what_is_asked_for(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    page.goto("/p/vision/data/new")
    page.get_by_label("Name", exact=True).fill("faces")
    page.get_by_label("From an address").check()
    page.get_by_label("Address", exact=True).fill("s3://bucket/faces")
    page.get_by_label("Unpack a single archive").uncheck()
    page.get_by_text(re.compile("as command, Python, curl")).click()
    terminal, _, curl = (page.locator(f"#copy-datastores-new-{number}") for number in (1, 2, 3))
    expect(terminal).to_contain_text("--from=s3://bucket/faces --key='' --no-unpack -- faces")
    expect(curl).to_contain_text('"unpack": false, "quota": null')


def test_without_scripts_it_is_fetched_as_well(page_of: Callable[..., Page], site: Site) -> None:
    site.files["/faces.csv"] = b"a,b\n1,2\n"
    page = page_of("grace", java_script_enabled=False)
    create(page, "plain", f"{site.url}/faces.csv")
    expect(about(page, f"{site.url}/faces.csv")).to_be_visible()
