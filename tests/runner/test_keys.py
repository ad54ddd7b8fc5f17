"""Third-party keys in a job, by the real runner in the real sandbox: what it finds, what its log shows, and what is left of them."""

import base64
import itertools
import json
import os
import random
import stat
import subprocess

import pytest

import runner
from jobs import attached
from runner import masks as room
from runner.masks import Masks
from tests.faults.lines import GO

SECRET = 'wJal/rXUt+nFEMI"K7MD\\ENG==EXAMPLEKEY\nsecond line of it\n'
FILE = f"{attached.INSIDE}/hub/credentials.json"


def give(job, *, environment=None, files=None, secrets=(SECRET,)):
    """As the server does before the first runner of an attempt."""
    files = files or {}
    masks = attached.masks_of(secrets, whole=files.values())
    runner.replace(str(job.directory / "keys.json"), {"environment": environment or {}, "files": files, "masks": masks})


def place_of(job, isolation):
    return FILE if isolation == "sandbox" else str(job.top / "keys" / "hub" / "credentials.json")


@pytest.mark.parametrize("isolation", ["sandbox", "bare"])
def test_a_job_finds_its_keys_which_are_gone_from_the_disk_when_it_has_ended(make_job, isolation):
    job = make_job('[ "$TOKEN" = "$(cat "$AT")" ] && stat -c "%a %U %s" "$AT" && ! echo x > "$AT"', isolation=isolation)
    at = place_of(job, isolation)
    give(job, environment={"TOKEN": SECRET.rstrip("\n"), "AT": at}, files={at: SECRET.rstrip("\n")})
    assert stat.S_IMODE(os.stat(job.directory / "keys.json").st_mode) == 0o600
    assert job.run()["exit_status"] == 0, job.text
    assert job.text.startswith("400 ")
    assert not (job.directory / "keys.json").exists() and not (job.top / "keys").exists()
    for path in (one for one in job.top.rglob("*") if one.is_file()):
        assert b"EXAMPLEKEY" not in path.read_bytes(), path


FORMS = """
import base64, json, os, sys, urllib.parse
secret = os.environ["TOKEN"]
raw = secret.encode()
out = [raw, json.dumps({"a": secret}).encode(), urllib.parse.quote(secret).encode(), urllib.parse.quote_plus(secret).encode()]
out += [urllib.parse.quote(secret, safe="").encode(), json.dumps([secret], indent=1).encode()]
out += [line.encode() for line in secret.splitlines()]
for before in range(4):
    for after in range(4):
        text = b"x" * before + raw + b"y" * after
        out += [base64.b64encode(text), base64.urlsafe_b64encode(text)]
for one in out:
    sys.stdout.buffer.write(one + b"\\n")
sys.stdout.flush()
"""


def test_a_log_shows_a_value_in_no_form_and_is_as_long_as_it_was_written(make_job):
    job = make_job(["python3", "-c", FORMS], environment={"PATH": os.environ["PATH"]})
    give(job, environment={"TOKEN": SECRET})
    report = job.run()
    plain = subprocess.run(
        ["python3", "-c", FORMS], env={"TOKEN": SECRET, "PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    assert len(job.log) == len(plain.stdout) == report["log"]["size"]
    assert plain.stdout.count(b"EXAMPLEKEY") > 3
    for line in (*SECRET.splitlines(), SECRET):
        for form in (line.encode(), *_encoded(line)):
            assert form not in job.log
    lines = [line for line in job.log.split(b"\n") if line]
    assert all(b"***" in line or line.strip() in {b"[", b"]"} for line in lines), lines


def _encoded(text):
    """What is certain of it in base64, computed the slow way: common to all texts around it."""
    raw = text.encode()
    for before in range(3):
        texts = [base64.b64encode(a * before + raw + b * 3) for a in (b"\0", b"\xff") for b in (b"\0", b"\xff")]
        same = [column[0] if len(set(column)) == 1 else 0 for column in zip(*texts, strict=True)]
        yield bytes(same).strip(b"\0")


def test_a_file_is_masked_also_as_base64_writes_it(make_job):
    text = json.dumps({"type": "service_account", "private_key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 40}, indent=2)
    job = make_job(f"cat {FILE}; base64 {FILE}; base64 -w0 {FILE}")
    give(job, files={FILE: text}, secrets=[text, json.loads(text)["private_key"]])
    job.run()
    encoded = base64.b64encode(text.encode())
    assert b"MIIEvQ" not in job.log and encoded[:40] not in job.log and encoded[100:140] not in job.log
    assert len(job.log) == len(text) + len(encoded) + -(-len(encoded) // 76) + len(encoded)


LONG = "".join(random.Random(4).choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789+/", k=200))
WRAPPED = """
import base64, os, sys
secret = os.environ["TOKEN"].encode()
for before in range(160):
    for what in (base64.encodebytes(b"x" * before + secret + b"yy"), base64.encodebytes(secret).replace(b"\\n", b"\\r\\n")):
        sys.stdout.buffer.write(b"token=" + what + b"\\n")
"""


def test_a_value_is_masked_in_base64_that_is_written_in_lines(make_job):
    """Wherever in them it stands, as the program, Python, mail (CRLF) and OpenSSL (64 characters) write them."""
    said = 'printf %s "$TOKEN" | base64; echo "token=$(echo "user:$TOKEN" | base64)"; printf %s "$TOKEN" | base64 -w64'
    job = make_job(f"{said}; exec python3 -c '{WRAPPED}'", environment={"PATH": os.environ["PATH"]})
    give(job, environment={"TOKEN": LONG}, secrets=[LONG])
    assert job.run()["exit_status"] == 0, job.text
    shown = job.log.replace(b"\r", b"").replace(b"\n", b"")
    for form in _encoded(LONG):
        pieces = [form[at : at + 8] for at in range(0, len(form) - 7)]
        assert not [piece for piece in pieces if piece in shown]
    assert job.log.count(b"token=") == 321


def test_each_line_of_it_is_masked_by_itself_as_well(make_job):
    job = make_job(
        'printf %s "$TOKEN" | base64 | while read -r line; do echo "log: $line"; done; echo "$TOKEN" | base64 | head -n 1'
    )
    give(job, environment={"TOKEN": LONG}, secrets=[LONG])
    job.run()
    lines = job.text.splitlines()
    assert len(lines) == 5 and lines[:3] == [f"log: {'*' * 76}"] * 3 and lines[4] == "*" * 76
    assert lines[3].startswith("log: *****") and lines[3].rstrip("=")[-2] == "*"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("few", [0, room.FEW])
def test_base64_in_lines_is_masked_in_whatever_pieces_it_comes(monkeypatch, seed, few):
    monkeypatch.setattr(room, "FEW", few)
    chance = random.Random(seed)
    masks = Masks(attached.masks_of([LONG, "a-short-one", "two lines\nof one value"]))
    parts = []
    for number in range(60):
        text = (
            bytes(chance.choices(b"ab cdef", k=chance.randrange(120))) + LONG.encode() + b"tail" * chance.randrange(30)
        )
        encoded = base64.b64encode(text if number % 3 else b"a-short-one" * 20)
        width = chance.choice([64, 76, 76, 100])
        lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
        parts.append(chance.choice([b"\n", b"\r\n"]).join(lines) + b"\n" * chance.randrange(1, 4))
        parts.append(b"an ordinary line\n" * chance.randrange(3))
    whole = b"".join(parts)
    at_once = masks.apply(b"", whole, final=True)
    done, arrived = b"", 0
    while arrived < len(whole):
        arrived = min(arrived + chance.choice([1, 2, 3, 63, 64, 65, 76, 77, 400]), len(whole))
        before = whole[max(len(done) - masks.longest, 0) : len(done)]
        done += masks.apply(before, whole[len(done) : arrived], final=False)
        assert arrived - len(done) < masks.longest
    done += masks.apply(whole[max(len(done) - masks.longest, 0) : len(done)], whole[len(done) :], final=True)
    assert done == at_once and len(done) == len(whole)
    shown = done.replace(b"\r", b"").replace(b"\n", b"")
    assert not [form for form in _encoded(LONG) for at in range(len(form) - 15) if form[at : at + 16] in shown]
    assert done.count(b"an ordinary line") == whole.count(b"an ordinary line")


@pytest.mark.parametrize(
    "line", [b"done\n", b"loss 0.1 ends with the first letter of it: s\n", b"=" * 80 + b"\n", b"\n"]
)
def test_a_line_that_is_no_base64_is_shown_as_soon_as_it_is_written(line):
    assert Masks([base64.b64encode(b"secret-0"), base64.b64encode(b"e" * 9)]).apply(b"", line, final=False) == line


@pytest.mark.parametrize("seed", range(5))
def test_many_secrets_are_found_as_few_are(monkeypatch, seed):
    chance = random.Random(seed)
    secrets = [bytes(chance.choices(b"abc-", k=chance.randrange(1, 40))) for _ in range(200)]
    whole = b"".join(
        chance.choice([chance.choice(secrets), b"-" * 9, bytes(chance.choices(b"abcd", k=9))]) for _ in range(200)
    )
    marks = [base64.b64encode(secret) for secret in secrets if len(secret) > seed * 2]
    many = Masks(marks).apply(b"", whole, final=True)
    monkeypatch.setattr(room, "FEW", len(secrets))
    assert many == Masks(marks).apply(b"", whole, final=True)


def test_a_value_that_comes_byte_by_byte_through_a_runner_that_is_killed_is_masked(make_job):
    secret = "unmistakable-4711"
    said = "; ".join(f"printf {one}; sleep 0.1" for one in secret)
    job = make_job(f"printf begin; {said}; {GO}printf end")
    give(job, secrets=[secret])
    job.start()
    job.until_log("begin")
    job.kill_runner()
    assert (job.directory / "keys.json").exists()
    job.start()
    job.go()
    job.wait()
    assert job.text == f"begin{'*' * len(secret)}end"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_masks_across_every_border_of_chunks(size):
    """Against all at once: whatever the chunks, the same bytes come out, and nothing that could begin a value is let go."""
    secrets = [b"abcabcabd", b"bcabX", b"aaaaaaab", b"cab"]
    masks = Masks([base64.b64encode(one) for one in secrets])
    whole = b"".join(bytes(one) for one in itertools.product(b"abX", repeat=4)) + b"abcabcabcabdaaaaaaaaaab" * 3
    at_once = masks.apply(b"", whole, final=True)
    done, held = b"", b""
    for start in range(0, len(whole), size):
        held += whole[start : start + size]
        before = whole[max(len(done) - masks.longest, 0) : len(done)]
        ready = masks.apply(before, held, final=False)
        done, held = done + ready, held[len(ready) :]
        assert len(held) < masks.longest
    done += masks.apply(whole[max(len(done) - masks.longest, 0) : len(done)], held, final=True)
    assert done == at_once and all(secret not in done for secret in secrets)
