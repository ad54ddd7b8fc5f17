"""Jobs that say strange things in strange ways: the server has every byte of it, once and in order."""

import pytest

from tests.faults.lines import assert_verified

pytestmark = pytest.mark.needs("bwrap", "slirp4netns")

EVERY_BYTE = bytes(range(256))
MEGABYTES = 100


def python(code):
    return ["python3", "-c", code]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four >&2", b"one\ntwo\nthree\nfour\n"),
        ("echo one > /proc/self/fd/1; echo two >> /proc/self/fd/2; echo three > /dev/fd/1", b"one\ntwo\nthree\n"),
        ("echo before; exec >&- 2>&-; sleep 0.3; exit 0", b"before\n"),
        ("echo before; exec >&- 2>&- <&-; sleep 0.3; exit 0", b"before\n"),
        ("echo before; exec > /dev/null 2>&1; echo unheard", b"before\n"),
        ("printf 'no newline at the end'", b"no newline at the end"),
        (r"printf 'a\r10%%\r20%%\r\033[31mred\033[0m\a\000z\n'", b"a\r10%\r20%\r\x1b[31mred\x1b[0m\a\0z\n"),
        (r"printf '\377\376\303\050\n<script>alert(1)</script>'", b"\xff\xfe\xc3(\n<script>alert(1)</script>"),
        ("true", b""),
        ("(sleep 60; echo late) & echo early", b"early\n"),
        ("cat; echo end", b"end\n"),
    ],
)
def test_is_in_the_log_as_it_was_written(server, command, said):
    job = server.submit(command)
    row = job.wait()
    assert (row["state"], row["exit_status"]) == ("succeeded", 0), row
    assert job.log() == said
    assert_verified(row["attempts"][0], said, lines=len(said.split(b"\n")) - (said[-1:] in (b"", b"\n")))


def test_a_hundred_megabytes_without_a_newline(server):
    jobs = server.submit_all(
        [
            {"command": f"head -c {MEGABYTES * 10**6} /dev/zero | tr '\\0' x"},
            {"command": "for i in 1 2 3 4 5 6 7 8 9 10; do echo beside $i; sleep 0.1; done"},
        ]
    )
    long, _ = server.ended(jobs)
    log = jobs[0].log()
    assert (len(log), log.count(b"x")) == (MEGABYTES * 10**6, MEGABYTES * 10**6)
    assert_verified(long["attempts"][0], log, lines=1)
    assert jobs[1].log() == b"".join(b"beside %d\n" % number for number in range(1, 11))
    status, page = server.get(f"/p/{server.slug}/jobs/{jobs[0].id}/attempts/0/log/page?before={len(log)}&lines=1000")
    assert (status, len(page) <= 2**20) == (200, True)


def test_every_byte_there_is(server):
    job = server.submit(python("import os; [os.write(1, bytes(range(256))) for _ in range(4096)]"))
    row = job.wait()
    assert job.log() == EVERY_BYTE * 4096
    assert_verified(row["attempts"][0], EVERY_BYTE * 4096, lines=4097)


def test_many_writers_at_once(server):
    """Lines of several processes may be in any order, but each is whole."""
    job = server.submit(
        'for w in 1 2 3 4 5; do for ((i = 1; i <= 400; i++)); do echo "writer $w line $i"; done & done; wait'
    )
    job.wait()
    wanted = sorted(f"writer {writer} line {number}".encode() for writer in range(1, 6) for number in range(1, 401))
    assert sorted(job.log().splitlines()) == wanted


def test_a_job_cannot_spoil_its_log(server):
    """It may not truncate or rewrite what it has said, nor make its output a thing that never ends."""
    job = server.submit("echo first; : > /dev/stdout; truncate -s 0 /proc/self/fd/1; echo second; exit 0")
    row = job.wait()
    log = job.log()
    assert log.startswith(b"first\n")
    assert log.endswith(b"second\n")
    assert row["attempts"][0]["log_verified"]
