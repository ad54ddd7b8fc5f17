"""Versions that the server makes of what lies at an address: fetched, unpacked where it is an archive, and stored as a push is.

In `var/imports/<import>` lie `fetched` (datastores.remote.fetching), `tree` where that was unpacked, and `manifest` once all is hashed:
whatever is there need not be done again by a worker that comes after one that was killed.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import Http404
from django.utils import timezone

import access
from access.keys import RoleHolder
from access.models import Role
from access.sources import ROLE
from accounts.models import User
from datastores import actions, blobs, hints, paths, places, unpacking, uploads
from datastores.errors import Impossible, Unfit
from datastores.kinds import VERSIONED
from datastores.manifests import BadManifest, Entry
from datastores.models import Datastore, Import
from datastores.remote import fetching
from datastores.remote.addresses import Address, BadAddress
from datastores.remote.errors import Refused as NotOpened
from datastores.remote.errors import Stopped, Trouble
from datastores.remote.keys import Key, check_fits
from datastores.remote.opening import open_source
from datastores.remote.progress import Counted, check
from mlteam import state
from projects import ownership
from projects.models import Project, ThirdPartyKey, record

if TYPE_CHECKING:
    By = User | RoleHolder

log = logging.getLogger(__name__)

MOST: Final = 10  # of a project that wait or are under way
AT_ONCE: Final = 2  # that one host carries out: its worker has other things to do
SHOWN: Final = 5  # on the page of what they are for
TOLD_EVERY: Final = 1.0  # seconds
TOGETHER: Final = 200  # files that are stored at once
UNDONE: Final = (
    *(
        Trouble,
        unpacking.BadArchive,
        Impossible,
        BadManifest,
        paths.BadPath,
        ValidationError,
        uploads.Damaged,
        blobs.Full,
    ),
    *(access.Refused, Http404),
)
State = Import.State


# What people do


@transaction.atomic
def create(
    *, project: Project, address: str = "", key: str = "", unpack: bool = True, by: "By", **named: Any
) -> Datastore:
    """A new dataset, model or volume (`named`: see actions.create), with an address also its first version, which is fetched from there.

    Where that cannot begin, nothing is created. Raises Unfit, Impossible, ValidationError.
    """
    made = actions.create(project=project, by=by, **named)
    if address:
        if made.kind not in VERSIONED:
            raise Unfit("address", "A volume has no versions, so none is fetched for it. Make a dataset or a model.")
        start(datastore=made, address=address, key=key, unpack=unpack, by=by)
    return made


def start(
    *, datastore: Datastore, address: str, key: str = "", unpack: bool = True, note: str = "", by: "By"
) -> Import:
    """A version is to be made of what lies at an address; `key`: the project's that opens it. Raises Unfit, Impossible, ValidationError."""
    actions.check_may_upload(datastore, by)
    actions.check_text("note", note, actions.NOTE)
    found = _address(address)
    _check_key(datastore.project, found, key, by)
    made = Import(datastore=datastore, address=found.text, key_name=key, unpack=unpack, note=note, **actions.maker(by))
    made.host = state.host_name()
    with transaction.atomic():
        ownership.lock(datastore.project)
        actions.check_may_upload(datastore, by)
        if not Datastore.objects.present().filter(pk=datastore.pk).exists():
            raise Http404
        if Import.objects.filter(datastore__project=datastore.project, state__in=Import.OPEN).count() >= MOST:
            raise Impossible(f"The project fetches from {MOST} addresses already. Wait for one, or stop it.")
        made.save(force_insert=True)
        _record(made, "new", by)
        transaction.on_commit(partial(hints.bring_in, made.pk), robust=True)
    return made


def stop(*, row: Import, by: "By") -> None:
    """Ends an import without a version; what has arrived goes."""
    access.require(by, f"{row.datastore.kind}:set", row.datastore)
    with transaction.atomic():
        before = Import.objects.filter(pk=row.pk).exclude(state__in=[State.DONE, State.STOPPED])
        if before.update(state=State.STOPPED, ended_at=timezone.now(), said=""):
            _record(row, "stop", by)
            transaction.on_commit(partial(_tidy, row.pk), robust=True)
    row.refresh_from_db()


def again(*, row: Import, by: "By") -> None:
    """Takes up an import that failed, where it was. Raises Impossible."""
    actions.check_may_upload(row.datastore, by)
    _check_key(row.datastore.project, _address(row.address), row.key_name, by)
    with transaction.atomic():
        failed = Import.objects.filter(pk=row.pk, state=State.FAILED)
        if not failed.update(state=State.WAITING, ended_at=None, said="", host=state.host_name(), **_made_by(by)):
            raise Impossible("Only an import that failed can be tried again.")
        _record(row, "new", by)
        transaction.on_commit(partial(hints.bring_in, row.pk), robust=True)
    row.refresh_from_db()


def _made_by(by: "By") -> dict[str, Any]:
    """From now on it is whose word it is that it goes on."""
    return {"created_by": None, "by_role": "", "by_role_id": ""} | actions.maker(by)


def _address(text: str) -> Address:
    try:
        return Address.of(text)
    except BadAddress as error:
        raise Unfit("address", str(error)) from None


def _check_key(project: Project, address: Address, name: str, by: "By") -> ThirdPartyKey | None:
    """The key of this name, if `by` may use it for this address. Raises Unfit."""
    if name and not access.allowed(by, "key:use", project):
        raise Unfit("key", "You may not use the keys of this project (key:use).")
    found = ThirdPartyKey.objects.filter(project=project, name=name).select_related("project").first() if name else None
    if name and found is None:
        raise Unfit("key", f"This project has no key called {paths.shown(name)}.")
    try:
        check_fits(address, found.type if found else None)
    except NotOpened as error:
        raise Unfit("key", str(error)) from None
    return found


def _record(row: Import, what: str, by: "By") -> None:
    datastore = row.datastore
    after = {"address": row.shown_address} | ({"key": row.key_name} if row.key_name else {})
    action = f"{datastore.kind}:import:{what}"
    record(by=by, project=datastore.project, action=action, urn=datastore.urn, after=after, name=datastore.name)


def shown(datastore: Datastore) -> list[Import]:
    """What its page says of imports: those that run, those that failed, and those that have just ended."""
    lately = Q(state=State.DONE, ended_at__gt=timezone.now() - timedelta(minutes=5))
    rows = datastore.imports.filter(Q(state__in=[*Import.OPEN, State.FAILED]) | lately)
    newest = rows.select_related("created_by").order_by("-created_at", "-id")[:SHOWN]
    return sorted(newest, key=lambda row: not row.is_open)


# What the worker does


def resume_all() -> None:
    """Asks for all of this host that are not at their end."""
    for import_id in _waiting().values_list("pk", flat=True)[: 2 * MOST]:
        hints.bring_in(import_id)


def _waiting() -> Any:
    return Import.objects.filter(state__in=Import.OPEN, host=state.host_name()).order_by("created_at")


def carry_out(import_id: str) -> None:
    """Fetches, unpacks and stores. Where another worker is at it, or enough others are carried out, it waits for the next word."""
    with _slot() as free, state.alone(state.directory("imports") / f"{import_id}.lock") as alone:
        if free and alone:
            _carry_out(import_id)
            _tidy(import_id)
    if free and (following := _waiting().exclude(pk=import_id).filter(state=State.WAITING).first()):
        hints.bring_in(following.pk)


@contextmanager
def _slot() -> Iterator[bool]:
    """Whether this one may be carried out beside the others."""
    for number in range(AT_ONCE):
        with state.alone(state.directory("imports") / f"slot.{number}") as free:
            if free:
                yield True
                return
    yield False


def _tidy(import_id: str) -> None:
    """Of what has ended for good nothing is kept."""
    if not Import.objects.filter(pk=import_id, state__in=[*Import.OPEN, State.FAILED]).exists():
        places.remove_import(import_id)
        (state.directory("imports") / f"{import_id}.lock").unlink(missing_ok=True)


def _carry_out(import_id: str) -> None:
    row = _waiting().filter(pk=import_id).select_related("datastore__project", "created_by").first()
    if row is None:
        return
    try:
        said = _Carried(row).run()
    except (Stopped, blobs.Unavailable):  # it was stopped, or is asked for again
        Import.objects.filter(pk=row.pk, state__in=Import.OPEN).update(said="")
    except UNDONE as error:
        text = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        _end(row, State.FAILED, text or "Who began it may not add versions any more.")
    except Exception:
        log.exception("import %s of %s", row.pk, row.datastore_id)
        _end(row, State.FAILED, "The server could not do it. Try again; if it stays so, ask whoever runs it.")
    else:
        _end(row, State.DONE, said)


def _end(row: Import, ended: State, said: str) -> None:
    rows = Import.objects.filter(pk=row.pk, state__in=Import.OPEN)
    rows.update(state=ended, said=said, version=row.version, ended_at=timezone.now())


class _Told(Counted):
    """Writes down how far an import is, by the thread that carries it out; and finds out whether it was stopped."""

    def __init__(self, row: Import) -> None:
        super().__init__()
        self._row, self._next, self._thread = row, 0.0, get_ident()

    def tries_again(self, why: str) -> None:
        super().tries_again(why)
        if get_ident() == self._thread:  # nobody waits for this one, and ticks
            self.write()

    def tick(self) -> None:
        if monotonic() >= self._next:
            self._next = monotonic() + TOLD_EVERY
            self.write()

    def write(self, **more: Any) -> None:
        """Raises Stopped."""
        done = {"files_done": self.files_done, "bytes_done": max(self.bytes_done, 0)}
        known = {"files": self.files or None, "bytes": self.bytes}
        said = f"Tries again: {self.trouble}" if self.trouble else ""
        if not Import.objects.filter(pk=self._row.pk, state__in=Import.OPEN).update(**done, **known, said=said, **more):
            self.stop()
        check(self)


class _Carried:
    """One import, as far as it comes."""

    def __init__(self, row: Import) -> None:
        self.row, self.datastore, self.place = row, row.datastore, places.import_directory(row.pk)
        self.by = _maker(row)
        self.root = self.place / "fetched"

    def run(self) -> str:
        """What there is to say when it has ended well. Raises what is in UNDONE."""
        key = self._key()
        actions.check_may_upload(self.datastore, self.by)
        manifest = self.place / "manifest"
        if not manifest.exists():
            self._fetch(key)
        left_out = self._unpack()
        if not manifest.exists():
            self._hash(manifest)
        return " ".join(filter(None, (self._store(manifest), left_out)))

    def _key(self) -> Key | None:
        row, project = self.row, self.datastore.project
        try:
            found = _check_key(project, _address(row.address), row.key_name, self.by)
        except Unfit as error:
            raise Impossible(str(error)) from None
        if found is None:
            return None
        more = {
            "key": found.name,
            "type": found.type,
            "datastore": self.datastore.name,
            "datastore_urn": self.datastore.urn,
        }
        if not (self.place / "used").exists():
            with transaction.atomic():
                record(by=self.by, project=project, action="key:use", urn=found.urn, **more)
            (self.place / "used").touch()
        return Key.of(found)

    def _fetch(self, key: Key | None) -> None:
        whole = self.place / "fetched.whole"
        if whole.exists():
            return
        told = _Told(self.row)
        told.write(state=State.FETCHING)
        source = open_source(self.row.address, key)
        try:
            fetching.fetch(source, self.root, told, most=settings.MLTEAM_IMPORT_CAP)
        finally:
            source.close()
        whole.touch()

    def _unpack(self) -> str:
        """What was left out, where it is an archive; then its files are those that count."""
        tree, whole = self.place / "tree", self.place / "tree.whole"
        if not whole.exists():
            found = list(self.root.iterdir()) if self.row.unpack else []
            if len(found) != 1 or not found[0].is_file() or not unpacking.is_archive(found[0].name):
                return ""
            shutil.rmtree(tree, ignore_errors=True)
            whole.write_text(self._unpacked(found[0], tree), encoding="utf-8")
        self.root = tree
        shutil.rmtree(self.place / "fetched", ignore_errors=True)
        return whole.read_text(encoding="utf-8")

    def _unpacked(self, archive: Path, tree: Path) -> str:
        told = _Told(self.row)
        told.write(state=State.UNPACKING)

        def note(size: int) -> None:
            told.add(size)
            told.tick()

        return unpacking.unpack(archive, tree, most=settings.MLTEAM_IMPORT_CAP, note=note).said

    def _hash(self, manifest: Path) -> None:
        root = self.root
        told, draft = _Told(self.row), manifest.with_suffix(".draft")
        told.total(*_measured(root))
        told.write(state=State.STORING)
        with draft.open("wb") as lines:
            for file in _files(root):
                with file.open("rb") as content:
                    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
                found = file.stat()
                mode = 0o755 if found.st_mode & 0o100 else 0o644
                lines.write(Entry(paths.clean(str(file.relative_to(root))), sha256, found.st_size, mode).line)
                told.add(found.st_size)
                told.file_done()
                told.tick()
        told.write()
        draft.replace(manifest)

    def _store(self, manifest: Path) -> str:
        """Makes the version; whatever is in the store already stays where it is."""
        copy = Path(shutil.copyfile(manifest, manifest.with_suffix(".sent")))
        upload = actions.begin(datastore=self.datastore, manifest=copy, by=self.by).upload
        lacking = {lack.sha256 for lack in uploads.lacking(upload)}
        some: dict[str, Path] = {}
        for path, sha256 in _lines(manifest):
            if sha256 in lacking:
                lacking.discard(sha256)
                some[sha256] = self.root / path
            if len(some) >= TOGETHER:
                uploads.receive_files(upload, some)
                some = {}
        if some:
            uploads.receive_files(upload, some)
        note = self.row.note or f"From {self.row.shown_address}"[: actions.NOTE]
        version, new = actions.commit(upload=upload, note=note, by=self.by)
        self.row.version = version.number
        return "" if new else f"Nothing has changed since version {version.number}."


def _maker(row: Import) -> "By":
    """As whom it is done: what they may no longer do, is not done."""
    if row.created_by:
        return row.created_by
    if not Role.objects.filter(pk=row.by_role_id).exists():
        raise Impossible("Who began it is no longer here.")
    return RoleHolder(f"{ROLE}{row.by_role_id}", row.by_role_id, row.by_role)


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder that the server has made itself."""
    for one in sorted(root.iterdir()):
        if one.is_dir():
            yield from _files(one)
        else:
            yield one


def _measured(root: Path) -> tuple[int, int]:
    sizes = [file.stat().st_size for file in _files(root)]
    return len(sizes), sum(sizes)


def _lines(manifest: Path) -> Iterator[tuple[str, str]]:
    """(path, SHA-256) of each line."""
    with manifest.open(encoding="utf-8") as lines:
        for line in lines:
            said = json.loads(line)
            yield said["path"], said["sha256"]
