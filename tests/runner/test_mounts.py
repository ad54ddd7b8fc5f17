"""Directories that a job sees, by the real runner in the real sandbox: to be read, and in no way changed."""

import os
import time

import pytest

from runner import volumes


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


# Volumes

OWNER = 69999 if os.getuid() == 0 else None


@pytest.fixture
def volume(room):
    """make() -> a volume as the server keeps it: of one user, where nobody else can go."""
    top = room / "volumes"
    top.mkdir(mode=0o700)

    def make(name="home", quota=2**30):
        place = top / name
        place.mkdir(mode=0o755)
        if OWNER:
            os.chown(place, OWNER, OWNER)
        (top / f"{name}.quota").write_text(str(quota))
        return place

    return make


def mounted(place, target="/v", *, writes=True, sub="", owner=OWNER):
    told = {"sub": sub, "writes": writes, "owner": owner, "name": place.name, "quota_file": f"{place}.quota"}
    return {"source": str(place), "target": target, "volume": told}


def owned(place):
    return {str(one.relative_to(place)): (one.lstat().st_uid, one.lstat().st_gid) for one in place.rglob("*")}


def test_two_jobs_of_different_users_write_one_volume(make_job, volume):
    place = volume()
    first = make_job(
        "mkdir -m 700 /v/mine && echo one > /v/mine/a && chmod 600 /v/mine/a && id -u", mounts=[mounted(place)]
    )
    assert first.run()["exit_status"] == 0, first.text
    told = 'cat /v/mine/a && echo two >> /v/mine/a && stat -c %u /v /v/mine /v/mine/a && id -u && rm -r /v/mine && touch "/v/ü 1"'
    second = make_job(told, mounts=[mounted(place)])
    assert second.run()["exit_status"] == 0, second.text
    lines = second.text.split()
    assert lines[0] == "one" and len(set(lines[1:])) == 1  # each is the owner of all
    assert OWNER is None or first.text.strip() != second.text.split()[-1]
    mine = (OWNER, OWNER) if OWNER else (os.getuid(), os.getgid())
    assert owned(place) == {"ü 1": mine}


def test_two_jobs_write_at_the_same_time(make_job, volume):
    place = volume()
    loop = "for n in $(seq 200); do echo {0} $n >> /v/log; done; until [ -e /v/{1} ]; do touch /v/{0}; sleep 0.05; done; touch /v/{0}"
    jobs = [make_job(loop.format(*names), mounts=[mounted(place)]) for names in (("a", "b"), ("b", "a"))]
    for job in jobs:
        job.start()
    for job in jobs:
        assert job.wait()["exit_status"] == 0, job.text
    lines = (place / "log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{who} {number}" for who in "ab" for number in range(1, 201))


def test_a_volume_that_is_only_read_cannot_be_changed(make_job, volume):
    place = volume()
    (place / "part").mkdir()
    (place / "part" / "a").write_text("here\n")
    for one in (place / "part", place / "part" / "a"):
        os.chown(one, OWNER or -1, OWNER or -1)
    tried = "cat /v/a; touch /v/b || rm /v/a || echo x >> /v/a || chmod 777 /v/a || mv /v/a /v/c || echo tried"
    job = make_job(f"({tried}) 2>/dev/null", mounts=[mounted(place, writes=False, sub="part")])
    assert job.run()["exit_status"] == 0 and job.text == "here\ntried\n"
    assert (place / "part" / "a").read_text() == "here\n"


def test_a_part_that_became_a_link_leads_nowhere(make_job, volume, room):
    place = volume()
    (room / "outside").mkdir()
    (room / "outside" / "secret").write_text("secret")
    (place / "part").symlink_to(room / "outside")
    job = make_job("cat /v/secret", mounts=[mounted(place, sub="part")])
    assert job.run()["reason"] == "could_not_start"
    assert "no folder part in the volume" in job.record.end["message"]


def test_what_is_in_a_volume_makes_nobody_another(make_job, volume):
    """No setuid program of an earlier job, no device."""
    place = volume()
    first = make_job("cp /usr/bin/id /v/id && chmod 6755 /v/id && mknod /v/null c 1 3; ls /v", mounts=[mounted(place)])
    assert first.run()["exit_status"] == 0 and first.text.split()[-1] == "id"
    second = make_job("/v/id -u; id -u", mounts=[mounted(place)])
    assert second.run()["exit_status"] == 0, second.text
    assert len(set(second.text.split())) == 1


def test_a_job_that_fills_a_volume_ends_and_the_other_bytes_stay(make_job, volume, monkeypatch):
    place = volume(quota=3 * 2**20)
    (place / "kept").write_bytes(b"kept")
    job = make_job(
        "echo begun; head -c 2M /dev/zero > /v/a; head -c 2M /dev/zero > /v/b; sleep 60", mounts=[mounted(place)]
    )
    report = job.run()
    assert report["reason"] == "volume_full", job.trouble()
    assert report["message"] == "The volume home has more than the 3.0 MiB that it may have."
    assert (place / "kept").read_bytes() == b"kept" and job.text == "begun\n"


def test_a_quota_that_is_raised_is_heard_of_while_a_job_runs(volume):
    place = volume(quota=2**20)
    (place / "a").write_bytes(bytes(2**20 + 1))
    watch = volumes.Watch([mounted(place), mounted(place, "/other"), mounted(volume("read"), writes=False)])
    assert [name for _, name, _ in watch.volumes] == ["home"]
    assert "more than the 1.0 MiB" in watch.look()
    (place.parent / "home.quota").write_text(str(2**30))
    assert watch.look() is None and watch.due > time.monotonic() + 1
    (place.parent / "home.quota").write_text("")
    assert watch.look() is None


def test_output_of_all_attempts_may_go_to_one_file_of_a_volume(make_job, volume):
    """As in a job file: each attempt has the job's id, and its own number."""
    place = volume()
    told = """exec >> "/v/${MLTEAM_JOB_ID}.txt" 2>&1; echo out; echo error > "/v/${MLTEAM_JOB_ID}.${MLTEAM_ATTEMPT}.txt" """
    for number in range(2):
        environment = {"MLTEAM_JOB_ID": "abc", "MLTEAM_ATTEMPT": str(number)}
        attempt = make_job(told, mounts=[mounted(place)], environment=environment)
        assert attempt.run()["exit_status"] == 0 and attempt.text == ""
    found = {one.name: one.read_text() for one in place.iterdir()}
    assert found == {"abc.txt": "out\nout\n", "abc.0.txt": "error\n", "abc.1.txt": "error\n"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_a_server_that_is_not_root_gives_volumes_too(make_job, volume, room):
    user = 54322
    place = volume()
    (place / "part").mkdir()
    for one in (place.parent, place, place / "part"):
        os.chown(one, user, user)
    os.chown(f"{place}.quota", user, user)
    mounts = [mounted(place, owner=None), mounted(place, "/r", owner=None, sub="part", writes=False)]
    job = make_job(
        "echo here > /v/part/a; chmod 600 /v/part/a; cat /r/a; touch /r/b || id -u", mounts=mounts, user=user
    )
    assert job.run()["exit_status"] == 0, job.text
    assert job.text.split("\n")[0] == "here" and job.text.split()[-1] == str(user)
    (place / "part").rename(place / "other")
    (place / "part").symlink_to(room)
    second = make_job("ls /v", mounts=[mounted(place, owner=None, sub="part")], user=user)
    assert second.run()["reason"] == "could_not_start" and "no folder part" in second.record.end["message"]
