"""The server as a whole: real processes, started, killed and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from mlteam import address, broker, running, state, supervisor
from tests.server import PARTS, PATIENCE, Server


def parts(server: Server) -> dict[str, int]:
    """The process ids of all parts, once all are there."""
    return server.wait(lambda: _all_parts(server), "all parts")


def _all_parts(server: Server) -> dict[str, int] | None:
    found = {name: server.part(name) for name in PARTS}
    return None if None in found.values() else {name: part.pid for name, part in found.items() if part}


def ponged(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running_server = Server(tmp_path_factory.mktemp("server") / "var")
    try:
        yield running_server.opened()
    finally:
        running_server.end()


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.parametrize("name", list(PARTS))
def test_a_part_that_is_killed_is_started_again_and_the_others_are_left_alone(server: Server, name: str) -> None:
    before = parts(server)
    os.kill(before[name], signal.SIGKILL)
    after = server.wait(lambda: (now := parts(server))[name] != before[name] and now, f"a new {name}")
    assert {part: pid for part, pid in after.items() if part != name} == {
        part: pid for part, pid in before.items() if part != name
    }
    assert f"{name} was killed by SIGKILL; starting it again" in server.says()
    server.wait(server.answers, "the web server")
    with Redis.from_url(f"unix://{server.var}/run/redis.sock") as redis:
        server.wait(lambda: ponged(redis), "Redis")


@pytest.mark.serial
@pytest.mark.slow
def test_the_address_is_said_once_and_given_to_runners(server: Server) -> None:
    assert server.says().count("Open http://localhost:") == 1
    assert server.answers()


@pytest.mark.serial
@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_refused_with_the_address_of_the_first(server: Server) -> None:
    second = Server(server.var, output=server.var.with_suffix(".second"))
    assert second.process.wait(timeout=PATIENCE) == 1
    assert f"mlteam already runs at http://localhost:{server.port} on this data" in second.says()
    assert "make stop" in second.says()
    assert server.answers()


@pytest.mark.serial
@pytest.mark.slow
def test_a_taken_port_is_refused_by_name_with_a_free_one(server: Server, tmp_path: Path) -> None:
    other = Server(tmp_path / "var", PORT=server.port)
    assert other.process.wait(timeout=PATIENCE) == 1
    assert f"Port {server.port} is taken by another mlteam (process " in other.says()
    assert "Choose another: make run PORT=" in other.says()


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ending_the_supervisor_ends_every_part_of_the_server(tmp_path: Path, number: signal.Signals) -> None:
    server = Server(tmp_path / "var").opened()
    before = parts(server)
    status = server.end(number)
    assert status == (-number if number == signal.SIGKILL else 0), server.says()
    for name, pid in before.items():
        server.wait(lambda pid=pid: not psutil.pid_exists(pid), f"the end of {name}")
    assert "Traceback" not in server.says()


@pytest.mark.serial
@pytest.mark.slow
def test_stop_ends_a_server_and_says_so_when_there_is_none(tmp_path: Path) -> None:
    server = Server(tmp_path / "var").opened()
    first, second = server.manage("stop"), server.manage("stop")
    assert "The server has ended." in first
    assert server.process.wait(timeout=PATIENCE) == 0
    assert "The server does not run." in second


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory for this process, with nothing configured."""
    monkeypatch.setattr(state, "VAR", tmp_path / "var")
    monkeypatch.delenv("REDIS_URL", raising=False)
    return tmp_path / "var"


def test_what_is_private_can_be_read_by_its_owner_alone(var: Path) -> None:
    assert state.secret("key") == state.secret("key") != state.secret("other")
    modes = {path: path.stat().st_mode & 0o777 for path in (var, var / "secrets", var / "secrets" / "key")}
    assert list(modes.values()) == [0o711, 0o700, 0o600]
    assert sorted(path.name for path in (var / "secrets").iterdir()) == ["key", "other"]


def test_processes_that_make_a_secret_at_once_get_the_same(var: Path) -> None:
    command = [sys.executable, "-c", "from mlteam import state; print(state.secret('key'))"]
    asking = [
        subprocess.Popen(
            command, cwd=state.ROOT, env=os.environ | {"MLTEAM_VAR": str(var)}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=PATIENCE)[0] for process in asking}) == 1


def test_a_socket_below_a_long_path_is_short_and_private(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "VAR", var / ("long" * 30))
    path = state.socket_path("redis.sock")
    try:
        assert len(os.fsencode(path)) < state.SOCKET_PATH_LIMIT
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert state.embedded_redis_socket() == path
    finally:
        path.parent.rmdir()


@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        ("redis://:word@10.0.0.1:6379/0", ""),
        ("rediss://user:word@10.0.0.1/0", ""),
        ("unix:///run/redis.sock", ""),
        ("redis://10.0.0.1:6379/0", "no password"),
        ("http://10.0.0.1", "must begin with"),
    ],
)
def test_a_redis_that_anybody_could_order_about_is_refused(monkeypatch, url: str, trouble: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    if not trouble:
        assert state.redis_url() == url
        return
    with pytest.raises(state.Misconfigured, match=trouble):
        state.redis_url()


def test_a_redis_from_the_wheel_serves_where_the_system_has_none(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(var))
    server = broker.find_server()
    if server is None:
        assert "apt install redis-server" in broker.remedy()
        return
    socket_path = state.socket_path("redis.sock")
    process = psutil.Popen(broker.arguments(server, socket_path), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not socket_path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with Redis(unix_socket_path=str(socket_path)) as redis:
            assert redis.ping()
        assert not [connection for connection in process.net_connections() if connection.status == "LISTEN"]
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def test_a_server_is_found_only_while_it_lives(var: Path) -> None:
    assert running.find() is None
    claim = running.Claim()
    claim.announce("http://localhost:1")
    assert running.find() == running.Server(os.getpid(), "http://localhost:1")
    with pytest.raises(running.AlreadyRunning):
        running.Claim()
    claim.release()
    assert running.find() is None


def test_a_procfile_is_read_as_arguments_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text(
        "# a comment\nweb: python -m uvicorn --fd $LISTEN_FD 'a b'\n\nclock: sleep 1; ls\n"
    )
    assert supervisor.read_procfile(tmp_path / "Procfile", {"LISTEN_FD": "7"}) == {
        "web": [sys.executable, "-m", "uvicorn", "--fd", "7", "a b"],
        "clock": ["sleep", "1;", "ls"],
    }


def test_what_keeps_dying_is_started_ever_more_seldom(var: Path) -> None:
    child = supervisor.Child("web", ["false"], {})
    child.started = time.monotonic()
    delays = [child.died() for _ in range(9)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (supervisor.FIRST_DELAY, supervisor.LONGEST_DELAY)
    child.started = time.monotonic() - supervisor.HEALTHY - 1
    assert child.died() == supervisor.FIRST_DELAY
    child.log.close()


def test_a_log_keeps_to_its_size_and_to_its_owner(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 1000)
    log = supervisor.Log("web")
    for _ in range(30):
        log.write(b"x" * 99 + b"\n")
    log.close()
    sizes = {path.name: path.stat().st_size for path in (var / "log").iterdir()}
    assert set(sizes) == {"web.log", "web.log.1"}
    assert max(sizes.values()) <= 1100
    assert log.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("host", "local", "public"),
    [
        ("127.0.0.1", "127.0.0.1", "http://localhost:8000"),
        ("0.0.0.0", "127.0.0.1", "http://localhost:8000"),
        ("::1", "[::1]", "http://localhost:8000"),
        ("192.0.2.7", "192.0.2.7", "http://192.0.2.7:8000"),
    ],
)
def test_the_address_for_programs_and_the_one_for_people(monkeypatch, host: str, local: str, public: str) -> None:
    monkeypatch.delenv("MLTEAM_URL", raising=False)
    assert (address.reachable_host(host), address.public_url(host, 8000)) == (local, public)
    monkeypatch.setenv("MLTEAM_URL", "https://mlteam.example.org/")
    assert address.public_url(host, 8000) == "https://mlteam.example.org"


def test_a_port_that_another_program_has_is_named_with_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(state.Misconfigured, match=rf"Port {port} is taken by .*process {os.getpid()}\).*PORT="):
            address.listen("127.0.0.1", port)
    address.listen("127.0.0.1", port).close()


def test_what_the_web_server_accepts_sends_at_once() -> None:
    """Else the body of each answer would wait for the acknowledgement of its headers."""
    with address.listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
