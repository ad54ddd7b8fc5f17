"""Keys are tried where they open something: what is said when they do, when they do not, and when nobody answers."""

import json
import threading
from collections.abc import Iterator
from ipaddress import ip_network

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from access import Refused
from projects import sealing, third_party, third_party_tries
from projects.errors import Impossible, TooOften
from projects.models import AuditEntry, ThirdPartyKey
from projects.third_party_tries import TRIES, attempt
from projects.third_party_types import TYPES, check
from tests import clouds
from tests.projects import services
from tests.projects.services import GOOD

BAD = "bad-key-9876543210"


@pytest.fixture(scope="module")
def at():
    with services.running() as found:
        yield found


@pytest.fixture(scope="module")
def aws():
    with clouds.aws() as url:
        yield url


@pytest.fixture(autouse=True)
def _here(settings, at):
    settings.MLTEAM_REACHABLE = [ip_network("127.0.0.1/32")]
    settings.MLTEAM_SERVICES = at


@pytest.fixture(scope="module")
def account() -> dict[str, str]:
    """A service account that Google knows."""
    made = rsa.generate_private_key(65537, 2048)
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    services.PUBLIC["reader@vision.iam.gserviceaccount.com"] = public
    return {
        "type": "service_account",
        "project_id": "vision",
        "private_key": private.decode(),
        "client_email": "reader@vision.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def tried(kind: str, **values: str) -> tuple[bool, str]:
    """Whether such a key works, and the sentence."""
    secrets, about = check(kind, values)
    outcome = attempt(kind, secrets | about, secrets)
    assert not any(len(secret) > 7 and secret in outcome.said for secret in secrets.values())
    return outcome.works, outcome.said


def test_every_type_is_tried_that_says_what_it_opens():
    assert set(TYPES) - set(TRIES) == {"git", "secret"}
    assert set(third_party_tries.SERVICES) <= set(TRIES)


GOOD_ONES = [
    ("huggingface", {"token": GOOD}, "Hugging Face knows it as ada."),
    ("wandb", {"api_key": GOOD}, "Weights & Biases knows it as ada."),
    ("kaggle", {"username": "ada", "key": GOOD}, "Kaggle takes it as the key of ada."),
    ("ngc", {"api_key": GOOD}, "signs it in."),
    ("docker", {"username": "ada", "password": GOOD}, "signs it in as ada."),
    ("azure", {"tenant_id": "t-1", "client_id": "c-1", "client_secret": GOOD}, "to the application c-1."),
]
WRONG_ONES = [
    ("huggingface", {"token": BAD}, "the token is wrong"),
    ("wandb", {"api_key": BAD}, "wandb.ai/authorize"),
    ("kaggle", {"username": "grace", "key": GOOD}, "not this username's"),
    ("ngc", {"api_key": BAD}, "ngc.nvidia.com"),
    ("docker", {"username": "ada", "password": BAD}, "username or the password is wrong"),
    ("azure", {"tenant_id": "t-1", "client_id": "c-1", "client_secret": BAD}, "The client secret is wrong"),
    ("azure", {"tenant_id": "t-2", "client_id": "c-1", "client_secret": GOOD}, "no directory of this ID"),
]


@pytest.mark.parametrize(("kind", "values", "said"), GOOD_ONES)
def test_a_key_that_works_says_whose_it_is(kind, values, said):
    works, sentence = tried(kind, **values)
    assert works and said in sentence


@pytest.mark.parametrize(("kind", "values", "said"), WRONG_ONES)
def test_a_key_that_does_not_says_what_to_do(kind, values, said):
    works, sentence = tried(kind, **values)
    assert not works and said in sentence


def test_a_registry_of_ones_own_is_tried_where_it_is(at):
    for service in ("docker", "passwords"):
        registry = at[service].removeprefix("http://")
        assert tried("docker", registry=registry, username="ada", password=GOOD)[0]
        assert "is wrong" in tried("docker", registry=registry, username="ada", password=BAD)[1]
    everybody = at["open"].removeprefix("http://")
    assert "lets everybody in" in tried("docker", registry=everybody, username="ada", password=GOOD)[1]


def test_a_service_account_gets_a_token(account):
    works, said = tried("gcp", credentials=json.dumps(account))
    assert works and "reader@vision.iam.gserviceaccount.com" in said


def test_a_service_account_that_was_deleted_or_whose_key_was_gets_none(account):
    other = account | {"client_email": "gone@vision.iam.gserviceaccount.com"}
    assert tried("gcp", credentials=json.dumps(other)) == (
        False,
        third_party_tries.refused_by_google("account not found"),
    )
    known = services.PUBLIC["reader@vision.iam.gserviceaccount.com"]
    another = rsa.generate_private_key(65537, 2048).public_key()
    services.PUBLIC["reader@vision.iam.gserviceaccount.com"] = another.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    works, said = tried("gcp", credentials=json.dumps(account))
    services.PUBLIC["reader@vision.iam.gserviceaccount.com"] = known
    assert not works and "was deleted" in said


def test_a_key_of_aws_is_told_what_aws_calls_it(aws, settings):
    settings.MLTEAM_SERVICES = {"aws": aws, "wasabi": aws}
    known = {"aws_access_key_id": "AKIA12345678", "aws_secret_access_key": "12345678", "region_name": "us-east-1"}
    iam = boto3.client("iam", endpoint_url=aws, **known)
    iam.create_user(UserName="ada")
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    good = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
    unknown = good | {"access_key_id": "AKIAUNKNOWN1"}
    with clouds.who_may_what_counts(aws):
        assert tried("aws", **good) == (True, "AWS knows it as arn:aws:iam::123456789012:user/ada.")
        for kind, more in [("aws", {"endpoint": aws}), ("wasabi", {})]:
            works, said = tried(kind, **good, **more)
            assert works and "may not list all buckets" in said
            assert "mistyped, or the key was deleted" in tried(kind, **unknown, **more)[1]
            wrong = good | {"secret_access_key": BAD}
            assert "secret access key is not the one" in tried(kind, **wrong, **more)[1]
        assert "mistyped, or the key was deleted" in tried("aws", **unknown)[1]
        iam = boto3.client("iam", endpoint_url=aws, **known)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=json.dumps(policy))
    with clouds.who_may_what_counts(aws):
        works, said = tried("aws", **good, endpoint=aws)
        assert works and "takes it" in said


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("sends_on", "sends on to 127.0.0.2, and keys are not shown to another host"),
        ("breaks", "trouble of its own (status 503)"),
        ("busy", "asked too often"),
        ("nonsense", "says nothing about the key"),
        ("huge", "says nothing about the key"),
        ("open", "says nothing about the key"),
    ],
)
def test_what_says_nothing_about_a_key_is_not_taken_for_its_fault(at, settings, service, said):
    settings.MLTEAM_SERVICES = dict.fromkeys(TRIES, at[service])
    for kind, values in [("huggingface", {"token": GOOD}), ("wandb", {"api_key": GOOD})]:
        works, sentence = tried(kind, **values)
        assert not works and said in sentence, kind


def every_kind(address: str, account: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A key of each type that is tried, and where one says itself where it is, also of this address."""
    yield from ((kind, values) for kind, values, _ in GOOD_ONES)
    known = {"access_key_id": "AKIA1234", "secret_access_key": GOOD}
    yield from (("aws", known), ("aws", known | {"endpoint": address}), ("wasabi", known))
    yield "gcp", {"credentials": json.dumps(account)}


def test_of_a_redirect_that_does_not_end_only_the_beginning_is_read(at, settings, account):
    endless = at[services.ENDLESS]
    settings.MLTEAM_SERVICES = dict.fromkeys(TRIES, endless)
    for kind, values in every_kind(endless, account):
        works, said = tried(kind, **values)
        assert not works and ("sends on to" in said or kind == "gcp"), (kind, said)
    assert services.SendsOnForEver.sent < 100 * third_party_tries.LARGEST  # more than is read: some is on its way


@pytest.mark.parametrize("service", ["misleads", "strange", "nonsense", "huge", "open"])
def test_no_answer_is_too_strange_for_a_sentence(at, settings, account, service):
    settings.MLTEAM_SERVICES = dict.fromkeys(TRIES, at[service])
    for kind, values in every_kind(at[service], account):
        works, sentence = tried(kind, **values)
        assert not works or (kind, service) == ("kaggle", "nonsense"), sentence
        assert sentence.endswith(".") and len(sentence) < 400, (kind, sentence)


def test_a_service_that_shows_what_it_was_sent_does_not_get_it_into_a_sentence(at, settings):
    settings.MLTEAM_SERVICES = {"huggingface": at["echoes"]}
    assert tried("huggingface", token=GOOD) == (True, "Hugging Face knows it as b Bearer ….")


def test_an_address_within_the_servers_network_is_not_gone_to(at, settings):
    settings.MLTEAM_REACHABLE = []
    for kind, values, _ in GOOD_ONES:
        assert "is in a private network" in tried(kind, **values)[1]
    for kind, more in [
        ("aws", {"access_key_id": "AKIA1234", "secret_access_key": GOOD, "endpoint": "http://169.254.169.254"}),
        ("docker", {"username": "ada", "password": GOOD, "registry": "localhost:22"}),
    ]:
        works, said = tried(kind, **more)
        assert not works and "is in a private network" in said and "MLTEAM_REACHABLE" in said


def test_a_registry_does_not_send_a_password_to_where_the_server_does_not_go(at, settings):
    """Nor with less safety than the registry itself has."""
    realm = third_party_tries._realm
    assert realm({"realm": "https://auth.docker.io/token"}, "https://registry-1.docker.io", "x")
    for said in ({}, {"realm": "http://auth.docker.io/token"}, {"realm": "file:///etc"}, {"realm": "https:///x"}):
        with pytest.raises(third_party_tries.NotTaken):
            realm(said, "https://registry-1.docker.io", "x")


# In a project


@pytest.fixture
def key(project, owner) -> ThirdPartyKey:
    return third_party.add(project=project, kind="huggingface", name="hub", values={"token": GOOD}, by=owner)


@pytest.mark.django_db
def test_a_test_is_in_the_trail_with_what_came_of_it(key, owner, project):
    assert third_party.test(key=key, by=owner).works
    third_party.replace(key=key, values={"token": BAD}, by=owner)
    assert not third_party.test(key=key, by=owner).works
    found = AuditEntry.objects.of(project).filter(action="key:test").order_by("id")
    assert [(one.after["key"], one.after["works"]) for one in found] == [("hub", True), ("hub", False)]
    assert found[0].details["said"] == "Hugging Face knows it as ada." and GOOD not in str(found.values())


@pytest.mark.django_db
def test_only_who_sets_keys_tests_them(key, viewer, collaborator):
    for member in (viewer, collaborator):
        with pytest.raises(Refused):
            third_party.test(key=key, by=member)
    assert not AuditEntry.objects.filter(action="key:test").exists()


@pytest.mark.django_db
def test_what_does_not_say_what_it_opens_is_not_tested(project, owner, as_user):
    made = third_party.add(project=project, kind="secret", name="A_SECRET", values={"value": GOOD}, by=owner)
    with pytest.raises(Impossible, match="nothing to try"):
        third_party.test(key=made, by=owner)
    assert b"/test" not in as_user(owner).get("/p/vision/keys").content


@pytest.mark.django_db
def test_one_tests_so_many_keys_in_a_minute(key, owner, as_user, project, monkeypatch):
    monkeypatch.setattr(third_party, "A_MINUTE", 2)
    path = f"/api/v1/projects/{project.pk}/keys/{key.pk}/test"
    assert [as_user(owner).post(path).status_code for _ in range(3)] == [200, 200, 429]
    answer = as_user(owner).post(path)
    assert answer.json()["code"] == "too_many_requests" and answer["Retry-After"] == "60"
    page = as_user(owner).post(f"/p/vision/keys/{key.pk}/test", follow=True).content.decode()
    assert "hub was not tested. You tested 2 keys within a minute" in page


@pytest.mark.django_db
def test_one_tests_one_key_after_the_other(key, owner, monkeypatch):
    """Also where another request of theirs waits for a service that does not answer."""
    with third_party._one_at_a_time(owner):
        with pytest.raises(TooOften):
            third_party.test(key=key, by=owner)
        answered = []
        thread = threading.Thread(target=lambda: answered.append(third_party._one_at_a_time(owner)))
        thread.start()
        thread.join()
    assert third_party.test(key=key, by=owner).works


@pytest.mark.django_db
def test_the_page_and_the_api_say_what_came_of_it(key, owner, as_user, project):
    client = as_user(owner)
    page = client.post(f"/p/vision/keys/{key.pk}/test", follow=True).content.decode()
    assert "hub works. Hugging Face knows it as ada." in page
    path = f"/api/v1/projects/{project.pk}/keys/{key.pk}/test"
    headers = {"Idempotency-Key": "once"}
    said = {"works": True, "said": "Hugging Face knows it as ada."}
    before = AuditEntry.objects.filter(action="key:test").count()
    assert client.post(path, headers=headers).json() == client.post(path, headers=headers).json() == said
    assert AuditEntry.objects.filter(action="key:test").count() == before + 2  # no answer is kept
    sealed, number = sealing.seal({"token": BAD}, key.pk)
    ThirdPartyKey.objects.filter(pk=key.pk).update(sealed=sealed, sealed_with=number)
    page = client.post(f"/p/vision/keys/{key.pk}/test", follow=True).content.decode()
    assert "hub does not work. Hugging Face does not take it" in page and BAD not in page
    assert client.post(path).json()["works"] is False
    assert client.get(f"/p/vision/keys/{key.pk}/test").status_code == 405
