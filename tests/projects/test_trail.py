"""The audit trail: what is written, that it stays, who reads it, and what an export holds."""

import csv
import io
import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from projects import actions, keeping, links, origin, trail
from projects.levels import PRESETS
from projects.models import LONGEST, AuditEntry, Invitation, Kept, Member, record
from projects.purging import KEPT, purge
from projects.trail_views import SHOWN

AUDIT = "/p/vision/audit"


def newest():
    return AuditEntry.objects.first()


def many(project, number, **fields):
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(
            **{
                "at": now - timedelta(seconds=number - place),
                "by_id": "a" * 16,
                "by_name": f"person-{place % 7}",
                "project_id": project.pk,
                "action": "job:new",
                "urn": f"mlteam:project:{project.pk}:job:{place}",
                "after": {"name": f"run-{place}"},
                "words": f"run-{place}",
                **fields,
            }
        )
        for place in range(number)
    )


def body(response):
    async def read():
        return b"".join([piece async for piece in response.streaming_content])

    return async_to_sync(read)().decode()


def exported(client, query=""):
    """The CSV and the JSON lines of an export, as lists of dictionaries."""
    table = csv.DictReader(io.StringIO(body(client.get(f"{AUDIT}.csv{query}")), newline=""))
    lines = [json.loads(line) for line in body(client.get(f"{AUDIT}.jsonl{query}")).splitlines()]
    return list(table), lines


# ---- what is written


def test_each_action_says_who_did_what_to_what_with_old_and_new_values(project, owner, join, make_user):
    offer = actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=owner)
    actions.invite(project=project, email="new@example.com", levels=PRESETS["Full"], by=owner)
    actions.resend(invitation=offer, by=owner)
    actions.revoke(invitation=Invitation.objects.get(), by=owner)
    member = join(project, make_user("mia"), "Viewer")
    actions.set_levels(member=member, levels=PRESETS["Full"], by=owner)
    actions.remove_member(member=member, by=owner)
    actions.rename(project=project, name="Sight", by=owner)
    actions.remove(project=project, by=owner)
    written = [
        (entry.action, entry.by_name, entry.urn.removeprefix(project.urn), entry.before, entry.after)
        for entry in AuditEntry.objects.of(project).order_by("id")
    ]
    invited, viewer, full = f":invitation:{offer.pk}", PRESETS["Viewer"], PRESETS["Full"]
    second = f":invitation:{Invitation.objects.get(email='mia@example.com').pk}"
    membership = f":member:{member.pk}"
    assert written == [
        ("project:new", "olga", "", None, {"name": "Vision", "slug": "vision"}),
        ("invitation:new", "olga", invited, None, viewer),
        ("invitation:new", "olga", invited, viewer, full),
        ("invitation:send", "olga", invited, None, full),
        ("invitation:rm", "olga", invited, full, None),
        ("invitation:new", "olga", second, None, viewer),
        ("invitation:accept", "mia", second, None, None),
        ("member:new", "mia", membership, None, viewer),
        ("member:set", "olga", membership, viewer, full),
        ("member:rm", "olga", membership, full, None),
        ("project:set", "olga", "", {"name": "Vision"}, {"name": "Sight"}),
        ("project:rm", "olga", "", {"name": "Sight", "slug": "vision"}, None),
    ]


def test_levels_that_stay_as_they_are_are_no_change(project, owner, viewer):
    before = AuditEntry.objects.count()
    actions.set_levels(member=Member.objects.get(user=viewer), levels=PRESETS["Viewer"], by=owner)
    assert AuditEntry.objects.count() == before


def test_it_is_written_in_the_transaction_that_it_tells_of(project, owner):
    before = AuditEntry.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        actions.rename(project=project, name="Sight", by=owner)
        raise ZeroDivisionError
    assert AuditEntry.objects.count() == before


def test_secrets_and_long_values_are_not_kept(project, owner):
    secret = {"api_token": "s3cret", "deeper": {"Password": "s3cret", "name": "x" * 10_000}}
    record(by=owner, project=project, action="key:set", after=secret, nonce="s3cret", note="y" * 10_000)
    entry = newest()
    assert entry.after == {"deeper": {"name": "x" * LONGEST}}
    assert entry.details == {"note": "y" * LONGEST}
    assert "s3cret" not in f"{entry.after} {entry.details} {entry.words}"


def test_no_link_of_an_invitation_is_in_it(project, owner):
    offer = actions.invite(project=project, email="new@example.com", levels=PRESETS["Viewer"], by=owner)
    entry = newest()
    assert offer.nonce not in f"{entry.before} {entry.after} {entry.details} {entry.urn} {entry.words}"


# ---- from where


def test_what_a_page_does_is_written_with_its_address(as_user, owner, project):
    as_user(owner).post("/p/vision/settings", {"name": "Sight"}, REMOTE_ADDR="203.0.113.7")
    assert (newest().origin, newest().address) == ("page", "203.0.113.7")


def test_what_a_stranger_says_about_addresses_is_ignored_unless_a_proxy_is_trusted(as_user, owner, project, settings):
    said = {"X-Forwarded-For": "10.1.1.1, 198.51.100.4"}
    as_user(owner).post("/p/vision/settings", {"name": "A"}, headers=said)
    assert newest().address == "127.0.0.1"
    settings.MLTEAM_PROXIES = 1
    as_user(owner).post("/p/vision/settings", {"name": "B"}, headers=said)
    assert newest().address == "198.51.100.4"
    as_user(owner).post("/p/vision/settings", {"name": "C"}, headers={"X-Forwarded-For": "=cmd()"})
    assert newest().address == "127.0.0.1"


def test_api_admin_commands_and_the_server_are_told_apart(rf, project, owner, monkeypatch):
    request = rf.get("/x")
    for names, expected in ((["admin"], "admin"), (["ninja"], "api"), ([], "page")):
        request.resolver_match = type("Match", (), {"app_names": names})
        assert origin.of(request).kind == expected
    record(by=None, project=project, action="x:y")
    assert (newest().origin, newest().by_name, newest().by_id) == ("server", "mlteam", "")
    monkeypatch.setattr(origin, "_process", origin._process)
    origin.is_command()
    record(by=owner, project=project, action="x:y")
    assert newest().origin == "command"


# ---- it stays


def test_the_model_lets_nobody_change_or_delete_it(project):
    entry = newest()
    for change in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        AuditEntry.objects.filter(pk=entry.pk)._raw_delete,
        lambda: AuditEntry.objects.update(by_name="nobody"),
        lambda: AuditEntry.objects.bulk_update([entry], ["by_name"]),
        lambda: AuditEntry.objects.update_or_create(pk=entry.pk, defaults={"by_name": "nobody"}),
    ):
        with pytest.raises(Kept):
            change()


WRONGS = ["UPDATE {} SET by_name = 'nobody'", "DELETE FROM {}", "DELETE FROM {} WHERE id > 0"]
if connection.vendor == "postgresql":
    WRONGS.append("TRUNCATE {}")


@pytest.mark.parametrize("statement", WRONGS)
def test_the_database_lets_nobody_change_or_delete_it(project, statement):
    with (
        pytest.raises(DatabaseError, match="neither changed nor deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(keeping.TABLE))
    assert newest().by_name == "olga"


def test_it_outlives_the_account(project, owner, viewer):
    actions.leave(project=project, by=viewer)
    pk = viewer.pk
    viewer.owned_projects.all().delete()
    viewer.delete()
    entry = AuditEntry.objects.of(project).get(action="member:leave")
    assert (entry.by_id, entry.by_name) == (pk, "vera")


def test_it_outlives_the_project(project, owner):
    actions.remove(project=project, by=owner)
    type(project).objects.filter(pk=project.pk).update(removed_at=timezone.now() - 2 * KEPT)
    assert purge() == 1
    kept = list(AuditEntry.objects.filter(project_id=project.pk).values_list("action", "by_name"))
    assert kept == [("project:purge", "mlteam"), ("project:rm", "olga"), ("project:new", "olga")]


# ---- the page


def test_newest_first_with_words_and_changes(as_user, owner, project):
    actions.rename(project=project, name="Sight", by=owner)
    shown = as_user(owner).get(AUDIT).context["entries"]
    assert [entry.said for entry in shown] == ["Renamed the project", "Created the project"]
    assert shown[0].changes == [trail.Change("name", "Vision", "Sight")]


def test_levels_are_shown_by_their_preset(project, owner, viewer):
    actions.set_levels(member=Member.objects.get(user=viewer), levels={**PRESETS["Viewer"], "job": "own"}, by=owner)
    assert trail.changes_of(newest()) == [trail.Change("user", "", "vera"), trail.Change("job", "read", "own")]
    actions.set_levels(member=Member.objects.get(user=viewer), levels=PRESETS["Full"], by=owner)
    assert trail.Change("job", "own", "all") in trail.changes_of(newest())
    actions.set_levels(member=Member.objects.get(user=viewer), levels=PRESETS["Viewer"], by=owner)
    assert trail.changes_of(newest())[1:] == [trail.Change("levels", "Full", "Viewer")]


@pytest.mark.parametrize(("who", "status"), [("viewer", 403), ("collaborator", 403), ("stranger", 404), ("admin", 404)])
@pytest.mark.parametrize("path", [AUDIT, f"{AUDIT}.csv", f"{AUDIT}.jsonl"])
def test_only_the_owner_reads_it(as_user, request, project, path, who, status):
    assert as_user(request.getfixturevalue(who)).get(path).status_code == status


def test_one_sees_that_of_ones_personal_project_and_of_no_other(as_user, owner, stranger):
    assert as_user(owner).get("/p/personal-olga/audit").status_code == 200
    assert as_user(stranger).get("/p/personal-olga/audit").status_code == 404


def test_entries_of_other_projects_are_not_in_it(as_user, owner, project):
    other = actions.create(name="Other", by=owner)
    shown = as_user(owner).get(AUDIT).context["entries"]
    assert {entry.project_id for entry in shown} == {project.pk}
    assert {entry["urn"] for entry in exported(as_user(owner))[1]} == {project.urn}
    assert other.urn not in body(as_user(owner).get(f"{AUDIT}.csv"))


def test_filters(as_user, owner, project, viewer):
    actions.rename(project=project, name="Sight", by=owner)
    client = as_user(owner)

    def found(query):
        return [entry.action for entry in client.get(f"{AUDIT}?{query}").context["entries"]]

    assert found(f"by={viewer.pk}") == ["member:new", "invitation:accept"]
    assert found("action=project:set") == ["project:set"]
    assert found("q=SIGHT") == ["project:set"]
    assert found(f"by={owner.pk}&q=vera@example") == ["invitation:new"]
    today = timezone.localdate()
    assert len(found(f"since={today - timedelta(days=1)}&until={today + timedelta(days=1)}")) == 5
    assert found(f"until={today - timedelta(days=2)}") == []
    assert len(found("since=0001-01-01&until=9999-12-31")) == 5
    assert found(f"since={today + timedelta(days=2)}") == []
    assert len(found("q=%25&page=x")) == 0  # no wildcard, and a cursor that makes no sense
    assert len(exported(client, "?action=project:set")[0]) == 1


def test_a_day_is_one_of_the_readers_time_zone(as_user, owner, project):
    owner.time_zone = "Pacific/Auckland"
    owner.save()
    at = datetime(2026, 3, 1, 0, 30, tzinfo=ZoneInfo("Pacific/Auckland"))  # the day before in UTC
    many(project, 1, at=at, action="x:early")
    shown = as_user(owner).get(f"{AUDIT}?since=2026-03-01&until=2026-03-01").context["entries"]
    assert [entry.action for entry in shown] == ["x:early"]


@pytest.mark.parametrize(
    "query", ["since=tomorrow", "until=2026-02-30", "by=somebody", "action=no:such", "q=" + "x" * 101]
)
def test_a_filter_that_makes_no_sense_is_said_and_left_out(as_user, owner, project, query):
    page = as_user(owner).get(f"{AUDIT}?{query}")
    assert page.context["form"].errors
    assert len(page.context["entries"]) == 1


def test_pages_by_position(as_user, owner, project):
    many(project, 2 * SHOWN)
    client, address, seen = as_user(owner), AUDIT, []
    while address:
        context = client.get(address).context
        seen += [entry.pk for entry in context["entries"]]
        address = context["older"]
    assert seen == list(AuditEntry.objects.of(project).values_list("pk", flat=True))
    back = client.get(client.get(context["newer"]).context["newer"]).context["entries"]
    assert [entry.pk for entry in back] == seen[:SHOWN]


@pytest.mark.parametrize(
    "cursor", ["o.1.000000.x", "n.1.000000." + "9" * 40, "o.99999999999999.0.1", "....", "o.1.0.-1"]
)
def test_cursors_that_somebody_made_up(as_user, owner, project, cursor):
    assert as_user(owner).get(AUDIT, {"page": cursor}).status_code == 200


def test_ten_thousand_rows_cost_the_same_queries(as_user, owner, project):
    client = as_user(owner)
    queries = {}
    for number in (1, 10_000):
        many(project, number)
        with CaptureQueriesContext(connection) as asked:
            assert client.get(f"{AUDIT}?q=run").status_code == 200
        queries[number] = len(asked)
    assert queries[1] == queries[10_000]


NAMES = ["<script>alert(1)</script>", '=HYPERLINK("http://evil")', "a\nb", "\u202egnp.exe", "x" * 10_000]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_want_to_be_more(as_user, owner, project, name):
    record(
        by=owner, project=project, action="project:set", before={"name": name}, after={"name": name[::-1]}, user=name
    )
    page = as_user(owner).get(AUDIT).content.decode()
    assert "<script>alert" not in page
    assert len(page) < 100_000
    table, lines = exported(as_user(owner))
    assert len(table) == len(lines) == 2
    assert lines[0]["before"]["name"] == name[:LONGEST]


# ---- the export


def test_the_export_has_all_of_it(as_user, owner, project):
    many(project, 3 * trail.READ_AT_ONCE // 2)
    table, lines = exported(as_user(owner))
    assert len(table) == len(lines) == 3 * trail.READ_AT_ONCE // 2 + 1
    assert len({line["urn"] for line in lines}) == len(lines)
    first = table[0]
    assert (first["by"], first["action"], first["what"]) == ("olga", "project:new", "Created the project")
    assert first["changes"] == "name: Vision; slug: vision"
    assert datetime.fromisoformat(first["at"]).utcoffset() == timedelta(0)
    assert lines[0]["after"] == {"name": "Vision", "slug": "vision"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " ="])
def test_no_cell_of_the_export_is_a_formula(as_user, owner, project, start):
    many(
        project, 1, by_name=f"{start}1+1", action=f"{start}2", urn=f"{start}3", address=f"{start}4", origin=f"{start}5"
    )
    many(project, 1, after={f"{start}cmd": f"{start}A1"})
    for row in exported(as_user(owner))[0]:
        for cell in row.values():
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n")), cell


def test_an_export_is_a_download_that_no_browser_shows(as_user, owner, project):
    response = as_user(owner).get(f"{AUDIT}.csv")
    assert response["Content-Disposition"] == 'attachment; filename="vision-audit.csv"'
    assert response["X-Content-Type-Options"] == "nosniff"


def test_reading_it_writes_nothing(as_user, owner, project, read_only):
    client = as_user(owner)
    with read_only():
        client.get(AUDIT)
        exported(client)


def test_an_invitation_that_was_accepted_twice_is_there_once(project, owner, make_user):
    user = make_user("nick", email="new@example.com")
    offer = actions.invite(project=project, email=user.email, levels=PRESETS["Viewer"], by=owner)
    actions.accept(token=links.token_of(offer, links.EMAILED), by=user)
    assert AuditEntry.objects.filter(action="invitation:accept").count() == 1
