"""`mlteam data …`: datasets, models and volumes; folders go up as versions and come down again."""

import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import YES, Refusal, Trouble, command, group, session, sure
from mlteam_sdk.cli.listing import WHO
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import clean, note

if TYPE_CHECKING:
    from mlteam_sdk.folders import LeftOut
    from mlteam_sdk.manifests import Entry
    from mlteam_sdk.sync.datastores import Datastore, Import, Version

Thing = dict[str, Any]
HERE: Final = "mlteam_sdk.cli.data"
KINDS: Final = ("dataset", "model", "volume")
LATEST: Final = "latest"
MOST: Final = 2**63 - 1  # bytes
VOLUME: Final = "volume"
ARCHIVES: Final = ("zip", "tar")
ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
COLUMNS: Final = ("id", "name", "kind", "latest.number", "latest.files", "latest.bytes", "created")
TITLES: Final = {"latest.number": "version", "latest.files": "files", "latest.bytes": "bytes", WHO: "Created By"}
SHOWN: Final = 20  # things left out that are named
KEY: Final = click.option("--key", default="", metavar="NAME", help="The project's key that opens an address.")
AS_IT_IS: Final = click.option(
    "--no-unpack", "as_it_is", is_flag=True, help="Keep an archive from an address as it is."
)
QUIET: Final = click.option("--quiet", "-q", is_flag=True, help="Print the id alone, and no progress.")

data = group(
    "data",
    "Datasets, models and volumes: make them, push and pull folders, look into them.",
    {
        "new": (f"{HERE}:new", "Makes a volume, a dataset or a model."),
        "ls": (f"{HERE}:ls", "Lists datasets, models and volumes: mine in the active project."),
        "get": (f"{HERE}:get", "Prints a dataset, model or volume, or fields of it."),
        "push": (
            f"{HERE}:push",
            "Makes a new version of a folder, or puts it into a volume; only what changed is sent.",
        ),
        "pull": (f"{HERE}:pull", "Fetches a version or a volume, or a part of it; only what is not here yet."),
        "archive": (f"{HERE}:archive", "Fetches a version or a volume, or a folder of it, as one zip or tar."),
        "import": (f"{HERE}:imports", "What the server fetches from addresses."),
        "content": (f"{HERE}:content", "What is in a version or a volume."),
        "versions": (f"{HERE}:versions", "Lists the versions, newest first."),
        "compare": (f"{HERE}:compare", "Says what is different between two versions."),
        "rename": (f"{HERE}:rename", "Gives another name."),
        "describe": (f"{HERE}:describe", "Says in Markdown what it is."),
        "quota": (f"{HERE}:quota", "Says how much a volume may have, or changes that."),
        "users": (f"{HERE}:users", "Lists the jobs that have it now, and whose they are."),
        "rm": (f"{HERE}:rm", "Removes a dataset, model or volume with all that is in it."),
    },
    aliases={"list": "ls", "create": "new", "remove": "rm", "info": "get"},
)
content = group(
    "content",
    "What is in a version or a volume.",
    {
        "ls": (f"{HERE}:content_ls", "Lists what is in a version or a volume, and what is new in it."),
        "rm": (f"{HERE}:content_rm", "Removes content of a volume; versions never change."),
        "mkdir": (f"{HERE}:content_mkdir", "Makes a folder in a volume."),
    },
    aliases={"list": "ls", "remove": "rm"},
)

imports = group(
    "import",
    "What the server fetches from addresses.",
    {
        "ls": (f"{HERE}:import_ls", "Lists what the server fetches, and has fetched, for a dataset or model."),
        "stop": (f"{HERE}:import_stop", "Ends an import without a version."),
        "again": (f"{HERE}:import_again", "Takes up an import that failed, where it was."),
    },
    aliases={"list": "ls", "retry": "again"},
)

NAME: Final = click.argument("name", metavar="NAME", shell_complete=completing.datastores)
VERSION: Final = click.argument("name", metavar="NAME[@VERSION]", shell_complete=completing.datastores)


def _found(text: str) -> Thing:
    from mlteam_sdk.cli import names

    return names.datastore(session(), text)


def _datastore(thing: Thing) -> "Datastore":
    from mlteam_sdk.sync.datastores import Datastore

    return Datastore.told(session().client, thing)


def _version(text: str) -> "tuple[Thing, Version | None]":
    """What NAME@VERSION means; the newest version without one. Of a volume, which has none, None."""
    name, _, number = text.partition("@")
    _check_number(number or LATEST)
    found = _found(name)
    if found["kind"] == VOLUME:
        _check_no_number(text)
        return found, None
    return found, _datastore(found).versions.get(_number(found, number or LATEST))


def _place(text: str, path: str) -> "tuple[Thing, Version | None, str]":
    """What NAME@VERSION means, as `_version` has it, and a path in it as it is typed. One that leads elsewhere is refused before anything
    is asked."""
    from mlteam_sdk import manifests, volumes

    volumes.remote(path)
    found, version = _version(text)
    return found, version, (manifests if version else volumes).remote(path)


def _check_no_number(text: str) -> None:
    if "@" in text:
        raise Trouble(f"{clean(text.partition('@')[0])} is a volume: it has no versions.")


def _check_number(text: str) -> None:
    if text != LATEST and not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"“{clean(text)}” is no version. Write a number, or {LATEST}.")


def _number(found: Thing, text: str) -> int:
    """The number of a version that is there."""
    latest = (found.get("latest") or {}).get("number")
    if latest is None:
        raise Trouble(f"{found['name']} has no version yet. `mlteam data push {found['name']} FOLDER` makes the first.")
    if text != LATEST and not 1 <= int(text) <= latest:
        raise Trouble(f"{found['name']} has no version {text}: the newest is {latest}.")
    return latest if text == LATEST else int(text)


def _versioned(found: Thing) -> Thing:
    if found["kind"] == VOLUME:
        raise Trouble(f"{found['name']} ({found['id']}) is a volume: it has no versions.")
    return found


@command("new")
@click.argument("name", metavar="[PROJECT.]NAME")
@click.option("--kind", type=click.Choice(KINDS), default="volume", show_default=True)
@click.option("--description", default="", metavar="TEXT", help="What it is, in Markdown.")
@click.option(
    "--quota", metavar="SIZE", help="What a volume may have at most, such as 50GiB; otherwise what the server gives."
)
@click.option(
    "--from", "address", metavar="ADDRESS", help="Its first version: https://, s3:// or gs://, fetched by the server."
)
@KEY
@AS_IT_IS
@QUIET
@prints(*COLUMNS)
def new(
    out: Output,
    name: str,
    kind: str,
    description: str,
    quota: str | None,
    address: str | None,
    key: str,
    as_it_is: bool,
    quiet: bool,
) -> None:
    """Makes a volume, or with --kind a dataset or a model, in the active project; with --from also its first version.

    `mlteam data new vision.production.home` makes home in the project vision.production. With --project PROJECT, NAME may have dots.
    """
    from mlteam_sdk.cli import names

    if address and kind == VOLUME:
        raise click.UsageError(
            "--from makes a version, which a volume does not have. Add --kind dataset or --kind model."
        )
    said = session()
    project, name = names.home(said, name)
    body: Thing = {"kind": kind, "name": name, "description": description}
    if quota:
        body["quota"] = _size(quota)
    if address:
        body |= {"address": address, "key": key, "unpack": not as_it_is}
    made = said.post(f"/projects/{project}/datastores", body)
    if address:
        there = f"{made['name']} ({made['id']}) is there, without a version: `mlteam data rm {made['id']}` removes it."
        _awaited(_datastore(made).imports.list(limit=1)[0], quiet, there)
        made = said.get(f"/datastores/{made['id']}")
    _print(out, made, quiet)


def _size(text: str) -> int:
    """Bytes of 50GiB, 1.5T or 1000000. Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGTP])(?:i?B)?|B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise click.UsageError(f"“{clean(text)}” is no size. Write 50GiB, 500MiB or a number of bytes.")
    bytes = Decimal(match[1]) * 1024 ** (" KMGTP".index((match[2] or " ").upper()))
    if bytes > MOST:
        raise click.UsageError(
            f"“{clean(text[:SHOWN])}…” is more than there can be. Write 50GiB, 500MiB or a number of bytes."
        )
    return int(bytes)


def _print(out: Output, thing: Thing, quiet: bool) -> None:
    if quiet:
        click.echo(thing["id"])
    else:
        out.rows([_sized(thing)], titles=TITLES) if out.is_for_people else out.one(thing)


def _sized(thing: Thing) -> Thing:
    """For a table: a volume has its files and bytes where others have those of the newest version."""
    if thing["kind"] != VOLUME:
        return thing
    return {**thing, "latest": {"number": None, "files": thing.get("files"), "bytes": thing.get("used")}}


@command("ls")
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.option("--global", "everyone", is_flag=True, help="Everyone's, with who made them.")
@click.option("--user", metavar="USER", help="Those of this person.", shell_complete=completing.users)
@click.option("--all", "everywhere", is_flag=True, help="In all projects that I may see, not only the active one.")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=100, show_default=True, help="At most that many.")
@prints(*COLUMNS)
def ls(out: Output, everywhere: bool, **choice: Any) -> None:
    """Lists datasets, models and volumes: mine in the active project.

    --global lists everyone's there and says whose they are, --user USER one person's; --all looks into every project that I may see.
    """
    columns = list(COLUMNS)
    columns[2:2] = [WHO] * (choice["everyone"] or bool(choice["user"]))
    columns[2:2] = ["project.full_name"] * everywhere
    found = chosen(**choice, project=None if everywhere else session().project_id)
    out.rows(map(_sized, found) if out.is_for_people else found, columns, titles=TITLES)


def chosen(*, kind: str | None, everyone: bool, user: str | None, limit: int, project: str | None) -> Iterator[Thing]:
    """The datasets, models and volumes that were asked for; mine unless others' are."""
    from mlteam_sdk.cli import names

    said = session()
    whose = names.user(said, user)["id"] if user else None
    mine = True if not everyone and not user else None
    found = said.items("/datastores", None if whose else limit, project=project, kind=kind, mine=mine)
    return islice((one for one in found if whose in (None, (one.get("created_by") or {}).get("id"))), limit)


@command("get")
@NAME
@prints(
    "id",
    "urn",
    "name",
    "kind",
    "project.full_name",
    "description",
    "created_by.username",
    "created",
    "latest.number",
    "latest.files",
    "latest.bytes",
    "used",
    "quota",
)
def get(out: Output, name: str) -> None:
    """Prints a dataset, model or volume. `$(mlteam data get NAME --field urn)` is its URN and nothing else.

    NAME is a name in the active project, an id, USER:NAME, or PROJECT.NAME with a project's full name.
    """
    out.details(session().get(f"/datastores/{_found(name)['id']}"))


@command("push")
@NAME
@click.argument("path", metavar="PATH|ADDRESS")
@click.option("--note", "-m", "said", default="", metavar="TEXT", help="What is new in this version.")
@click.option("--dry-run", is_flag=True, help="List what is different from the newest version; send nothing.")
@KEY
@AS_IT_IS
@QUIET
@prints("id", "name", "version", "files", "bytes", "note")
def push(out: Output, name: str, path: str, said: str, dry_run: bool, key: str, as_it_is: bool, quiet: bool) -> None:
    """Makes a new version of the files in the folder PATH, or of the file PATH. Only what the server lacks is sent.

    Into a volume they are put in the stead of files that are there; others stay.

    Of an ADDRESS (https://, s3://, gs://) the server fetches all files itself, and unpacks a single archive. Stopped here, that goes on.

    Links, pipes and devices are left out, and so is what a file .mlteamignore in the folder names, in the syntax of .gitignore. Stopped or
    cut off, the same command goes on where it was. When nothing has changed there is no new version.
    """
    from mlteam_sdk.cli.meter import Shown
    from mlteam_sdk.cli.refusals import about

    found = _found(name)
    if ADDRESS.match(path):
        if dry_run:
            raise click.UsageError("What is at an address only the server sees, so there is no --dry-run of it.")
        number = _fetched(_versioned(found), path, key=key, as_it_is=as_it_is, said=said, quiet=quiet)
        _tell_version(out, found, number, quiet)
        return
    if said and found["kind"] == VOLUME:
        raise click.UsageError("A volume has no versions to note something of.")
    with about(found), Shown(quiet=quiet) as shown:
        if dry_run:
            plan = _datastore(found).plan(Path(path), on_progress=shown)
        else:
            pushed = _datastore(found).push(Path(path), note=said, on_progress=shown)
    if dry_run:
        _tell_left_out(plan.left_out)
        out.rows([one._asdict() for one in plan.changes], ("path", "change", "old_size", "new_size"))
        compared = " Those of the same size are compared when they are sent." * (found["kind"] == VOLUME)
        note(f"{len(plan.changes)} of {len(plan.entries)} files are different.{compared} Nothing was sent.")
        return
    _tell_left_out(pushed.left_out)
    if pushed.version is None:
        told = {"id": found["id"], "name": found["name"], "version": None, "sent": pushed.files, "bytes": pushed.bytes}
        click.echo(found["id"]) if quiet else out.one(told, ("id", "name", "sent", "bytes"))
        return
    version = pushed.version.model_dump(mode="json")
    if quiet:
        click.echo(f"{found['id']}@{version['number']}")
        return
    if not pushed.new:
        healed = f" What the server had lost of it is there again, files: {pushed.files}." if pushed.files else ""
        note(f"Nothing has changed since version {version['number']}.{healed}")
    out.one({**version, "id": found["id"], "name": found["name"], "version": version["number"], "new": pushed.new})


def _fetched(found: Thing, address: str, *, key: str, as_it_is: bool, said: str, quiet: bool) -> int:
    """The number of the version that the server has made of what lies at an address."""
    from mlteam_sdk.cli.refusals import about

    with about(found):
        return _awaited(_datastore(found).push_from(address, key=key, unpack=not as_it_is, note=said), quiet)


def _awaited(begun: "Import", quiet: bool, *there: str) -> int:
    """The number of the version that comes of an import. `there`: what to say where none does, of what stays."""
    from mlteam_sdk.cli.meter import Fetching

    with Fetching(begun.id, quiet=quiet) as fetching:
        begun.wait(on_change=fetching)
    if begun.state != "done" or begun.version is None:
        again = [f"`mlteam data import again {begun.id}` tries once more."] if begun.state == "failed" else []
        raise Trouble(begun.said or f"The import {begun.id} was stopped.", more=[*again, *there])
    if begun.said:
        note(begun.said)
    return begun.version


def _tell_version(out: Output, found: Thing, number: int, quiet: bool) -> None:
    if quiet:
        click.echo(f"{found['id']}@{number}")
        return
    version = _datastore(found).versions.get(number).model_dump(mode="json")
    out.one({**version, "id": found["id"], "name": found["name"], "version": number, "new": True})


def _tell_left_out(left_out: "list[LeftOut]") -> None:
    for one in left_out[:SHOWN]:
        note(f"Left out {clean(one.path)}: {one.why}.")
    if len(left_out) > SHOWN:
        note(f"Left out {len(left_out) - SHOWN} more.")


@command("pull")
@VERSION
@click.argument("places", nargs=-1, required=True, metavar="[REMOTE] DIR")
@QUIET
@prints("id", "name", "version", "fetched", "bytes", "there")
def pull(out: Output, name: str, places: tuple[str, ...], quiet: bool) -> None:
    """Fetches a version or a volume into DIR, or with REMOTE the file or folder at that path in it: `mlteam data pull digits ./train .`

    Below DIR each file has the path that it has in the version. Those that are there with the same content are not fetched again, others of
    the same path are replaced, and what else is there stays. A file has its name when it is whole and right. Of a volume, a file of the
    same size and time is not fetched again.
    """
    from mlteam_sdk.cli.meter import Shown
    from mlteam_sdk.cli.refusals import about

    if len(places) > 2:
        raise click.UsageError("Say at most two places: what to fetch, and where to put it.")
    found, version, wished = _place(name, places[0] if len(places) == 2 else ".")
    with about(found), Shown(quiet=quiet) as shown:
        pulled = (version or _datastore(found)).pull(places[-1], path=wished, on_progress=shown)
    _tell_left_out(pulled.left_out)
    if quiet:
        click.echo(f"{found['id']}@{version.number}" if version else found["id"])
        return
    told = {"fetched": pulled.fetched, "bytes": pulled.bytes, "there": pulled.there}
    out.one({"id": found["id"], "name": found["name"], "version": version.number if version else None, **told})


@command("archive")
@VERSION
@click.argument("places", nargs=-1, required=True, metavar="[REMOTE] FILE")
@QUIET
@prints("id", "name", "version", "file", "bytes")
def archive(out: Output, name: str, places: tuple[str, ...], quiet: bool) -> None:
    """Fetches a version or a volume as one archive, or with REMOTE the folder at that path in it:
    `mlteam data archive digits ./train train.zip`

    FILE ends in .zip or .tar, which says what it is, and is there only when it is whole. Paths in it begin in the folder. Of a volume,
    links are left out.
    """
    from mlteam_sdk.cli.meter import Shown
    from mlteam_sdk.cli.refusals import about
    from mlteam_sdk.errors import NotFound

    if len(places) > 2:
        raise click.UsageError("Say at most two places: which folder to fetch, and the file to put it in.")
    target = Path(places[-1])
    if (form := target.suffix.lower().removeprefix(".")) not in ARCHIVES:
        raise click.UsageError(f"“{clean(places[-1])}” is no name of an archive: it ends in .zip or .tar.")
    found, version, wished = _place(name, places[0] if len(places) == 2 else ".")
    with about(found), Shown(quiet=quiet) as shown:
        try:
            (version or _datastore(found)).archive(target, path=wished, format=form, on_progress=shown)
        except NotFound:
            if not wished:
                raise
            where = f"version {version.number} of {found['name']}" if version else str(found["name"])
            raise Trouble(f"There is no folder {clean(wished)} in {where}.") from None
    if quiet:
        click.echo(f"{found['id']}@{version.number}" if version else found["id"])
        return
    told = {"version": version.number if version else None, "file": str(target), "bytes": target.stat().st_size}
    out.one({"id": found["id"], "name": found["name"], **told})


IMPORT: Final = click.argument("id", metavar="ID")
IMPORT_COLUMNS: Final = ("id", "state", "address", "files_done", "files", "bytes_done", "bytes", "version", "said")


@command("ls")
@NAME
@click.option("--limit", "-n", type=click.IntRange(min=1), default=100, show_default=True, help="At most that many.")
@prints(*IMPORT_COLUMNS)
def import_ls(out: Output, name: str, limit: int) -> None:
    """Lists what the server fetches, and has fetched, from addresses for a dataset or model; newest first.

    `files_done` of `files` and `bytes_done` of `bytes` say how far each is, `said` why it failed.
    """
    out.rows(session().items(f"/datastores/{_versioned(_found(name))['id']}/imports", limit))


@command("stop")
@IMPORT
@prints(*IMPORT_COLUMNS)
def import_stop(out: Output, id: str) -> None:
    """Ends an import without a version; what has arrived goes. Of one that has ended nothing changes."""
    _on_import(out, id, "stop")


@command("again")
@IMPORT
@prints(*IMPORT_COLUMNS)
def import_again(out: Output, id: str) -> None:
    """Takes up an import that failed, where it was. `mlteam data import ls NAME` says how far it is."""
    _on_import(out, id, "again")


def _on_import(out: Output, id: str, verb: str) -> None:
    from mlteam_sdk.asking import path
    from mlteam_sdk.cli.refusals import about
    from mlteam_sdk.errors import NotFound

    with about({"id": id}):
        try:
            out.rows([session().post(path("imports", id, verb))])
        except NotFound:
            raise Trouble(f"There is no import {clean(id)}. `mlteam data import ls NAME` lists them.") from None


@command("ls")
@VERSION
@click.argument("path", default=".", metavar="[PATH]")
@prints("name", "status")
def content_ls(out: Output, name: str, path: str) -> None:
    """Lists what is in a version, or below PATH in it: new, changed or unchanged since the version before.

    In a volume, which has no version before, all is new. There `\\x` and two digits are a byte of a name that is no plain text, `\\x0a`
    a line break; every command takes such a name as it stands here.
    """
    from mlteam_sdk.manifests import below

    found, version, wished = _place(name, path)
    if version is None:
        out.rows(_in_volume(found, wished))
        return
    entries = below(version.manifest(), wished)
    if wished and not entries:
        raise Trouble(f"There is no {clean(wished)} in version {version.number} of {found['name']}.")
    before = _datastore(found).versions.get(version.number - 1).manifest() if version.number > 1 else []
    out.rows(_statuses(entries, before))


def _in_volume(found: Thing, wished: str) -> list[Thing]:
    from mlteam_sdk.errors import NotFound

    try:
        listed = _datastore(found).listing(wished)
    except NotFound:
        raise Trouble(f"There is no {clean(wished)} in {found['name']}.") from None
    return [{"name": one.path, "status": "new", **one._asdict()} for one in listed]


def _statuses(entries: "Iterable[Entry]", before: "Iterable[Entry]") -> list[Thing]:
    """Each file and the directories above it, with what they are since the version before."""
    known = {one.path: one for one in before}
    found: dict[str, Thing] = {}
    for one in entries:
        old = known.get(one.path)
        status = "new" if old is None else "unchanged" if old == one else "changed"
        parts = one.path.split("/")
        for depth in range(1, len(parts)):
            above = found.setdefault(
                "/".join(parts[:depth]), {"kind": "directory", "status": status, "size": 0, "sha256": None}
            )
            above["size"] += one.size
            if above["status"] != status:
                above["status"] = "changed"
        found[one.path] = {"kind": "file", "status": status, "size": one.size, "sha256": one.sha256}
    return [{"name": path, **found[path]} for path in sorted(found, key=str.encode)]


@command("rm")
@VERSION
@click.argument("path", metavar="PATH")
def content_rm(name: str, path: str) -> None:
    """Removes a file or a folder of a volume; `.` removes all that is in it. It does not ask, and it cannot be undone.

    What is in a version of a dataset or model stays as it is: a version never changes.
    """
    from mlteam_sdk.cli.refusals import about
    from mlteam_sdk.errors import NotFound
    from mlteam_sdk.volumes import remote

    wished = remote(path)
    found = _found(name.partition("@")[0])
    if found["kind"] != "volume":
        how = f"`mlteam data push {found['name']} FOLDER` makes a new version without it"
        raise Refusal(f"{found['name']} ({found['id']}) is a {found['kind']}: its versions never change. {how}.")
    _check_no_number(name)
    with about(found):
        try:
            _datastore(found).remove_content(wished or ".")
        except NotFound:
            raise Trouble(f"There is no {clean(wished)} in {found['name']}.") from None
    note(f"Removed {clean(wished)} of {found['name']}." if wished else f"{found['name']} is empty.")


@command("mkdir")
@NAME
@click.argument("path", metavar="PATH")
def content_mkdir(name: str, path: str) -> None:
    """Makes a folder in a volume, with those above it."""
    from mlteam_sdk.cli.refusals import about
    from mlteam_sdk.volumes import remote

    wished = remote(path)
    found = _found(name)
    with about(found):
        _datastore(found).make_folder(wished)


@command("quota")
@NAME
@click.argument("size", required=False, metavar="[SIZE]")
@prints("id", "name", "used", "quota")
def quota(out: Output, name: str, size: str | None) -> None:
    """Says how much a volume may have at most, in bytes, and has; with SIZE (50GiB, 500MiB or a number of bytes) it may have that."""
    from mlteam_sdk.cli.refusals import about

    most, found = _size(size) if size is not None else None, _found(name)
    if found["kind"] != VOLUME:
        raise Trouble(f"{found['name']} ({found['id']}) is a {found['kind']}: only a volume has a quota.")
    with about(found):
        out.one(found if most is None else session().patch(f"/datastores/{found['id']}", {"quota": most}))


@command("users")
@NAME
@prints("urn", "name", WHO, "state", "writes")
def users(out: Output, name: str) -> None:
    """Lists the jobs that have it now, which keep it from being removed: who submitted each, its state, and whether it writes."""
    out.rows(session().get(f"/datastores/{_found(name)['id']}/users"))


@command("versions")
@NAME
@prints("number", "files", "bytes", "note", "created_by.username", "created")
def versions(out: Output, name: str) -> None:
    """Lists the versions of a dataset or model, newest first."""
    out.rows(session().items(f"/datastores/{_versioned(_found(name))['id']}/versions", None))


@command("compare")
@NAME
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@prints("path", "change", "old_size", "new_size")
def compare(out: Output, name: str, old: str, new: str) -> None:
    """Says what is different between two versions: numbers, or `latest`."""
    for number in (old, new):
        _check_number(number)
    found = _versioned(_found(name))
    asked = {"old": _number(found, old), "new": _number(found, new)}
    different = list(session().items(f"/datastores/{found['id']}/compare", None, **asked))
    out.rows(different)
    if not different:
        note(f"There is no difference between the versions {asked['old']} and {asked['new']} of {found['name']}.")


@command("rename")
@NAME
@click.argument("new_name", metavar="NEW")
@prints(*COLUMNS)
def rename(out: Output, name: str, new_name: str) -> None:
    """Gives a dataset, model or volume another name. Its id and its versions stay."""
    _change(out, name, {"name": new_name})


@command("describe")
@NAME
@click.argument("text", metavar="TEXT")
@prints(*COLUMNS)
def describe(out: Output, name: str, text: str) -> None:
    """Says in Markdown what a dataset, model or volume is; - reads standard input."""
    _change(out, name, {"description": sys.stdin.read() if text == "-" else text})


def _change(out: Output, name: str, values: Thing) -> None:
    from mlteam_sdk.cli.refusals import about

    found = _found(name)
    with about(found):
        _print(out, session().patch(f"/datastores/{found['id']}", values), quiet=False)


@command("rm")
@NAME
@YES
def rm(name: str, yes: bool) -> None:
    """Removes a dataset, model or volume with all that is in it. That cannot be undone; it is refused while it is in use."""
    from mlteam_sdk.cli.refusals import about

    found = _found(name)
    lost = "all that is in it" if found["kind"] == VOLUME else "all its versions"
    sure(f"This removes the {found['kind']} {found['name']} ({found['id']}) with {lost}.", found["name"], yes=yes)
    with about(found):
        session().delete(f"/datastores/{found['id']}")
    note(f"Removed {found['name']}.")
