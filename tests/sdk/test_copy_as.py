"""Every page and every form says how a program asks for it: what they say is run as it stands."""

import hashlib
import html
import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mlteam.ways import FORMS, PAGES
from projects.third_party_types import TYPES
from tests import parts
from tests.datastores.remote import websites
from tests.projects import services
from tests.projects.services import GOOD
from tests.sdk.site import PASSWORD, Site
from tests.server import running, wait

TEXT = re.compile(r'<pre class="code" id="copy-([\w-]+)-\d"[^>]*>(.*?)</pre>', re.DOTALL)
BLANK = re.compile(r'<var data-field="(\w+)" data-quoted="(\w+)"(?: data-instead="([\w-]+)")?>([^<]*)</var>')
QUOTED: dict[str, Callable[[Any], str]] = {  # as the page's script does
    "shell": lambda value: shlex.quote(json.dumps(value) if isinstance(value, bool) else value),
    "python": lambda value: repr(value) if isinstance(value, bool) else json.dumps(value),
    "json": lambda value: json.dumps(value).replace("'", "'\\''"),
    "url": quote,
}
ENDED = {"succeeded", "failed", "cancelled", "interrupted"}
LEVELS = {"job": "all", "dataset": "read", "model": "own", "volume": "none"}
PRICE = """
from datetime import datetime, UTC
from billing.models import Price
past = datetime(2000, 1, 1, tzinfo=UTC)
Price.objects.create(kind="cpu", amount="0.1", valid_from=past.date(), effective_from=past, set_by_name="ada")
"""

# Runs one script after another, as a notebook does; a new interpreter for each would take longer than they do.
NOTEBOOK = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    printed, failed = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            exec(json.loads(line), {"__name__": "__main__"})
    except BaseException:
        failed = traceback.format_exc()
    print(json.dumps([printed.getvalue(), failed]), flush=True)
"""

Shown = tuple[str, dict[str, Any]]  # the page on which a form is, and what is typed into it or what its row is about


@dataclass
class World:
    """A server of its own, on which anything may be changed."""

    site: Site
    browser: httpx.Client
    notebook: subprocess.Popen[str]
    registry: str
    website: str
    number: int = 0
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def asks(self, method: str, path: str, data: Any = None, by: str = "ada") -> Any:
        if by not in self.clients:
            headers = {"Authorization": f"Bearer {self.site.tokens[by]}"}
            self.clients[by] = httpx.Client(base_url=f"{self.site.server.url}/api/v1", headers=headers, timeout=30)
        answer = self.clients[by].request(method, path, json=data)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def page(self, path: str) -> str:
        return self.browser.get(path).raise_for_status().text

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        self.number += 1
        return f"{stem} {self.number}"

    def project(self, by: str = "ada", member: str = "") -> dict[str, Any]:
        made = self.asks("POST", "/projects", {"name": self.fresh("Project")}, by)
        if member:
            offer = {"email": f"{member}@example.com", "preset": "Viewer"}
            sent = self.asks("POST", f"/projects/{made['id']}/invitations", offer, by)
            token = sent["link"].rstrip("/").rpartition("/")[2]
            self.asks("POST", "/invitations/accept", {"token": token}, member)
        return made

    def team(self, member: str = "", role: str = "user") -> dict[str, Any]:
        made = self.asks("POST", "/teams", {"name": self.fresh("Team")})
        if member:
            self.asks("POST", f"/teams/{made['id']}/members", {"user": member, "role": role})
        return made

    def role(self) -> dict[str, Any]:
        return self.asks("POST", f"/projects/{self.site.vision}/roles", {"name": self.fresh("role").replace(" ", "-")})

    def job(self, command: str) -> str:
        spec = {"name": self.fresh("job").replace(" ", "-"), "command": command}
        return self.asks("POST", f"/projects/{self.site.vision}/jobs", {"spec": spec})["id"]

    def run(self, number: int, text: str) -> str:
        """What the first (a command), second (Python) or third (curl) prints, asked by Ada; it must succeed."""
        if number == 1:
            assert self.notebook.stdin and self.notebook.stdout
            print(json.dumps(text), file=self.notebook.stdin, flush=True)
            printed, failed = json.loads(self.notebook.stdout.readline())
        else:
            line = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(line, env=self.site.environment("ada"), capture_output=True, text=True, timeout=120)
            printed, failed = done.stdout, done.stderr if done.returncode else ""
        assert not failed, f"{text}\n{printed}{failed}"
        return printed

    def ended(self, job: str) -> str:
        wait(lambda: self.asks("GET", f"/jobs/{job}")["state"] in ENDED, "the job to end")
        return job


@pytest.fixture(scope="module")
def world(installed, tmp_path_factory) -> Iterator[World]:
    parts.need("bwrap", "slirp4netns")
    here = {"MLTEAM_REACHABLE": "127.0.0.1/32", "MLTEAM_API_RATE": "0"}
    with (
        running(MLTEAM_CPUS="4", MLTEAM_STOP_GRACE="2", **here) as server,
        services.running() as found,
        websites.running() as website,
    ):
        website.files["/a.zip"] = b"no archive"
        made = server.manage(
            "shell", "--no-imports", "-v", "0", "-c", f"{PRICE}\nfrom tests.sdk import site; site.make()"
        )
        site = Site(server, installed, tmp_path_factory.mktemp("settings"), **json.loads(made))
        with httpx.Client(base_url=server.url, follow_redirects=True, timeout=30) as client:
            page = client.get("/accounts/login/").text
            sent = {"login": "ada@example.com", "password": PASSWORD, "csrfmiddlewaretoken": csrf(page)}
            assert client.post("/accounts/login/", data=sent).url.path != "/accounts/login/"
            with notebook_of(site) as notebook:
                world = World(site, client, notebook, found["passwords"].removeprefix("http://"), website.url)
                yield world
                for one in world.clients.values():
                    one.close()


def notebook_of(site: Site) -> subprocess.Popen[str]:
    line = [str(site.programs / "python"), "-W", "error", "-c", NOTEBOOK]
    return subprocess.Popen(line, env=site.environment("ada"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def csrf(page: str) -> str:
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    return token[1]


@pytest.fixture(scope="module")
def names(world: World) -> dict[str, str]:
    """What the pages are about."""
    job = world.ended(world.job("echo hello"))
    offered = world.project(by="stan", member="ada")
    world.asks("POST", f"/projects/{offered['id']}/offer", {"user": "ada"}, "stan")
    world.asks("POST", "/teams", {"name": "Lab"})
    role = world.asks("GET", f"/projects/{world.site.vision}/roles")["items"][0]
    about = {"data": pushed(world, datastore(world)), "volume": pushed(world, volume(world))}
    return {"job": job, "role": role["id"], "offered": offered["slug"], **about}


def pushed(world: World, made: str) -> str:
    """A dataset or volume, and what it is given."""
    line = json.dumps({"path": "a/b.txt", "sha256": hashlib.sha256(b"").hexdigest(), "size": 0, "mode": 420})
    asks = world.clients["ada"]
    begun = asks.post(f"/datastores/{made}/uploads", content=line, headers={"Content-Type": "application/x-ndjson"})
    empty = hashlib.sha256(b"").digest() + bytes(8)
    asks.put(f"/uploads/{begun.json()['id']}/pack", content=empty).raise_for_status()
    asks.post(f"/uploads/{begun.json()['id']}/commit", json={}).raise_for_status()
    return made


def datastore(world: World) -> str:
    sent = {"kind": "dataset", "name": world.fresh("data")}
    return str(world.asks("POST", f"/projects/{world.site.vision}/datastores", sent)["id"])


def texts(page: str, of: str = "page", typed: dict[str, Any] | None = None) -> list[str]:
    """What can be copied from a page, with what is typed in its blanks; a blank that is left keeps what it says."""

    def fill(blank: re.Match[str]) -> str:
        value = (typed or {}).get(blank[1])
        return blank[4] if value is None else html.escape(said_of(value, blank[3] or "", blank[2]))

    def said_of(value: Any, instead: str, quoted: str) -> str:
        if instead == "GiB":
            return f"{value}GiB" if quoted == "shell" else str(int(float(value) * 2**30))
        return QUOTED[quoted](value) if not instead else "" if value else f" {instead}"

    return [html.unescape(BLANK.sub(fill, text)) for one, text in TEXT.findall(page) if one == of]


PATHS = {
    "jobs:list": "/p/vision/jobs",
    "jobs:detail": "/p/vision/jobs/{job}",
    "jobs:artifacts": "/p/vision/jobs/{job}/artifacts",
    "jobs:spec": "/p/vision/jobs/{job}/spec",
    "jobs:history": "/p/vision/jobs/{job}/history",
    "datastores:list": "/p/vision/data",
    "datastores:detail": "/p/vision/data/{data}",
    "datastores:upload": "/p/vision/data/{data}/upload",
    "datastores:volume_show": "/p/vision/data/{volume}/show/a/b.txt",
    "datastores:version": "/p/vision/data/{data}/versions/1",
    "datastores:show": "/p/vision/data/{data}/versions/1/show/a/b.txt",
    "datastores:compare": "/p/vision/data/{data}/compare",
    "projects:list": "/projects/",
    "projects:members": "/p/vision/members",
    "projects:access": "/p/vision/access",
    "projects:roles": "/p/vision/roles",
    "projects:role": "/roles/{role}",
    "projects:team_roles": "/t/lab/roles",
    "projects:installation_roles": "/roles/",
    "projects:keys": "/p/vision/keys",
    "projects:audit": "/p/vision/audit",
    "projects:settings": "/p/vision/settings",
    "projects:ownership": "/p/{offered}/ownership",
    "projects:rules": "/rules/",
    "billing:mine": "/usage",
    "billing:project": "/p/vision/usage",
    "billing:budgets": "/p/vision/budgets",
    "teams:list": "/teams/",
    "teams:detail": "/t/lab",
    "profile": "/profile/",
    "account_emails": "/profile/emails/",
    "tokens": "/profile/tokens/",
    "admins": "/admins/",
}


def test_every_page_that_is_something_to_a_program_is_tried():
    assert set(PATHS) == set(PAGES)


@pytest.mark.parametrize("page", PATHS)
def test_what_a_page_says_about_itself_runs(world, names, page):
    command, python, curl = texts(world.page(PATHS[page].format(**names)))
    assert command.startswith("mlteam ") and curl.startswith("curl ")
    said = [world.run(number, text) for number, text in enumerate((command, python, curl))]
    assert isinstance(json.loads(said[2]), dict)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/p/vision/jobs?q=1&mine=1", "mine=true&q=1"),
        ("/projects/?q=1", "q=1"),
        ("/teams/?q=la", "q=la"),
        ("/p/vision/data?kind=model&mine=1", "mine=true&kind=model"),
        (
            "/p/vision/audit?by={ada}&action=job.submit&since=2026-01-02&q=x",
            "by={ada}&action=job.submit&from=2026-01-02&q=x",
        ),
        ("/p/vision/usage?month=2026-01", "month=2026-01"),
        ("/usage?view=used", "view=used"),
    ],
)
def test_what_a_page_shows_of_much_is_what_programs_are_told_to_ask_for(world, names, path, asked):
    copies = texts(world.page(path.format(**world.site.ids)))
    assert asked.format(**world.site.ids) in copies[0] and asked.format(**world.site.ids) in copies[2]
    for number, text in enumerate(copies):
        world.run(number, text)


def test_a_page_that_was_searched_is_searched_by_a_program_too(world, names):
    command, python, curl = texts(world.page("/p/vision/members?q=gra%27c"))
    assert "q=gra%27c" in command and "q=gra%27c" in curl
    assert json.loads(world.run(2, curl))["items"] == []
    world.run(0, command)
    world.run(1, python)


# Form -> what makes a page that shows it. It is called for each of the three texts, which change something for good.
SHOWN: dict[str, Callable[[World], Shown]] = {}


def shows(name: str) -> Callable[[Callable[[World], Shown]], Callable[[World], Shown]]:
    def note(made: Callable[[World], Shown]) -> Callable[[World], Shown]:
        SHOWN[name] = made
        return made

    return note


@shows("jobs:stop")
def _running_job(world: World) -> Shown:
    return f"/p/vision/jobs/{world.job('sleep 600')}", {}


@shows("jobs:store")
def _output_that_was_not_stored(world: World) -> Shown:
    spec = {"name": world.fresh("job").replace(" ", "-"), "command": "true", "output": [{"to": "model:nothing"}]}
    job = world.asks("POST", f"/projects/{world.site.vision}/jobs", {"spec": spec})["id"]
    return f"/p/vision/jobs/{world.ended(job)}", {}


@shows("jobs:remove")
def _ended_job(world: World) -> Shown:
    return f"/p/vision/jobs/{world.ended(world.job('true'))}", {}


@shows("datastores:new")
def _new_datastore(world: World) -> Shown:
    typed = {"kind": "model", "name": world.fresh("it's a model"), "description": "**What** it's"}
    return "/p/vision/data/new", typed | {"address": f"{world.website}/a.zip?it's", "unpack": False}


AWAY = "https://127.0.0.1:1/faces.tar"  # to which the server does not go
REFUSED = "https://10.1.2.3/x.zip"  # in a private network: that is found out at once


def failed_import(world: World) -> tuple[str, str]:
    """A dataset and an import that has failed."""
    made = datastore(world)
    begun = world.asks("POST", f"/datastores/{made}/imports", {"address": REFUSED})["id"]
    until = time.monotonic() + 60
    while world.asks("GET", f"/imports/{begun}")["state"] != "failed" and time.monotonic() < until:
        time.sleep(0.2)
    return made, begun


@shows("datastores:import")
def _new_import(world: World) -> Shown:
    return f"/p/vision/data/{datastore(world)}/import", {"address": AWAY, "unpack": False, "note": "it's new"}


@shows("datastores:import_stop")
@shows("datastores:import_again")
def _failed_import(world: World) -> Shown:
    made, begun = failed_import(world)
    return f"/p/vision/data/{made}", {"import": begun}


@shows("datastores:edit")
def _renamed_datastore(world: World) -> Shown:
    typed = {"name": world.fresh("it's a model"), "description": 'of "digits"'}
    return f"/p/vision/data/{datastore(world)}/edit", typed


@shows("datastores:edit_volume")
def _resized_volume(world: World) -> Shown:
    typed = {"name": world.fresh("it's a volume"), "quota": "0.125"}
    return f"/p/vision/data/{volume(world)}/edit", typed


def volume(world: World) -> str:
    sent = {"kind": "volume", "name": world.fresh("volume")}
    return str(world.asks("POST", f"/projects/{world.site.vision}/datastores", sent)["id"])


@shows("datastores:new_folder")
def _new_folder(world: World) -> Shown:
    return f"/p/vision/data/{volume(world)}", {"path": "it's/a folder"}


@shows("datastores:remove_content")
def _removed_content(world: World) -> Shown:
    of = volume(world)
    world.asks("POST", f"/datastores/{of}/folders", {"path": "it's/a folder"})
    return f"/p/vision/data/{of}/content/remove?path=it%27s/a%20folder", {"path": "it's/a folder"}


@shows("datastores:abandon")
def _begun_upload(world: World) -> Shown:
    of, line = datastore(world), {"path": "a", "sha256": "0" * 64, "size": 1, "mode": 420}
    begun = world.asks("POST", f"/datastores/{of}/uploads", line)["id"]
    return f"/p/vision/data/{of}/upload", {"upload": begun}


@shows("datastores:remove")
def _removed_datastore(world: World) -> Shown:
    return f"/p/vision/data/{datastore(world)}/remove", {}


@shows("projects:new")
def _new_project(world: World) -> Shown:
    return "/projects/new", {"name": world.fresh("It's a project"), "copy_keys": False}


@shows("projects:new_in")
def _new_project_in_another(world: World) -> Shown:
    inside = world.project()
    return f"/projects/new?in={inside['slug']}", {"name": "It's inside", "parent": inside["id"], "copy_keys": False}


@shows("projects:settings")
def _renamed_project(world: World) -> Shown:
    return f"/p/{world.project()['slug']}/settings", {"name": world.fresh("It's “another” name"), "lends_data": True}


@shows("projects:remove")
def _removed_project(world: World) -> Shown:
    made = world.project()
    return f"/p/{made['slug']}/settings", {"confirm": made["name"]}


@shows("projects:leave")
def _left_project(world: World) -> Shown:
    made = world.project(by="stan", member="ada")
    return "/projects/?view=shared", {"project": made["id"]}


@shows("projects:invite")
def _invitation(world: World) -> Shown:
    return "/p/vision/members", LEVELS | {"email": f"{world.fresh('new').replace(' ', '+')}@example.com"}


@shows("projects:invitation_resend")
@shows("projects:invitation_revoke")
def _open_invitation(world: World) -> Shown:
    made = world.project()
    sent = world.asks("POST", f"/projects/{made['id']}/invitations", {"email": "x@example.com", "preset": "Full"})
    return f"/p/{made['slug']}/members", {"invitation": sent["id"]}


@shows("projects:member_set")
@shows("projects:member_remove")
@shows("projects:ownership_offer")
def _member(world: World) -> Shown:
    return f"/p/{world.project(member='grace')['slug']}/members", LEVELS | {"user": world.site.ids["grace"]}


@shows("projects:ownership_withdraw")
def _offered(world: World) -> Shown:
    made = world.project(member="grace")
    world.asks("POST", f"/projects/{made['id']}/offer", {"user": "grace"})
    return f"/p/{made['slug']}/members", {}


@shows("projects:ownership_accept")
@shows("projects:ownership_decline")
def _asked_to_own(world: World) -> Shown:
    made = world.project(by="stan", member="ada")
    world.asks("POST", f"/projects/{made['id']}/offer", {"user": world.site.ids["ada"]}, "stan")
    return f"/p/{made['slug']}/ownership", {}


@shows("projects:team_add")
def _team(world: World) -> Shown:
    return "/p/vision/members", {"team": world.team()["slug"], "preset": "Viewer"}


@shows("projects:team_add_levels")
def _team_of_owners_site(world: World) -> Shown:
    typed = {"project": world.project()["id"], "team": world.team()["slug"]}
    return "/owners/projects/teammember/add/", LEVELS | typed


@shows("projects:team_set")
@shows("projects:team_remove")
def _team_member(world: World) -> Shown:
    made, team = world.project(), world.team()
    world.asks("POST", f"/projects/{made['id']}/teams", {"team": team["id"], "preset": "Viewer"})
    return f"/p/{made['slug']}/members", LEVELS | {"team": team["id"]}


@shows("projects:access")
def _question(world: World) -> Shown:
    asked = {"action": "job:get", "resource": world.asks("GET", f"/projects/{world.site.vision}")["urn"]}
    world.number += 1
    return "/p/vision/access", asked | ({"person": "grace"} if world.number % 2 else {})


@shows("projects:roles")
def _role(world: World) -> Shown:
    return "/p/vision/roles", {"name": world.fresh("role").replace(" ", "-")}


@shows("projects:team_roles")
def _role_of_team(world: World) -> Shown:
    return f"/t/{world.team()['slug']}/roles", {"name": "reader"}


@shows("projects:installation_roles")
def _role_of_all(world: World) -> Shown:
    return "/roles/", {"name": world.fresh("role").replace(" ", "-")}


def reads(world: World) -> str:
    """A policy."""
    return f"job:get+job:stop@{world.asks('GET', f'/projects/{world.site.vision}')['urn']}:job:*"


@shows("projects:role_remove")
@shows("projects:role_policy_add")
def _some_role(world: World) -> Shown:
    return f"/roles/{world.role()['id']}", {"text": reads(world)}


@shows("projects:team_policy_add")
def _policy_of_team(world: World) -> Shown:
    return f"/t/{world.team()['slug']}/roles", {"text": reads(world)}


@shows("projects:user_policy_add")
def _policy_of_user(world: World) -> Shown:
    return "/rules/", {"username": "grace", "text": reads(world)}


@shows("projects:policy_remove")
def _policy(world: World) -> Shown:
    role = world.role()["id"]
    return f"/roles/{role}", {"policy": world.asks("POST", f"/roles/{role}/policies", {"text": reads(world)})["id"]}


@shows("projects:role_member_add")
def _role_given(world: World) -> Shown:
    world.number += 1
    whom = ("user", "grace") if world.number % 2 else ("team", world.team()["name"].lower().replace(" ", "-"))
    return f"/roles/{world.role()['id']}", dict(zip(("kind", "name"), whom, strict=True))


@shows("projects:role_member_remove")
def _role_held(world: World) -> Shown:
    role, grace = world.role()["id"], world.site.ids["grace"]
    world.asks("POST", f"/roles/{role}/members", {"user": grace})
    return f"/roles/{role}", {"kind": "user", "member": grace}


@shows("projects:role_key_add")
@shows("projects:role_key_remove")
def _key(world: World) -> Shown:
    role = world.role()["id"]
    return f"/roles/{role}", {
        "name": "it's mine",
        "key": world.asks("POST", f"/roles/{role}/keys", {"name": "ci"})["id"],
    }


def _pem(format: PrivateFormat) -> str:
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, format, NoEncryption()).decode()


ACCOUNT = {
    "type": "service_account",
    "project_id": "vision",
    "private_key": _pem(PrivateFormat.PKCS8),
    "client_email": "reader@vision.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
FITTING = {"registry": "ghcr.io", "endpoint": "https://s3.example.org"}
VALUES = {"gcp": json.dumps(ACCOUNT), "git": _pem(PrivateFormat.OpenSSH)}  # of those whose secret is no plain word


def third_party_key(world: World, kind: str) -> dict[str, str]:
    """What is typed for a key of this type, and what who copies writes into the blanks that are left."""
    fields = {one.name: one for one in TYPES[kind].fields if not one.aside}
    secret = next(name for name, one in fields.items() if one.secret)
    (world.site.settings / secret).write_text(VALUES.get(kind, "0123456789abcdef"))
    typed = {name: FITTING.get(name, "ada-1234") for name in fields if name != secret}
    name = "A_SECRET" if kind == "secret" else "it-is-mine"
    left = {
        f"your_{secret}": (world.site.settings / secret).read_text(),
        "file_with_it": str(world.site.settings / secret),
    }
    return {"name": name, **typed, **left}


def _new_key(kind: str) -> Callable[[World], Shown]:
    return lambda world: (f"/p/{world.project()['slug']}/keys/new/{kind}", third_party_key(world, kind))


def _replaced_key(kind: str) -> Callable[[World], Shown]:
    def made(world: World) -> Shown:
        project, typed = world.project(), third_party_key(world, kind)
        fields = {one.name: typed.get(one.name) or typed.get(f"your_{one.name}", "") for one in TYPES[kind].fields}
        sent = {"name": typed["name"], "type": kind, "fields": {name: one for name, one in fields.items() if one}}
        key = world.asks("POST", f"/projects/{project['id']}/keys", sent)["id"]
        return f"/p/{project['slug']}/keys/{key}/replace", typed | {"third_party_key": key}

    return made


for _kind in TYPES:
    SHOWN[f"projects:key_add_{_kind}"] = _new_key(_kind)
    SHOWN[f"projects:key_replace_{_kind}"] = _replaced_key(_kind)


@shows("projects:key_remove")
def _removed_key(world: World) -> Shown:
    project = world.project()
    sent = {"name": "hub", "type": "huggingface", "fields": {"token": "hf_12345678"}}
    key = world.asks("POST", f"/projects/{project['id']}/keys", sent)["id"]
    return f"/p/{project['slug']}/keys", {"third_party_key": key}


@shows("projects:key_test")
def _tested_key(world: World) -> Shown:
    """One that opens the registry which runs beside this server."""
    project, fields = world.project(), {"registry": world.registry, "username": "ada", "password": GOOD}
    sent = {"name": "images", "type": "docker", "fields": fields}
    key = world.asks("POST", f"/projects/{project['id']}/keys", sent)["id"]
    return f"/p/{project['slug']}/keys", {"third_party_key": key}


@shows("billing:budgets")
@shows("billing:budget_remove")
def _budget(world: World) -> Shown:
    made = world.project(member="grace")
    whose = ["grace", "project"][world.number % 2]
    world.asks("PUT", f"/projects/{made['id']}/budgets/{whose}", {"amount": "7"})
    of = {"member": whose} if whose == "grace" else {}
    return f"/p/{made['slug']}/budgets", of | {"amount": "12.50", "when_full": "stop"}


@shows("teams:new")
def _new_team(world: World) -> Shown:
    return "/teams/new", {"name": world.fresh("It's a team")}


@shows("teams:rename")
def _renamed_team(world: World) -> Shown:
    return f"/t/{world.team()['slug']}/rename", {"name": world.fresh("It's another")}


@shows("teams:remove")
@shows("teams:user_add")
def _some_team(world: World) -> Shown:
    return f"/t/{world.team()['slug']}", {"username": "grace", "role": "admin"}


@shows("teams:leave")
def _left_team(world: World) -> Shown:
    return f"/t/{world.team(member='grace', role='owner')['slug']}", {}


@shows("teams:user_set")
@shows("teams:user_remove")
def _team_user(world: World) -> Shown:
    return f"/t/{world.team(member='grace')['slug']}", {"user": world.site.ids["grace"], "role": "admin"}


@shows("teams:team_add")
def _outer_team(world: World) -> Shown:
    return f"/t/{world.team()['slug']}", {"team": world.team()["slug"]}


@shows("teams:team_remove")
def _nested_team(world: World) -> Shown:
    outer, inner = world.team(), world.team()
    world.asks("POST", f"/teams/{outer['id']}/teams", {"team": inner["slug"]})
    return f"/t/{outer['slug']}", {"inner": inner["id"]}


@shows("teams:invitation_resend")
@shows("teams:invitation_revoke")
def _open_team_invitation(world: World) -> Shown:
    team = world.team()
    sent = world.asks("POST", f"/teams/{team['id']}/invitations", {"email": "x@example.com"})
    return f"/t/{team['slug']}", {"invitation": sent["id"]}


@shows("profile")
def _profile(world: World) -> Shown:
    typed = {"name": world.fresh("Ada “the” O'Byron"), "username": "ada", "time_zone": "Europe/Vienna", "theme": "dark"}
    return "/profile/", typed


@shows("account_emails")
def _emails(world: World) -> Shown:
    return "/profile/emails/", {"added": True, "membership": False, "budget": True}


@shows("token_revoke")
def _token(world: World) -> Shown:
    here, confirm = "/profile/tokens/new/", "/accounts/confirm/"
    proof = {"password": PASSWORD, "csrfmiddlewaretoken": csrf(world.page(confirm))}
    world.browser.post(confirm, data=proof).raise_for_status()
    sent = {"name": world.fresh("token"), "scope": "all", "days": "30", "csrfmiddlewaretoken": csrf(world.page(here))}
    world.browser.post(here, data=sent).raise_for_status()
    [made] = [one for one in world.asks("GET", "/me/tokens")["items"] if one["name"] == sent["name"]]
    return "/profile/tokens/", {"token": made["id"]}


@shows("admin_add")
def _admin(world: World) -> Shown:
    if any(one["name"] == "stan" for one in world.asks("GET", "/roles/admin/members")["items"]):
        world.asks("DELETE", f"/roles/admin/members/{world.site.ids['stan']}")
    return "/admins/", {"username": "stan"}


@shows("admin_remove")
def _former_admin(world: World) -> Shown:
    world.asks("POST", "/roles/admin/members", {"user": "stan"})
    return "/admins/", {"user": world.site.ids["stan"]}


def test_every_form_that_is_something_to_a_program_is_tried():
    assert set(SHOWN) == set(FORMS)


def run_of(form: str) -> list[int]:
    """Which of its texts are run: all, but of the forms that are alike for every type of key each another one."""
    alike = [name for name in sorted(FORMS) if name.startswith(("projects:key_add_", "projects:key_replace_"))]
    return [alike.index(form) % 3] if form in alike and not form.endswith("_gcp") else [0, 1, 2]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_what_a_page_says_about_a_form_runs(world, form):
    for number in run_of(form):
        path, typed = SHOWN[form](world)
        found = texts(world.page(path), form.replace(":", "-"), typed)
        assert len(found) == 3, f"{path} says nothing about {form}"
        world.run(number, found[number])


def test_what_is_typed_is_what_a_form_does(world):
    """The three ask the same thing, quoted each in its own way."""
    for name in ("""It's "so" $HOME `id` \\n [[name]] <b>""", "lab.o'hara", "--help"):
        for number, text in enumerate(texts(world.page("/projects/new"), "projects-new", {"name": name})):
            world.run(number, text)
        assert world.asks("GET", "/projects?limit=200")["items"]
        found = world.asks("GET", f"/projects?limit=200&q={quote(name)}")["items"]
        assert [one["name"] for one in found].count(name) == 3


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("ticked", [True, False])
def test_a_new_project_has_the_keys_and_the_place_that_the_form_says(world, number, ticked):
    personal = next(one for one in world.asks("GET", "/projects?limit=200")["items"] if one["personal"] and one["mine"])
    sent = {"name": world.fresh("hub").replace(" ", "-"), "type": "huggingface", "fields": {"token": "hf_12345678"}}
    key = world.asks("POST", f"/projects/{personal['id']}/keys", sent)
    path, typed = SHOWN["projects:new_in"](world)
    assert f'data-parent="{typed["parent"]}"' in world.page(path)
    world.run(number, texts(world.page(path), "projects-new_in", typed | {"copy_keys": ticked})[number])
    [made] = world.asks("GET", f"/projects?parent={typed['parent']}")["items"]
    copied = [one["name"] for one in world.asks("GET", f"/projects/{made['id']}/keys")["items"]]
    assert (key["name"] in copied) is ticked
    world.asks("DELETE", f"/projects/{personal['id']}/keys/{key['id']}")


@pytest.mark.parametrize("number", range(3))
def test_what_a_form_says_of_a_volume_is_its_quota_in_bytes(world, number):
    typed = {"kind": "volume", "name": world.fresh("volume"), "quota": "0.125", "unpack": True}
    world.run(number, texts(world.page("/p/vision/data/new"), "datastores-new", typed)[number])
    made = world.asks("GET", f"/datastores?name={quote(typed['name'])}")["items"][0]
    assert made["quota"] == 2**27
    typed |= {"quota": "1.5", "name": world.fresh("volume")}
    world.run(number, texts(world.page(f"/p/vision/data/{made['id']}/edit"), "datastores-edit_volume", typed)[number])
    found = world.asks("GET", f"/datastores/{made['id']}")
    assert (found["quota"], found["name"]) == (3 * 2**29, typed["name"])


@pytest.mark.parametrize("number", range(3))
def test_what_a_form_says_of_an_address_is_fetched_as_it_is(world, number):
    path, typed = SHOWN["datastores:new"](world)
    world.run(number, texts(world.page(path), "datastores-new", typed)[number])
    made = world.asks("GET", f"/datastores?name={quote(typed['name'])}")["items"][0]["id"]
    begun = world.asks("GET", f"/datastores/{made}/imports")["items"][0]
    assert begun["unpack"] is False and begun["address"] == f"{world.website}/a.zip?…"


def test_a_form_of_a_job_says_how_to_submit_it(world, names):
    page = world.page(f"/p/vision/jobs/new?clone={names['job']}")
    for number, text in enumerate(texts(page, "job")):
        world.run(number, text)
    name = world.asks("GET", f"/jobs/{names['job']}")["name"]
    jobs = world.asks("GET", f"/jobs?project={world.site.vision}&name={name}")["items"]
    assert len(jobs) == 4
    assert {tuple(job["command"]) for job in jobs} == {tuple(jobs[0]["command"])}
