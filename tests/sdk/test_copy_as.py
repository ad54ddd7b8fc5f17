"""Every page says how a program asks for it: what it says is run as it stands."""

import html
import json
import re
import subprocess

import httpx
import pytest

from mlteam.copy_as import WAYS
from tests.sdk.site import PASSWORD, Site

TEXT = re.compile(r'<pre class="code" id="copy-(page|job)-\d"[^>]*>(.*?)</pre>', re.DOTALL)
BLANK = re.compile(r'<var data-field="(\w+)" data-quoted="(\w+)">\w+</var>')
TYPED = {"shell": "'It''s one'", "python": '"Its one"', "json": '"Its one"'}  # as the page's script quotes it
PATHS = {
    "jobs:list": "/p/vision/jobs",
    "jobs:detail": "/p/vision/jobs/{job}",
    "jobs:artifacts": "/p/vision/jobs/{job}/artifacts",
    "jobs:spec": "/p/vision/jobs/{job}/spec",
    "jobs:history": "/p/vision/jobs/{job}/history",
    "projects:list": "/projects/",
    "projects:new": "/projects/new",
    "projects:members": "/p/vision/members",
    "projects:access": "/p/vision/access",
    "projects:roles": "/p/vision/roles",
    "projects:role": "/roles/{role}",
    "projects:team_roles": "/t/lab/roles",
    "projects:audit": "/p/vision/audit",
    "projects:settings": "/p/vision/settings",
    "projects:rules": "/rules/",
    "billing:mine": "/usage",
    "billing:project": "/p/vision/usage",
    "teams:list": "/teams/",
    "teams:new": "/teams/new",
    "teams:detail": "/t/lab",
    "profile": "/profile/",
    "tokens": "/profile/tokens/",
    "admins": "/admins/",
}


@pytest.fixture(scope="module")
def browser(site: Site):
    """Ada's, signed in."""
    with httpx.Client(base_url=site.server.url, follow_redirects=True, timeout=30) as client:
        page = client.get("/accounts/login/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        sent = {"login": "ada@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        assert client.post("/accounts/login/", data=sent).url.path != "/accounts/login/"
        yield client


@pytest.fixture(scope="module")
def names(site: Site) -> dict[str, str]:
    """Ids of what the pages are about."""
    script = (
        "import json; from mlteam_sdk.sync import MLTeam\n"
        f"with MLTeam(project={site.vision!r}) as client:\n"
        "    job = client.jobs.create(name='hello', command='echo hello').wait()\n"
        "    client.teams.create('Lab')\n"
        f"    role = client.get('/projects/{site.vision}/roles')['items'][0]\n"
        "    print(json.dumps({'job': job.id, 'role': role['id']}))"
    )
    return json.loads(site.python("ada", script))


def texts(page: str, kind: str = "page") -> list[str]:
    """What can be copied from a page, with its blanks filled."""
    filled = BLANK.sub(lambda blank: TYPED[blank[2]], page)
    return [html.unescape(text) for of, text in TEXT.findall(filled) if of == kind]


def run(site: Site, command: str, python: str, curl: str) -> list[str]:
    """What the three print; each must succeed."""
    environment = site.environment("ada")
    shell = [["bash", "-euo", "pipefail", "-c", one] for one in (command, curl)]
    lines = [shell[0], [str(site.programs / "python"), "-W", "error", "-c", python], shell[1]]
    said = []
    for line in lines:
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{line[-1]}\n{done.stdout}{done.stderr}"
        said.append(done.stdout)
    return said


def test_every_page_that_is_something_to_a_program_is_tried():
    # The first two would change what the others show; there are no budgets where nothing costs anything.
    untried = {"projects:ownership", "projects:leave", "billing:budgets"}
    assert set(PATHS) | untried == set(WAYS)


@pytest.mark.parametrize("page", PATHS)
def test_what_a_page_says_about_itself_runs(site, browser, names, page):
    command, python, curl = texts(browser.get(PATHS[page].format(**names)).raise_for_status().text)
    assert command.startswith("mlteam ") and curl.startswith("curl ")
    said = run(site, command, python, curl)
    assert isinstance(json.loads(said[2]), dict)


def test_a_form_of_a_job_says_how_to_submit_it(site, browser, names):
    page = browser.get(f"/p/vision/jobs/new?clone={names['job']}").raise_for_status().text
    run(site, *texts(page, "job"))
    with httpx.Client(headers={"Authorization": f"Bearer {site.tokens['ada']}"}) as client:
        jobs = client.get(f"{site.server.url}/api/v1/jobs?project={site.vision}&name=hello").json()["items"]
    assert len(jobs) == 4
    assert {tuple(job["command"]) for job in jobs} == {tuple(jobs[0]["command"])}
