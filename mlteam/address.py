"""The server's own address: the socket that it listens on, and who has it when it cannot be had."""

import contextlib
import os
import socket
from pathlib import Path

from mlteam.state import Misconfigured

ANY = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound to
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `host` and `port` (0: any free one). Raises Misconfigured with what to do instead."""
    family, kind, protocol, _, where = _resolve(host, port)
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What the web server accepts inherits it: an answer's body does not wait 40 ms for the acknowledgement of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind(where)
        listener.listen(1024)
    except PermissionError:
        listener.close()
        raise Misconfigured(f"Port {port} is for root alone. Choose one above 1023: make run PORT=8000") from None
    except OSError as error:
        listener.close()
        raise Misconfigured(_why_not(host, port, error)) from None
    return listener


def _resolve(host: str, port: int) -> tuple:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Misconfigured(f"HOST={host} is no address of this machine: {error.strerror}.") from None
    return min(found, key=lambda entry: entry[0] != socket.AF_INET)  # 127.0.0.1 rather than ::1 for "localhost"


def _why_not(host: str, port: int, error: OSError) -> str:
    if not _taken(port):
        return f"Cannot listen on {host} port {port}: {error.strerror}. HOST must be an address of this machine."
    holder = port_holder(port)
    by = f" by {holder}" if holder else ""
    return f"Port {port} is taken{by}. Choose another: make run PORT={free_port(port + 1)}"


def _taken(port: int) -> bool:
    return bool(_listening_inodes(port))


def free_port(start: int) -> int:
    """The first port from `start` on that nobody listens on; 0 (any) when the next hundred are all taken."""
    candidates = range(start, min(start + 100, 65536))
    return next((port for port in candidates if not _taken(port)), 0)


def port_holder(port: int) -> str | None:
    """Who listens on `port`, in words; None where the kernel does not tell us, as with another user's process."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or not ours to look into
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return _in_words(process)
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            # 0A is LISTEN; the local address ends in the port, in hexadecimal
            inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    return inodes


def _in_words(process: Path) -> str:
    command = (process / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    variables = dict(line.partition(b"=")[::2] for line in (process / "environ").read_bytes().split(b"\0"))
    if "mlteam." in command:
        place = os.fsdecode(variables.get(b"MLTEAM_VAR", b"")) or str((process / "cwd").readlink())
        return f"another mlteam (process {process.name}, of {place})"
    return f"`{command[:80]}` (process {process.name})"


def reachable_host(host: str) -> str:
    """How a program on this machine reaches a server that listens on `host`, ready to stand in a URL."""
    if host in ANY or host in LOOPBACK - {"::1"}:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def public_url(host: str, port: int) -> str:
    """The dashboard's one address: `MLTEAM_URL`, or what a browser on this machine opens."""
    if configured := os.environ.get("MLTEAM_URL"):
        return configured.rstrip("/")
    name = "localhost" if host in ANY | LOOPBACK else reachable_host(host)
    return f"http://{name}:{port}"
