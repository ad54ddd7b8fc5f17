"""Which installation this is, and whether it is well."""

from tests.api.test_door import problem


def test_the_installation_says_its_name(program, owner, admin):
    assert program(owner).get("/installation").json() | {"version": ""} == {
        "id": "installation", "urn": "mlteam:installation", "name": "mlteam", "version": "",
        "url": "http://localhost:8000", "contact": "", "mine": False,
    }  # fmt: skip
    assert program(admin).get("/installation", fields="mine").json() == {"mine": True}


def test_health_is_public_and_tells_strangers_no_more_than_that(program, owner, admin, settings):
    public = program(None).get("/health").json()
    assert public["version"]
    assert public["parts"] is None
    parts = program(owner).get("/health").json()["parts"]
    assert {"Python", "Database", "Redis", "Disk"} <= {part["name"] for part in parts}
    assert not any(part["detail"] for part in parts)
    assert all(part["detail"] for part in program(admin).get("/health").json()["parts"])


def test_a_bad_token_is_an_error_there_too(program):
    asks = program(None)
    asks.headers = {"Authorization": "Bearer mlt_nothing"}
    problem(asks.get("/health"), 401, "not_signed_in")
