"""The demo from a terminal alone, with the installed wheel: from signing in to checked results; then the same from a notebook."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from playwright.sync_api import Browser, expect

from mlteam import state
from tests.browser.conftest import chromium  # noqa: F401 - a fixture
from tests.sdk.cli.live import Person
from tests.sdk.site import PASSWORD, Site
from tests.server import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns", "wheelhouse")]

EXAMPLE = state.ROOT / "examples" / "digits"
RESULTS = {"metrics.json", "model.joblib"}

DEE = """
import time
from accounts import actions, second_step
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from projects import actions as projects
user = actions.create_account(email="dee@example.com", username="dee", name="Dee", password={password!r}, verified=True, admin=False)
code = format_hotp_value(hotp_value({secret!r}, int(time.time()) // 30 - 1))
second_step.add_app(user=user, name="Phone", secret={secret!r}, code=code)
projects.create(name="Digits", by=user)
"""

NOTEBOOK = """
import asyncio, json, sys
from mlteam_sdk import MLTeam

async def main():
    async with MLTeam() as client:
        job = await client.jobs.create(spec_file="job.yml", files=["train.py"])
        lines = [line async for line in job.logs(follow=True)]
        await job.wait()
        [checked] = await job.verify()
        files = await job.artifacts.download(to="results")
        print(json.dumps({"state": job.state, "lines": len(lines), "complete": checked.complete, "files": [str(one) for one in files]}))

asyncio.run(main())
"""


@pytest.fixture
def dee(site: Site, tmp_path: Path) -> Person:
    """At a terminal of hers, with the example in her directory, not signed in."""
    shutil.copytree(EXAMPLE, tmp_path / "digits")
    return Person(site, None, tmp_path / "digits")


def approve(browser: Browser, address: str, secret: str) -> None:
    """Signs in with password and code, and says yes to what the address asks."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Email").fill("dee@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Second step")
    page.get_by_label("Code").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")
    context.close()


def test_the_demo_from_a_terminal_and_from_a_notebook(dee: Person, chromium: Browser) -> None:  # noqa: F811
    site, secret = dee.site, generate_totp_secret()
    site.server.manage("shell", "--no-imports", "-v", "0", "-c", DEE.format(password=PASSWORD, secret=secret))

    with dee.start("login", site.server.url) as login:
        assert login.stderr
        said = login.stderr.readline()
        while "http" not in said or "code" not in said:
            said += login.stderr.readline()
        code = re.search(r"code: (\w{4}-\w{4})", said)
        assert code
        approve(chromium, f"{site.server.url}/device?code={code[1]}", secret)
        said += login.stderr.read()
        assert login.wait(PATIENCE) == 0, said
    assert dee("whoami", "--field", "username").out == "dee\n"
    assert "Digits" in dee("configure", input="Digits\n").out

    made = dee("job", "submit", "-q", "-f", "job.yml", "--file", "train.py").out.strip()
    with dee.start("job", "logs", "-f", made) as follower:
        assert follower.stdout
        first = follower.stdout.readline()
        site.server.kill("web")
        rest = follower.stdout.read()
        assert follower.wait(PATIENCE) == 0
    assert first + rest == dee("job", "logs", made).out
    assert dee("job", "get", made, "--field", "state").out == "succeeded\n"
    assert "complete" in dee("logs", made, "--verify").err
    dee("job", "artifacts", made, "--download", "results")
    found = {path.name for path in (dee.directory / "results").iterdir()}
    assert found >= RESULTS
    assert json.loads((dee.directory / "results" / "metrics.json").read_text())["accuracy"] > 0.9

    shutil.rmtree(dee.directory / "results")
    told = json.loads(site.python(None, NOTEBOOK, directory=dee.directory, MLTEAM_CONFIG_DIR=str(dee.settings)))
    assert (told["state"], told["complete"]) == ("succeeded", True)
    assert told["lines"] > 5
    assert {Path(name).name for name in told["files"]} >= RESULTS
