"""How a server is asked, without the asking itself: addresses, headers, what an answer means, when to ask again.

The drivers in `aio` and `sync` send what is made here.
"""

import json
import platform
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import httpx

from mlteam_sdk import __version__, errors
from mlteam_sdk.errors import ConnectionFailed, SettingsError

if TYPE_CHECKING:
    from mlteam_sdk.settings import Settings

ROOT: Final = "/api/v1"
AGENT: Final = f"mlteam-sdk/{__version__} Python/{platform.python_version()}"
TIMEOUT: Final = httpx.Timeout(30, connect=5)
SLOW_TIMEOUT: Final = httpx.Timeout(30, connect=5, read=300)  # of what takes a server minutes, with many files
STREAM_TIMEOUT: Final = httpx.Timeout(30, connect=5, read=45)  # a silent stream says every 15 s that it is there
SAFE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
PASSING: Final = frozenset({502, 503, 504})
REDIRECTS: Final = 5
FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 5.0
QUICK_TRIES: Final = 3  # of a server that was never reached: somebody waits to hear that the address is wrong
LONGEST_ASKED_WAIT: Final = 65.0  # seconds for which Retry-After is obeyed

File = tuple[str, Path | bytes]


@dataclass(frozen=True)
class Ask:
    """One request. `files` are (name, path or bytes), sent beside the fields of `form`; `content` is sent as it is.

    `twice`: it does no harm when it is done twice, though its method does not say so. `slow`: it can take minutes.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None
    form: Mapping[str, Any] | None = None
    files: tuple[File, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    twice: bool = False
    slow: bool = False

    def repeatable(self) -> bool:
        """Whether it does no harm when it is done twice."""
        return self.method in SAFE or self.twice or "Idempotency-Key" in self.headers

    def slowly(self) -> "Ask":
        """The same, where the server may need minutes."""
        return replace(self, slow=True)


def post_headers(key: str | None) -> dict[str, str]:
    """For a request that must not be done twice: a key of its own, unless there is one."""
    return {"Idempotency-Key": key or uuid.uuid4().hex}


def path(*parts: str | int) -> str:
    """path("jobs", "a/b") is /jobs/a%2Fb."""
    return "".join("/" + quote(str(part), safe="") for part in parts)


def query(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Parameters as a query has them: without those that are None, lists repeated, truth as true or false."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        values = value if isinstance(value, list | tuple | set | frozenset) else [value]
        pairs += [(name.rstrip("_"), _plain(one)) for one in values if one is not None]
    return pairs


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)


def client(kind: type[Client], settings: "Settings") -> Client:
    """httpx, set up to talk to this server; proxies are those of the environment. Raises SettingsError."""
    headers = {"User-Agent": AGENT, "Accept": "application/json"}
    trust = _trust(settings.url)
    try:
        return kind(headers=headers, timeout=TIMEOUT, follow_redirects=False, verify=trust)
    except (ValueError, ImportError) as error:
        raise SettingsError(f"The proxy that is set in the environment cannot be used: {error}") from None


def _trust(url: str) -> Any:
    """Which certificates are believed; reading them takes time, which a server without them need not wait for."""
    if url.startswith("https:"):
        try:
            return httpx.create_ssl_context()  # SSL_CERT_FILE, SSL_CERT_DIR, else certifi's
        except OSError as error:
            raise SettingsError(f"The certificates that SSL_CERT_FILE names cannot be read: {error}") from None
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # believes none


@contextmanager
def request(client: Any, ask: Ask, settings: "Settings", timeout: httpx.Timeout) -> Iterator[httpx.Request]:
    """The request for httpx, while its files are open; made anew for every try, for a body is read while it is sent."""
    headers = dict(ask.headers)
    if settings.token:
        headers["Authorization"] = f"Bearer {settings.token}"
    with ExitStack() as opened:
        body: dict[str, Any] = {}
        if ask.files:
            body = {
                "data": dict(ask.form or {}),
                "files": [_part(name, content, opened) for name, content in ask.files],
            }
        elif ask.form is not None:
            body = {"data": dict(ask.form)}
        elif ask.content is not None:
            body = {"content": ask.content}
        elif ask.data is not None:
            body = {"json": ask.data}
        address, params = settings.url + ROOT + ask.path, query(ask.params) or None
        yield client.build_request(ask.method, address, params=params, headers=headers, timeout=timeout, **body)


def _part(name: str, content: Path | bytes, opened: ExitStack) -> tuple[str, tuple[str, Any]]:
    return "files", (name, content if isinstance(content, bytes) else opened.enter_context(content.open("rb")))


def elsewhere(response: httpx.Response, done: int) -> str | None:
    """Where a redirect leads to; None when the answer is none. Raises ConnectionFailed when it is not to be followed."""
    if not response.has_redirect_location:
        return None
    request = response.request
    target = request.url.join(response.headers["Location"])
    if _origin(target) != _origin(request.url):
        said = f"{_shown(request.url)} sends requests on to {_shown(target)}. Use that address: mlteam login {_shown(target)}"
        raise ConnectionFailed(said)
    if request.method not in {"GET", "HEAD"} or done >= REDIRECTS:
        raise ConnectionFailed(f"{_shown(request.url)} sends requests round in circles. Is this the address of mlteam?")
    return str(target)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _shown(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def check(response: httpx.Response) -> httpx.Response:
    """The response, when it says yes; its body has been read when it does not. Raises ApiError."""
    if response.is_success:
        return response
    problem: Any = None
    if "json" in response.headers.get("Content-Type", ""):
        try:
            problem = response.json()
        except ValueError:
            problem = None
    if not isinstance(problem, dict):
        raise errors.of(response.status_code, {"detail": _strange(response)})
    if isinstance(problem.get("error"), str):  # RFC 6749, where a device asks for a token
        problem = {"code": problem["error"], "detail": problem.get("error_description"), **problem}
    problem.setdefault("retry_after", retry_after(response))
    raise errors.of(response.status_code, problem)


def _strange(response: httpx.Response) -> str:
    at = _shown(response.request.url)
    if response.status_code in PASSING:
        return f"{at} answers {response.status_code}: the server is being started, or is busy. Try again in a moment."
    return f"{at} answers {response.status_code} and does not say why. Is this the address of mlteam?"


def answer(response: httpx.Response) -> Any:
    """What was answered; {} where there is nothing. Raises ConnectionFailed when it is no answer of mlteam."""
    if response.status_code == 204 or not response.content:
        return {}
    try:
        return response.json()
    except ValueError:
        at = _shown(response.request.url)
        raise ConnectionFailed(f"{at} answers with a page and not with data. Is this the address of mlteam?") from None


def broken(error: Exception, settings: "Settings") -> ConnectionFailed:
    """What to say about a connection that failed."""
    url = settings.url
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ConnectionFailed(f"{url} did not answer. Is the address right, and is the server up?")
    if isinstance(error, httpx.TimeoutException):
        return ConnectionFailed(f"{url} took too long to answer. Try again.")
    if "CERTIFICATE" in str(error).upper():
        said = f"The certificate of {url} is not trusted ({error}). Name your own authority's in SSL_CERT_FILE."
        return ConnectionFailed(said)
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailed(f"{url} cannot be reached ({error}). Is the address right, and is the server up?")
    return ConnectionFailed(f"The connection to {url} broke ({error or type(error).__name__}). Try again.")


# When to ask again


class Patience:
    """How often and when one request is tried again. `seconds`: how long a server that was there may be away."""

    def __init__(self, seconds: float, clock: Callable[[], float], reached: bool) -> None:
        self.clock, self.reached = clock, reached
        self.until = clock() + seconds
        self.tries = 0
        self.unheard = False  # a request went out, and no answer to it came

    def after_error(self, ask: Ask, error: httpx.TransportError) -> float | None:
        """Seconds to wait before the next try; None for none."""
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        if (
            isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
            or "CERTIFICATE" in str(error).upper()
        ):
            return None
        self.unheard = self.unheard or sent
        return self._next() if not sent or ask.repeatable() else None

    def after_answer(self, ask: Ask, response: httpx.Response) -> float | None:
        """Seconds to wait before the next try; None when the answer counts."""
        asked = retry_after(response)
        if response.status_code == 429:
            return self._next(1.0 if asked is None else asked)
        if response.status_code in PASSING and ask.repeatable():
            return self._next(asked)
        return None

    def counted(self, ask: Ask, response: httpx.Response) -> httpx.Response:
        """The answer that counts. Raises ApiError when it says no."""
        if ask.method == "DELETE" and response.status_code == 404 and self.unheard:
            return httpx.Response(204, request=response.request)  # the first time it was done
        return check(response)

    def _next(self, asked: float | None = None) -> float | None:
        self.tries += 1
        wait = random.uniform(0.5, 1) * min(LONGEST_WAIT, FIRST_WAIT * 2**self.tries)  # noqa: S311
        if asked is not None:
            return max(wait, asked) if asked <= LONGEST_ASKED_WAIT and self.tries < QUICK_TRIES + 2 else None
        if not self.reached:
            return wait if self.tries < QUICK_TRIES else None
        return wait if self.clock() + wait < self.until else None


def retry_after(response: httpx.Response) -> float | None:
    """Seconds after which the server wants to be asked again; None when it does not say."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    if not text:
        return None
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError):
        return None


def json_text(data: Any) -> str:
    """What is sent as a field of a form."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
