"""What all lists have in common: both ways, page by page; and that whatever can be read can be asked for without its body."""

import pytest

from mlteam.api import api
from tests.api.conftest import ROOT, Program
from tests.api.test_table import asking, known  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


def sorted_lists() -> dict[str, list[str]]:
    """Address -> what the document says that it is sorted by."""
    paths = api.get_openapi_schema(path_prefix=ROOT)["paths"]
    asked = {path: methods["get"]["parameters"] for path, methods in paths.items() if "get" in methods}
    found = {path: next((one for one in said if one["name"] == "sort"), None) for path, said in asked.items()}
    return {path.removeprefix(ROOT): one["schema"].get("enum", []) for path, one in found.items() if one}


def test_every_list_goes_both_ways_and_page_by_page(world, asking):  # noqa: F811
    asks, longer = Program(asking["admin"]), set()
    owner = Program(asking["owner"])
    for path, ways in sorted_lists().items():
        address = path.format_map(known(world, "owner", path))
        for program in (owner, asks):
            answer = program.get(address, limit=200)
            if answer.status_code == 200:
                break
        items = answer.json()["items"]
        longer |= {path} if len(items) > 1 else set()
        for way in ways:
            there = program.get(address, sort=way, limit=200).json()["items"]
            assert sorted(there, key=str) == sorted(items, key=str), f"{path} by {way}"
            other = way.removeprefix("-") if way.startswith("-") else f"-{way}"
            back = program.get(address, sort=other, limit=200).json()["items"][::-1]
            assert back == there or path == "/installation/roles", f"{path} by {way}"  # the predefined are first always
            name = way.removeprefix("-")
            if there and name not in {"name", "activity"} and name in there[0]:  # the case of letters counts or not
                values = [one[name] for one in there]
                assert values == sorted(values, reverse=way.startswith("-")), f"{path} by {way}"
            first = program.get(address, sort=way, limit=1).json()
            if first["next"]:
                second = program.get(address, sort=way, limit=1, cursor=first["next"]).json()
                assert first["items"] + second["items"] == there[:2], f"{path} by {way}"
        assert program.get(address, sort="nothing").status_code == 422
    assert len(longer) > 8, longer


def test_what_is_read_is_asked_for_without_its_body_too(program, owner, project):
    asks = program(owner)
    for path in ("/me", "/projects", f"/projects/{project.pk}", f"/projects/{project.pk}/audit.jsonl"):
        read = asks.get(path)
        told = asks.client.head(ROOT + path, headers=asks.headers)
        assert told.status_code == 200
        assert told["Content-Type"] == read["Content-Type"] and told.get("ETag") == read.get("ETag")
        assert told.streaming or told.content == b""
    missing = asks.client.head(f"{ROOT}/projects/nothing", headers=asks.headers)
    assert missing.status_code == 404
    assert asks.client.head(f"{ROOT}/me", headers={}).status_code == 401
    assert asks.client.head(f"{ROOT}/projects/{project.pk}/leave", headers=asks.headers).status_code == 405


def test_what_every_answer_says_besides_is_in_the_document(program, owner, settings):
    settings.MLTEAM_API_RATE = 100
    document = api.get_openapi_schema(path_prefix=ROOT)
    said = document["paths"][f"{ROOT}/me"]["get"]["responses"][200]["headers"]
    answer = program(owner).get("/me")
    for name, where in said.items():
        assert where["$ref"] == f"#/components/headers/{name}" and name in document["components"]["headers"]
        assert answer[name]
