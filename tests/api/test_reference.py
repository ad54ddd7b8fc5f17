"""The reference of the API: as a page, and as docs/api.md."""

import ast
from pathlib import Path

from django.urls import reverse

from api.guide import CODES
from mlteam import state
from mlteam.api import api
from mlteam.management.commands import write_docs

APPS = ("access", "accounts", "api", "billing", "compute", "jobs", "mlteam", "projects", "teams")
WHICH = {"refused": 1, "Problem": 1, "Decision": 2, "plain": 3}  # the place of the code among the arguments


def test_docs_are_what_the_server_says_of_itself():
    assert write_docs.API.read_text() == write_docs.api_reference(), "make docs"


def test_the_page_is_for_everybody_and_shows_every_operation(client, owner, as_user):
    document = api.get_openapi_schema()
    for browser in (client, as_user(owner)):
        page = browser.get(reverse("api_docs"))
        assert page.status_code == 200
        text = page.content.decode()
        for path, methods in document["paths"].items():
            for said in methods.values():
                assert f'id="{said["operationId"]}"' in text
            assert path.removeprefix("/api/v1") in text


def test_what_a_problem_is_is_said_where_its_type_leads(client, settings, program):
    page = client.get(reverse("api_docs")).content.decode()
    kind = program(None).get("/me").json()["type"]
    address, _, anchor = kind.partition("#")
    assert address == settings.MLTEAM_URL + reverse("api_docs")
    assert f'id="{anchor}"' in page
    assert all(f'id="problem-{code}"' in page for code in CODES)


def test_every_code_that_is_answered_is_explained():
    found = {code for app in APPS for file in (state.ROOT / app).rglob("*.py") for code in codes_in(file)}
    assert found - {"granted"} <= set(CODES)


def codes_in(file: Path) -> set[str]:
    """The codes of problems and refusals that a module makes."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    named = [(getattr(call.func, "id", getattr(call.func, "attr", "")), call.args) for call in calls]
    said = [arguments[WHICH[name]] for name, arguments in named if len(arguments) > WHICH.get(name, 99)]
    return {one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_every_page_leads_to_it(client):
    assert reverse("api_docs") in client.get("/accounts/login/").content.decode()
