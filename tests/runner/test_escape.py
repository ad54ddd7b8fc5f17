"""What a job tries in order to get out of its sandbox. The server runs as root, and as an ordinary user."""

import contextlib
import os
import secrets
import socket
import threading

import pytest

from runner import processes
from tests.runner.conftest import until

pytestmark = pytest.mark.sandbox

PYTHON = "/usr/bin/python3"
SERVERS = ["root", "user"] if os.getuid() == 0 else ["user"]


@pytest.fixture(params=SERVERS)
def make(request, make_job):
    """make(command) -> a job of a server that runs as root, or as an ordinary user (54321 when the tests run as root)."""
    user = 54321 if request.param == "user" and os.getuid() == 0 else None

    def make(command, **config):
        return make_job(command, user=user, **config)

    return make


def own_network(job):
    """Skip where the ordinary user may not open /dev/net/tun: there the server is told that the network is the host's."""
    if job.record.states[0]["network"] != "own":
        pytest.skip("no network of its own here: /dev/net/tun is closed to this user (chmod 666 /dev/net/tun)")


@pytest.fixture
def secret(room):
    """A file as the server keeps its database and secrets, readable by anybody who could reach it."""
    path = room / "secret"
    path.write_text("the-server's-secret")
    path.chmod(0o644)
    return path


def test_nothing_of_the_servers_files_is_there(make, secret, room):
    job = make(
        f"cat {secret}; ls -A {room} /root /home /var /srv /mnt /opt /boot 2>&1; find / -name secret -not -path '/proc/*' 2>/dev/null"
    )
    job.run()
    assert "the-server's-secret" not in job.text
    assert "/secret\n" not in job.text.replace(f"cat: {secret}: No such file", "")
    assert job.text.count("No such file or directory") >= 7


def test_another_jobs_files_are_not_there(make):
    other = make("echo private > file; echo up; sleep 100").start()
    other.until_log("up")
    job = make(
        f"cat {other.work}/file {other.output}/x; ls {other.top}; ls {other.directory}; find / -name file -path '*work*' 2>/dev/null; true"
    )
    job.run()
    assert "private" not in job.text
    assert f"{other.top}'" in job.text  # "cannot access"
    other.stop()
    other.wait()


def test_another_jobs_processes_do_not_show(make):
    other = make(["sleep", "97531"]).start()
    until(lambda: other.state().get("phase") == "ready", trouble=other.trouble)
    job = make("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls -d /proc/[0-9]* | wc -l")
    job.run()
    assert "97531" not in job.text
    assert int(job.text.split()[-1]) < 10
    other.stop()
    other.wait()


def test_the_servers_environment_does_not_show(make, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "do-not-show")
    job = make("cat /proc/*/environ | tr '\\0' '\\n'; env")
    job.run()
    assert "MLTEAM_JOB_ID" in job.text
    assert "do-not-show" not in job.text


def test_the_server_cannot_be_signalled(make):
    pids = f"{os.getpid()} {os.getppid()}"
    job = make(f"for pid in {pids}; do kill -9 $pid; done; kill -9 -1; echo not reached")
    report = job.run()
    assert report["signal"] == 9 or "not reached" in job.text
    assert processes.identify(os.getpid())


REFUSED = {
    "remount": "mount -o remount,rw /usr",
    "write to /usr": "touch /usr/planted",
    "bind": "mkdir -p /tmp/a; mount --bind /usr /tmp/a",
    "tmpfs": "mount -t tmpfs tmpfs /tmp",
    "/proc/sys": "echo 1 > /proc/sys/vm/drop_caches",
    "core pattern": "echo '|/tmp/x' > /proc/sys/kernel/core_pattern",
    "sysrq": "echo b > /proc/sysrq-trigger",
    "/sys": "echo 0 > /sys/devices/system/cpu/cpu1/online",
    "another user namespace": "unshare --user --map-root-user true",
    "another mount namespace": "unshare --mount true",
    "the host's namespaces": "nsenter -t 1 -m -u -n -i true",
    "chroot": "chroot /tmp true",
    "a device": "mknod /tmp/disk b 254 0",
    "the disk": "head -c 1 /dev/vda /dev/sda /dev/nvme0n1",
    "kernel memory": "head -c 1 /dev/mem",
    "host name": "hostname other",
    "time": "date -s 2000-01-01",
    "another user": "setpriv --reuid=0 true",
    "set-user-id": "cp /bin/true /work/t && chmod u+s /work/t && chown 0 /work/t",
    "root directory": "touch /planted",
    "the servers' fifo": "chmod 666 /proc/self/fd/1 2>/dev/null && rm /proc/self/fd/1",
    "network administration": "ip link set lo down",
    "kernel log": "dmesg | grep -q .",
    "tracing of the first process": f"{PYTHON} -c \"open('/proc/1/mem','r+b').read(1)\"",
}


def test_whatever_is_beyond_a_job_is_refused(make):
    script = "".join(
        f"if ( {command} ) >/dev/null 2>&1; then echo '{name}: worked'; fi\n" for name, command in REFUSED.items()
    )
    job = make(script + "echo tried", environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    job.run()
    assert job.text == "tried\n"


def test_a_job_has_no_capability_and_is_not_root(make):
    job = make("id -u; grep -h Cap /proc/self/status; grep NoNewPrivs /proc/self/status")
    job.run()
    lines = job.text.split()
    assert lines[0] not in ("0", str(os.getuid())) or os.getuid()
    assert set(lines[2:11:2]) == {"0" * 16}
    assert lines[-1] == "1"


# Networks.


CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.settimeout(2)
    try:
        s.connect((host, int(port)))
        print(address, "open")
    except OSError as error:
        print(address, "refused")
"""


@contextlib.contextmanager
def listening(address="127.0.0.1"):
    """A port on the host that anybody may talk to."""
    with socket.create_server((address, 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server):
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def test_the_hosts_loopback_does_not_answer(make):
    with listening() as port:
        job = make(
            [
                PYTHON,
                "-c",
                CONNECT,
                f"127.0.0.1:{port}",
                f"10.0.2.2:{port}",
                f"localhost:{port}",
                f"127.0.0.2:{port}",
                f"::1:{port}",
            ]
        )
        job.run()
        own_network(job)
        assert "open" not in job.text
        assert job.text.count("refused") == 5


@pytest.mark.parametrize("address", ["169.254.169.254", "192.0.2.77"])
def test_link_local_addresses_and_the_hosts_own_are_cut_off_at_once(make, address):
    script = (
        f"import socket\ntry: socket.create_connection(({address!r}, 80), 5)\nexcept OSError as e: print(e, e.errno)"
    )
    job = make([PYTHON, "-c", script], unreachable=["192.0.2.77"])
    job.run()
    own_network(job)
    assert "timed out" not in job.text
    # Invalid argument or unreachable: from the route, not from outside.
    assert job.text.split()[-1] in ("22", "101", "113"), job.text


def test_another_jobs_port_does_not_answer(make):
    listen = (
        "import socket, time\ns = socket.create_server(('0.0.0.0', 8080))\nprint('up', flush=True)\ntime.sleep(100)"
    )
    other = make([PYTHON, "-c", listen]).start()
    other.until_log("up")
    job = make([PYTHON, "-c", CONNECT, "127.0.0.1:8080", "10.0.2.100:8080", "10.0.2.2:8080"])
    job.run()
    other.stop()
    other.wait()
    own_network(job)
    assert "open" not in job.text


def test_the_servers_sockets_are_not_there(make, room):
    """Redis listens on a socket in the server's directory; an abstract one belongs to the network's namespace."""
    path, name = str(room / "redis.sock"), f"\0mlteam-{secrets.token_hex(4)}"
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.bind(path)
        os.chmod(path, 0o777)
        second.bind(name)
        first.listen()
        second.listen()
        script = (
            "import socket, sys\n"
            f"for name in ({path!r}, {name!r}):\n"
            "    try:\n        socket.socket(socket.AF_UNIX).connect(name)\n        print('open', repr(name))\n"
            "    except OSError: print('refused')\n"
        )
        job = make([PYTHON, "-c", script])
        job.run()
    assert job.text.splitlines()[0] == "refused"
    own_network(job)
    assert job.text == "refused\nrefused\n"


def test_the_outside_answers(make):
    """With a network of its own a job still reaches what is not this host: names and routes are there."""
    job = make("cat /etc/resolv.conf; cat /proc/net/route")
    job.run()
    own_network(job)
    assert "nameserver 10.0.2.3" in job.text
    assert "tap0" in job.text


# What a job leaves behind.


def test_links_planted_in_the_output_stay_links(make, secret):
    job = make(
        f"ln -s {secret} /output/link; ln -s / /output/root; ln {secret} /output/hard; mkfifo /output/pipe; ln -s /output/link /work/w"
    )
    assert job.run()["exit_status"] == 0
    assert (job.output / "link").is_symlink()
    assert not (job.output / "hard").exists()
    assert (job.output / "pipe").is_fifo()
    owner = os.lstat(job.output / "link").st_uid
    assert owner == (job.uid or job.user or os.getuid())


def test_the_jobs_directories_cannot_be_swapped(make):
    job = make("cd /; rmdir /work /output; mv /output /work/gone; ln -s /etc /output; rm -rf /work; true")
    job.run()
    assert job.work.is_dir()
    assert job.output.is_dir()
    assert not job.output.is_symlink()


def test_nothing_of_the_attempt_is_writable_from_inside(make):
    """The FIFO's name shows in /proc/self/fd; the directory does not exist inside."""
    job = make("d=$(dirname $(readlink /proc/self/fd/1)); ls $d; echo x > $d/stop.json; cat $d/attempt.json; true")
    job.run()
    assert job.token not in job.text
    assert job.record.end["reason"] == "exited"
    assert not (job.directory / "stop.json").exists()


def test_two_jobs_of_a_root_server_are_different_users(make_job):
    if os.getuid():
        pytest.skip("only root can give each job a user of its own")
    first, second = make_job("id -u"), make_job("id -u")
    first.run()
    second.run()
    assert first.text != second.text


def test_an_installation_below_a_closed_directory_works_and_stays_closed(make_job, room):
    if os.getuid():
        pytest.skip("only root's directories are closed to the job's user")
    closed = room / "closed"
    closed.mkdir(mode=0o700)
    job = make_job(f"ls {closed}; echo made > file; cat file; echo result > $MLTEAM_OUTPUT/r")
    job.top.rename(closed / job.id)
    for name in ("work", "output", "directory"):
        path = closed / job.id / ("0" if name == "directory" else name)
        setattr(job, name, path)
    job.config.update(work=str(job.work), output=str(job.output))
    assert job.run()["exit_status"] == 0, job.text
    assert job.text.endswith("made\n")
    assert (job.output / "r").read_text() == "result\n"
    assert closed.stat().st_mode & 0o777 == 0o700


def test_only_the_gpus_of_the_job_show(make_job):
    job = make_job("ls /dev; echo [$CUDA_VISIBLE_DEVICES]", gpus=[{"index": 0, "uuid": "GPU-1234"}])
    job.run()
    assert "[GPU-1234]" in job.text
    shown = [name for name in job.text.split() if name.startswith("nvidia") and name[6:].isdigit()]
    assert shown in ([], ["nvidia0"])
