"""Use, money and budgets, by programs alone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing import actions as billing
from billing import ledger, payers, storage
from billing.models import BillingAccount, Budget, Stored
from billing.prices import floor_hour
from projects import actions as projects
from tests.api.conftest import ROOT, cost_of, streamed
from tests.api.test_door import problem
from tests.billing.conftest import prices  # noqa: F401 - a fixture
from tests.conftest import no_writes


@pytest.fixture
def here(project) -> str:
    return f"/projects/{project.pk}"


@pytest.fixture
def used(project):
    """used(by, hours) puts so many core hours into this month's ledger."""
    number = iter(range(1000))

    def make(by, hours: int, of=project) -> None:
        start = datetime.combine(timezone.now().date().replace(day=1), datetime.min.time(), UTC)
        key = f"attempt-{next(number)}"
        names = {"source": "attempt", "source_id": key, "subject_id": key, "subject_name": "train"}
        whose = {"project": of, "member": by, "start": start, "until": start + timedelta(hours=hours)}
        ledger.charge(ledger.Use(**names, **whose, over=True, cpu_milli=1000))

    return make


def test_use_is_in_hours_alone_where_nothing_costs_anything(program, owner, used, here):
    used(owner, 2)
    asks = program(owner)
    answer = asks.get(f"{here}/usage").json()
    assert (answer["total"]["cpu_hours"], answer["total"]["amount"], answer["balance"]) == ("2", None, None)
    assert asks.get("/me/balance").json() == {"payer": "Olga Owner", "amount": None, "currency": "EUR", "mine": True}
    problem(asks.put(f"{here}/budgets/project", {"amount": "5"}), 409, "conflict")
    assert asks.get(f"{here}/budgets").json()["items"] == []


@pytest.mark.usefixtures("prices")
def test_use_is_shown_in_parts(program, owner, viewer, used, here):
    used(owner, 2)
    used(viewer, 3)
    asks = program(owner)
    asks.get("/me")  # notes that the token is used
    with no_writes():
        by_member = asks.get(f"{here}/usage").json()
    assert [(one["id"], one["amount"], one["mine"]) for one in by_member["items"]] == [
        (viewer.pk, "0.3", False),
        (owner.pk, "0.2", True),
    ]
    assert (by_member["whole"], by_member["total"]["amount"], by_member["balance"]) == (True, "0.5", "-0.50")
    [kind] = asks.get(f"{here}/usage", by="kind").json()["items"]
    assert (kind["id"], kind["hours"], kind["unit"], kind["amount"]) == ("cpu", "5", "core hours", "0.5")
    months = asks.get(f"{here}/usage", by="month").json()["items"]
    assert (len(months), months[0]["id"], months[0]["amount"]) == (12, by_member["month"], "0.5")
    assert [one["mine"] for one in asks.get("/me/usage").json()["items"]] == [True]
    assert asks.get("/me/usage", view="used").json()["total"]["amount"] == "0.2"
    assert asks.get(f"{here}/usage", month="2020-02").json()["items"] == []
    for month in ("2020-13", "0000-01", "٢٠٢٠-01", "2020-1"):
        problem(asks.get(f"{here}/usage", month=month), 422, "invalid")
    problem(asks.get(f"{here}/usage", by="colour"), 422, "invalid")


def test_what_is_stored_is_a_part_of_its_own(program, owner, viewer, used, here, project):
    used(owner, 2)
    month = floor_hour(timezone.now()).replace(day=1, hour=0)
    Stored.objects.create(project=project, bytes=3 * 2**30, at=month)
    ledger.add(storage._use(project, Stored.objects.get(), month + timedelta(minutes=30)))
    asks = program(owner)
    answer = asks.get(f"{here}/usage").json()
    parts = {one["id"]: (one["name"], one["sums"]["storage_hours"], one["mine"]) for one in answer["items"]}
    assert parts["storage"] == ("Stored data", "1.5", False) and answer["stored_bytes"] == 3 * 2**30
    [row] = asks.get(f"{here}/charges", what="storage").json()["items"]
    told = [row[name] for name in ("source", "job", "job_id", "member", "milliseconds", "mine")]
    assert told == ["storage", "Stored data", "", "Stored data", 1_800_000, False]
    assert {one["source"] for one in asks.get(f"{here}/charges", what="jobs").json()["items"]} == {"attempt"}
    assert asks.get("/me/usage").json()["stored_bytes"] == 3 * 2**30
    assert program(viewer).get(f"{here}/usage").json()["stored_bytes"] is None
    assert asks.get("/me/usage", view="used").json()["total"]["storage_hours"] == "0"


@pytest.mark.usefixtures("prices")
def test_members_see_their_own_part_whomever_they_ask_about(program, owner, viewer, stranger, used, here):
    used(owner, 2)
    used(viewer, 3)
    asks = program(viewer)
    for more in ({}, {"member": owner.pk}):
        answer = asks.get(f"{here}/usage", **more).json()
        assert (answer["whole"], [one["id"] for one in answer["items"]]) == (False, [viewer.pk])
        rows = asks.get(f"{here}/charges", **more).json()["items"]
        assert len(rows) == 3
        assert all(row["mine"] for row in rows)
        text = streamed(asks.get(f"{here}/usage.csv", **more))
        assert "vera" in text
        assert "attempt-0" not in text
    assert len(program(owner).get(f"{here}/charges").json()["items"]) == 5
    assert len(program(owner).get(f"{here}/charges", member=viewer.pk).json()["items"]) == 3
    for path in ("usage", "usage.csv", "charges", "budgets", "budgets/project"):
        problem(program(stranger).get(f"{here}/{path}"), 404, "not_found")


def test_a_billing_account_is_not_mine(program, owner, prices, admin):  # noqa: F811
    account = BillingAccount.objects.create(name="Department")
    account.owners.create(owner=owner)
    payers.change(f"account:{account.pk}", credited=5)
    answer = program(owner).get("/me/balance").json()
    assert answer == {"payer": "Department", "amount": "5.00", "currency": "EUR", "mine": False}


@pytest.mark.usefixtures("prices")
def test_budgets_are_set_seen_and_lifted(program, owner, viewer, collaborator, here):
    asks, path = program(owner), f"{here}/budgets/{viewer.pk}"
    first = asks.put(path, {"amount": "12.30"})
    assert (first.json()["amount"], first.json()["member"]["id"], first.json()["when_full"]) == (
        "12.30",
        viewer.pk,
        "finish",
    )
    asks.put(f"{here}/budgets/project", {"amount": "100", "when_full": "stop"})
    assert [one["amount"] for one in asks.get(f"{here}/budgets").json()["items"]] == ["100.00", "12.30"]
    [mine] = program(viewer).get(f"{here}/budgets").json()["items"]
    assert mine["mine"]
    assert program(viewer).get(path).json() == mine
    problem(program(collaborator).get(path), 403, "not_granted")
    problem(program(viewer).put(path, {"amount": "1000"}), 403, "not_granted")
    problem(program(viewer).delete(path), 403, "not_granted")
    second = asks.put(path, {"amount": "1"}, **{"If-Match": first["ETag"]})
    assert second.status_code == 200
    problem(asks.put(path, {"amount": "2"}, **{"If-Match": first["ETag"]}), 412, "changed")
    problem(asks.delete(path, **{"If-Match": first["ETag"]}), 412, "changed")
    assert asks.delete(path, **{"If-Match": second["ETag"]}).status_code == 204
    problem(asks.get(path), 404, "not_found")
    problem(asks.delete(path), 404, "not_found")
    problem(asks.put(path, {"amount": "2"}, **{"If-Match": second["ETag"]}), 412, "changed")


@pytest.mark.usefixtures("prices")
def test_budgets_that_make_no_sense_are_refused_by_field(program, owner, stranger, here):
    asks = program(owner)
    for sent, field in (
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.234"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({}, "amount"),
        ({"amount": "1", "when_full": "explode"}, "when_full"),
        ({"amount": "1", "colour": "red"}, "colour"),
    ):
        wrong = problem(asks.put(f"{here}/budgets/project", sent), 422, "invalid")
        assert [one["field"] for one in wrong["errors"]] == [field]
    problem(asks.put(f"{here}/budgets/{stranger.pk}", {"amount": "1"}), 422, "invalid")
    assert not Budget.objects.exists()


@pytest.mark.usefixtures("prices")
def test_a_roles_key_reads_use_and_sets_no_budget(role_program, used, owner, project, here):
    used(owner, 2)
    key = role_program("project:*@{urn}")
    assert key.get(f"{here}/usage").json()["total"]["amount"] == "0.2"
    billing.set_budget(project=project, member=None, amount=5, when_full="stop", by=owner)
    assert len(key.get(f"{here}/budgets").json()["items"]) == 1
    problem(key.put(f"{here}/budgets/project", {"amount": "1"}), 403, "person_needed")
    problem(key.delete(f"{here}/budgets/project"), 403, "person_needed")
    problem(key.get("/me/balance"), 403, "person_needed")


@pytest.mark.usefixtures("prices")
def test_a_roles_key_that_may_only_look_has_no_part_of_the_use(role_program, used, owner, here):
    used(owner, 2)
    answer = role_program("project:get@{urn}").get(f"{here}/usage").json()
    assert (answer["items"], answer["total"]["cpu_hours"], answer["whole"]) == ([], "0", False)


@pytest.mark.usefixtures("prices")
def test_one_projects_budgets_are_not_reached_through_another(program, owner, here):
    other = projects.create(name="Other", by=owner)
    billing.set_budget(project=other, member=owner, amount=5, when_full="stop", by=owner)
    asks = program(owner)
    problem(asks.get(f"{here}/budgets/{owner.pk}"), 404, "not_found")
    problem(asks.delete(f"{here}/budgets/{owner.pk}"), 404, "not_found")
    assert asks.get(f"{here}/budgets/a%20b").status_code == 404
    assert Budget.objects.exists()
    assert asks.client.get(f"{ROOT}{here}/budgets", headers=asks.headers).json()["items"] == []


@pytest.mark.usefixtures("prices")
def test_long_lists_cost_as_many_queries_as_short_ones(program, owner, make_user, join, used, project, here):
    def grow(since: int, until: int) -> None:
        for number in range(since, until):
            user = make_user(f"user{number}")
            join(project, user)
            used(user, 1)
            billing.set_budget(project=project, member=user, amount=5, when_full="stop", by=owner)

    def cost() -> list[int]:
        return cost_of(program(owner), f"{here}/usage", f"{here}/charges", f"{here}/budgets")

    grow(0, 3)
    number, *few = cost()
    grow(3, 30)
    assert number == 3
    assert cost() == [30, *few]
