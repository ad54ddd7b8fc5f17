"""The API's own description, for people: operations by tag, and the things that they take and answer.

Made of the OpenAPI document alone; the reference page and docs/api.md show it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from api.guide import CODES, SECTIONS

METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
ASK: Final = 'curl -H "Authorization: Bearer $MLTEAM_TOKEN"'


@dataclass(frozen=True)
class Piece:
    """A part of how a type is said: a word, or the name of a thing that is described (`thing`)."""

    text: str
    thing: bool = False


@dataclass(frozen=True)
class Value:
    """A parameter or a field: its name, where it stands ("path", "query", "body"), its type, whether it must be there."""

    name: str
    where: str
    type: list[Piece]
    required: bool
    about: str
    usual: str


@dataclass(frozen=True)
class Result:
    """What is answered: the status, its name, and what the body is."""

    status: str
    about: str
    type: list[Piece]
    media: str


@dataclass(frozen=True)
class Described:
    """An operation."""

    id: str
    method: str
    path: str
    about: str
    open: bool
    values: list[Value]
    media: str
    answers: list[Result]
    curl: str


@dataclass(frozen=True)
class Thing:
    """What operations take or answer, field by field."""

    name: str
    about: str
    values: list[Value]


def described(document: dict[str, Any]) -> dict[str, Any]:
    """All of the document, for a template."""
    # As programs get it: statuses are strings there.
    document = json.loads(json.dumps(document, default=str))
    groups: dict[str, list[Described]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                groups.setdefault(methods[method]["tags"][0], []).append(_operation(document, path, method))
    schemas = document["components"]["schemas"]
    wanted = sorted(_named(groups.values(), schemas), key=str.casefold)
    return {"sections": SECTIONS, "codes": CODES, "groups": groups, "things": [_thing(schemas, one) for one in wanted]}


def _operation(document: dict[str, Any], path: str, method: str) -> Described:
    said = document["paths"][path][method]
    schemas = document["components"]["schemas"]
    media, body = _body(said, schemas)
    asked = [_parameter(one) for one in said["parameters"] if one["in"] != "header"]  # the guide has those
    return Described(
        id=said["operationId"],
        method=method.upper(),
        path=path.removeprefix("/api/v1"),
        about=_joined(said["description"]),
        open="security" not in said,
        values=asked + [_value(name, "body", one, body) for name, one in body.get("properties", {}).items()],
        media=media,
        answers=[_answer(status, one) for status, one in said["responses"].items() if status != "4XX"],
        curl=_curl(method, path, asked, media, body),
    )


def _body(said: dict[str, Any], schemas: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The media type and the schema of what is sent; nothing for an operation that takes none."""
    for media, content in said.get("requestBody", {}).get("content", {}).items():
        return media, _resolved(content["schema"], schemas)
    return "", {}


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return schemas[_name_of(schema["$ref"])] if "$ref" in schema else schema


def _parameter(one: dict[str, Any]) -> Value:
    schema = one["schema"]
    usual = schema.get("default")
    about = one.get("description", schema.get("description", ""))
    required = bool(one.get("required"))
    return Value(one["name"], one["in"], _optional(schema, required), required, _joined(about), _usual(usual))


def _value(name: str, where: str, schema: dict[str, Any], whole: dict[str, Any]) -> Value:
    required = name in whole.get("required", ())
    about = _joined(schema.get("description", ""))
    return Value(name, where, list(_type(schema)), required, about, _usual(schema.get("default")))


def _usual(value: Any) -> str:
    """What is taken for what is not said, where that says anything."""
    return "" if value in (None, "", [], {}) else json.dumps(value, ensure_ascii=False)


def _answer(status: str, said: dict[str, Any]) -> Result:
    about = HTTPStatus(int(status)).phrase
    about = said["description"] if said["description"] not in {"", about} else about
    for media, content in said.get("content", {}).items():
        return Result(status, about, list(_type(content.get("schema", {}))), media)
    return Result(status, about, [], "")


# Types in words


def _optional(schema: dict[str, Any], required: bool) -> list[Piece]:
    """Of a parameter: that it may be left out says that it may be null."""
    kinds = [one for one in schema.get("anyOf", [schema]) if required or one.get("type") != "null"]
    return list(_either(kinds))


def _type(schema: dict[str, Any]) -> Iterator[Piece]:
    if "$ref" in schema:
        yield from _thing_of(_name_of(schema["$ref"]))
    elif "anyOf" in schema:
        yield from _either(schema["anyOf"])
    elif "allOf" in schema:
        yield from _type(schema["allOf"][0])
    elif "enum" in schema:
        yield Piece(" or ".join(json.dumps(one) for one in schema["enum"]))
    elif "const" in schema:
        yield Piece(json.dumps(schema["const"]))
    elif schema.get("type") == "array":
        yield Piece("list of ")
        yield from _type(schema.get("items", {}))
    else:
        yield Piece(_plain(schema))


def _either(kinds: list[dict[str, Any]]) -> Iterator[Piece]:
    for number, kind in enumerate(kinds):
        if number:
            yield Piece(" or ")
        yield from _type(kind)


def _plain(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "anything")
    known = {"date-time": "time", "binary": "bytes", "date": "date"}
    word = known.get(schema.get("format", ""), {"boolean": "true or false", "object": "object"}.get(kind, kind))
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None and most < 10**9:
        return f"{word} from {least} to {most}"
    if "maxLength" in schema:
        return f"{word} of at most {schema['maxLength']} characters"
    return str(word)


def _thing_of(name: str) -> Iterator[Piece]:
    inner = re.fullmatch(r"Listed_(\w+?)_", name)
    if inner:
        yield Piece("page of ")
    yield Piece(shown(inner[1] if inner else name), thing=True)


def _name_of(ref: str) -> str:
    return ref.rpartition("/")[2]


def shown(name: str) -> str:
    """A schema's name, as people read it: ProjectOut is a Project."""
    return name.removesuffix("Out")


# Things


def _named(groups: Iterable[list[Described]], schemas: dict[str, Any]) -> set[str]:
    """The schemas that operations name, with all that those name. What is sent stands with its operation."""
    known = {shown(name): name for name in schemas}
    found: set[str] = set()
    ahead = {piece.text for group in groups for one in group for piece in _pieces(one) if piece.thing} | {"Problem"}
    while ahead:
        name = ahead.pop()
        if name in known and name not in found:
            found.add(name)
            ahead |= {piece.text for value in _thing(schemas, name).values for piece in value.type if piece.thing}
    return found


def _pieces(one: Described) -> list[Piece]:
    answered = [piece for answer in one.answers for piece in answer.type]
    return answered + [piece for value in one.values for piece in value.type]


def _thing(schemas: dict[str, Any], name: str) -> Thing:
    schema = schemas.get(f"{name}Out") or schemas[name]
    fields = schema.get("properties", {})
    values = [_value(field, "", one, schema) for field, one in fields.items()]
    about = _joined(schema.get("description", "")) or " or ".join(map(json.dumps, schema.get("enum", ())))
    return Thing(name, about, values)


def _joined(text: str) -> str:
    """A docstring as one line."""
    return " ".join(text.split())


# Examples


def _curl(method: str, path: str, asked: list[Value], media: str, body: dict[str, Any]) -> str:
    """A command that does it; what is in capitals is to be filled in."""
    address = re.sub(r"{(\w+)}", lambda found: found[1].upper(), path)
    query = "&".join(f"{one.name}={one.name.upper()}" for one in asked if one.where == "query" and one.required)
    plain = {"get": "", "head": "-I"} | ({"post": ""} if media else {})  # curl posts what it sends
    parts = [ASK, plain.get(method, f"-X {method.upper()}")]
    if media == "multipart/form-data":
        parts += [
            f"-F {name}={_form_example(one)}" for name, one in body.get("properties", {}).items() if _needed(name, body)
        ]
    elif media == "application/octet-stream":
        parts += ["--data-binary @FILE"]
    elif media:
        parts += [f"--json '{json.dumps(_example(body), ensure_ascii=False)}'"]
    where = f'"$MLTEAM_URL{address}{"?" if query else ""}{query}"'
    return " ".join([part for part in parts if part] + [where])


def _needed(name: str, schema: dict[str, Any]) -> bool:
    return name in schema.get("required", ()) or name == "files"


def _form_example(schema: dict[str, Any]) -> str:
    return "@FILE" if schema.get("type") == "array" else "'{…}'"


def _example(schema: dict[str, Any]) -> Any:
    """What must be sent, with made-up values; of what may all be left out, the first."""
    fields = schema.get("properties", {})
    needed = [name for name in fields if name in schema.get("required", ())] or list(fields)[:1]
    return {name: _sample(fields[name]) for name in needed}


def _sample(schema: dict[str, Any]) -> Any:
    schema = schema.get("anyOf", [schema])[0]
    samples = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    if "$ref" in schema or "allOf" in schema:
        return {}
    return schema["enum"][0] if "enum" in schema else samples.get(schema.get("type", ""), "…")
