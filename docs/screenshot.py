"""Makes docs/screenshot.png, the picture in the README: the page of the demo's training job, in Chromium.

Run it from the repository, after `make test` has made the environment: `.venv/bin/python -m docs.screenshot`. It starts
a demo of its own in a temporary directory and ends it afterwards.
"""

import re
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import FLAGS, chromium_path
from tests.browser.hands import expect_state, log, log_status, sign_in
from tests.server import Server, running

PICTURE = Path(__file__).with_name("screenshot.png")
SIZE: ViewportSize = {"width": 1440, "height": 900}
LARGEST = 300_000  # bytes
TRAINING = 600  # seconds, with the installation of the packages


def main() -> None:
    with running("--demo") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        take(browser.new_page(base_url=server.url, viewport=SIZE, color_scheme="light"), server)
        browser.close()
    size = PICTURE.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{PICTURE} has {size} bytes; a README should not load more than {LARGEST}.")


def take(page: Page, server: Server) -> None:
    """The picture, once the job has ended well."""
    email, password = account(server)
    sign_in(page, email, password)
    page.goto("/p/vision/jobs")
    page.get_by_role("link", name="digits").click()
    expect_state(page, "succeeded", patience=TRAINING)
    page.reload()
    expect(log_status(page)).to_contain_text("Complete and verified")
    expect(log(page)).to_contain_text("wrote confusion_matrix.png")
    page.screenshot(path=PICTURE)


def account(server: Server) -> tuple[str, str]:
    """Address and password of the one who submitted the job, as `make demo` prints them."""
    found = server.wait(lambda: re.search(r"(grace@\S+)\s+password (\S+)", server.says()), "the accounts")
    assert found
    return found[1], found[2]


if __name__ == "__main__":
    main()
