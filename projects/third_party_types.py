"""The types of third-party keys: which fields each has, what is taken for a value, and what is no secret of it.

A value that a log may have to hide has 8 bytes at least, and so has one of its lines: anything shorter stands in ordinary output by
chance, and cannot be masked. Not all of its lines: files of keys have short ones too, as "{" and the last before "-----END".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from django.core.exceptions import ValidationError

from projects.sealing import Values

SHORTEST: Final = 8  # bytes of a secret
LONGEST: Final = 32 * 1024  # bytes of a value
GOOGLES_TOKENS: Final = "https://oauth2.googleapis.com/token"
TOO_SHORT: Final = (
    f"A secret of fewer than {SHORTEST} bytes cannot be masked in logs: it would stand in ordinary output by chance."
)
SHORT_LINES: Final = (
    f"Each of its lines has fewer than {SHORTEST} bytes: logs are masked line by line, and lines so short stand in ordinary output "
    "by chance. Keep it on one line."
)


@dataclass(frozen=True, slots=True)
class Field:
    """One of the values that a key has. `lines`: it may have more than one; `fits`: the pattern of a plain one, `else_said` in words.

    `aside`: few need it, or another stands for it; programs are not asked for it by themselves.
    """

    name: str
    label: str
    secret: bool = False
    required: bool = True
    lines: bool = False
    aside: bool = False
    help: str = ""
    default: str = ""
    fits: str = r"[\x21-\x7e]+"
    else_said: str = "Letters, digits and signs, without spaces."


@dataclass(frozen=True, slots=True)
class Type:
    """A type of key. `refine` checks the values together and gives (secrets, what is no secret)."""

    name: str
    label: str
    fields: tuple[Field, ...]
    says: str = ""
    file: str = ""  # the field that an uploaded file is the value of
    refine: Callable[[Values, Values], tuple[Values, Values]] = lambda secrets, about: (secrets, about)


def check(kind: str, sent: Mapping[str, Any]) -> tuple[Values, Values]:
    """(secret values, what is no secret) of what was sent for a key of this type.

    Raises ValidationError by field; what it says repeats no value.
    """
    fields = {field.name: field for field in TYPES[kind].fields}
    errors = {name: "This type of key has no such field." for name in sent if name not in fields}
    values: Values = {}
    for name, field in fields.items():
        try:
            if (value := _cleaned(field, sent.get(name))) is not None:
                values[name] = value
        except ValidationError as error:
            errors[name] = str(error.message)
    if errors:
        raise ValidationError(errors)
    secrets = {name: value for name, value in values.items() if fields[name].secret}
    about = {name: value for name, value in values.items() if not fields[name].secret}
    return TYPES[kind].refine(secrets, about)


def _cleaned(field: Field, value: Any) -> str | None:
    """The value as it is kept; None where there is none and need be none."""
    text = str(value or "").replace("\r\n", "\n")
    text = text.strip("\n") if field.lines else text.strip()
    if not text.strip():
        if field.required and not field.default:
            raise ValidationError("This is needed.")
        return field.default or None
    if "\0" in text or not _is_utf8(text) or len(text.encode()) > LONGEST:
        raise ValidationError(f"Text in UTF-8 of at most {LONGEST // 1024} KiB, without NUL bytes.")
    if not field.lines and not re.fullmatch(field.fits, text):
        raise ValidationError(field.else_said)
    if field.secret:
        check_maskable(text)
    return text


def check_maskable(text: str) -> None:
    """Raises ValidationError for a secret that is too short to be masked, or whose lines all are."""
    if not is_maskable(text):
        raise ValidationError(TOO_SHORT)
    if not any(map(is_maskable, text.splitlines())):
        raise ValidationError(SHORT_LINES)


def is_maskable(text: str) -> bool:
    """Whether it is long enough not to stand in ordinary output by chance."""
    return len(text.strip().encode()) >= SHORTEST


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Google


_GOOGLES: Final = (
    "type",
    "project_id",
    "private_key_id",
    "private_key",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
)
_OTHERS: Final = {
    "external_account": "This file holds no key: it says where one is to be fetched (external_account), from addresses that its "
    "writer chose. Make a key of a service account, as JSON, and upload that.",
    "authorized_user": "These are somebody's own credentials (authorized_user), which may do all that this person may. Make a "
    "service account that may do little, and upload its key.",
    "impersonated_service_account": "This file uses other credentials to act as a service account. Upload the service account's "
    "own key.",
}


def _google(secrets: Values, _: Values) -> tuple[Values, Values]:
    """Of a service account's file only what belongs into one is kept."""
    found = _object(secrets["credentials"], "credentials")
    said = _google_refusal(found)
    if said:
        raise ValidationError({"credentials": said})
    kept = {name: found[name] for name in _GOOGLES if name in found}
    about: Values = {name: kept[name] for name in ("client_email", "project_id", "private_key_id") if name in kept}
    return {"credentials": json.dumps(kept, indent=2)}, about


def _google_refusal(found: dict[str, Any]) -> str:
    kind = found.get("type")
    if kind != "service_account":
        other = "Its “type” must be “service_account”: make a key of a service account, as JSON, and upload that."
        return _OTHERS.get(str(kind), other)
    if found.get("token_uri") != GOOGLES_TOKENS:
        return f"Its “token_uri” must be {GOOGLES_TOKENS}: this file would have the key shown to another address."
    if found.get("universe_domain", "googleapis.com") != "googleapis.com":
        return "Its “universe_domain” must be googleapis.com: this file leads to another address than Google's."
    if not all(
        isinstance(value, str) and _is_utf8(value) for value in (found[name] for name in _GOOGLES if name in found)
    ):
        return "All its values must be text, as Google writes them."
    if not re.fullmatch(r"[^@\s]{1,200}@[^@\s]{1,200}", found.get("client_email", "")):
        return "It names no service account: “client_email” is missing, or no address."
    if not re.fullmatch(r"[a-z0-9:.-]{1,100}", found.get("project_id", "")):
        return "It names no project of Google's: “project_id” is missing, or no id."
    return "" if _is_pem(found.get("private_key", "")) else "Its “private_key” is missing, or no key."


def _is_pem(text: str) -> bool:
    try:
        serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


# Kaggle


def _kaggle(secrets: Values, about: Values) -> tuple[Values, Values]:
    """Username and key, also out of kaggle.json."""
    if "kaggle_json" in secrets:
        found = _object(secrets.pop("kaggle_json"), "kaggle_json")
        if set(found) != {"username", "key"}:
            raise ValidationError(
                {"kaggle_json": "It must have “username” and “key” and nothing else, as Kaggle writes it."}
            )
        try:
            return check("kaggle", found)
        except ValidationError as error:
            raise ValidationError({"kaggle_json": "; ".join(error.messages)}) from None
    missing = {name: "This is needed, or kaggle.json." for name in ("username", "key") if name not in secrets | about}
    if missing:
        raise ValidationError(missing)
    return secrets, about


def _object(text: str, field: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValidationError({field: "This is no JSON. Choose the file as it was downloaded."}) from None
    if not isinstance(found, dict):
        raise ValidationError({field: "This is no JSON object. Choose the file as it was downloaded."})
    return found


# Git


def _git(secrets: Values, about: Values) -> tuple[Values, Values]:
    """A key without a passphrase; the public half is shown, to be put where the repository is."""
    text = f"{secrets['private_key'].strip()}\n"
    try:
        load = serialization.load_ssh_private_key if "OPENSSH" in text else serialization.load_pem_private_key
        loaded: Any = load(text.encode(), password=None)
        public = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except TypeError:
        said = "This key has a passphrase, which nobody types in a job. Make one without, for this project alone: ssh-keygen -t ed25519"
        raise ValidationError({"private_key": said}) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValidationError({"private_key": "This is no private SSH key. Choose the file without “.pub”."}) from None
    return {"private_key": text}, about | {"public_key": public.decode()}


def _bucket_address(secrets: Values, about: Values) -> tuple[Values, Values]:
    endpoint = about.get("endpoint")
    if endpoint:
        url = urlsplit(endpoint)
        if url.scheme not in {"https", "http"} or not url.hostname or url.username or url.query or url.fragment:
            raise ValidationError(
                {"endpoint": "An address such as https://s3.example.org, without a name or password in it."}
            )
    return secrets, about


_REGION: Final = Field(
    "region",
    "Region",
    required=False,
    fits="[a-z0-9-]{1,40}",
    else_said="Small letters, digits and -, such as eu-central-1.",
)
_ACCESS: Final = (
    Field(
        "access_key_id",
        "Access key ID",
        fits="[A-Za-z0-9._-]{4,128}",
        else_said="4 to 128 letters, digits, “.”, “_” and “-”.",
    ),
    Field("secret_access_key", "Secret access key", secret=True),
)
_USERNAME: Final = {"fits": r"[\x21-\x7e]{1,200}", "else_said": "Letters, digits and signs, without spaces."}
_FILE: Final = "The file as it was downloaded."

TYPES: Final = {
    one.name: one
    for one in (
        Type(
            "aws",
            "AWS",
            (
                *_ACCESS,
                Field(
                    "session_token",
                    "Session token",
                    secret=True,
                    required=False,
                    aside=True,
                    help="Only for temporary credentials.",
                ),
                _REGION,
                Field("endpoint", "Endpoint", required=False, help="Only for another service that speaks S3."),
            ),
            "For S3 and whatever else reads AWS_ACCESS_KEY_ID.",
            refine=_bucket_address,
        ),
        Type(
            "gcp",
            "Google Cloud",
            (Field("credentials", "Service account key (JSON)", secret=True, lines=True, help=_FILE),),
            "For Cloud Storage and other services: the key of a service account, as a JSON file.",
            "credentials",
            _google,
        ),
        Type(
            "azure",
            "Azure",
            (
                Field("tenant_id", "Directory (tenant) ID"),
                Field("client_id", "Application (client) ID"),
                Field("client_secret", "Client secret", secret=True),
            ),
            "An application that is registered in Microsoft Entra.",
        ),
        Type("wasabi", "Wasabi", (*_ACCESS, _REGION), "Wasabi's object storage."),
        Type(
            "docker",
            "Docker registry",
            (
                Field(
                    "registry",
                    "Registry",
                    required=False,
                    default="docker.io",
                    fits=r"[a-z0-9.-]{1,200}(:\d{1,5})?",
                    else_said="A host such as ghcr.io, without https://.",
                    help="Docker Hub (docker.io) when empty.",
                ),
                Field("username", "Username", **_USERNAME),  # type: ignore[arg-type]
                Field("password", "Password or access token", secret=True),
            ),
            "Images that are not public.",
        ),
        Type(
            "huggingface",
            "Hugging Face",
            (Field("token", "Access token", secret=True),),
            "Models and data sets of the Hub.",
        ),
        Type(
            "kaggle",
            "Kaggle",
            (
                Field("username", "Username", required=False, **_USERNAME),  # type: ignore[arg-type]
                Field("key", "Key", secret=True, required=False),
                Field("kaggle_json", "Or kaggle.json", secret=True, required=False, aside=True, lines=True, help=_FILE),
            ),
            "Data sets and competitions.",
            "kaggle_json",
            _kaggle,
        ),
        Type("ngc", "NVIDIA NGC", (Field("api_key", "API key", secret=True),), "NVIDIA's images and models."),
        Type("wandb", "Weights & Biases", (Field("api_key", "API key", secret=True),), "Runs that are logged to W&B."),
        Type(
            "git",
            "Git (SSH)",
            (
                Field(
                    "private_key",
                    "Private key",
                    secret=True,
                    lines=True,
                    help="Without a passphrase, for this project alone.",
                ),
            ),
            "Repositories that are reached by SSH.",
            "private_key",
            _git,
        ),
        Type(
            "secret",
            "Secret",
            (Field("value", "Value", secret=True, lines=True),),
            "Anything else: jobs find it in a variable of the environment that has its name.",
            "value",
        ),
    )
}
CHOICES: Final = [(one.name, one.label) for one in TYPES.values()]

_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_plain = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def check_name(kind: str, name: str) -> None:
    """Raises ValidationError for what cannot be a key's name; a secret's is that of a variable."""
    if kind != "secret" and not _plain.fullmatch(name):
        said = "At most 60 letters, digits, “.”, “_” and “-”, beginning with a letter or digit."
        raise ValidationError({"name": said})
    if kind == "secret" and not _variable.fullmatch(name):
        said = "Jobs find it in a variable of this name: at most 60 letters, digits and “_”, beginning with a letter or “_”."
        raise ValidationError({"name": said})
    if kind == "secret" and name.upper().startswith("MLTEAM_"):
        raise ValidationError({"name": "Names that begin with MLTEAM_ are set by mlteam."})
