"""What a member may type or upload: however odd, it is refused with its field, and costs the server next to nothing."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.forms import JobForm
from jobs.models import Job
from jobs.pages import difference
from jobs.spec import LARGEST, SpecErrors, load_yaml, parse, parse_yaml

ODD = [
    b"command: !!int ''",
    b"command: !!float ''",
    b"command: !!timestamp 'x'",
    b"command: !!bool x",
    b"command: 2001-99-99",
    b"command: " + b"1" * 5000,
    b"command: &a [x]\nname: *a",
    b"? [a]\n: b",
    b"<<: [a]",
    b"!!python/object/apply:os.system ['id']",
    b"[" * 50_000,
    b"\xff\xfe\x00",
    b"- a",
    b'command: "a\\ud800b"',
    b'command: x\nenvironmentVars: {A: "\\ud800"}',
    b'command: x\nworkdir: "\\ud800"',
    b'command: x\nname: "a\\u202eb"',
    b"command: x\nresources: {cpu: .nan}",
    b"command: x\nmaxRunTime: .inf",
]


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text[:24]))
def test_an_odd_job_yml_is_refused_with_its_field(text):
    with pytest.raises(SpecErrors) as refusal:
        parse_yaml(text)
    assert all(field and message for field, message in refusal.value.errors)


@pytest.mark.parametrize("text", ODD[:4], ids=lambda text: repr(text[:24]))
def test_the_page_says_what_is_wrong_in_an_uploaded_job_yml(client, owner, project, resource, text):
    client.force_login(owner)
    uploaded = {"fill": "1", "job_yml": SimpleUploadedFile("job.yml", text)}
    answer = client.post(f"/p/{project.slug}/jobs/new", uploaded)
    assert answer.status_code == 200
    assert b"this is no YAML" in answer.content


@pytest.mark.parametrize("command", ["[" * 3000 + "]" * 3000, "[" + "1" * 5000 + "]", "[!!int '']"])
def test_a_command_that_looks_like_a_list_is_text_when_it_is_none(command):
    form = JobForm({"command": command})
    assert form.is_valid(), form.errors
    assert form.spec.command == command


def test_a_command_in_the_form_cannot_stand_for_gigabytes():
    bomb = '[&a "' + "x" * 1000 + '"' + ", *a" * 1000 + "]"
    form = JobForm({"command": bomb})
    assert form.is_valid()
    assert form.spec.command == bomb  # shell text, no list of a million letters


def test_a_job_that_no_program_could_be_given_is_refused():
    for spec in (
        {"command": "x" * 128 * 1024},
        {"command": "true", "environmentVars": {"A": "x" * 128 * 1024}},
        {"command": ["x" * 100_000] * 4},
    ):
        with pytest.raises(SpecErrors, match="KiB"):
            parse(spec)
    assert load_yaml("a: " + "x" * (LARGEST - 10))


def test_two_uploads_of_one_name_are_refused_and_leave_nothing(client, owner, project, resource):
    client.force_login(owner)
    files = [SimpleUploadedFile("a.txt", b"1"), SimpleUploadedFile("a.txt", b"2")]
    answer = client.post(f"/p/{project.slug}/jobs/new", {"name": "x", "command": "true", "files": files})
    assert answer.status_code == 422
    assert "“a.txt” was chosen twice" in answer.content.decode()
    assert not Job.objects.exists()


def test_uploaded_files_are_the_servers_alone(client, owner, project, resource, settings):
    client.force_login(owner)
    client.post(
        f"/p/{project.slug}/jobs/new", {"name": "x", "command": "true", "files": SimpleUploadedFile("a.txt", b"1")}
    )
    from jobs import places

    job = places.job_directory(Job.objects.get().id)
    assert (job / "files").stat().st_mode & 0o077 == 0
    assert job.stat().st_mode & 0o066 == 0


def test_long_specs_are_not_compared(queued, project, owner):
    long = [
        queued(project, owner, name="long", environmentVars={f"A{n}": str(n + k) for n in range(3000)}) for k in (0, 1)
    ]
    Job.objects.filter(pk=long[0].pk).update(state="succeeded", ended_at=long[0].created_at)
    assert difference(long[1]) == ""
