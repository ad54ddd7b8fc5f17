"""Keys that are attached to jobs: who may, what is refused, what a job is given, and what becomes of one whose key has gone."""

import base64
import json

import pytest

from jobs import actions, attached, engine, places, queue
from jobs.models import Job
from jobs.spec import Spec, SpecErrors, parse
from jobs.states import JobState, Reason
from mlteam import state
from projects import third_party
from projects.members import set_permissions
from projects.models import AuditEntry, ThirdPartyKey
from tests.projects.test_third_party import AWS, GOOD, SECRET, account, ssh  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def add(project, owner):
    def make(kind, name=None, **values):
        sent = values or GOOD[kind]
        return third_party.add(project=project, kind=kind, name=name or kind, values=sent, by=owner)

    return make


@pytest.fixture
def var(settings, monkeypatch, tmp_path):
    """A directory of the test's own for what is put beside attempts; the keys' secrets come with it."""
    settings.VAR = tmp_path
    monkeypatch.setattr(state, "VAR", tmp_path)
    return tmp_path


def given(project, *names, by=None):
    spec = Spec.model_validate({"command": "true", "keys": list(names)})
    return attached.given(Job(project=project, created_by=by), spec, directory=attached.INSIDE)[0]


def wrong(project, by, **spec):
    with pytest.raises(SpecErrors) as caught:
        actions.check(project=project, spec=parse({"command": "true", **spec}), by=by)
    return caught.value.errors


def test_each_type_is_what_its_tools_expect(project, add, account, ssh):  # noqa: F811
    for kind in sorted(set(GOOD) - {"wasabi", "secret", "docker"}):
        add(kind)
    found = given(project, *(set(GOOD) - {"wasabi", "secret", "docker"})).environment
    assert found == {
        "AWS_ACCESS_KEY_ID": AWS["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REGION": "eu-central-1",
        "AZURE_TENANT_ID": "t-1",
        "AZURE_CLIENT_ID": "c-1",
        "AZURE_CLIENT_SECRET": "12345678",
        "HF_TOKEN": "hf_12345678",
        "KAGGLE_USERNAME": "ada",
        "KAGGLE_KEY": "0123456789abcdef",
        "NGC_API_KEY": "nvapi-12345678",
        "WANDB_API_KEY": "0" * 40,
    }
    add("wasabi")
    assert given(project, "wasabi").environment["AWS_ENDPOINT_URL"] == "https://s3.wasabisys.com"
    add("secret", "MY_SECRET")
    assert given(project, "MY_SECRET").environment == {"MY_SECRET": GOOD["secret"]["value"]}
    add("gcp", credentials=json.dumps(account))
    google = given(project, "gcp")
    [(path, text)] = google.files.items()
    assert google.environment == {"GOOGLE_APPLICATION_CREDENTIALS": path, "CLOUDSDK_CONFIG": "/tmp/gcloud"}
    assert json.loads(text) == account
    add("git", private_key=ssh)
    git = given(project, "git")
    assert (
        git.files == {f"{attached.INSIDE}/git/id": ssh}
        and "-i /run/mlteam/keys/git/id" in git.environment["GIT_SSH_COMMAND"]
    )


def test_keys_of_docker_are_one_file_for_all_registries(project, add):
    add("docker", "hub")
    add("docker", "ghcr", username="ada", password="0123456789", registry="ghcr.io")
    found = given(project, "hub", "ghcr")
    said = json.loads(found.files[f"{found.environment['DOCKER_CONFIG']}/config.json"])["auths"]
    assert base64.b64decode(said["ghcr.io"]["auth"]) == b"ada:0123456789"
    assert set(said) == {"https://index.docker.io/v1/", "ghcr.io"}
    assert base64.b64encode(said["ghcr.io"]["auth"].encode()).decode() in found.masks


def test_what_would_be_set_twice_is_refused(project, owner, add, resource):
    add("aws", "backup")
    add("wasabi", "other")
    add("docker", "a")
    add("docker", "b")
    add("secret", "HF_TOKEN")
    add("huggingface", "hub")
    assert "AWS_ACCESS_KEY_ID would be set by backup and by the key other" in str(
        wrong(project, owner, keys=["backup", "other"])
    )
    assert "registry docker.io" in str(wrong(project, owner, keys=["a", "b"]))
    assert "HF_TOKEN" in str(wrong(project, owner, keys=["HF_TOKEN", "hub"]))
    assert "environmentVars" in str(wrong(project, owner, keys=["hub"], environmentVars={"HF_TOKEN": "x"}))
    assert wrong(project, owner, keys=["nothing"]) == [("keys", "this project has no key called nothing")]
    actions.check(project=project, spec=parse({"command": "true", "keys": ["backup", "hub", "hub"]}), by=owner)


def test_a_key_of_another_project_is_not_there(project, owner, add, resource, make_user):
    personal = owner.owned_projects.get(personal=True)
    third_party.add(project=personal, kind="wandb", name="mine", values=GOOD["wandb"], by=owner)
    assert wrong(project, owner, keys=["mine"]) == [("keys", "this project has no key called mine")]


def test_the_form_offers_names_and_types_to_who_may_use_them(as_user, project, collaborator, add, resource):
    add("aws", "backup")
    page = as_user(collaborator).get("/p/vision/jobs/new").content.decode()
    assert "backup (aws)" in page and SECRET not in page
    sent = {"name": "j", "command": "true", "cpu": "1", "mem": "1", "gpu": "0", "bid": "0", "keys": ["backup"]}
    made = as_user(collaborator).post("/p/vision/jobs/new", sent)
    job = Job.objects.get()
    assert job.spec["keys"] == ["backup"] and made["Location"].endswith(job.id)
    assert AuditEntry.objects.get(action="job:new").after["keys"] == ["backup"]
    assert "<dt>Keys</dt><dd>backup</dd>" in as_user(collaborator).get(made["Location"]).content.decode()
    ThirdPartyKey.objects.all().delete()
    page = as_user(collaborator).get(f"/p/vision/jobs/new?clone={job.id}").content.decode()
    assert "backup (not in this project)" in page
    refused = as_user(collaborator).post("/p/vision/jobs/new", sent)
    assert refused.status_code == 422 and "no key called backup" in refused.content.decode()


def test_a_job_whose_key_has_been_removed_meanwhile_fails_and_says_so(project, owner, add, queued, resource, var):
    key = add("huggingface", "hub")
    job = queued(project, owner, keys=["hub"])
    third_party.remove(key=key, by=owner)
    [attempt] = queue.place(resource)
    engine.start(attempt)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.FAILED, Reason.KEY)
    assert "needs the key hub, which has been removed" in job.sentence
    attempt.refresh_from_db()
    assert attempt.ended_at and not (places.attempt_directory(job.id, 0) / "attempt.json").exists()
    assert not queue.living(resource)


def test_a_job_of_somebody_who_may_no_longer_use_keys_fails_too(
    project, owner, collaborator, add, queued, resource, var
):
    add("huggingface", "hub")
    job = queued(project, collaborator, keys=["hub"])
    set_permissions(project, collaborator, dict.fromkeys(("job", "dataset", "model", "volume"), "read"))
    [attempt] = queue.place(resource)
    engine.start(attempt)
    job.refresh_from_db()
    assert job.reason == Reason.KEY and "may no longer use the keys" in job.sentence


BUCKETS = [{"to": "artifacts"}, {"to": "s3://runs/one", "key": "first"}, {"to": "s3://runs/two", "key": "second"}]


@pytest.fixture
def with_outputs(project, owner, add, queued, resource, var):
    """A job that waits, and the two keys with which its output shall be stored; it is given none."""
    keys = [add("aws", "first"), add("aws", "second")]
    return queued(project, owner, output=BUCKETS), keys


def started(job, resource):
    [attempt] = queue.place(resource)
    engine.start(attempt)
    job.refresh_from_db()
    attempt.refresh_from_db()
    return attempt


def test_a_job_whose_output_needs_a_key_that_was_removed_fails_before_it_runs(owner, resource, with_outputs):
    job, keys = with_outputs
    third_party.remove(key=keys[1], by=owner)
    attempt = started(job, resource)
    assert (job.state, job.reason) == (JobState.FAILED, Reason.KEY)
    assert "needs the key second, which has been removed" in job.sentence
    assert attempt.ended_at and not (places.attempt_directory(job.id, 0) / "attempt.json").exists()
    assert not queue.living(resource)


def test_one_whose_output_no_longer_fits_its_key_does_too(project, owner, resource, with_outputs, add, account):  # noqa: F811
    job, keys = with_outputs
    third_party.remove(key=keys[0], by=owner)
    add("gcp", "first", credentials=json.dumps(account))
    started(job, resource)
    assert job.reason == Reason.KEY
    assert job.sentence.startswith("Its output could not be stored. A key of the type gcp does not open s3://")


def test_one_whose_creator_may_no_longer_use_the_keys_of_its_output_does_too(
    project, owner, collaborator, add, queued, resource, var
):
    add("aws", "first")
    job = queued(project, collaborator, output=BUCKETS[:2])
    set_permissions(project, collaborator, dict.fromkeys(("job", "dataset", "model", "volume"), "read"))
    started(job, resource)
    assert job.reason == Reason.KEY and "may no longer use the keys" in job.sentence


def test_a_job_whose_outputs_keys_are_there_runs_and_sees_none_of_them(resource, with_outputs, monkeypatch):
    job, _ = with_outputs
    monkeypatch.setattr("runner.launch", lambda *_: None)
    attempt = started(job, resource)
    assert job.reason != Reason.KEY and not attempt.ended_at
    assert (places.attempt_directory(job.id, 0) / "attempt.json").exists()
    assert not (places.attempt_directory(job.id, 0) / "keys.json").exists()
    assert not AuditEntry.objects.filter(action="key:use").exists()


def test_each_use_is_in_the_trail_once_for_an_attempt_and_a_later_runner_has_the_same(
    project, owner, add, queued, resource, var, monkeypatch
):
    key = add("huggingface", "hub")
    queued(project, owner, keys=["hub"])
    [attempt] = queue.place(resource)
    monkeypatch.setattr("runner.launch", lambda *_: None)
    engine.start(attempt)
    kept = places.attempt_directory(attempt.job_id, 0) / "keys.json"
    before = kept.read_bytes()
    assert b"hf_12345678" in before and b"hf_12345678" not in kept.with_name("attempt.json").read_bytes()
    third_party.replace(key=key, values={"token": "hf_another-one"}, by=owner)
    engine.start(attempt)
    assert kept.read_bytes() == before
    entry = AuditEntry.objects.get(action="key:use")
    assert entry.by_name == owner.username and entry.urn == key.urn and entry.details["job"] == "job"
    assert "hf_" not in str(entry.details)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("a1b2c3\nd4e5f6\ng7h8i9", "a1b2c3 d4e5f6 g7h8i9"),  # echo $SECRET
        ("a1b2c3\nd4e5f6\ng7h8i9\n", "a1b2c3\r\nd4e5f6\r\ng7h8i9"),
        ("pa+ss/word", "pa%2Bss%2Fword"),
        ("pa+ss/word", "pa%2bss%2fword"),
        ("pa+ss/word", r"pa+ss\/word"),  # as PHP writes JSON
        ('pa"ss/word', r"pa\"ss\/word"),
        ("(pa ss)+word!", "(pa%20ss)%2Bword!"),  # as browsers write addresses
        ('first line\npa"ss/word', r"pa\"ss/word"),
        ("first line\npa+ss/word", "pa%2Bss%2Fword"),
        ("user\npassword+1", base64.b64encode(b"password+1")[:13].decode()),
        ("user\npassword+1", base64.b64encode(b"xpassword+1")[2:14].decode()),
    ],
)
def test_what_programs_make_of_a_value_is_masked(secret, shown):
    assert shown.encode() in map(base64.b64decode, attached.masks_of([secret]))


def test_a_short_line_of_a_value_is_no_mask_of_its_own():
    masks = set(map(base64.b64decode, attached.masks_of(['{\n  "a": 1,\n  "password": "0123456789"\n}'])))
    assert b'"password": "0123456789"' in masks
    assert not masks & {b"{", b"}", b'"a": 1,', b'  "a": 1,', base64.b64encode(b'"a": 1,')[:9]}


def test_what_keys_of_a_type_share_is_theirs_alone(project, owner, add, resource, ssh):  # noqa: F811
    add("git", private_key=ssh)
    add("git", "other", private_key=ssh)
    add("docker", "hub")
    add("secret", "DOCKER_CONFIG")
    said = "would be set by environmentVars and by the key"
    assert f"GIT_SSH_COMMAND {said} git" in str(
        wrong(project, owner, keys=["git"], environmentVars={"GIT_SSH_COMMAND": "ssh -v"})
    )
    for keys in (["hub", "DOCKER_CONFIG"], ["DOCKER_CONFIG", "hub"]):
        assert f"DOCKER_CONFIG would be set by {keys[0]} and by the key {keys[1]}" in str(
            wrong(project, owner, keys=keys)
        )
    actions.check(project=project, spec=parse({"command": "true", "keys": ["git", "other", "hub"]}), by=owner)


def test_values_do_not_stay_where_a_start_fails(project, owner, add, queued, resource, var, monkeypatch):
    key = add("huggingface", "hub")
    job = queued(project, owner, keys=["hub"])
    [attempt] = queue.place(resource)
    kept = places.attempt_directory(job.id, 0) / "keys.json"
    places.make_job_directory(job.id)
    blocked = places.job_directory(job.id) / "output"
    blocked.write_text("in the way of the folder")
    with pytest.raises(FileExistsError):
        engine.start(attempt)
    assert kept.parent.is_dir() and not kept.exists()
    kept.write_text("of a process that was killed in between")
    third_party.remove(key=key, by=owner)
    engine.start(attempt)
    job.refresh_from_db()
    assert job.reason == Reason.KEY and not kept.exists()
