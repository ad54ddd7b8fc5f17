"""The append-only log: every byte once and in order, and any line found quickly."""

import contextlib
import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import logs
from tests.at_once import at_once


@pytest.fixture
def path(tmp_path):
    return tmp_path / "job" / "0.log"


@contextlib.contextmanager
def small_blocks():
    """Blocks of 16 bytes and steps of 64, so that small logs have many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "BLOCK", 16)
        patch.setattr(logs, "STEP", 64)
        yield


content = st.binary(max_size=400) | st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\x1b[A"]), max_size=200).map(
    b"".join
)


def lines_of(data: bytes) -> list[bytes]:
    """The lines with their newlines, the last perhaps without."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def fresh(tmp_path_factory, data: bytes) -> Path:
    path = tmp_path_factory.mktemp("log") / "0.log"
    logs.append(path, 0, data)
    return path


def index_of(data: bytes) -> bytes:
    counts = (data[:end].count(b"\n") for end in range(logs.BLOCK, len(data) + 1, logs.BLOCK))
    return b"".join(logs.RECORD.pack(count) for count in counts)


def test_an_append_answers_the_size_and_makes_the_directory(path):
    assert logs.append(path, 0, b"one\n") == 4
    assert logs.append(path, 4, b"two\n") == 8
    assert logs.read(path, 0, 100) == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_repeated_append_is_acknowledged_and_an_overlap_adds_only_what_is_new(path):
    logs.append(path, 0, b"hello ")
    assert logs.append(path, 0, b"hello ") == 6
    assert logs.append(path, 3, b"lo world") == 11
    assert logs.append(path, 1, b"ell") == 11
    assert path.read_bytes() == b"hello world"


def test_a_gap_is_refused_with_the_size(path):
    logs.append(path, 0, b"abc")
    with pytest.raises(logs.LogGap) as refused:
        logs.append(path, 4, b"x")
    assert refused.value.size == 3
    assert path.read_bytes() == b"abc"


def test_other_bytes_at_the_same_place_are_refused(path):
    logs.append(path, 0, b"abcdef")
    with pytest.raises(logs.LogDiffers) as refused:
        logs.append(path, 3, b"dEfghi")
    assert refused.value.size == 6
    assert path.read_bytes() == b"abcdef"


def test_nothing_of_a_log_that_is_not_there(path):
    assert logs.size(path) == 0
    assert logs.lines(path) == 0
    assert logs.read(path, 0, 10) == b""
    assert logs.tail(path, 10) == 0
    assert logs.line_at(path, 0) == 1
    assert logs.offset_of_line(path, 7) == 0
    assert logs.page_before(path, 0, 10) == logs.Page(0, 1, b"", 0)
    assert logs.page_from(path, 0, 10) == logs.Page(0, 1, b"", 0)
    assert logs.search(path, b"x").done
    assert logs.checksum(path) == logs.Checksum(0, hashlib.sha256(b"").hexdigest(), 0)


def test_a_full_disk_takes_nothing_and_later_all(path):
    """A real write that fails half-way: the process may not make files longer than 100 bytes."""
    logs.append(path, 0, b"x" * 90)
    program = (
        "import resource, signal, sys, pathlib; from jobs import logs\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: logs.append(pathlib.Path(sys.argv[1]), 90, b'y' * 50)\n"
        "except logs.LogDiskFull as full: print(full.size)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert answer.stdout == "90\n"
    assert path.read_bytes() == b"x" * 90
    assert logs.append(path, 90, b"y" * 50) == 140


def test_a_torn_append_is_completed_by_the_next(path):
    logs.append(path, 0, b"first\n")
    with path.open("ab") as log:
        log.write(b"sec")  # the server died in the middle of b"second\n"
    assert logs.append(path, 6, b"second\n") == 13
    assert path.read_bytes() == b"first\nsecond\n"


def test_appends_from_many_threads_land_once(path):
    pieces = [bytes([65 + number % 26]) * 100 for number in range(200)]
    whole = b"".join(pieces)

    def send_all():
        for number, piece in enumerate(pieces):
            while True:
                try:
                    logs.append(path, number * 100, piece)
                    break
                except logs.LogGap:
                    continue

    assert at_once(*[send_all] * 4) == [None] * 4
    assert path.read_bytes() == whole


@given(data=content, cuts=st.lists(st.integers(0, 400), max_size=12), back=st.integers(0, 50))
@settings(max_examples=150, deadline=None)
@small_blocks()
def test_any_way_of_cutting_and_repeating_gives_the_same_log_and_index(tmp_path_factory, data, cuts, back):
    path = tmp_path_factory.mktemp("log") / "0.log"
    for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        start = max(0, logs.size(path) - back)
        assert logs.append(path, start, data[start:end]) == max(logs.size(path), end)
    assert logs.read(path, 0, 1000) == data
    index = path.with_suffix(".lines")
    assert (index.read_bytes() if index.exists() else b"") == index_of(data)


def check(path: Path, data: bytes) -> None:
    lines = lines_of(data)
    assert logs.lines(path) == len(lines)
    assert logs.checksum(path) == logs.Checksum(len(data), hashlib.sha256(data).hexdigest(), len(lines))
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    for number, start in enumerate(starts, 1):
        assert logs.offset_of_line(path, number) == start
    for offset in range(len(data)):
        assert logs.line_at(path, offset) == data[:offset].count(b"\n") + 1
    assert logs.offset_of_line(path, len(lines) + 2) == len(data)


@given(data=content)
@settings(max_examples=60, deadline=None)
@small_blocks()
def test_lines_and_offsets_agree(tmp_path_factory, data):
    check(fresh(tmp_path_factory, data), data)


@given(data=content, damage=st.sampled_from(["gone", "short", "torn", "long"]))
@settings(max_examples=60, deadline=None)
@small_blocks()
def test_a_damaged_index_is_made_again(tmp_path_factory, data, damage):
    path = fresh(tmp_path_factory, data)
    index = path.with_suffix(".lines")
    if index.exists():
        kept = {
            "gone": b"",
            "short": index.read_bytes()[:8],
            "torn": index.read_bytes()[:-3],
            "long": index.read_bytes() + b"\xff" * 21,
        }
        index.write_bytes(kept[damage])
    logs.append(path, len(data), b"more\n" * 5)
    lines = lines_of(data + b"more\n" * 5)
    assert logs.lines(path) == len(lines)
    assert logs.offset_of_line(path, len(lines)) == sum(map(len, lines[:-1]))
    assert index.read_bytes() == index_of(data + b"more\n" * 5)


@small_blocks()
def test_an_index_that_a_crash_of_the_host_emptied_is_found_out(tmp_path_factory):
    path = fresh(tmp_path_factory, b"one\ntwo\n" * 20)
    path.with_suffix(".lines").write_bytes(bytes(80))
    logs.checksum(path)
    assert logs.lines(path) == 40


@given(data=content, count=st.integers(1, 20), limit=st.integers(2, 120))
@settings(max_examples=80, deadline=None)
@small_blocks()
def test_pages_forwards_give_every_byte_once(tmp_path_factory, data, count, limit):
    path = fresh(tmp_path_factory, data)
    offset, seen = 0, b""
    while offset < len(data):
        page = logs.page_from(path, offset, count, limit)
        assert page.data and len(page.data) <= limit and page.data.count(b"\n") <= count
        assert page.line == data[:offset].count(b"\n") + 1
        assert page.data[-1:] == b"\n" or page.next == len(data) or b"\n" not in page.data
        seen, offset = seen + page.data, page.next
    assert seen == data


@given(data=content, count=st.integers(1, 20), limit=st.integers(2, 120))
@settings(max_examples=80, deadline=None)
@small_blocks()
def test_pages_backwards_meet_and_begin_with_a_line(tmp_path_factory, data, count, limit):
    path = fresh(tmp_path_factory, data)
    before = len(data)
    while before:
        page = logs.page_before(path, before, count, limit)
        assert page.offset < before
        assert page.data == data[page.offset : page.next]
        assert page.offset == 0 or data[page.offset - 1 : page.offset] == b"\n"
        assert page.line == data[: page.offset].count(b"\n") + 1
        if page.next != before:  # only the head of a line that is longer than a page
            assert b"\n" not in data[page.offset : before - 1] and len(page.data) == limit
        before = page.offset


@given(data=content, limit=st.integers(1, 100))
@settings(max_examples=80, deadline=None)
@small_blocks()
def test_a_tail_begins_with_a_line_when_one_begins_there(tmp_path_factory, data, limit):
    path = fresh(tmp_path_factory, data)
    start = logs.tail(path, limit)
    begins = [at for at in range(max(0, len(data) - limit), len(data)) if at == 0 or data[at - 1 : at] == b"\n"]
    assert start == (begins[0] if begins else max(0, len(data) - limit))


@given(data=content, query=st.sampled_from([b"a", b"bc", b"ab", b"cA", b"bca"]), limit=st.integers(1, 9))
@settings(max_examples=100, deadline=None)
@small_blocks()
def test_search_finds_each_matching_line_once_whatever_the_pieces(tmp_path_factory, data, query, limit):
    path = fresh(tmp_path_factory, data)
    shown = data if query != query.lower() else data.lower()
    expected = [number for number, line in enumerate(lines_of(shown), 1) if query in line]
    found, at, done = [], 0, False
    while not done:
        part = logs.search(path, query, at, limit, seconds=60)
        assert all(shown[match.offset :].startswith(query) for match in part.matches)
        found += [match.line for match in part.matches]
        at, done = part.next, part.done
    assert list(dict.fromkeys(found)) == expected
    assert at == len(data)


def test_a_search_stops_when_cancelled_and_goes_on_where_it_was(path):
    logs.append(path, 0, (b"x" * 99 + b"\n") * 40_000 + b"needle\n")
    looks = iter([False, False, True])
    first = logs.search(path, b"needle", cancelled=lambda: next(looks), seconds=60)
    assert not first.done and 0 < first.next < 4_000_000
    rest = logs.search(path, b"needle", first.next, seconds=60)
    assert rest.done and rest.matches == [logs.Match(40_001, 4_000_000)]


def test_a_hundred_megabytes_without_a_newline(path):
    piece = b"z" * 1_000_000
    logs.append(path, 0, b"first\n")
    for number in range(100):
        logs.append(path, 6 + number * len(piece), piece)
    assert logs.lines(path) == 2
    assert logs.line_at(path, 90_000_000) == 2
    assert logs.tail(path, 65_536) == 100_000_006 - 65_536
    page = logs.page_before(path, 100_000_006, 1000)
    assert (page.offset, page.line, len(page.data)) == (6, 2, logs.PAGE_BYTES)
    assert logs.page_from(path, 50_000_000, 1000).next == 50_000_000 + logs.PAGE_BYTES
    assert [match.line for match in logs.search(path, b"zz", seconds=60).matches] == [2]


def test_a_process_killed_while_it_appends_leaves_right_bytes(path):
    """kill -9 in the middle of many appends: what is there is a prefix, and sending on from its size completes it."""
    whole = b"".join(b"line %06d\n" % number for number in range(50_000))
    program = (
        "import sys, pathlib; from jobs import logs\n"
        "whole = b''.join(b'line %06d\\n' % number for number in range(50_000)); path = pathlib.Path(sys.argv[1])\n"
        "logs.append(path, 0, whole[:1000]); print('started', flush=True)\n"
        "for at in range(1000, len(whole), 700): logs.append(path, at, whole[at:at + 700])\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
    writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    size = logs.size(path)
    assert logs.append(path, size, whole[size:]) == len(whole)
    assert path.read_bytes() == whole
    assert logs.lines(path) == 50_000
    assert logs.offset_of_line(path, 40_001) == 40_000 * 12


def test_memory_stays_small_while_a_large_log_is_read_whole(path):
    for number in range(64):
        logs.append(path, number * 2**20, b"y" * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert logs.checksum(path).size == 64 * 2**20
    logs.search(path, b"nothing", seconds=60)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024  # KiB
