"""Directories that a job sees, by the real runner in the real sandbox: to be read, and in no way changed."""

import os

import pytest


@pytest.fixture
def tree(tmp_path):
    """A version as the server lays it out."""
    (tmp_path / "tree" / "train").mkdir(parents=True)
    for name, text, mode in (("train/a b ä.txt", "one\n", 0o444), ("run.sh", "#!/bin/sh\necho ran\n", 0o555)):
        file = tmp_path / "tree" / name
        file.write_text(text)
        file.chmod(mode)
    return tmp_path / "tree"


def test_what_is_mounted_is_read_where_it_was_wanted(make_job, tree):
    job = make_job(
        'cat "/data/digits/train/a b ä.txt" "/work/in/a b ä.txt" /only.sh && /data/digits/run.sh',
        mounts=[
            {"source": str(tree), "target": "/data/digits"},
            {"source": str(tree / "train"), "target": "/work/in"},
            {"source": str(tree / "run.sh"), "target": "/only.sh"},
        ],
    )
    assert job.run()["exit_status"] == 0, job.text
    assert job.text == "one\none\n#!/bin/sh\necho ran\nran\n"


def test_nothing_in_it_can_be_changed(make_job, tree):
    """Neither its content nor its names nor its modes, by nobody in the job and on no other way."""
    attempts = """
import os
def fails(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return
    print("could", what.__name__, *arguments)
for path in ("/data/run.sh", "/work/in/run.sh"):
    fails(open, path, "a")
    fails(os.truncate, path, 0)
    fails(os.chmod, path, 0o777)
    fails(os.utime, path)
    fails(os.unlink, path)
    fails(os.rename, path, path + "x")
    fails(os.link, path, "/work/mine")
    fails(os.setxattr, path, "user.x", b"1")
    fails(os.open, f"/proc/self/fd/{os.open(path, os.O_RDONLY)}", os.O_WRONLY)
fails(os.mkdir, "/data/new")
fails(os.rename, "/data", "/other")
fails(os.chmod, "/data", 0o777)
print("tried")
"""
    mounts = [{"source": str(tree), "target": place} for place in ("/data", "/work/in")]
    job = make_job(["/usr/bin/python3", "-c", attempts], mounts=mounts)
    before = [(path.stat().st_mode, path.stat().st_mtime_ns, path.stat().st_nlink) for path in tree.rglob("*")]
    assert job.run()["exit_status"] == 0, job.text
    assert job.text == "tried\n"
    assert before == [(path.stat().st_mode, path.stat().st_mtime_ns, path.stat().st_nlink) for path in tree.rglob("*")]
    assert sorted(os.listdir(tree)) == ["run.sh", "train"]
