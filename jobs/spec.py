"""The job's spec: what a job.yml and the form both become, checked all at once, with errors that name the field.

The keys are those of the job file; of them these are what a host without containers can honour. `mem` is GiB, `maxRunTime` seconds.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from datastores.remote.addresses import BUCKETS, Address

LARGEST: Final = 256 * 1024  # bytes of a job.yml
LONGEST_WORD: Final = 128 * 1024 - 1  # bytes that the kernel takes as one word of a command, or one variable

# Keys of the job file that need a compute resource of another kind; refused by name until one is there.
ELSEWHERE: Final = {
    "image": "containers",
    "interactive": "notebook sessions",
    "nodes": "a cluster",
    "gpuModel": "a choice of GPU types",
}

INPUT: Final = "/input"  # where a job sees what it says no place for
LONGEST_ADDRESS: Final = 2048  # characters

# What a job has there already.
RESERVED: Final = frozenset(
    {"bin", "boot", "dev", "environment", "etc", "lib", "lib32", "lib64", "libx32", "output", "proc", "root", "run"}
    | {"sbin", "sys", "tmp", "usr", "var"}
)

_data = re.compile(
    r"^(?:(?P<owner>[^/@:\\]+):)?(?P<name>[^/@:\\]+)(?:@(?P<version>latest|[1-9][0-9]{0,8}))?(?P<sub>/[^:]*)?"
    r":(?P<path>/[^:]*)(?::(?P<mode>ro|rw))?\Z"
)
_name = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*\Z")


class SpecErrors(ValueError):
    """All that is wrong with a spec: [(field, what was expected)]. A field is the dotted path in the job file."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors))
        self.errors = errors


def _one_line(text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise ValueError("expected one line of text")
    return text


def _command(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts) or not parts[0].strip():
        raise ValueError("expected a shell command, or a list of words")
    for part in parts:
        _passable(part)
    return value


def _passable(text: str, said: str = "") -> None:
    """Raises ValueError for text that no program can be given. `said`: what the message begins with."""
    if "\0" in text:
        raise ValueError(f"{said}NUL bytes cannot be passed to a program")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{said}this is no text in UTF-8") from None
    if size > LONGEST_WORD:
        raise ValueError(f"{said}expected at most 128 KiB, which is what Linux passes to a program")


def _environment(value: Any) -> dict[str, str]:
    """Mapping, or list of K=V; numbers and booleans as YAML writes them are taken as text."""
    if isinstance(value, list):
        if not all(isinstance(item, str) and "=" in item for item in value):
            raise ValueError("expected a mapping, or a list of NAME=VALUE")
        value = dict(item.split("=", 1) for item in value)
    if not isinstance(value, dict):
        raise ValueError("expected a mapping, or a list of NAME=VALUE")
    found = {str(name): _plain(name, item) for name, item in value.items()}
    for name, item in found.items():
        if not _name.match(name):
            raise ValueError(f"“{name}” is no name of a variable: letters, digits and _ only")
        if name.startswith("MLTEAM_"):
            raise ValueError(f"{name}: names that begin with MLTEAM_ are set by mlteam")
        _passable(f"{name}={item}", f"{name}: ")
    return found


def _plain(name: Any, item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str | int | float):
        return str(item)
    raise ValueError(f"{name}: expected text")


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if not path.isprintable() or ".." in pure.parts:
        raise ValueError("expected a directory without “..”")
    return str(pure)


def _requirement(text: str) -> str:
    text = text.strip()
    if not text or text.startswith("-") or not text.isprintable():
        raise ValueError("expected a requirement such as numpy or torch==2.9.1")
    return text


def _tag(text: str) -> str:
    text = _one_line(text)
    if len(text) > 40 or "," in text:
        raise ValueError("expected at most 40 characters without a comma")
    return text


def _key(text: str) -> str:
    text = _one_line(text)
    if len(text) > 60:
        raise ValueError("expected the name of a key of the project")
    return text


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _wanted(text: str) -> str:
    Wanted.of(text)
    return text


def _apart(texts: list[str]) -> list[str]:
    """Raises ValueError for two things at one place, or one inside another."""
    check_apart(Wanted.of(text).path for text in texts)
    return texts


def check_apart(places: Iterable[str]) -> None:
    """Raises ValueError where two of these paths are the same, or one is inside another."""
    for before, after in pairwise(sorted(places, key=lambda place: place.split("/"))):
        if after == before:
            raise ValueError(f"two things cannot both be at {after}")
        if after.startswith(f"{before}/"):
            raise ValueError(f"{after} would lie inside {before}, where other data is")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job wants of a dataset, model or volume: `[OWNER:]NAME[@VERSION][/SUB]:/PATH[:ro|rw]`. No version is the latest one; no mode
    is rw for a volume, and ro for what has versions."""

    owner: str
    name: str
    version: int | None
    sub: str
    path: str
    mode: str

    @classmethod
    def of(cls, text: str) -> "Wanted":
        """Raises ValueError for what says no such thing."""
        match = _data.match(text) if text.isprintable() else None
        if match is None:
            raise ValueError("expected NAME[@version][/part]:/path, such as digits:/data or digits@3/train:/data/train")
        version = match["version"]
        return cls(
            owner=match["owner"] or "",
            name=match["name"],
            version=int(version) if version and version != "latest" else None,
            sub=_part(match["sub"] or ""),
            path=_place(match["path"]),
            mode=match["mode"] or "",
        )

    @classmethod
    def fits(cls, name: str) -> bool:
        """Whether a thing of this name can be wanted at a place that is called like it."""
        try:
            return cls.of(f"{name}:/data/{name}").name == name
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.pinned(self.version) if self.version else self.of_volume

    def pinned(self, version: int) -> str:
        """The same, of just this version."""
        return self._said(f"@{version}")

    @property
    def of_volume(self) -> str:
        """The same, of a volume."""
        return self._said("") + (":ro" if self.mode == "ro" else "")

    def _said(self, version: str) -> str:
        owner, sub = f"{self.owner}:" if self.owner else "", f"/{self.sub}" if self.sub else ""
        return f"{owner}{self.name}{version}{sub}:{self.path}"


def _target(text: str) -> str:
    kind, _, name = text.partition(":")
    if kind in BUCKETS:
        return _address(text, BUCKETS)
    if text == "artifacts":
        return text
    if kind not in {"model", "dataset"} or not Wanted.fits(name) or len(name) > 100:
        raise ValueError("expected gs://BUCKET/PATH, s3://BUCKET/PATH, model:NAME, dataset:NAME or artifacts")
    return text


def _source(text: str) -> str:
    return _address(text, {*BUCKETS, "https", "http"})  # what of http is refused, and why, Address says


def _address(text: str, schemes: Collection[str]) -> str:
    """Raises ValueError for what is no address of one of these schemes, with what is wrong with it."""
    text = text.strip()
    if text.partition(":")[0] not in schemes:
        raise ValueError("expected an address: gs://BUCKET/PATH, s3://BUCKET/PATH or https://HOST/PATH")
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"expected at most {LONGEST_ADDRESS} characters")
    Address.of(text)
    return text


def _part(sub: str) -> str:
    """A path within a version, without the slashes around it."""
    parts = [part for part in sub.split("/") if part]
    if {".", ".."} & set(parts):
        raise ValueError("expected a part without “.” and “..”")
    return "/".join(parts)


def _place(path: str) -> str:
    """Where the job sees something: an absolute path that hides nothing of the system."""
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/") or not parts or {".", ".."} & set(parts) or len(path) > 500 or not path.isprintable():
        raise ValueError("expected an absolute path such as /data, without “..”")
    if parts[0] in RESERVED or parts == ["work"]:
        raise ValueError(f"/{parts[0]} is taken: choose a path such as /data/{parts[-1]}")
    return f"/{'/'.join(parts)}"


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=False, hide_input_in_errors=True
    )


class Resources(_Strict):
    """What the job is given: CPU cores, GiB of memory, whole GPUs."""

    cpu: Annotated[float, Field(ge=0.1, le=4096)] = 1
    mem: Annotated[float, Field(ge=0.0625, le=65536)] = 2
    gpu: Annotated[int, Field(ge=0, le=1024)] = 0


class Packages(_Strict):
    """Python packages: an environment is made of them before the command starts."""

    pip: list[Annotated[str, AfterValidator(_requirement)]] = []


class Input(_Strict):
    """What is fetched before the job starts, and seen by it at `to`, to be read: `gs://`, `s3://` (public ones without a key), `https://`."""

    source: Annotated[str, AfterValidator(_source)] = Field(alias="from")
    to: Annotated[str, AfterValidator(_place)] = INPUT
    key: Annotated[str, AfterValidator(_key)] | None = Field(None, validate_default=True)

    @field_validator("key")
    @classmethod
    def _fits(cls, key: str | None, info: ValidationInfo) -> str | None:
        return _checked_key(key, info.data.get("source"), needed=False)


class Output(_Strict):
    """Where the job's output goes when it has ended with status 0, or however it ended (`always`).

    `model:NAME` or `dataset:NAME`, new or a new version of it; a bucket, with a key; `artifacts`, where it stays in any case. What is
    in the bucket already is never touched: then it fails (`refuse`), or each attempt writes below a prefix of its own (`new-prefix`).
    """

    to: Annotated[str, AfterValidator(_target)]
    key: Annotated[str, AfterValidator(_key)] | None = Field(None, validate_default=True)
    existing: Literal["refuse", "new-prefix"] = "refuse"
    always: bool = False

    @field_validator("key")
    @classmethod
    def _fits(cls, key: str | None, info: ValidationInfo) -> str | None:
        return _checked_key(key, info.data.get("to"), needed=True)

    @field_validator("existing")
    @classmethod
    def _is_of_use(cls, existing: str, info: ValidationInfo) -> str:
        if existing != "refuse" and info.data.get("to", "").partition(":")[0] not in BUCKETS:
            raise ValueError("only for an output in a bucket; a model or dataset gets a new version")
        return existing

    @property
    def in_bucket(self) -> bool:
        return self.kind in BUCKETS

    @property
    def kind(self) -> str:
        return self.to.partition(":")[0]

    @property
    def name(self) -> str:
        return self.to.partition(":")[2]


def _checked_key(key: str | None, address: str | None, *, needed: bool) -> str | None:
    """Raises ValueError where a bucket lacks a key, or something else has one."""
    in_bucket = (address or "").partition(":")[0] in BUCKETS
    if in_bucket and not key and needed:
        raise ValueError("is needed: the name of the project's key that opens the bucket")
    if key and address and not in_bucket:
        raise ValueError("expected none: only a bucket (gs://, s3://) is opened by a key")
    return key


class Spec(_Strict):
    """One job, as its job.yml says it."""

    name: Annotated[str, Field(max_length=100), AfterValidator(_one_line)] = "job"
    type: Literal["training"] = "training"
    command: Annotated[str | list[str], BeforeValidator(_command)]
    workdir: Annotated[str, Field(max_length=500), AfterValidator(_inside)] = "."
    environment_vars: Annotated[dict[str, str], BeforeValidator(_environment)] = {}
    packages: Packages = Packages()
    keys: Annotated[list[Annotated[str, AfterValidator(_key)]], Field(max_length=20), AfterValidator(_once)] = []
    data: Annotated[list[Annotated[str, AfterValidator(_wanted)]], Field(max_length=50), AfterValidator(_apart)] = []
    input: Annotated[list[Input], Field(max_length=20)] = []
    output: Annotated[list[Output], Field(max_length=4)] = []
    resources: Resources = Resources()
    max_run_time: Annotated[int, Field(ge=1, le=10**9)] | None = None
    restartable: bool = False
    preemptable: bool = False
    bid: Annotated[int, Field(ge=0, le=100)] = 0
    line_buffered: bool = False
    tags: Annotated[list[Annotated[str, AfterValidator(_tag)]], Field(max_length=20)] = []

    @field_validator("input")
    @classmethod
    def _apart_from_data(cls, those: list[Input], info: ValidationInfo) -> list[Input]:
        check_apart([*(Wanted.of(text).path for text in info.data.get("data", ())), *(one.to for one in those)])
        return those

    @field_validator("output")
    @classmethod
    def _each_elsewhere(cls, those: list[Output]) -> list[Output]:
        targets = [one.to.rstrip("/") for one in those]
        if twice := next((to for to in targets if targets.count(to) > 1), None):
            raise ValueError(f"two outputs cannot both go to {twice}")
        return those

    @property
    def argv(self) -> list[str]:
        """The words to execute."""
        return ["stdbuf", "-oL", *self.words] if self.line_buffered else self.words

    @property
    def words(self) -> list[str]:
        """The command as a list of words: text is what a shell is given."""
        return ["/bin/bash", "-c", self.command] if isinstance(self.command, str) else self.command

    def stored(self) -> dict[str, Any]:
        """As it is kept in the job's row: only what differs from the defaults."""
        return self.model_dump(by_alias=True, exclude_defaults=True, mode="json")

    def as_yaml(self) -> str:
        """The job.yml that makes the same job."""
        return as_yaml(self.stored())


def due(spec: dict[str, Any], *, succeeded: bool) -> list[int]:
    """Which outputs of a stored spec are to be stored when its command has ended so, by their places in the list."""
    outputs = enumerate(spec.get("output", ()))
    return [number for number, one in outputs if one["to"] != "artifacts" and (succeeded or one.get("always"))]


def as_yaml(data: dict[str, Any]) -> str:
    """Plain data as a person would write it."""
    return yaml.dump(data, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120) if data else ""


def parse(data: Any) -> Spec:
    """The spec that a mapping means. Raises SpecErrors with all that is wrong."""
    if not isinstance(data, dict):
        raise SpecErrors([("job.yml", "expected a mapping of keys such as name and command")])
    elsewhere = [(key, f"no compute resource here offers {ELSEWHERE[key]}") for key in data if key in ELSEWHERE]
    try:
        spec = Spec.model_validate({str(key): value for key, value in data.items() if key not in ELSEWHERE})
    except ValidationError as error:
        raise SpecErrors(elsewhere + [_said(item) for item in error.errors()]) from None
    if elsewhere:
        raise SpecErrors(elsewhere)
    if len(spec.model_dump_json(exclude_defaults=True).encode()) > LARGEST:
        raise SpecErrors(
            [("job.yml", f"expected at most {LARGEST // 1024} KiB in all; upload what is longer as a file")]
        )
    return spec


def parse_yaml(text: str | bytes) -> Spec:
    """The spec that a job.yml means. Raises SpecErrors."""
    return parse(load_yaml(text))


def load_yaml(text: str | bytes) -> Any:
    """The plain data of a job.yml. Raises SpecErrors for what is no YAML, too long, or has aliases or repeated keys."""
    if len(text) > LARGEST:
        raise SpecErrors([("job.yml", f"expected at most {LARGEST // 1024} KiB")])
    try:
        return yaml.load(text, Loader=_Plain)  # noqa: S506 a SafeLoader, made stricter
    except (
        yaml.YAMLError,
        RecursionError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        # PyYAML's own constructors fail in all these ways at values that are not what their tag says
        raise SpecErrors([("job.yml", f"this is no YAML: {_first_line(error)}")]) from None


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return f"{getattr(error, 'problem', None) or type(error).__name__}{where}"


def _said(item: Any) -> tuple[str, str]:
    field = ".".join(
        str(part)
        for part in item["loc"]
        if part not in {"str", "list[str]", "function-before[_command(), union[str,list[str]]]"}
    )
    if item["type"] == "extra_forbidden":
        return field, "there is no such key"
    if item["type"] == "missing":
        return field, "is needed"
    return field, item["msg"].removeprefix("Value error, ").replace("Input should be", "expected")


class _Plain(yaml.SafeLoader):
    """YAML without aliases (a few of them can stand for gigabytes) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool):
                raise yaml.constructor.ConstructorError(None, None, "keys must be text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Readable(yaml.SafeDumper):
    """Text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
