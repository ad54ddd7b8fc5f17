"""Pages of jobs: lists, the form, downloads."""

import io
import json
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from jobs import logs, pages, places, queue, transitions
from jobs.models import Attempt, Job
from projects.models import AuditEntry

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


def address(name, job, **more):
    return reverse(f"jobs:{name}", kwargs={"slug": job.project.slug, "job_id": job.id, **more})


@pytest.fixture
def finished(resource, queued, project, owner):
    """A job that has ended, with an attempt."""
    job = queued(project, owner, name="digits")
    [attempt] = queue.place(resource)
    transitions.ended(attempt, reason="exited", sentence="It failed.", exit_status=1)
    return Job.objects.select_related("project").get(pk=job.pk)


def write_output(job, path, data):
    target = places.output_directory(job.id) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


async def get(user, url):
    client = AsyncClient()
    await client.aforce_login(user, backend="accounts.backends.Backend")
    return await client.get(url)


async def body_of(response):
    return b"".join([piece async for piece in response.streaming_content])


def names(response):
    return [job.name for job in response.context["jobs"]]


def test_the_list_filters_by_creator_state_and_text(queued, project, owner, collaborator, as_user):
    queued(project, owner, name="owner's")
    queued(project, collaborator, name="mine", tags=["Nächte"])
    browser, url = as_user(collaborator), reverse("jobs:list", args=[project.slug])
    assert names(browser.get(url)) == ["mine", "owner's"]
    assert names(browser.get(url, {"mine": "1"})) == ["mine"]
    assert names(browser.get(url, {"q": "OWNER"})) == ["owner's"]
    assert (
        names(browser.get(url, {"q": "NÄCHTE"}))
        == names(browser.get(url, {"q": collaborator.username[:3].upper()}))
        == ["mine"]
    )
    assert names(browser.get(url, {"q": '["'})) == []
    assert names(browser.get(url, {"state": "running"})) == []
    assert names(browser.get(url, {"state": "no such state"})) == ["mine", "owner's"]


def test_pages_follow_each_other_without_gaps_whatever_comes_meanwhile(queued, project, owner, as_user):
    for number in range(120):
        queued(project, owner, name=str(number))
    browser, seen = as_user(owner), []
    url = reverse("jobs:list", args=[project.slug])
    while url:
        response = browser.get(url)
        seen += names(response)
        queued(project, owner, name="newcomer")
        url = response.context["older"]
    assert seen == [str(number) for number in reversed(range(120))]
    back = browser.get(response.context["newer"])
    assert names(back) == [str(number) for number in reversed(range(20, 70))]


@pytest.mark.parametrize("cursor", ["x", "o.1.2", "o.99999999999999.1.a", "n.-1.-1.b", "o.1.9999999.c"])
def test_a_cursor_that_makes_no_sense_shows_the_first_page(queued, project, owner, as_user, cursor):
    queued(project, owner, name="one")
    response = as_user(owner).get(reverse("jobs:list", args=[project.slug]), {"page": cursor})
    assert response.status_code == 200


def test_the_number_of_queries_does_not_grow_with_rows(queued, project, owner, as_user, django_assert_max_num_queries):
    browser, url = as_user(owner), reverse("jobs:list", args=[project.slug])
    for _ in range(50):
        queued(project, owner)
    with django_assert_max_num_queries(20):
        browser.get(url)


def test_the_form_submits(resource, project, collaborator, as_user):
    data = {"name": "digits", "command": "python train.py", "cpu": "1", "mem": "0.5", "tags": "a, b"}
    files = {"files": SimpleUploadedFile("train.py", b"print(1)")}
    response = as_user(collaborator).post(reverse("jobs:new", args=[project.slug]), data | files)
    job = Job.objects.get()
    assert response.headers["Location"] == address("detail", job)
    assert (job.name, job.files, job.tags) == ("digits", ["train.py"], ["a", "b"])


def test_a_job_yml_makes_the_same_job(resource, project, owner, as_user):
    file = SimpleUploadedFile("job.yml", b"name: from a file\ncommand: [echo, hi]\n")
    as_user(owner).post(reverse("jobs:new", args=[project.slug]), {"job_yml": file})
    assert Job.objects.get().spec == {"name": "from a file", "command": ["echo", "hi"]}


def test_a_wrong_form_says_all_that_is_wrong_and_keeps_what_was_typed(resource, project, owner, as_user):
    typed = {"name": "kept name", "command": "", "gpu": "many", "environment": "A"}
    response = as_user(owner).post(reverse("jobs:new", args=[project.slug]), typed)
    assert response.status_code == 422
    assert set(response.context["form"].errors) == {"command", "gpu", "environment"}
    assert "kept name" in response.content.decode()


def test_more_than_there_is_is_said_beside_the_field(resource, project, owner, as_user):
    typed = {"name": "x", "command": "true", "gpu": "9"}
    response = as_user(owner).post(reverse("jobs:new", args=[project.slug]), typed)
    assert response.context["form"].errors["gpu"] == ["9 asked for, the largest host here has 2 GPUs"]


def test_a_clone_is_prefilled(queued, project, owner, collaborator, as_user):
    job = queued(project, owner, name="original", bid=7)
    response = as_user(collaborator).get(reverse("jobs:new", args=[project.slug]), {"clone": job.id})
    assert response.context["form"].initial["name"] == "original"
    assert response.context["form"].initial["bid"] == "7"


def test_a_job_of_another_project_cannot_be_cloned_here(queued, project, owner, stranger, as_user):
    job = queued(project.__class__.objects.get(owner=stranger, personal=True), stranger)
    response = as_user(owner).get(reverse("jobs:new", args=[project.slug]), {"clone": job.id})
    assert response.status_code == 404


def test_a_job_that_has_ended_is_removed_after_a_question(finished, owner, as_user):
    browser, asked = as_user(owner), address("remove", finished)
    logs.append(logs.path_of(finished.id, 0), 0, b"one\n")
    write_output(finished, "model.txt", b"weights")
    assert asked in browser.get(address("detail", finished)).content.decode()
    assert "Remove digits?" in browser.get(asked).content.decode()
    assert Job.objects.exists()
    assert browser.post(asked, follow=True).redirect_chain[0][0] == reverse("jobs:list", args=["vision"])
    assert not Job.objects.exists()
    assert not places.job_directory(finished.id).exists()
    assert not logs.path_of(finished.id, 0).exists()
    entry = AuditEntry.objects.get(action="job:rm")
    assert (entry.urn, entry.by_id, entry.before) == (finished.urn, owner.pk, {"state": "failed"})


def test_a_job_that_has_not_ended_stays(queued, project, owner, as_user):
    job = queued(project, owner)
    browser, asked = as_user(owner), address("remove", job)
    assert asked not in browser.get(address("detail", job)).content.decode()
    assert b"has not ended yet" in browser.get(asked).content
    assert b"has not ended yet" in browser.post(asked, follow=True).content
    assert Job.objects.exists()


def test_only_who_may_remove_a_job_is_asked(finished, viewer, as_user):
    browser = as_user(viewer)
    assert address("remove", finished) not in browser.get(address("detail", finished)).content.decode()
    assert browser.post(address("remove", finished)).status_code == 403
    assert Job.objects.exists()


@pytest.mark.parametrize("tab", ["detail", "artifacts", "spec", "history"])
def test_every_tab_shows(finished, viewer, as_user, read_only, tab):
    browser = as_user(viewer)
    with read_only():
        assert browser.get(address(tab, finished)).status_code == 200


@pytest.mark.django_db(transaction=True)
async def test_an_image_is_shown_and_everything_else_is_an_attachment(finished, owner):
    write_output(finished, "plot.png", PNG)
    write_output(finished, "evil.html", b"<script>alert(1)</script>")
    write_output(finished, "lie.png", b"<svg onload=alert(1)>")
    shown = await get(owner, address("artifact", finished, path="plot.png"))
    assert shown.headers["Content-Type"] == "image/png"
    assert await body_of(shown) == PNG
    for path in ("evil.html", "lie.png"):
        response = await get(owner, address("artifact", finished, path=path))
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response.headers["Content-Security-Policy"]
        await body_of(response)


@pytest.mark.django_db(transaction=True)
async def test_links_lead_nowhere(finished, owner):
    write_output(finished, "x", b"")
    output = places.output_directory(finished.id)
    (output / "link").symlink_to("/etc/passwd")
    (output / "directory").symlink_to("/etc")
    for path in ("link", "directory/passwd", "../work/x", "nothing"):
        assert (await get(owner, address("artifact", finished, path=path))).status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_all_as_one_archive(finished, owner):
    write_output(finished, "a.txt", b"a" * 700_000)
    write_output(finished, "deep/b.json", b"{}")
    (places.output_directory(finished.id) / "link").symlink_to("/etc/passwd")
    response = await get(owner, address("artifacts_zip", finished))
    archive = zipfile.ZipFile(io.BytesIO(await body_of(response)))
    assert {name: len(archive.read(name)) for name in archive.namelist()} == {"a.txt": 700_000, "deep/b.json": 2}


def test_json_is_shown_escaped(finished, owner, as_user):
    write_output(finished, "metrics.json", json.dumps({"<script>": 1}).encode())
    page = as_user(owner).get(address("artifacts", finished)).content.decode()
    assert "&lt;script&gt;" in page
    assert "<script>&quot;" not in page


def failed_with(job, text):
    attempt = Attempt.objects.get(job=job)
    logs.append(logs.path_of(job.id, attempt.index), 0, text)
    return pages.error_of(job, attempt)


def test_a_failed_job_opens_with_its_first_traceback(finished):
    log = b"epoch 1\n" * 50 + b"Traceback (most recent call last):\n  File x\n\x1b[31mValueError: no\x1b[0m\nafter\n"
    assert failed_with(finished, log) == {
        "lines": ["Traceback (most recent call last):", "  File x", "ValueError: no"],
        "line": 51,
    }


def test_without_a_traceback_with_its_last_lines(finished):
    error = failed_with(finished, b"".join(b"line %d\n" % number for number in range(1, 101)))
    assert (error["line"], error["lines"][0], error["lines"][-1]) == (91, "line 91", "line 100")


def test_a_failed_job_shows_what_differs_from_the_last_that_succeeded(finished, queued, project, owner):
    before = queued(project, owner, name="digits", bid=3)
    Job.objects.filter(pk=before.pk).update(state="succeeded", ended_at=timezone.now())
    assert "-bid: 3" in pages.difference(finished).splitlines()
