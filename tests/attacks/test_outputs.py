"""What a hostile job leaves for the server in its output: shown, packed, handed over and removed without harm."""

import io
import os
import subprocess
import zipfile

import pytest

from compute import trees
from jobs import artifacts, places
from jobs.models import Job


@pytest.fixture
def job(queued, project, owner) -> Job:
    made = queued(project, owner)
    places.output_directory(made.id).mkdir(parents=True)
    return made


@pytest.fixture
def output(job):
    return places.output_directory(job.id)


def _hostile(output) -> None:
    (output / "ok.json").write_text('{"a": 1}')
    (output / "half.json").write_text('{"a": "\\ud800"}')
    (output / "..\\..\\evil.exe").write_text("x")
    (output / "new\nline.txt").write_text("x")
    (output / "old").write_text("x")
    os.utime(output / "old", (12_000_000_000, 12_000_000_000))
    (output / "older").write_text("x")
    os.utime(output / "older", (-2_000_000_000, -2_000_000_000))
    here = os.fsencode(output)
    with open(here + b"/nonutf\xff.txt", "w") as file:
        file.write("x")
    os.mkdir(here + b"/dir\xfe")
    (output / "link").symlink_to("/etc/passwd")
    os.mkfifo(output / "fifo")


def test_the_page_of_artifacts_shows_odd_ones(client, owner, job, output):
    _hostile(output)
    client.force_login(owner)
    answer = client.get(f"/p/{job.project.slug}/jobs/{job.id}/artifacts")
    assert answer.status_code == 200
    assert "ok.json" in answer.content.decode()


def test_the_archive_holds_the_regular_files_and_nothing_that_leads_out(output):
    _hostile(output)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(artifacts.zipped(output))))
    assert archive.testzip() is None
    assert set(archive.namelist()) == {"ok.json", "half.json", ".._.._evil.exe", "new\nline.txt", "old", "older"}


def test_nested_json_does_not_grow_without_bound(job, output):
    (output / "deep.json").write_text("[" + ",".join(["[" * 300 + "]" * 300] * 100) + "]")
    assert len(artifacts.json_text(job, "deep.json")) <= artifacts.JSON_INDENTED


def test_directories_count_too(output):
    for name in range(300):
        (output / str(name)).mkdir()
    (output / "zzz").write_text("x")
    assert list(trees.walk(output, limit=100)) == []
    assert [entry.path for entry in trees.walk(output, limit=301)] == ["zzz"]


def _nest(root, depth: int) -> None:
    """Directories below one another, deeper than any path may be long: made one step at a time, in another process."""
    program = f"import os; os.chdir({str(root)!r})\nfor _ in range({depth}): os.mkdir('d'); os.chdir('d')"
    subprocess.run(["python3", "-c", program], check=True)


def test_a_tree_deeper_than_python_can_follow_is_removed(output):
    _nest(output, 3000)
    trees.remove(output)
    assert not output.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_tree_deeper_than_python_can_follow_is_handed_over(output):
    _nest(output, 3000)
    (output / "link").symlink_to("/etc/passwd")
    before = os.stat("/etc/passwd").st_uid
    trees.hand_over(output, 70_001)
    assert (output / "d" / "d").stat().st_uid == 70_001
    assert (output / "link").lstat().st_uid == 70_001
    assert os.stat("/etc/passwd").st_uid == before
    trees.remove(output)
