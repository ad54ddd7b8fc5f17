"""Tries a third-party key where it opens something, with a call that changes nothing; what is said of it repeats no value.

Only what a key is for is asked: who it is, or for a token. Redirects are not followed, so that no key is shown to another host.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from django.conf import settings
from urllib3.exceptions import HTTPError

from mlteam import outside
from projects.sealing import Values
from projects.third_party_types import GOOGLES_TOKENS, SHORTEST

LONGEST: Final = 15.0  # seconds for all that one try asks
PATIENCE: Final = 8.0  # seconds to connect, and between two parts of an answer
LARGEST: Final = 64 * 1024  # bytes of an answer that are read

# Where each service is, unless MLTEAM_SERVICES says otherwise. Keys with an address of their own are tried there.
SERVICES: Final = {
    "aws": "https://sts.amazonaws.com",
    "azure": "https://login.microsoftonline.com",
    "docker": "https://registry-1.docker.io",
    "gcp": GOOGLES_TOKENS,
    "huggingface": "https://huggingface.co",
    "kaggle": "https://www.kaggle.com",
    "ngc": "https://nvcr.io",
    "wandb": "https://api.wandb.ai",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a key opens what it is for, and a sentence: who one is with it, or what is wrong and what to do."""

    works: bool
    said: str


class NotTaken(Exception):
    """The service does not take the key; the sentence says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: the beginning of it."""

    host: str
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object that it is; {} where it is none."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def unforeseen(self) -> NotTaken:
        """For a status that says nothing about the key."""
        if 300 <= self.status < 400:
            to = urlsplit(self.headers.get("Location", "")).hostname or "another address"
            return NotTaken(
                f"{self.host} sends on to {to}, and keys are not shown to another host. Write that address instead."
            )
        if self.status == 429:
            return NotTaken(f"{self.host} is asked too often just now. Try again in a minute.")
        if self.status >= 500:
            return NotTaken(
                f"{self.host} has trouble of its own (status {self.status}), so nothing is known of the key. Try again later."
            )
        return NotTaken(
            f"{self.host} answered with the status {self.status}, which says nothing about the key. Look at the address."
        )


def attempt(kind: str, values: Values, secrets: Values) -> Outcome:
    """Tries the values of a key of this type, of which some are secrets. It takes LONGEST at most, and the time for names of hosts."""
    asks = Asks()
    try:
        with outside.within(LONGEST):
            outcome = Outcome(True, TRIES[kind](values, asks))
    except NotTaken as error:
        outcome = Outcome(False, str(error))
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        outcome = Outcome(False, outside.explain(error, asks.host))
    finally:
        asks.session.close()
    return Outcome(outcome.works, _without(outcome.said, secrets))


def _without(said: str, secrets: Values) -> str:
    """A service that is nobody's friend may answer with what it was sent."""
    for secret in secrets.values():
        for part in {secret.strip(), *secret.split()}:
            said = said.replace(part, "…") if len(part) >= SHORTEST else said
    return said


class Asks:
    """Asks one service after the other; `host` is the one that was asked last."""

    def __init__(self) -> None:
        self.session, self.host = outside.session(), "the service"

    def __call__(self, method: str, url: str, **options: Any) -> Answer:
        self.host = urlsplit(url).netloc.rpartition("@")[2]
        headers = {"Accept-Encoding": "identity", "User-Agent": "mlteam"} | dict(options.pop("headers", {}))
        with outside.ask(self.session, method, url, headers=headers, timeout=PATIENCE, **options) as response:
            text = response.raw.read(LARGEST).decode(errors="replace")
            return Answer(self.host, response.status_code, response.headers, text)


def _at(kind: str) -> str:
    found: str = settings.MLTEAM_SERVICES.get(kind) or SERVICES[kind]
    return found.rstrip("/")


def _named(value: Any) -> str:
    """What a service calls somebody, as it may stand in a sentence."""
    return re.sub(r"[^\w@.:/+-]+", " ", str(value or "somebody"))[:120].strip()


# AWS and what speaks S3


def _aws(values: Values, asks: Asks) -> str:
    if endpoint := values.get("endpoint"):
        return _buckets(endpoint, values, asks)
    region = values.get("region", "")
    place = {"cn-": f"https://sts.{region}.amazonaws.com.cn", "us-gov-": f"https://sts.{region}.amazonaws.com"}
    foreign = next((begin for begin in place if region.startswith(begin)), "")
    url = place[foreign] if foreign else _at("aws")
    asked = b"Action=GetCallerIdentity&Version=2011-06-15"
    answer = _signed("POST", f"{url}/", values, "sts", region if foreign else "us-east-1", asks, asked)
    if answer.status != 200 or not (who := _tagged(answer.text, "Arn")):
        raise _of_aws(answer)
    return f"AWS knows it as {_named(who)}."


def _wasabi(values: Values, asks: Asks) -> str:
    region = values.get("region")
    where = f"https://s3.{region}.wasabisys.com" if region else "https://s3.wasabisys.com"
    return _buckets(settings.MLTEAM_SERVICES.get("wasabi") or where, values, asks)


def _buckets(endpoint: str, values: Values, asks: Asks) -> str:
    """The list of buckets. Whoever may not see it is known all the same."""
    url = f"{endpoint.rstrip('/')}/"
    answer = _signed("GET", url, values, "s3", values.get("region") or "us-east-1", asks)
    if answer.status == 200 and "ListAllMyBucketsResult" in answer.text:
        return f"{answer.host} takes it."
    if _tagged(answer.text, "Code") == "AccessDenied":
        return f"{answer.host} knows it. It may not list all buckets, which it need not."
    raise _of_aws(answer)


def _signed(
    method: str, url: str, values: Values, service: str, region: str, asks: Asks, body: bytes | None = None
) -> Answer:
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    known = Credentials(values["access_key_id"], values["secret_access_key"], values.get("session_token"))
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    request: Any = AWSRequest(method=method, url=url, data=body or b"", headers=kind)
    (S3SigV4Auth if service == "s3" else SigV4Auth)(known, service, region).add_auth(request)
    return asks(method, url, headers=dict(request.headers.items()), data=body)


def _tagged(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>([^<]*)</{tag}>", text)
    return found[1] if found else ""


_AWS: Final = {
    "InvalidAccessKeyId": "It knows no such access key ID: it was mistyped, or the key was deleted or switched off.",
    "InvalidClientTokenId": "It knows no such access key ID: it was mistyped, or the key was deleted or switched off.",
    "SignatureDoesNotMatch": "The secret access key is not the one of this access key ID. Replace the key with both.",
    "ExpiredToken": "The session token has expired. Get new temporary credentials, or better a key that lasts.",
    "ExpiredTokenException": "The session token has expired. Get new temporary credentials, or better a key that lasts.",
    "InvalidToken": "The session token does not belong to this access key ID. Replace the key with all three.",
    "RequestTimeTooSkewed": "The clock of this server is wrong. Whoever runs it must set it right.",
    "AuthorizationHeaderMalformed": "The region is not that of this endpoint. Write the right one.",
    "AccessDenied": "It knows the key but refuses it everything. Ask whoever runs that account.",
}


def _of_aws(answer: Answer) -> NotTaken:
    code = _tagged(answer.text, "Code")
    return NotTaken(f"{answer.host} does not take it. {_AWS[code]}") if code in _AWS else answer.unforeseen()


# Google


def _gcp(values: Values, asks: Asks) -> str:
    from google.auth.exceptions import RefreshError
    from google.oauth2 import service_account

    info = json.loads(values["credentials"]) | {"token_uri": _at("gcp")}
    scopes = ["https://www.googleapis.com/auth/devstorage.read_only"]
    account: Any = service_account.Credentials.from_service_account_info(info, scopes=scopes)  # type: ignore[no-untyped-call]
    try:
        account.refresh(_for_google(asks))
    except RefreshError as error:
        raise NotTaken(refused_by_google(str(error))) from None
    except (
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
    ):  # the library takes it for granted what Google answers
        raise NotTaken(refused_by_google("")) from None
    return f"Google gives a token to {_named(info['client_email'])}. What it may read and write, its roles there say."


def _for_google(asks: Asks) -> Callable[..., Any]:
    """Asks for Google's library, which by itself would follow redirects and read all that is sent."""

    def ask(url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any) -> SimpleNamespace:
        answer = asks(method, url, data=body, headers=headers or {})
        return SimpleNamespace(status=answer.status, headers=answer.headers, data=answer.text)

    return ask


def refused_by_google(error: str) -> str:
    """Why Google gave no token, of what its library says."""
    if "account not found" in error.lower():
        return "Google knows no such service account: it was deleted. Make another, and replace the key."
    if "disabled" in error.lower():
        return "Google says that the service account is switched off. Switch it on there, or replace the key."
    if "jwt" in error.lower() and ("iat" in error or "exp" in error or "time" in error.lower()):
        return "Google does not believe the time of day. The clock of this server is wrong: whoever runs it must set it right."
    if "invalid_grant" in error:
        return (
            "Google does not take it: this key of the service account was deleted. Make a new one, and replace the key."
        )
    return "Google gave no token, and did not say that the key is the reason. Try again later."


# Registries of images


def _docker(values: Values, asks: Asks) -> str:
    registry = values["registry"]
    url = _at("docker") if registry == "docker.io" else f"{_scheme(registry)}://{registry}"
    said = "The username or the password is wrong, or the access token was revoked. Replace the key."
    return _login(url, values["username"], values["password"], asks, said)


def _scheme(registry: str) -> str:
    """A registry of this very host is asked without TLS, as docker does."""
    return "http" if registry.partition(":")[0] in {"localhost", "127.0.0.1"} else "https"


def _ngc(values: Values, asks: Asks) -> str:
    said = "The API key is wrong, has expired or was revoked. Make a new one at ngc.nvidia.com, and replace the key."
    return _login(_at("ngc"), "$oauthtoken", values["api_key"], asks, said)


def _login(url: str, username: str, password: str, asks: Asks, wrong: str) -> str:
    """Signs in as `docker login` does: the registry says where and how."""
    first = asks("GET", f"{url}/v2/")
    if first.status == 200:
        raise NotTaken(f"{first.host} lets everybody in, so nothing is known of the key.")
    if first.status != 401:
        raise first.unforeseen()
    scheme, _, rest = first.headers.get("WWW-Authenticate", "").partition(" ")
    if scheme.lower() == "basic":
        answer = asks("GET", f"{url}/v2/", auth=(username, password))
    else:
        said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        answer = asks(
            "GET", _realm(said, url, first.host), params=_for_token(said, username), auth=(username, password)
        )
    if answer.status in {400, 401, 403}:
        raise NotTaken(f"{first.host} does not take it. {wrong}")
    if answer.status != 200 or (scheme.lower() != "basic" and not {"token", "access_token"} & set(answer.data)):
        raise answer.unforeseen()
    who = "" if username.startswith("$") else f" as {_named(username)}"
    return f"{first.host} signs it in{who}."


def _realm(said: dict[str, str], url: str, host: str) -> str:
    """Where the registry has its tokens. A password goes there only as safely as to the registry itself."""
    realm = said.get("realm", "")
    if urlsplit(realm).scheme not in {"https", urlsplit(url).scheme} or not urlsplit(realm).hostname:
        raise NotTaken(f"{host} does not say where one signs in. Is it a registry of images?")
    return realm


def _for_token(said: dict[str, str], username: str) -> dict[str, str]:
    asked = {name: said[name] for name in ("service", "scope") if name in said}
    return asked | {"account": username, "client_id": "mlteam"}


# Others


def _huggingface(values: Values, asks: Asks) -> str:
    answer = asks("GET", f"{_at('huggingface')}/api/whoami-v2", headers=_bearer(values["token"]))
    if answer.status in {401, 403}:
        raise NotTaken(
            "Hugging Face does not take it: the token is wrong, or was revoked. Make one, and replace the key."
        )
    if answer.status != 200 or not isinstance(answer.data.get("name"), str):
        raise answer.unforeseen()
    return f"Hugging Face knows it as {_named(answer.data['name'])}."


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _wandb(values: Values, asks: Asks) -> str:
    asked = {"query": "query Viewer { viewer { username } }"}
    answer = asks("POST", f"{_at('wandb')}/graphql", json=asked, auth=("api", values["api_key"]))
    data = answer.data.get("data")
    viewer = data.get("viewer") if isinstance(data, dict) else None
    if answer.status in {401, 403} or (answer.status == 200 and isinstance(data, dict) and not viewer):
        raise NotTaken("Weights & Biases does not take it: look at wandb.ai/authorize for yours, and replace the key.")
    if answer.status != 200 or not isinstance(viewer, dict):
        raise answer.unforeseen()
    return f"Weights & Biases knows it as {_named(viewer.get('username'))}."


def _kaggle(values: Values, asks: Asks) -> str:
    who = values["username"]
    answer = asks("GET", f"{_at('kaggle')}/api/v1/competitions/list", params={"page": "1"}, auth=(who, values["key"]))
    if answer.status in {401, 403}:
        said = "Kaggle does not take it: the key is not this username's, or was expired there. Make a new token, and replace the key."
        raise NotTaken(said)
    if answer.status != 200 or not answer.text.lstrip().startswith("["):
        raise answer.unforeseen()
    return f"Kaggle takes it as the key of {_named(who)}."


_AZURE: Final = {
    "AADSTS7000215": "The client secret is wrong. Copy its value, not its ID, and replace the key.",
    "AADSTS7000222": "The client secret has expired. Make a new one, and replace the key.",
    "AADSTS700016": "This directory has no application of this ID. Look at both IDs.",
    "AADSTS90002": "There is no directory of this ID. Look at the directory (tenant) ID.",
    "AADSTS900023": "There is no directory of this ID. Look at the directory (tenant) ID.",
    "AADSTS7000112": "The application is switched off. Switch it on there, or replace the key.",
}


def _azure(values: Values, asks: Asks) -> str:
    asked = {
        "grant_type": "client_credentials",
        "client_id": values["client_id"],
        "client_secret": values["client_secret"],
        "scope": "https://management.azure.com/.default",
    }
    tenant = requests.utils.quote(values["tenant_id"], safe="")
    answer = asks("POST", f"{_at('azure')}/{tenant}/oauth2/v2.0/token", data=asked)
    if answer.status == 200 and "access_token" in answer.data:
        return f"Microsoft Entra gives a token to the application {_named(values['client_id'])}."
    code = re.match(r"AADSTS\d+", str(answer.data.get("error_description", "")))
    if answer.data.get("error"):
        said = _AZURE.get(code[0] if code else "", "Look at the three values, and replace the key.")
        raise NotTaken(f"Microsoft Entra does not take it. {said}")
    raise answer.unforeseen()


TRIES: Final[dict[str, Callable[[Values, Asks], str]]] = {
    "aws": _aws,
    "azure": _azure,
    "docker": _docker,
    "gcp": _gcp,
    "huggingface": _huggingface,
    "kaggle": _kaggle,
    "ngc": _ngc,
    "wandb": _wandb,
    "wasabi": _wasabi,
}
