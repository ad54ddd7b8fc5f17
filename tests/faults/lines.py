"""Jobs that print numbered lines, and what must have become of them."""

FAST, MEDIUM, SLOW = 0.01, 0.06, 0.4  # seconds between two lines


GO = "until test -e go; do sleep 0.05; done; "  # a job that begins with this waits to be told (Job.go)


def printing(count, pause=MEDIUM, status=0, before_each=""):
    """A command that prints so many numbered lines and ends with that exit status. It waits without a second process."""
    loop = f'for ((i = 1; i <= {count}; i++)); do {before_each}echo "line $i of {count}"; read -t {pause} -u 9; done'
    return f"exec 9<> <(:); {loop}; exit {status}"


def printing_until_told(count, pause=MEDIUM, status=0):
    """The same, but before its last line it waits to be told (Job.go): what is done to it until then meets a job that runs."""
    return printing(count, pause, status, before_each=f"((i < {count})) || {GO}")


def expected(count):
    """What it prints."""
    return b"".join(b"line %d of %d\n" % (number, count) for number in range(1, count + 1))


def assert_ended(job, row, count, status=0, attempts=1):
    """It went through as if nothing had happened: state, exit status, every line once and in order, a verified log."""
    assert (row["state"], row["reason"], row["exit_status"]) == (
        "failed" if status else "succeeded", "exited", status,
    ), row  # fmt: skip
    assert len(row["attempts"]) == attempts, row
    last = row["attempts"][-1]
    log = job.log(last["index"])
    assert log == expected(count), f"{len(log)} bytes:\n{log.decode(errors='replace')}"
    assert_verified(last, log, lines=count)


def assert_verified(attempt, log, lines):
    """Its log is closed: complete, its checksum compared, without a gap."""
    assert (attempt["log_size"], attempt["log_lines"], attempt["log_verified"], attempt["gaps"]) == (
        len(log), lines, True, [],
    ), attempt  # fmt: skip


def assert_prefix(log, count):
    """As much of it as was written, from its beginning: whole, once, in order."""
    assert expected(count).startswith(log), log[-2000:]


def assert_cut(attempt, log, count):
    """The job and its runner died at once: what was written is there, and what was on its way is said to be missing."""
    assert_prefix(log, count)
    assert (attempt["log_size"], attempt["log_verified"]) == (len(log), True), attempt
    assert attempt["gaps"] in ([], [{"offset": len(log), "bytes": None}]), attempt


def assembled(log, gaps, whole):
    """The log with what the gaps say to be missing put back from `whole`."""
    result, at = b"", 0
    for gap in gaps:
        result += log[at : gap["offset"]]
        result += whole[len(result) : len(result) + gap["bytes"]]
        at = gap["offset"]
    return result + log[at:]
