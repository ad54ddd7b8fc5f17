"""Third-party keys that are attached to a job: as which variables and files it finds them, and what of them its log must not show."""

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

import access
from datastores.remote.addresses import Address
from datastores.remote.errors import Refused
from datastores.remote.keys import OPENS, Key, check_fits
from projects import sealing
from projects.errors import Impossible
from projects.models import Project, ThirdPartyKey, record
from projects.sealing import Values
from projects.third_party_types import SHORTEST, is_maskable

if TYPE_CHECKING:
    from access.keys import RoleHolder
    from accounts.models import User
    from jobs.models import Attempt, Job
    from jobs.spec import Spec

INSIDE: Final = "/run/mlteam/keys"  # where a sandbox has the files
LINE: Final = 76  # characters of base64, as programs write it
UNTOUCHED: Final = "!'()*"  # by a browser's encodeURIComponent

# Type -> field -> the variables that have its value.
VARIABLES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "aws": {
        "access_key_id": ("AWS_ACCESS_KEY_ID",),
        "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "region": ("AWS_DEFAULT_REGION", "AWS_REGION"),
        "endpoint": ("AWS_ENDPOINT_URL",),
    },
    "azure": {
        "tenant_id": ("AZURE_TENANT_ID",),
        "client_id": ("AZURE_CLIENT_ID",),
        "client_secret": ("AZURE_CLIENT_SECRET",),
    },
    "huggingface": {"token": ("HF_TOKEN",)},
    "kaggle": {"username": ("KAGGLE_USERNAME",), "key": ("KAGGLE_KEY",)},
    "ngc": {"api_key": ("NGC_API_KEY",)},
    "wandb": {"api_key": ("WANDB_API_KEY",)},
}
VARIABLES["wasabi"] = VARIABLES["aws"]
# What types set beside them; docker and git keys share theirs.
MORE: Final = {"gcp": ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG")}
SHARED: Final = {"docker": ("DOCKER_CONFIG",), "git": ("GIT_SSH_COMMAND",)}


class Missing(Exception):
    """A job cannot have a key that it needs; the sentence says which and what to do."""


@dataclass(slots=True)
class Given:
    """What a job is given: variables, files by their path inside it, and the values (base64) that its log must not show."""

    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    masks: list[str] = field(default_factory=list)


def _found(project: Project, names: list[str]) -> dict[str, ThirdPartyKey]:
    rows = ThirdPartyKey.objects.filter(project=project, name__in=names).select_related("project")
    return {key.name: key for key in rows}


def choices(project: Project, by: "User") -> list[tuple[str, str]]:
    """The keys that somebody may attach, by name and type; for the form."""
    if not access.allowed(by, "key:use", project):
        return []
    rows = ThirdPartyKey.objects.filter(project=project).order_by("name").values_list("name", "type")
    return [(name, f"{name} ({kind})") for name, kind in rows]


def opening(project: Project, by: "User") -> list[tuple[str, str]]:
    """The keys that somebody may have a bucket opened with, by name and type; for the form."""
    kinds = {kind for fitting in OPENS.values() for kind in fitting}
    return [(name, said) for name, said in choices(project, by) if said.rpartition("(")[2].rstrip(")") in kinds]


def errors(project: Project, spec: "Spec", by: "User | RoleHolder") -> list[tuple[str, str]]:
    """What is wrong with the keys of a spec, as (field, sentence): none of that name, not for `by`, or two for one variable."""
    opening = _opening(spec)
    if not spec.keys and not opening:
        return []
    if not access.allowed(by, "key:use", project):
        fields = dict.fromkeys(["keys"] * bool(spec.keys) + [field for field, *_ in opening])
        return [(field, "You may not use the keys of this project (key:use).") for field in fields]
    found = _found(project, [*spec.keys, *(name for _, _, name in opening)])
    wrong = [("keys", _none_called(name)) for name in spec.keys if name not in found]
    taken = dict.fromkeys(spec.environment_vars, ("environmentVars", ""))
    for key in (found[name] for name in spec.keys if name in found):
        for name, together in _sets(key):
            who, with_whom = taken.get(name, ("", together))
            if with_whom != together:
                wrong.append(("keys", f"{name} would be set by {who} and by the key {key.name}"))
            taken[name] = (key.name, together)
    return wrong + [(field, said) for field, *what in opening if (said := _unfit(found, *what))]


def _opening(spec: "Spec") -> list[tuple[str, str, str]]:
    """The keys with which buckets are opened for a job, which it does not see itself: (field, address, name)."""
    inputs = [(f"input.{number}.key", one.source, one.key or "") for number, one in enumerate(spec.input)]
    outputs = [(f"output.{number}.key", one.to, one.key or "") for number, one in enumerate(spec.output)]
    return [one for one in inputs + outputs if one[2]]


def _none_called(name: str) -> str:
    return f"this project has no key called {name}"


def _unfit(found: dict[str, ThirdPartyKey], address: str, name: str) -> str:
    """Why the key of this name does not open the address; "" where it may."""
    if name not in found:
        return _none_called(name)
    try:
        check_fits(Address.of(address), found[name].type)
    except Refused as refused:
        return str(refused)
    return ""


def _sets(key: ThirdPartyKey) -> Iterator[tuple[str, str]]:
    """What it sets, variables or a registry, each with whom it is set together: by this key alone, or by all keys of its type."""
    for name in SHARED.get(key.type, ()):
        yield name, f"keys of type {key.type}"
    for name in _sets_alone(key):
        yield name, key.name


def _sets_alone(key: ThirdPartyKey) -> Iterator[str]:
    if key.type == "docker":
        yield f"the registry {key.about.get('registry')}"
    elif key.type == "secret":
        yield key.name
    yield from MORE.get(key.type, ())
    for names in VARIABLES.get(key.type, {}).values():
        yield from names


def given(job: "Job", spec: "Spec", *, directory: str) -> tuple[Given, list[ThirdPartyKey]]:
    """What the job's keys are to it now, with their files below `directory`, and the keys. Raises Missing."""
    keys = _usable(job, spec.keys)
    made = Given()
    secrets: list[str] = []
    for key in keys:
        secrets += _give(made, key, _unsealed(key), directory)
    made.masks = masks_of(secrets, whole=made.files.values())
    return made, keys


def opener(job: "Job", name: str, **what: object) -> Key:
    """A key with which the server itself fetches or sends something for the job; the trail says so, and for `what`. Raises Missing."""
    [key] = _usable(job, [name])
    made = Key(key.name, key.type, {**key.about, **_unsealed(key)})
    record_use(job, key, **what)
    return made


def check_outputs(job: "Job", spec: "Spec") -> None:
    """Raises Missing where the job's output could not be stored with the keys as they are now: it is said before it runs."""
    opening = [(one.to, one.key) for one in spec.output if one.key]
    found = {key.name: key for key in _usable(job, [name for _, name in opening])} if opening else {}
    for address, name in opening:
        if said := _unfit(found, address, name):
            raise Missing(f"Its output could not be stored. {said}")
        _unsealed(found[name])


def _usable(job: "Job", names: list[str]) -> list[ThirdPartyKey]:
    """The keys of these names as they are now, if they may still be used for the job. Raises Missing."""
    found = _found(job.project, names)
    if gone := [name for name in names if name not in found]:
        raise Missing(f"It needs the key {gone[0]}, which has been removed from the project meanwhile.")
    if job.created_by and not access.allowed(job.created_by, "key:use", job.project):
        raise Missing(f"{job.created_by.username} may no longer use the keys of this project, which the job needs.")
    return [found[name] for name in names]


def _unsealed(key: ThirdPartyKey) -> Values:
    try:
        return sealing.unseal(key.sealed, key.pk)
    except Impossible as error:
        raise Missing(f"It needs the key {key.name}. {error}") from None


def note_use(attempt: "Attempt", keys: Iterable[ThirdPartyKey]) -> None:
    """The trail says that an attempt was given these keys."""
    for key in keys:
        record_use(attempt.job, key, attempt=attempt.index)


def record_use(job: "Job", key: ThirdPartyKey, **what: object) -> None:
    """The trail says that a key was used for a job, and for what."""
    more = {"key": key.name, "type": key.type, "job": job.name, "job_urn": job.urn, **what}
    role = {"role": job.by_role} if job.by_role else {}
    record(by=job.created_by, project=job.project, action="key:use", urn=key.urn, **more, **role)


def _give(made: Given, key: ThirdPartyKey, values: Values, directory: str) -> list[str]:
    """Adds what one key is to a job; its secrets."""
    place = f"{directory}/{key.name}"
    for name, variables in VARIABLES.get(key.type, {}).items():
        if value := values.get(name) or key.about.get(name):
            made.environment.update(dict.fromkeys(variables, value))
    give: Any = {"gcp": _google, "wasabi": _wasabi, "docker": _docker, "git": _git, "secret": _secret}.get(key.type)
    return [*values.values(), *(give(made, key, values, place) if give else ())]


def _google(made: Given, key: ThirdPartyKey, values: Values, place: str) -> list[str]:
    made.files[f"{place}/credentials.json"] = values["credentials"]
    made.environment |= {
        "GOOGLE_APPLICATION_CREDENTIALS": f"{place}/credentials.json",
        "CLOUDSDK_CONFIG": "/tmp/gcloud",  # noqa: S108 - the job's own
    }
    return [json.loads(values["credentials"])["private_key"]]


def _wasabi(made: Given, key: ThirdPartyKey, values: Values, place: str) -> list[str]:
    region = key.about.get("region")
    made.environment["AWS_ENDPOINT_URL"] = (
        f"https://s3.{region}.wasabisys.com" if region else "https://s3.wasabisys.com"
    )
    return []


def _docker(made: Given, key: ThirdPartyKey, values: Values, place: str) -> list[str]:
    """One config.json for all registries."""
    shared = f"{place.rpartition('/')[0]}/.docker"
    said = json.loads(made.files.get(f"{shared}/config.json", '{"auths": {}}'))
    auth = base64.b64encode(f"{key.about['username']}:{values['password']}".encode()).decode()
    registry = key.about["registry"]
    said["auths"]["https://index.docker.io/v1/" if registry == "docker.io" else registry] = {"auth": auth}
    made.files[f"{shared}/config.json"] = json.dumps(said, indent=2)
    made.environment["DOCKER_CONFIG"] = shared
    return [auth]


def _git(made: Given, key: ThirdPartyKey, values: Values, place: str) -> list[str]:
    """Of several keys ssh tries one after the other. What hosts are called by is believed the first time."""
    made.files[f"{place}/id"] = values["private_key"]
    begin = "ssh -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/tmp/known_hosts"
    before = made.environment.get("GIT_SSH_COMMAND", begin)
    made.environment["GIT_SSH_COMMAND"] = f"{before} -i {shlex.quote(f'{place}/id')}"
    return []


def _secret(made: Given, key: ThirdPartyKey, values: Values, place: str) -> list[str]:
    made.environment[key.name] = values["value"]
    return []


# What a log must not show


def masks_of(secrets: Iterable[str], *, whole: Iterable[str] = ()) -> list[str]:
    """Every form of these values that is masked, in base64: as they are, each line, and as programs write them for others.

    `whole`: contents of files, which are no secret as they are: `base64` writes what is secret in them as part of something longer.
    """
    found: set[bytes] = set()
    for secret in secrets:
        found.update(_forms(secret))
    for text in whole:
        found.update((*_in_base64(text.encode()), *_in_lines(text.encode())))
    return sorted(base64.b64encode(one).decode() for one in found if len(one) >= SHORTEST)


def _forms(secret: str) -> Iterator[bytes]:
    lines = {*secret.splitlines(), *secret.split("\n")}
    yield " ".join(secret.split()).encode()  # what a shell makes of it without quotes
    yield "\r\n".join(secret.splitlines()).strip().encode()
    yield from _in_lines(secret.encode())
    for text in {secret, secret.strip(), *(line.strip() for line in lines if is_maskable(line))}:
        yield text.encode()
        for escaped in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
            yield escaped.encode()
            yield escaped.replace("/", r"\/").encode()
        for escaped in (quote(text), quote(text, safe=""), quote(text, safe=UNTOUCHED), quote_plus(text)):
            yield escaped.encode()
            yield re.sub("%..", lambda code: code[0].lower(), escaped).encode()
        yield from _in_base64(text.encode())


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What stays the same of it in base64, wherever in a longer text it stands: one form for each place modulo three.

    The runner finds them also where they are written in lines.
    """
    for before, begin in ((0, 0), (1, 2), (2, 3)):  # characters that also depend on the bytes before it
        padded = b"\0" * before + raw
        yield from _in_both(base64.b64encode(padded)[begin : len(padded) * 8 // 6])


def _in_lines(raw: bytes) -> Iterator[bytes]:
    """Its lines in base64, each by itself: something else may stand between them, and not all may be shown."""
    certain = base64.b64encode(raw)[: len(raw) * 8 // 6]
    for at in range(0, len(certain), LINE):
        yield from _in_both(certain[at : at + LINE])


def _in_both(encoded: bytes) -> tuple[bytes, bytes]:
    """In both alphabets: the usual one, and that for addresses."""
    return encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))
