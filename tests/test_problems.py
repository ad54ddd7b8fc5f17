"""Reporting a problem: a contact on every page, and on error pages a reference that the server's log says too."""

import logging
import re
import subprocess
import sys

import pytest
from django.test import Client
from django.urls import path

from mlteam import reference, urls

SHOWN = re.compile(r"<code>([a-z2-7]{10})</code>")


def breaks(request):
    raise ZeroDivisionError("a bug")


urlpatterns = [path("breaks", breaks, name="breaks"), *urls.urlpatterns]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500


@pytest.fixture
def lines():
    """The lines that the server's log would have, in its own format."""
    from django.conf import settings

    written = []

    class Lines(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    handler = Lines(logging.WARNING)
    handler.setFormatter(logging.Formatter(settings.LOGGING["formatters"]["line"]["format"], style="{"))
    handler.addFilter(reference.InLog())
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


@pytest.mark.urls(__name__)
def test_the_reference_of_a_bug_is_on_its_page_and_in_the_log(owner, lines):
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    page = client.get("/breaks")
    assert page.status_code == 500
    (shown,) = SHOWN.findall(page.content.decode())
    assert page["X-Reference"] == shown
    (line,) = [line for line in lines if "ZeroDivisionError" in line]
    assert f"[reference {shown}]" in line
    assert owner.email not in line


@pytest.mark.parametrize(("who", "address", "status"), [("owner", "/nowhere", 404), ("viewer", "/p/vision/audit", 403)])
def test_so_are_those_of_refusals(as_user, request, project, lines, who, address, status):
    page = as_user(request.getfixturevalue(who)).get(address)
    assert page.status_code == status
    (shown,) = SHOWN.findall(page.content.decode())
    assert any(f"[reference {shown}]" in line for line in lines)


def test_a_form_without_its_token_gets_one_too(project, owner):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="accounts.backends.Backend")
    page = client.post("/projects/new", {"name": "x"})
    assert page.status_code == 403
    assert SHOWN.findall(page.content.decode()) == [page["X-Reference"]]


def test_each_request_has_its_own_and_what_is_none_has_none(client, db):
    given = {client.get("/nowhere")["X-Reference"] for _ in range(3)}
    assert len(given) == 3
    assert reference.current() == ""
    record = logging.makeLogRecord({"msg": "x"})
    assert reference.InLog().filter(record)
    assert record.reference == ""


PAGES = ["/accounts/login/", "/nowhere", "/invitations/wrong/"]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_says_where_to_report(client, db, settings, address):
    settings.MLTEAM_CONTACT = ""
    assert "the person who runs this installation" in client.get(address).content.decode()
    settings.MLTEAM_CONTACT = "https://help.example.org/new?a=1&b=2"
    assert 'href="https://help.example.org/new?a=1&amp;b=2">Report' in client.get(address).content.decode()
    settings.MLTEAM_CONTACT = "help@example.org"
    page = client.get(address)
    subject = f"Problem%20with%20mlteam%20%28reference%20{page['X-Reference']}%29"
    assert f'href="mailto:help@example.org?subject={subject}">Report' in page.content.decode()


def test_nobodys_address_is_shown_where_nothing_is_configured(client, admin, settings):
    settings.MLTEAM_CONTACT = ""
    assert admin.email not in client.get("/nowhere").content.decode()


@pytest.mark.parametrize(
    ("contact", "good"),
    [
        ("", True),
        ("help@example.org", True),
        ("https://example.org/x?y=1", True),
        ("javascript:alert(1)", False),
        ("javascript:alert(1)@x", False),
        ("//example.org", False),
        ("help@example.org?cc=b@example.org", False),
        ('https://x"><script>', False),
    ],
)
def test_a_contact_is_an_address_or_a_page(contact, good, tmp_path):
    environment = {"MLTEAM_CONTACT": contact, "MLTEAM_VAR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    program = [sys.executable, "-c", "import mlteam.settings"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) is good, done.stderr
    assert good or "MLTEAM_CONTACT" in done.stderr


def test_the_log_says_in_a_line_that_a_request_was_refused(as_user, project, stranger, viewer, caplog):
    assert as_user(viewer).get(f"/p/{project.slug}/audit").status_code == 403
    assert as_user(stranger).get(f"/p/{project.slug}/audit").status_code == 404
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)] * 2
