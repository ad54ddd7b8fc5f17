"""The reference of the API as Markdown: docs/api.md."""

from collections.abc import Iterable, Iterator
from typing import Any

from api.described import Described, Piece, Thing, Value

HEAD = """# The API

Made by `make docs` from what the server says of itself; the same stands at `/api/v1/docs` of each installation, and the OpenAPI document
at `/api/v1/openapi.json`. All addresses here begin with `/api/v1`.
"""


def written(said: dict[str, Any]) -> str:
    """docs/api.md, of what `api.described` found."""
    return "\n".join([HEAD, *_sections(said), *_operations(said["groups"]), *_things(said["things"])]).rstrip() + "\n"


def _sections(said: dict[str, Any]) -> Iterator[str]:
    for section in said["sections"]:
        yield f"## {section.title}\n"
        for text in section.texts:
            yield f"```\n{text}\n```\n" if text.startswith("$ ") else f"{text}\n"
    yield "| Code | Status | |\n|---|---|---|"
    yield from (f"| `{code}` | {status} | {about} |" for code, (status, about) in said["codes"].items())
    yield ""


def _operations(groups: dict[str, list[Described]]) -> Iterator[str]:
    for tag, operations in groups.items():
        yield f"## {tag.capitalize()}\n"
        for one in operations:
            yield f"### {one.method} {one.path}\n\n{one.about}{' Open to everybody.' if one.open else ''}\n"
            yield from _table(one.values, where=True)
            yield "Answers " + "; ".join(_answered(one)) + ".\n"
            yield f"```\n{one.curl}\n```\n"


def _answered(one: Described) -> Iterator[str]:
    for answer in one.answers:
        media = "" if answer.media in {"", "application/json"} else f" as `{answer.media}`"
        yield f"{answer.status} {answer.about}{f': {_words(answer.type)}' if answer.type else ''}{media}"


def _things(things: Iterable[Thing]) -> Iterator[str]:
    yield "## Things\n"
    for thing in things:
        yield f"### {thing.name}\n\n{thing.about}\n"
        yield from _table(thing.values, where=False)


def _table(values: list[Value], *, where: bool) -> Iterator[str]:
    if not values:
        return
    yield "| Name | In | Type | |\n|---|---|---|---|" if where else "| Name | Type | |\n|---|---|---|"
    for value in values:
        needed = "required" if where and value.required else ""
        usual = f"usually `{value.usual}`" if value.usual else ""
        said = "; ".join(part for part in (needed, value.about, usual) if part)
        yield "| " + " | ".join([f"`{value.name}`", *([value.where] if where else []), _words(value.type), said]) + " |"
    yield ""


def _words(pieces: list[Piece]) -> str:
    return "".join(f"[{one.text}](#{one.text.lower()})" if one.thing else one.text for one in pieces).replace(
        "|", "\\|"
    )
