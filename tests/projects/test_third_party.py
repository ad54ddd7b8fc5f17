"""Third-party keys: what is taken, that nothing shows a value again, who may do what, and rotation."""

import base64
import io
import json
import os
import re

import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.html import escape

import access
from access import Refused, policies
from mlteam import copy_as, state
from projects import actions, ownership, sealing, third_party
from projects.errors import Impossible
from projects.models import AuditEntry, Member, Project, ThirdPartyKey
from projects.third_party_types import TYPES, check

pytestmark = pytest.mark.django_db

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AWS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET, "region": "eu-central-1"}


# Opens nothing anywhere; its passphrase is “passphrase”.
LOCKED = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABC3fX7N9P
I2Cs6pdsyCKBJkAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIMGDDxiqnqM3g6hP
0fI3Evlw8CeT4bSP1KZFoOXyEe6VAAAAkMgJRU24vilk2if/tnYw1AkImBVTa0FVYU8O70
oCNP1fnV4eN2HbzncC2icwNWtTVAPylDG1hUwJXAbjyS8IiG/Q7KO1h2mBS5ppdGZpVODm
m9CVqPPPT6HNfXjVyJjOvV5w8dJH653OzUqIBORy7YHK8rEp2o0EhTEJx/757dWNnzkuWm
pqu9Z9j4fKAkxh9w==
-----END OPENSSH PRIVATE KEY-----
"""


def pem(format=serialization.PrivateFormat.PKCS8, key=None) -> str:
    key = key or rsa.generate_private_key(65537, 2048)
    return key.private_bytes(serialization.Encoding.PEM, format, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def account() -> dict[str, str]:
    """A service account's file."""
    return {
        "type": "service_account",
        "project_id": "vision-1234",
        "private_key_id": "0123456789abcdef",
        "private_key": pem(),
        "client_email": "reader@vision-1234.iam.gserviceaccount.com",
        "client_id": "1234567890",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }


@pytest.fixture(scope="module")
def ssh() -> str:
    return pem(serialization.PrivateFormat.OpenSSH, ed25519.Ed25519PrivateKey.generate())


@pytest.fixture
def key(project, owner) -> ThirdPartyKey:
    return third_party.add(project=project, kind="aws", name="backup", values=AWS, by=owner)


@pytest.fixture
def asks(as_user, owner):
    """asks(method, path, body) of the API, as the owner."""

    def ask(method, path, body=None, by=owner, **headers):
        return getattr(as_user(by), method)(f"/api/v1{path}", body, content_type="application/json", headers=headers)

    return ask


def opened(key: ThirdPartyKey) -> dict[str, str]:
    key.refresh_from_db()
    return sealing.unseal(key.sealed, key.pk)


def refusal(kind: str, values: dict) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        check(kind, values)
    return caught.value.message_dict


# What is taken


GOOD = {
    "aws": AWS,
    "azure": {"tenant_id": "t-1", "client_id": "c-1", "client_secret": "12345678"},
    "wasabi": {"access_key_id": "AKIA1234", "secret_access_key": SECRET},
    "docker": {"username": "ada", "password": "dckr_pat_12345"},
    "huggingface": {"token": "hf_12345678"},
    "kaggle": {"username": "ada", "key": "0123456789abcdef"},
    "ngc": {"api_key": "nvapi-12345678"},
    "wandb": {"api_key": "0" * 40},
    "secret": {"value": "line one\nline two"},
}


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {"gcp", "git"}))
def test_each_type_takes_its_values_and_keeps_secrets_apart(kind):
    secrets, about = check(kind, GOOD[kind])
    assert secrets | about == GOOD[kind] | ({"registry": "docker.io"} if kind == "docker" else {})
    assert set(secrets) == {field.name for field in TYPES[kind].fields if field.secret} & set(GOOD[kind])


def test_a_service_account_is_kept_without_what_does_not_belong_into_it(account):
    secrets, about = check("gcp", {"credentials": json.dumps(account | {"client_secrets": "x", "more": {}})})
    assert json.loads(secrets["credentials"]) == account
    assert about == {name: account[name] for name in ("client_email", "project_id", "private_key_id")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "external_account"}, "external_account"),
        ({"type": "authorized_user"}, "somebody's own credentials"),
        ({"type": ["service_account"]}, "must be “service_account”"),
        ({"type": None}, "must be “service_account”"),
        ({"token_uri": "https://oauth2.googleapis.com.evil.example/token"}, "another address"),
        ({"token_uri": "https://oauth2.googleapis.com/token/"}, "another address"),
        ({"token_uri": None}, "another address"),
        ({"universe_domain": "evil.example"}, "universe_domain"),
        ({"client_email": ""}, "client_email"),
        ({"client_email": {"a": 1}}, "must be text"),
        ({"project_id": "a b"}, "project_id"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "private_key"),
    ],
)
def test_another_file_than_a_service_accounts_is_refused_and_told_why(account, change, said):
    refused = refusal("gcp", {"credentials": json.dumps(account | change)})
    assert said in refused["credentials"][0] and account["private_key"][40:60] not in str(refused)


@pytest.mark.parametrize("text", ["no json at all", "[1, 2, 3, 4]", "{" * 10000, '"x"' * 9])
def test_a_file_that_is_no_json_is_refused(text):
    assert "JSON" in refusal("gcp", {"credentials": text})["credentials"][0]


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {"gcp", "git"}))
def test_a_secret_of_seven_bytes_is_refused_for_it_cannot_be_masked(kind):
    secret = next(field.name for field in TYPES[kind].fields if field.secret)
    assert "cannot be masked" in refusal(kind, GOOD[kind] | {secret: "1234567"})[secret][0]
    assert "cannot be masked" in refusal(kind, GOOD[kind] | {secret: "  1234567\n"})[secret][0]
    check(kind, GOOD[kind] | {secret: "12345678"})


@pytest.mark.parametrize(
    "value", ["aaaaQ\nbbbbQ\nccccQ", "1234567\n1234567", "[\n 12,\n 34,\n 56\n]", "abcdef\r\nghijkl\n\n"]
)
def test_a_secret_of_short_lines_alone_is_refused_for_they_cannot_be_masked(value):
    said = refusal("secret", {"value": value})["value"][0]
    assert "Each of its lines has fewer than 8 bytes" in said and "Keep it on one line." in said
    assert value.split()[0] not in said


@pytest.mark.parametrize(
    "value", ['{\n  "password": "1234567890"\n}', "user\n12345678", "-----BEGIN X-----\nAA==\n-----END X-----"]
)
def test_a_secret_with_a_line_that_can_be_masked_may_have_short_ones(value):
    assert check("secret", {"value": value}) == ({"value": value}, {})


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("aws", {"secret_access_key": SECRET}, "access_key_id"),
        ("aws", AWS | {"password": "12345678"}, "password"),
        ("aws", AWS | {"endpoint": "http://user:pass@host"}, "endpoint"),
        ("aws", AWS | {"endpoint": "file:///etc/passwd"}, "endpoint"),
        ("aws", AWS | {"secret_access_key": "two words of it"}, "secret_access_key"),
        ("huggingface", {"token": "hf_1234567\0"}, "token"),
        ("secret", {"value": "1234567\0"}, "value"),
        ("secret", {"value": "1234567\ud800"}, "value"),
        ("secret", {"value": "x" * 40_000}, "value"),
        ("docker", GOOD["docker"] | {"registry": "https://ghcr.io"}, "registry"),
        ("kaggle", {"username": "ada"}, "key"),
        ("kaggle", {"kaggle_json": '{"username": "ada", "key": "1234567"}'}, "kaggle_json"),
        ("kaggle", {"kaggle_json": '{"username": "ada", "key": "12345678", "more": 1}'}, "kaggle_json"),
    ],
)
def test_bad_values_are_refused_by_field(kind, values, field):
    assert list(refusal(kind, values)) == [field]


def test_kaggles_file_is_username_and_key():
    found = check("kaggle", {"kaggle_json": '{"username": "ada", "key": "0123456789abcdef"}'})
    assert found == ({"key": "0123456789abcdef"}, {"username": "ada"})


def test_a_key_for_git_is_private_and_has_no_passphrase(ssh):
    secrets, about = check("git", {"private_key": ssh.strip()})
    assert secrets == {"private_key": ssh} and about["public_key"].startswith("ssh-ed25519 ")
    assert check("git", {"private_key": pem()})[1]["public_key"].startswith("ssh-rsa ")
    assert "passphrase" in refusal("git", {"private_key": LOCKED})["private_key"][0]
    assert "no private SSH key" in refusal("git", {"private_key": about["public_key"]})["private_key"][0]


BAD_NAMES = {"aws": ["", "a b", "../x", "é", "x" * 61], "secret": ["A-B", "1A", "MLTEAM_TOKEN", "A=B", "A\nB"]}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in BAD_NAMES.items() for name in names])
def test_bad_names_are_refused(project, owner, kind, name):
    with pytest.raises(ValidationError) as caught:
        third_party.add(project=project, kind=kind, name=name, values=GOOD[kind], by=owner)
    assert list(caught.value.message_dict) == ["name"]


def test_names_are_unique_in_a_project_and_several_of_a_type_are_kept(project, owner, key):
    third_party.add(project=project, kind="aws", name="results", values=AWS, by=owner)
    with pytest.raises(ValidationError, match="has a key of this name"):
        third_party.add(project=project, kind="wandb", name="backup", values=GOOD["wandb"], by=owner)
    assert sorted(project.third_party_keys.values_list("name", flat=True)) == ["backup", "results"]


def test_a_project_has_so_many_keys_and_no_more(project, owner, key, monkeypatch):
    monkeypatch.setattr(third_party, "MOST", 1)
    with pytest.raises(Impossible, match="at most 1 keys"):
        third_party.add(project=project, kind="aws", name="more", values=AWS, by=owner)


# Nothing shows a value again


def content_of(response) -> bytes:
    """What a response streams."""

    async def read() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    return async_to_sync(read)()


def everything_stored() -> bytes:
    """All cells of all tables."""
    found = b""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found += b"".join(
                bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()
                for row in cursor.fetchall()
                for cell in row
            )
    return found


def test_no_table_holds_a_value_in_clear_and_var_does_not_hold_it_either(key, asks, project, owner):
    sent = {"type": "wandb", "name": "runs", "fields": {"api_key": "unmistakable-4711"}}
    answer = asks("post", f"/projects/{project.pk}/keys", sent, **{"Idempotency-Key": "once"})
    assert answer.status_code == 201
    assert asks("post", f"/projects/{project.pk}/keys", sent, **{"Idempotency-Key": "once"}).json() == answer.json()
    stored = everything_stored()
    for secret in (SECRET, "unmistakable-4711"):
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
            assert form.encode() not in stored
    assert opened(key)["secret_access_key"] == SECRET


@pytest.mark.ignore_template_errors
def test_no_page_answer_or_trail_shows_a_value(key, as_user, owner, project, asks):
    client, name = as_user(owner), key.pk
    pages = ["keys", f"keys/{name}/replace", f"keys/{name}/remove", "keys/new/aws", "audit", "audit.csv", "audit.jsonl"]
    shown = b"".join(client.get(f"/p/vision/{one}").content for one in pages if "." not in one)
    shown += b"".join(content_of(client.get(f"/p/vision/{one}")) for one in pages if "." in one)
    shown += client.get(f"/owners/projects/thirdpartykey/{name}/change/").content
    shown += client.get("/owners/projects/thirdpartykey/").content
    for path in (
        f"/projects/{project.pk}/keys",
        f"/projects/{project.pk}/keys/{name}",
        f"/projects/{project.pk}/audit",
    ):
        shown += asks("get", path).content
    assert b"AKIAIOSFODNN7EXAMPLE" in shown and SECRET.encode() not in shown and key.sealed.encode() not in shown


@pytest.mark.parametrize("wrong", [{"access_key_id": "?"}, {"name": "a b"}, {"region": "not one"}])
def test_a_form_that_is_refused_does_not_give_the_secret_back(as_user, owner, project, wrong):
    page = as_user(owner).post("/p/vision/keys/new/aws", {"name": "backup", **AWS, **wrong}).content.decode()
    assert "backup" in page or "a b" in page
    assert SECRET not in page and not ThirdPartyKey.objects.exists()


def test_a_secret_of_several_lines_does_not_come_back_either(as_user, owner, project):
    page = as_user(owner).post("/p/vision/keys/new/secret", {"name": "A-B", "value": f"{SECRET}\nmore"}).content
    assert b"variable of this name" in page and SECRET.encode() not in page


@pytest.mark.parametrize(
    "body",
    [
        {"fields": AWS | {"region": "?!"}},
        {"fields": [SECRET]},
        {"fields": {"a": {"b": SECRET}}},
        {"more": SECRET},
    ],
)
def test_an_answer_that_refuses_repeats_no_value(asks, project, body):
    answer = asks("post", f"/projects/{project.pk}/keys", {"type": "aws", "name": "x", "fields": AWS} | body)
    assert answer.status_code == 422 and SECRET not in answer.content.decode()


def test_what_is_copied_of_a_form_has_blanks_for_secrets_that_no_field_fills():
    for kind in TYPES.values():
        of_form = {field.name for field in kind.fields} | {"upload"}
        secrets = {field.name for field in kind.fields if field.secret} | {"upload"}
        for form in (f"projects:key_add_{kind.name}", f"projects:key_replace_{kind.name}", "projects:key_remove"):
            way = copy_as.FORMS[form]
            blanks = {
                blank[1] for text in (way.path, way.command, str(way.sent)) for blank in copy_as.BLANK.finditer(text)
            }
            blanks |= set(re.findall(r"'([\w]+)=?'", str(list(_leaves(way.sent)))))
            assert not blanks & secrets, form
            assert "third_party_key" not in of_form


def _leaves(sent):
    for value in sent.values():
        yield from _leaves(value) if isinstance(value, dict) else [value]


# Pages


def test_a_key_is_added_shown_replaced_and_removed_on_its_pages(as_user, owner, project):
    client = as_user(owner)
    assert b"None yet" in client.get("/p/vision/keys").content
    assert client.post("/p/vision/keys/new/aws", {"name": "backup", **AWS})["Location"] == "/p/vision/keys"
    key = ThirdPartyKey.objects.get()
    assert opened(key) == {"secret_access_key": SECRET}
    page = client.get("/p/vision/keys").content.decode()
    assert "AKIAIOSFODNN7EXAMPLE" in page and "eu-central-1" in page and "read the keys that are attached" in page
    client.post(
        f"/p/vision/keys/{key.pk}/replace", {"access_key_id": "AKIANEW1", "secret_access_key": "another-secret"}
    )
    assert opened(key) == {"secret_access_key": "another-secret"} and key.about == {"access_key_id": "AKIANEW1"}
    assert key.replaced_at
    client.post(f"/p/vision/keys/{key.pk}/remove")
    assert not ThirdPartyKey.objects.exists()
    trail = AuditEntry.objects.of(project).order_by("id").filter(action__startswith="key:")
    assert [(one.action, (one.after or one.before)["key"]) for one in trail] == [
        ("key:new", "backup"), ("key:set", "backup"), ("key:rm", "backup")]  # fmt: skip


def test_a_file_is_uploaded_and_an_empty_secret_erases_nothing(as_user, owner, project, account):
    client = as_user(owner)
    page = client.get("/p/vision/keys/new/gcp").content.decode()
    assert "projects/_/buckets/INPUT/objects/data/" in page and "administrator" in page
    assert 'resource.name == "projects/_/buckets/INPUT" || ' in page  # of which Google asks who lists
    file = SimpleUploadedFile("key.json", json.dumps(account).encode())
    client.post("/p/vision/keys/new/gcp", {"name": "reader", "upload": file})
    key = ThirdPartyKey.objects.get()
    shown = client.get("/p/vision/keys").content.decode()
    assert account["client_email"] in shown and "vision-1234" in shown
    refused = client.post(f"/p/vision/keys/{key.pk}/replace", {"credentials": ""}).content.decode()
    assert "This is needed." in refused and json.loads(opened(key)["credentials"]) == account


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"x" * 40_000, b'{"type": "external_account"}'])
def test_a_wrong_file_is_refused_beside_the_file(as_user, owner, project, content):
    data = {"name": "reader", "upload": SimpleUploadedFile("key.json", content)}
    page = as_user(owner).post("/p/vision/keys/new/gcp", data)
    assert page.status_code == 200 and page.context["form"].errors.keys() == {"upload"}


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_has_its_form(as_user, owner, project, kind):
    page = as_user(owner).get(f"/p/vision/keys/new/{kind}").content.decode()
    assert escape(TYPES[kind].label) in page and "read the keys that are attached" in page
    assert as_user(owner).get("/p/vision/keys/new/other").status_code == 404


# Who may


def test_who_may_start_jobs_sees_type_and_name_and_no_more(asks, project, key, collaborator, viewer, owner):
    listed = asks("get", f"/projects/{project.pk}/keys", by=collaborator).json()["items"]
    assert [(one["name"], one["type"]) for one in listed] == [("backup", "aws")]
    assert listed[0]["about"] is listed[0]["created_by"] is listed[0]["created_at"] is None
    assert asks("get", f"/projects/{project.pk}/keys", by=viewer).status_code == 403
    assert asks("get", f"/projects/{project.pk}/keys").json()["items"][0]["about"]["region"] == "eu-central-1"


def test_only_the_owner_gets_the_page_and_its_link(as_user, owner, collaborator, project, key):
    assert b'href="/p/vision/keys"' in as_user(owner).get("/p/vision/members").content
    assert b'href="/p/vision/keys"' not in as_user(collaborator).get("/p/vision/members").content
    assert as_user(collaborator).get("/p/vision/keys").status_code == 403
    for act in (
        lambda: third_party.replace(key=key, values=AWS, by=collaborator),
        lambda: third_party.remove(key=key, by=collaborator),
    ):
        with pytest.raises(Refused):
            act()


def test_a_policy_on_one_key_lets_somebody_replace_that_one_alone(project, owner, collaborator, key):
    other = third_party.add(project=project, kind="wandb", name="runs", values=GOOD["wandb"], by=owner)
    policies.attach(text=f"key:set@{key.urn}", by=owner, user=collaborator)
    assert access.find(key.urn) == key
    third_party.replace(key=key, values=AWS, by=collaborator)
    with pytest.raises(Refused):
        third_party.remove(key=other, by=collaborator)


def test_a_key_is_asked_about_on_the_access_page(as_user, owner, viewer, project, key):
    query = {"action": "key:use", "resource": key.urn}
    assert as_user(owner).get("/p/vision/access", query).status_code == 200
    assert b"Nothing in this project" in as_user(viewer).get("/p/vision/access", query).content


def test_a_key_of_another_project_is_not_reached_through_ones_own(as_user, asks, key, make_user):
    otto = make_user("otto")
    theirs = actions.create(name="Theirs", by=otto)
    assert as_user(otto).post(f"/p/theirs/keys/{key.pk}/remove").status_code == 404
    assert asks("delete", f"/projects/{theirs.pk}/keys/{key.pk}", by=otto).status_code == 404
    assert asks("put", f"/projects/{theirs.pk}/keys/{key.pk}", {"fields": AWS}, by=otto).status_code == 404
    assert ThirdPartyKey.objects.filter(pk=key.pk).exists()


def test_what_is_in_a_project_does_not_inherit_its_keys(asks, project, owner, key):
    child = actions.create(name="Production", by=owner, parent=project)
    assert asks("get", f"/projects/{child.pk}/keys").json()["items"] == []


def test_edits_from_what_is_no_longer_so_are_refused(asks, project, key):
    path = f"/projects/{project.pk}/keys/{key.pk}"
    read = asks("get", path)["ETag"]
    assert asks("put", path, {"fields": AWS}, **{"If-Match": read}).status_code == 200
    assert asks("delete", path, **{"If-Match": read}).status_code == 412
    assert asks("delete", path).status_code == 204


# Copies, changes of owner, and the end


def test_a_new_project_begins_with_the_keys_of_personal(as_user, owner, asks):
    personal = owner.owned_projects.get(personal=True)
    mine = third_party.add(project=personal, kind="aws", name="backup", values=AWS, by=owner)
    page = as_user(owner).get("/projects/new").content.decode()
    assert "disabled" not in page.split('name="copy_keys"')[1].split(">")[0] and "backup" in page
    as_user(owner).post("/projects/new", {"name": "New", "copy_keys": "on"})
    copied = ThirdPartyKey.objects.get(project__name="New")
    assert opened(copied) == opened(mine) and copied.about == mine.about and copied.sealed != mine.sealed
    made = asks("post", "/projects", {"name": "By API", "copy_keys": True}).json()
    assert ThirdPartyKey.objects.filter(project=made["id"]).count() == 1
    as_user(owner).post("/projects/new", {"name": "Without"})
    assert not ThirdPartyKey.objects.filter(project__name="Without").exists()
    assert AuditEntry.objects.of(personal).filter(action="key:copy").count() == 2
    third_party.remove(key=mine, by=owner)
    assert opened(copied)["secret_access_key"] == SECRET


def test_keys_are_not_copied_into_what_will_be_anothers(project, owner, make_user, as_user):
    otto = make_user("otto")
    personal = otto.owned_projects.get(personal=True)
    third_party.add(project=personal, kind="aws", name="backup", values=AWS, by=otto)
    policies.attach(text=f"project:get+project:new@{project.urn}", by=owner, user=otto)
    assert b"Only into projects that you own" in as_user(otto).get("/projects/new?in=vision").content
    with pytest.raises(Refused, match="only into projects that you own"):
        actions.create(name="Inner", by=otto, parent=project, copy_keys=True)
    assert not Project.objects.filter(name="Inner").exists()
    as_user(otto).post("/projects/new?in=vision", {"name": "Inner", "copy_keys": "on"})
    assert not ThirdPartyKey.objects.filter(project__name="Inner").exists()


def test_keys_stay_when_the_project_changes_hands_and_the_offer_says_so(project, owner, viewer, key, as_user):
    child = actions.create(name="Production", by=owner, parent=project)
    third_party.add(project=child, kind="wandb", name="runs", values=GOOD["wandb"], by=owner)
    member = Member.objects.get(user=viewer)
    page = as_user(owner).get(f"/p/vision/members/{member.pk}/offer").content.decode()
    assert "Its 2 third-party keys stay in the project" in page
    ownership.offer(member=member, by=owner)
    ownership.accept(project=project, by=viewer)
    third_party.replace(key=ThirdPartyKey.objects.get(pk=key.pk), values=AWS, by=viewer)
    with pytest.raises(Refused):
        third_party.remove(key=ThirdPartyKey.objects.get(pk=key.pk), by=owner)


def test_a_removed_project_keeps_no_keys(project, owner, key):
    actions.remove(project=project, by=owner)
    assert not ThirdPartyKey.objects.exists()
    assert AuditEntry.objects.of(project).get(action="project:rm").details["keys_removed"] == 1


# Sealing and rotation


@pytest.fixture
def secrets_of_var(monkeypatch, tmp_path):
    monkeypatch.setattr(state, "VAR", tmp_path)
    return tmp_path / "secrets"


def grow_old(secrets) -> None:
    for path in secrets.iterdir():
        os.utime(path, (0, 0))


def test_what_is_sealed_for_one_key_opens_no_other(key, project, owner):
    other = third_party.add(project=project, kind="aws", name="other", values=AWS, by=owner)
    ThirdPartyKey.objects.filter(pk=other.pk).update(sealed=key.sealed)
    with pytest.raises(Impossible, match="cannot be read"):
        opened(other)


def test_rotation_encrypts_all_anew_and_keeps_older_secrets_while_they_are_needed(
    secrets_of_var, project, owner, capsys
):
    keys = [third_party.add(project=project, kind="aws", name=f"k{n}", values=AWS, by=owner) for n in range(5)]
    before = {key.pk: key.sealed for key in keys}
    assert [path.name for path in secrets_of_var.iterdir()] == ["third-party-keys.1"]
    assert oct((secrets_of_var / "third-party-keys.1").stat().st_mode)[-3:] == "600"
    call_command("rotate_keys")
    assert "5 keys are encrypted anew" in capsys.readouterr().out
    assert all(opened(key) == {"secret_access_key": SECRET} for key in keys)
    assert all(key.sealed != before[key.pk] and key.sealed_with == 2 for key in keys)
    assert third_party.drop_old_secrets() == []  # something may be on its way
    grow_old(secrets_of_var)
    assert third_party.drop_old_secrets() == [1]
    assert all(opened(key) for key in keys)
    call_command("rotate_keys")
    assert all(opened(key) and key.sealed_with == 3 for key in keys)


def test_an_interrupted_rotation_is_brought_to_its_end(secrets_of_var, project, owner, monkeypatch, capsys):
    keys = [third_party.add(project=project, kind="aws", name=f"k{n}", values=AWS, by=owner) for n in range(5)]
    seal, done = sealing.seal, []

    def dies(values, of):
        done.append(of)
        if len(done) == 3:
            raise KeyboardInterrupt
        return seal(values, of)

    monkeypatch.setattr(third_party, "AT_ONCE", 2)
    monkeypatch.setattr(sealing, "seal", dies)
    with pytest.raises(KeyboardInterrupt):
        third_party.rotate()
    monkeypatch.setattr(sealing, "seal", seal)
    assert sorted(ThirdPartyKey.objects.values_list("sealed_with", flat=True)) == [1, 1, 1, 2, 2]
    grow_old(secrets_of_var)
    assert third_party.drop_old_secrets() == []
    assert all(opened(key) for key in keys)
    call_command("rotate_keys")
    said = capsys.readouterr().out
    assert "3 keys are encrypted anew" in said and "earlier rotation" in said
    assert all(opened(key) and key.sealed_with == 2 for key in keys)


def test_a_key_that_is_replaced_meanwhile_is_not_put_back(secrets_of_var, project, owner, key, monkeypatch):
    unseal = sealing.unseal

    def replaced_meanwhile(sealed, of):
        found = unseal(sealed, of)
        third_party.replace(key=key, values=AWS | {"secret_access_key": "the-newer-one"}, by=owner)
        return found

    key = third_party.add(project=project, kind="aws", name="k", values=AWS, by=owner)
    ThirdPartyKey.objects.exclude(pk=key.pk).delete()
    monkeypatch.setattr(sealing, "unseal", replaced_meanwhile)
    third_party.rotate()
    monkeypatch.setattr(sealing, "unseal", unseal)
    assert opened(key) == {"secret_access_key": "the-newer-one"}


def test_what_cannot_be_read_is_named_and_the_rest_is_rotated(secrets_of_var, project, owner):
    lost = third_party.add(project=project, kind="aws", name="lost", values=AWS, by=owner)
    kept = third_party.add(project=project, kind="aws", name="kept", values=AWS, by=owner)
    ThirdPartyKey.objects.filter(pk=lost.pk).update(sealed=lost.sealed[:-8] + "AAAAAAA=")
    with pytest.raises(CommandError, match=r"lost of Vision"):
        call_command("rotate_keys", stdout=io.StringIO())
    assert opened(kept) and kept.sealed_with == 2
    third_party.replace(key=lost, values=AWS, by=owner)
    assert opened(lost) == {"secret_access_key": SECRET}
