"""The one way out: whatever the server fetches for a user, from addresses that a user wrote, goes through here.

Such an address may lead into the server's own network. So each connection, also one after a redirect, looks its host up itself and
goes only to what is on the public Internet or in MLTEAM_REACHABLE. It goes to the very address that was checked: what the name
means a moment later no longer matters. Proxies that the environment names are not used, for they would go anywhere.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout
from urllib3.util.ssl_ import create_urllib3_context

Address = IPv4Address | IPv6Address

PATIENCE: Final = 10.0  # seconds to connect, and between two parts of an answer, where nobody says otherwise
DEBIANS: Final = "/etc/ssl/certs/ca-certificates.crt"
_NAT64: Final = ip_network("64:ff9b::/96")


class Unreachable(NewConnectionError):
    """The host has no address to which the server may go; the sentence says so and what to do."""

    def __init__(self, connection: Any, host: str) -> None:
        super().__init__(connection, "not allowed")
        self.host = host

    def __str__(self) -> str:
        return (
            f"{self.host} is in a private network, to which this server does not go for its users. "
            "Whoever runs it can allow that (MLTEAM_REACHABLE)."
        )


def reachable(text: str) -> bool:
    """Whether the server goes to this IP address for its users."""
    return all(_public(one) or _allowed(one) for one in _meant(ip_address(text.partition("%")[0])))


def _meant(address: Address) -> list[Address]:
    """The addresses to which this one leads: IPv4 is also written as IPv6, in one of four ways."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address, *(one for one in (address.sixtofour, *(address.teredo or ())) if one)]


def _allowed(address: Address) -> bool:
    return any(address in network for network in settings.MLTEAM_REACHABLE if network.version == address.version)


def _public(address: Address) -> bool:
    special = address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified
    site = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (special or site or address.is_reserved)


# Time


class Deadline:
    """The end of what may take only so long, however slowly somebody answers: the connections made under it are cut then."""

    def __init__(self, seconds: float) -> None:
        self.over, self._end = False, time.monotonic() + seconds
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds, less than 0 when it is over."""
        return self._end - time.monotonic()

    def watch(self, connected: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connected)
            if self.over:
                _cut(connected)

    def end(self) -> None:
        with self._lock:
            self.over = True
            for one in self._sockets:
                _cut(one)


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # not TLS's own, which is for the thread that reads


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What this thread asks inside is cut off after so many seconds. Raises TimeoutError then, also when it seemed to end well."""
    deadline = Deadline(seconds)
    timer = threading.Timer(seconds, deadline.end)
    timer.daemon = True
    before = _deadline.set(deadline)
    timer.start()
    try:
        yield
    except Exception as error:
        if deadline.over:
            raise TimeoutError from error
        raise
    else:
        if deadline.over:
            raise TimeoutError
    finally:
        timer.cancel()
        _deadline.reset(before)


@contextmanager
def cut_by(deadline: Deadline) -> Iterator[None]:
    """What this thread connects to inside is cut when the deadline is ended, by whichever thread."""
    before = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(before)


def is_cut() -> bool:
    """Whether whatever this thread asks now is cut off: there is no use in trying again."""
    deadline = _deadline.get()
    return deadline is not None and deadline.over


# Connections


class Checked:
    """For a connection of urllib3's: where it goes is looked at, and it ends with its deadline."""

    def _new_conn(self: Any) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        allowed = [one for one in found if reachable(str(one[4][0]))]
        if not allowed:
            raise Unreachable(self, self.host)
        return _connected(self, allowed)


class CheckedTLS(Checked):
    """The same for one with TLS, whose socket is another one from the first word of its handshake on."""

    def connect(self: Any) -> None:
        self.ssl_context = self.ssl_context or create_urllib3_context()
        self.ssl_context.sslsocket_class = _WatchedTLS
        super().connect()  # type: ignore[misc]


class _WatchedTLS(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        if deadline := _deadline.get():
            deadline.watch(self)
        super().do_handshake(block)


def _connected(connection: Any, addresses: list[Any]) -> socket.socket:
    """A socket to the first that answers; the time is for all of them together."""
    patience = Timeout.resolve_default_timeout(connection.timeout) or PATIENCE
    deadline = _deadline.get()
    end = time.monotonic() + (min(patience, deadline.left) if deadline else patience)
    failed: OSError = TimeoutError()
    for family, kind, protocol, _, address in addresses:
        if (left := end - time.monotonic()) <= 0 or is_cut():
            break
        made = socket.socket(family, kind, protocol)
        if deadline:
            deadline.watch(made)
        try:
            for option in connection.socket_options or ():
                made.setsockopt(*option)
            made.settimeout(left)
            made.connect(address)
        except OSError as error:
            made.close()
            failed = error
        else:
            made.settimeout(patience)
            return made
    if isinstance(failed, TimeoutError):
        raise ConnectTimeoutError(connection, "timed out") from failed
    raise NewConnectionError(connection, str(failed)) from failed


class CheckedHTTP(Checked, HTTPConnection):
    pass


class CheckedHTTPS(CheckedTLS, HTTPSConnection):
    pass


class CheckedHTTPPool(HTTPConnectionPool):
    ConnectionCls = CheckedHTTP


class CheckedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = CheckedHTTPS


# For libraries


class Adapter(HTTPAdapter):
    """For sessions of requests. What is asked without a timeout gets one."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": CheckedHTTPPool, "https": CheckedHTTPSPool}

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        options["proxies"] = {}
        options["timeout"] = options.get("timeout") or PATIENCE
        return super().send(request, *args, **options)


def session(at_once: int = 10) -> requests.Session:
    """A session of requests that reaches nothing but what `reachable` lets it; for requests itself and for Google's libraries.

    `at_once`: connections to one host that it keeps.
    """
    made = requests.Session()
    made.trust_env = False  # no proxies, and no passwords out of somebody's .netrc
    made.verify = certificates()
    made.adapters.clear()
    made.mount("https://", Adapter(pool_maxsize=at_once))
    made.mount("http://", Adapter(pool_maxsize=at_once))
    return made


def ask(session: requests.Session, method: str, url: str, *, timeout: Any, **options: Any) -> requests.Response:
    """The beginning of an answer, whose content is still to be read; redirects are not followed. Raises what requests raises.

    By the session's adapter: the session itself would read the whole content of a redirect, however long that is.
    """
    asked = session.prepare_request(requests.Request(method, url, **options))
    return session.get_adapter(url).send(asked, stream=True, timeout=timeout, verify=session.verify)


def certificates() -> str:
    """Whom the host trusts, so that a service of one's own with a certificate of one's own is believed; else the usual list."""
    own = ssl.get_default_verify_paths().cafile or DEBIANS
    return own if Path(own).exists() else requests.certs.where()


def check_boto(client: Any) -> None:
    """Lets a client of boto3's reach nothing but what `reachable` lets it. With `verify` and timeouts as the client's own."""
    from botocore import awsrequest
    from botocore.httpsession import URLLib3Session

    class Plain(awsrequest.AWSHTTPConnectionPool):
        ConnectionCls = type("CheckedAWSHTTP", (Checked, awsrequest.AWSHTTPConnection), {})

    class Secure(awsrequest.AWSHTTPSConnectionPool):
        ConnectionCls = type("CheckedAWSHTTPS", (CheckedTLS, awsrequest.AWSHTTPSConnection), {})

    config = client.meta.config
    made = URLLib3Session(
        verify=certificates(),
        timeout=(config.connect_timeout, config.read_timeout),
        max_pool_connections=config.max_pool_connections,
    )
    made._manager.pool_classes_by_scheme = {"http": Plain, "https": Secure}
    client.meta.events.register("before-send", lambda request, **_: made.send(request), unique_id="mlteam-outside")


# What went wrong


def explain(error: BaseException, host: str) -> str:
    """Why nothing was reached, in a sentence."""
    causes = list(_causes(error))
    for kind, said in _SENTENCES:
        if found := next((one for one in causes if isinstance(one, kind)), None):
            return said.format(host=host, error=found)
    return f"The connection to {host} broke off. Try again; if it stays, ask whoever runs that service."


def is_refusal(error: BaseException) -> bool:
    """Whether nothing was reached because the server does not go there, or does not trust who answers: later it is the same."""
    return any(isinstance(one, Unreachable | ssl.SSLCertVerificationError) for one in _causes(error))


_SENTENCES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (Unreachable, "{error}"),
    (NameResolutionError, "There is no host called {host}, or the server's name service does not answer. Look at how it is written."),
    (socket.gaierror, "There is no host called {host}, or the server's name service does not answer. Look at how it is written."),
    (ssl.SSLCertVerificationError, "The certificate of {host} is not one that this server trusts: {error.verify_message}."),
    (ssl.SSLError, "{host} and this server could not agree on a TLS connection. Is it http and not https?"),
    (ConnectionRefusedError, "Nothing answers at {host}: the connection was refused. Look at the address and its port."),
    (TimeoutError, "{host} did not answer in time. Look at the address, or try again later."),
    (ConnectTimeoutError, "{host} could not be connected to. Look at the address, or try again later."),
)  # fmt: skip


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it, innermost last."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
