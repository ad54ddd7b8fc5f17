"""What a hostile job takes from its host, and what others on the host see of a job."""

import contextlib
import os
from pathlib import Path

import pytest

from runner import processes
from tests.runner.conftest import make_job, room, server, until
from tests.runner.test_escape import SERVERS, make

__all__ = ["SERVERS", "make", "make_job", "room", "server"]

pytestmark = pytest.mark.sandbox

# Threads are counted like processes, and cost a test less.
MANY = """
import threading
threading.stack_size(65536)
end, made = threading.Event(), 0
try:
    for _ in range(6000):
        threading.Thread(target=end.wait, daemon=True).start()
        made += 1
except RuntimeError:
    print("stopped", flush=True)
end.set()
print(made, flush=True)
"""


def _shown_to_everybody() -> str:
    """The arguments of all processes of the host, as any user of it may read them."""
    shown = []
    for pid in processes.everyone():
        with contextlib.suppress(OSError):
            shown.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"))
    return "\n".join(shown)


def test_a_jobs_variables_do_not_show_in_the_list_of_processes(make):
    job = make("echo $TOKEN | rev; sleep 100", environment={"TOKEN": "terces-42"}).start()
    job.until_log("24-secret")
    assert "terces-42" not in _shown_to_everybody()
    job.stop()
    job.wait()


@pytest.mark.skipif(
    os.getuid() != 0, reason="only there a job has a user of its own, whose processes alone are counted"
)
def test_the_number_of_a_jobs_processes_is_bounded(make_job):
    job = make_job(["/usr/bin/python3", "-c", MANY], cpu=0.1, memory_mib=2048)
    job.run(60)
    assert "stopped" in job.text
    assert int(job.text.split()[-1]) <= 4096 + 1024


DESCRIBE = (
    "import ctypes; b = ctypes.create_string_buffer(200); ctypes.CDLL(None).syscall(250, 6, -3, b, 200); print(b.value)"
)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system call has another number")
def test_the_keys_of_the_servers_session_are_not_there(make):
    job = make(["/usr/bin/python3", "-c", DESCRIBE])  # its session keyring: type;uid;gid;rights;name
    job.run()
    assert job.text.strip() == "b''" or job.text.strip().endswith(";_ses'")


@pytest.mark.skipif(os.getuid() != 0, reason="the helper of an ordinary user's server has no rights to give up")
def test_what_reads_a_jobs_packets_has_given_up_roots_rights(make_job):
    job = make_job("sleep 100").start()
    until(lambda: job.state().get("phase") == "ready", 10, job.trouble)
    if job.state()["network"] != "own":
        pytest.skip("no network of its own here")
    status = Path(f"/proc/{job.pid('network')}/status").read_text()
    rights = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    assert int(rights, 16) & ~(1 << 10) == 0  # but binding to a low port
    job.stop()
    job.wait()
