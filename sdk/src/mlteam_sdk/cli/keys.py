"""`mlteam key …`: third-party keys of a project. Secrets come from a file, standard input or a prompt, never from the command line."""

import sys
from pathlib import Path
from typing import Any, Final

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import YES, Trouble, command, group, session, sure
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import clean, note

Thing = dict[str, Any]
HERE: Final = "mlteam_sdk.cli.keys"
COLUMNS: Final = ("id", "name", "type", "created", "replaced_at")
STDIN: Final = "-"
LARGEST: Final = 64 * 1024  # bytes that are read of a file: more than the server takes
PLAIN: Final = click.option(
    "--with",
    "plain",
    multiple=True,
    metavar="FIELD=TEXT",
    help="A field that is no secret, such as region=eu-central-1.",
)
FROM: Final = click.option(
    "--from",
    "files",
    multiple=True,
    metavar="FIELD=FILE",
    help="A field whose value is in a file; - is standard input.",
)
FILE: Final = click.option(
    "--file",
    "-f",
    metavar="FILE",
    help="The file as it was downloaded: service account, kaggle.json, SSH key; - is standard input.",
)

key = group(
    "key",
    "Third-party keys of a project, with which its jobs open other services.",
    {
        "ls": (f"{HERE}:ls", "Lists the keys of the project."),
        "types": (f"{HERE}:types", "Lists the types of keys and their fields."),
        "new": (f"{HERE}:new", "Adds a key."),
        "set": (f"{HERE}:replace", "Replaces the values of a key."),
        "test": (f"{HERE}:test", "Tries whether a key works."),
        "rm": (f"{HERE}:rm", "Removes a key."),
    },
    aliases={"list": "ls", "remove": "rm"},
)
credential = group(
    "credential",
    "Third-party keys, one of each type, as trainML has them.",
    {
        "ls": (f"{HERE}:ls", "Lists the keys of the project."),
        "put": (f"{HERE}:put", "Adds the key that is called like its type, or replaces it."),
        "test": (f"{HERE}:test", "Tries whether a key works."),
        "rm": (f"{HERE}:rm", "Removes a key."),
    },
    aliases={"list": "ls", "remove": "rm"},
)


def _keys() -> str:
    return f"/projects/{session().project_id}/keys"


def _find(text: str) -> Thing:
    """The key of the project with this id or name."""
    from mlteam_sdk.cli import names

    known = names.id_in(text, "key")
    found = session().get_or_none(f"{_keys()}/{known}") if known else None
    return found or names.only(session().some(_keys(), 1, name=text), "third-party key", text)


@command("ls")
@prints(*COLUMNS, "about")
def ls(out: Output) -> None:
    """Lists the third-party keys of the active project. Their values are shown to nobody; `about` is what is no secret of them: a service
    account's address and project, an access key's id. Who may not set keys sees names and types.
    """
    found = session().items(_keys(), None)
    out.rows([one | {"about": ", ".join(_about(one))} for one in found] if out.is_for_people else found)


def _about(key: Thing) -> list[str]:
    """What is no secret of a key, as `field: value`."""
    return [f"{field}: {value}" for field, value in (key.get("about") or {}).items()]


def _print(out: Output, key: Thing) -> None:
    """Prints a key that was kept, and says to who sits there which it is."""
    out.one(key)
    if out.is_for_people:
        for line in _about(key):
            note(line)


@command("types")
@prints("name", "label", "fields", "file")
def types(out: Output) -> None:
    """Lists the types of keys with their fields; `file` is the one that --file is for."""
    found = session().get("/key-types")["items"]
    out.rows({**one, "fields": ", ".join(field["name"] for field in one["fields"])} for one in found)


@command("new")
@click.argument("type", metavar="TYPE", shell_complete=completing.key_types)
@click.argument("name", required=False, metavar="[NAME]")
@PLAIN
@FROM
@FILE
@prints(*COLUMNS)
def new(
    out: Output, type: str, name: str | None, plain: tuple[str, ...], files: tuple[str, ...], file: str | None
) -> None:
    """Adds a key to the active project, called NAME or like its type. What is not given is asked for, secrets without echo.

    `mlteam key new gcp --file key.json`; `mlteam key new aws backup --with access_key_id=AKIA…` asks for the secret;
    `pass show wandb | mlteam key new wandb` reads it from standard input.
    """
    kind = _type(type)
    if name is None and type == "secret":
        raise click.UsageError("Say the secret's NAME: that of the variable in which jobs find it.")
    fields = _values(kind, plain, files, file)
    _print(out, session().post(_keys(), {"type": type, "name": name or type, "fields": fields}))


@command("set")
@click.argument("key", metavar="KEY", shell_complete=completing.keys)
@PLAIN
@FROM
@FILE
@prints(*COLUMNS)
def replace(out: Output, key: str, plain: tuple[str, ...], files: tuple[str, ...], file: str | None) -> None:
    """Replaces all values of a key, by its name or id; they come from where `mlteam key new` takes them."""
    found = _find(key)
    fields = _values(_type(found["type"]), plain, files, file)
    _print(out, session().put(f"{_keys()}/{found['id']}", {"fields": fields}))


@command("put")
@click.argument("type", metavar="TYPE", shell_complete=completing.key_types)
@PLAIN
@FROM
@FILE
@prints(*COLUMNS)
def put(out: Output, type: str, plain: tuple[str, ...], files: tuple[str, ...], file: str | None) -> None:
    """Adds the key of the project that is called like its type, or replaces it: aws, gcp, kaggle …"""
    kind, found = _type(type), session().some(_keys(), 1, name=type)
    fields = _values(kind, plain, files, file)
    if found:
        _print(out, session().put(f"{_keys()}/{found[0]['id']}", {"fields": fields}))
    else:
        _print(out, session().post(_keys(), {"type": type, "name": type, "fields": fields}))


@command("test")
@click.argument("key", metavar="KEY", shell_complete=completing.keys)
@prints("works", "said")
def test(out: Output, key: str) -> None:
    """Tries a key, by its name or id, where it opens something. Exit status 1 when it does not work."""
    found = _find(key)
    came = session().post(f"{_keys()}/{found['id']}/test")
    out.one(came)
    if not came["works"]:
        raise Trouble(f"The key {clean(found['name'])} does not work.")


@command("rm")
@click.argument("key", metavar="KEY", shell_complete=completing.keys)
@YES
def rm(key: str, yes: bool) -> None:
    """Removes a key of the active project, by its name or id."""
    found = _find(key)
    sure(f"This removes the {found['type']} key {found['name']} of the project.", found["name"], yes=yes)
    session().delete(f"{_keys()}/{found['id']}")
    note(f"Removed {found['name']}. Revoke it also where it comes from.")


def _type(name: str) -> Thing:
    found: list[Thing] = session().get("/key-types")["items"]
    for one in found:
        if one["name"] == name:
            return one
    raise Trouble(f"There is no type {clean(name)}. Types: {', '.join(one['name'] for one in found)}.")


def _values(kind: Thing, plain: tuple[str, ...], files: tuple[str, ...], file: str | None) -> dict[str, str]:
    """Field -> value: what was given, and what is asked for in its place."""
    fields = {one["name"]: one for one in kind["fields"]}
    given = dict(_given(fields, plain, secret=False))
    sources = dict(_given(fields, files, secret=True))
    if file is not None:
        if not kind["file"]:
            raise click.UsageError(f"A key of the type {kind['name']} is no file. Use --from FIELD={clean(file)}.")
        sources[kind["file"]] = file
    given |= {name: _read(source) for name, source in sources.items()}
    return given if file is not None else given | _asked(kind, given)


def _given(fields: dict[str, Thing], pairs: tuple[str, ...], *, secret: bool) -> list[tuple[str, str]]:
    found = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in fields:
            said = clean(name) if equals else "What was given"
            raise click.UsageError(f"{said} is no FIELD=… of this type. Fields: {', '.join(fields)}.")
        if fields[name]["secret"] and not secret:
            raise click.UsageError(
                f"{name} is a secret, and every program here can read a command line. Leave it out to be asked, or use --from {name}=FILE."
            )
        found.append((name, value))
    return found


def _asked(kind: Thing, given: dict[str, str]) -> dict[str, str]:
    """What is missing: from a prompt, or the secret from standard input."""
    missing = [one for one in kind["fields"] if one["name"] not in given and not one["aside"]]
    if kind["file"] in given:  # it says all
        missing = [one for one in missing if one["required"]]
    if sys.stdin.isatty():
        return {one["name"]: _prompted(one) for one in missing}
    secrets = [one for one in missing if one["secret"]]
    return {secrets[0]["name"]: _read(STDIN)} if secrets else {}


def _prompted(field: Thing) -> str:
    if field["lines"]:
        path = click.prompt(f"{field['label']}: the file that it is in", err=True)
        return _read(path)
    default = "" if not field["required"] else None
    shown: str = click.prompt(field["label"], err=True, hide_input=field["secret"], default=default, show_default=False)
    return shown


def _read(source: str) -> str:
    """What a file holds, or standard input."""
    if source == STDIN:
        content = sys.stdin.buffer.read(LARGEST + 1)
    else:
        with Path(source).expanduser().open("rb") as file:
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Trouble(f"{clean(source)} is larger than any key. Is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Trouble(f"{clean(source)} is no text. Is it the right file?") from None
