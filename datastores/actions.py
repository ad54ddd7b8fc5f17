"""What changes datasets, models and volumes: one function for each verb. Pages, the API and tasks come through here."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.http import Http404
from django.utils import timezone

import access
from access.evaluator import asked_once
from access.keys import RoleHolder, person_of
from datastores import blobs, deltas, hints, listings, paths, places, questions, room, uploads, volumes
from datastores.errors import Impossible, Incomplete, InUse, TooMuch, Unfit, User
from datastores.kinds import VERSIONED, Kind
from datastores.models import Blob, Datastore, Upload, Version
from datastores.querysets import made_by
from datastores.signals import datastore_removing
from mlteam import state
from projects import ownership
from projects.models import Project, record
from projects.work import note_activity

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import User as Person

MOST_UPLOADS: Final = 20  # that somebody has begun for one datastore and not ended
DESCRIPTION: Final = 20_000  # characters
NOTE: Final = 1000  # characters
TAKEN: Final = "The project has a datastore of this name. Choose another."

By = "Person | RoleHolder"


def check_kind(kind: str) -> str:
    """A kind that can be created. Raises Unfit."""
    if kind not in Kind.values:
        raise Unfit("kind", "Choose dataset, model or volume.")
    return kind


@transaction.atomic
def create(
    *,
    project: Project,
    kind: str,
    name: str,
    description: str = "",
    quota: int | None = None,
    by: "Person | RoleHolder",
    of_job: bool = False,
) -> Datastore:
    """A new dataset or model without versions, or an empty volume that may have `quota` bytes. Raises Unfit, ValidationError by field.

    `of_job`: for the output of a job, which may always make a new model. So may `begin`, `commit` and `abandon` then.
    """
    access.require(by, "job:new" if of_job and kind == Kind.MODEL else f"{check_kind(kind)}:new", project)
    more = _quota(kind, quota)
    datastore = Datastore(project=project, kind=kind, name=name.strip(), description=description, **more, **maker(by))
    _save(datastore, force_insert=True)
    record(by=by, project=project, action=f"{kind}:new", urn=datastore.urn, after=_said(datastore))
    transaction.on_commit(partial(note_activity, project.pk), robust=True)
    return datastore


def _quota(kind: str, quota: int | None) -> dict[str, Any]:
    """The fields of a new one. Raises Unfit."""
    if kind == Kind.VOLUME:
        return {"quota": volumes.quota_of(quota), "used": 0, "files": 0}
    _check_has_quota(kind, quota)
    return {}


def _check_has_quota(kind: str, quota: int | None) -> None:
    if quota is not None and kind != Kind.VOLUME:
        raise Unfit("quota", "Only a volume has a quota.")


def maker(by: "Person | RoleHolder") -> dict[str, Any]:
    """The fields that say who made something."""
    if isinstance(by, RoleHolder):
        return {"by_role": by.name, "by_role_id": by.role_id}
    return {"created_by": person_of(by)}


@transaction.atomic
def edit(
    *,
    datastore: Datastore,
    name: str | None = None,
    description: str | None = None,
    quota: int | None = None,
    by: "Person | RoleHolder",
) -> None:
    """Renames or describes it, or gives a volume another quota; what is None stays. Raises Unfit, ValidationError by field."""
    access.require(by, f"{datastore.kind}:set", datastore)
    _check_has_quota(datastore.kind, quota)
    before = _said(datastore)
    datastore.quota = datastore.quota if quota is None else volumes.quota_of(quota)
    datastore.name = datastore.name if name is None else name.strip()
    datastore.description = datastore.description if description is None else description
    if _said(datastore) == before:
        return
    datastore.changed_at = timezone.now()
    _save(datastore, update_fields=["name", "description", "quota", "changed_at"])
    action = f"{datastore.kind}:set"
    record(by=by, project=datastore.project, action=action, urn=datastore.urn, before=before, after=_said(datastore))
    if before.get("quota") != datastore.quota:
        transaction.on_commit(partial(volumes.note_quota, datastore), robust=True)


def check_stays(datastore: Datastore, project: str | None) -> None:
    """Whether it may be in this project, by id, URN or address: it is in it, or nothing is asked. Raises Unfit with the reason."""
    home = datastore.project
    if project is not None and project not in {home.pk, home.urn, home.slug}:
        said = f"Nothing moves or is copied between projects: this {datastore.kind} stays in {home.name}, whose owner pays for it. "
        raise Unfit("project", f"{said}Jobs of another project can read it there where the owner allows it.")


def check_text(field: str, text: str, longest: int) -> None:
    """Raises ValidationError for what no database keeps."""
    if len(text) > longest or "\0" in text:
        raise ValidationError({field: f"At most {longest} characters, and no NUL among them."})


def _save(datastore: Datastore, **how: Any) -> None:
    check_text("description", datastore.description, DESCRIPTION)
    datastore.clean_fields(exclude=["project", "created_by"])
    try:
        with transaction.atomic():
            datastore.save(**how)
    except IntegrityError:
        raise ValidationError({"name": TAKEN}) from None


def _said(datastore: Datastore) -> dict[str, Any]:
    quota = {} if datastore.quota is None else {"quota": datastore.quota}
    return {"name": datastore.name, "description": datastore.description} | quota


def users_of(datastore: Datastore, *, by: "Person | RoleHolder") -> list[User]:
    """What uses it now, as far as `by` may see that."""
    answers: list[tuple[Any, Any]] = datastore_removing.send(sender=Datastore, datastore=datastore, by=by)
    return [user for _, found in answers for user in found]


def remove(*, datastore: Datastore, by: "Person | RoleHolder") -> None:
    """Takes it away with its versions or, of a volume, its content, for good. Raises InUse.

    Content of versions that nothing else has goes with a nightly check.
    """
    access.require(by, f"{datastore.kind}:rm", datastore)
    with transaction.atomic():
        ownership.lock(datastore.project)
        if users := users_of(datastore, by=by):
            raise InUse(users, by)
        begun = list(datastore.uploads.values_list("pk", flat=True))
        if Datastore.objects.filter(pk=datastore.pk, removed_at=None).update(removed_at=timezone.now()):
            versions = datastore.versions.count()
            datastore.uploads.all().delete()
            for import_id in datastore.imports.values_list("pk", flat=True):
                transaction.on_commit(partial(places.remove_import, import_id), robust=True)
            datastore.imports.all().delete()
            for upload_id in begun:
                transaction.on_commit(partial(places.remove_upload, upload_id), robust=True)
            datastore.versions.all().delete()
            before = _said(datastore)
            if datastore.kind == Kind.VOLUME:
                transaction.on_commit(partial(volumes.remove, datastore.project_id, datastore.pk), robust=True)
                transaction.on_commit(hints.delete_gone, robust=True)
            else:
                before["versions"] = versions
            urn, action = datastore.urn, f"{datastore.kind}:rm"
            record(by=by, project=datastore.project, action=action, urn=urn, before=before)


# Versions


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload, and what the server lacks for it."""

    upload: Upload
    missing: int
    missing_bytes: int
    is_new: bool


def check_may_upload(datastore: Datastore, by: "Person | RoleHolder", *, of_job: bool = False) -> None:
    """Raises Refused or Http404 to whoever may not make a version of it, or put files into it."""
    access.require(by, *needed_to_upload(datastore, by, of_job=of_job))


def needed_to_upload(
    datastore: Datastore, by: "Person | RoleHolder", *, of_job: bool = False
) -> "tuple[str, Project | Datastore]":
    """What one must be allowed, as an action and what it is done to, to make a version of it, or put files into it."""
    if of_job and datastore.kind == Kind.MODEL and datastore.made_by(by) and not datastore.versions.exists():
        return "job:new", datastore.project
    return f"{datastore.kind}:set", datastore


def begin(
    *, datastore: Datastore, manifest: Path, by: "Person | RoleHolder", base: str = "", of_job: bool = False
) -> Begun:
    """A version is to be made of what the manifest says, or a volume gets these files: a file with lines in any order, which is taken away.

    With the digest of the latest version as its `base`, it has only what is different from that. Where the same has been begun and not
    ended, that goes on. Raises BadManifest, OtherBase, TooMuch, blobs.Full, Impossible, InTheWay.
    """
    check_may_upload(datastore, by, of_job=of_job)
    upload = Upload(datastore=datastore, **maker(by))
    target = places.upload_directory(upload.id) / "manifest"
    try:
        summary, changed = _written(datastore, manifest, target, base)
        upload.digest, upload.files, upload.bytes = summary.digest, summary.files, summary.bytes
        begun = _entered(upload, by, of_job)
        if datastore.kind == Kind.VOLUME:
            changed = list(volumes.not_in_place(begun))
        missing, missing_bytes = uploads.note_wanted(begun, changed)
        _check_fits(begun, missing_bytes)
    except BaseException:
        Upload.objects.filter(pk=upload.pk).delete()
        places.remove_upload(upload.id)
        raise
    finally:
        manifest.unlink(missing_ok=True)
    if begun is not upload:
        places.remove_upload(upload.id)
    return Begun(begun, missing, missing_bytes, begun is upload)


def _written(
    datastore: Datastore, manifest: Path, target: Path, base: str
) -> tuple[listings.Summary, list[tuple[bytes, int]] | None]:
    """The whole manifest, at `target`; and the hashes and sizes of what is new in it, where that is known."""
    if not base:
        return listings.write(manifest, target), None
    latest = questions.latest(datastore)
    if latest is None or latest.digest != base:
        raise deltas.OtherBase
    try:
        before = listings.of(latest)
    except blobs.Missing:
        raise deltas.OtherBase from None
    summary, changed = deltas.write(before, manifest, target)
    return summary, list(deltas.known(changed))


@transaction.atomic
def _entered(upload: Upload, by: "Person | RoleHolder", of_job: bool) -> Upload:
    """The upload, or the same one where it has been begun before. From here on no blob of the project is deleted: what is found to be
    there stays."""
    ownership.lock(upload.datastore.project)
    check_may_upload(upload.datastore, by, of_job=of_job)
    if not questions.PRESENT.rows(pk=upload.datastore_id):
        raise Http404
    mine = list(upload.datastore.uploads.filter(made_by(by)))
    for same in mine:
        if same.digest == upload.digest and (places.upload_directory(same.id) / "manifest").exists():
            uploads.touch(same)
            return same
    if len(mine) >= MOST_UPLOADS:
        raise Impossible(f"You have begun {MOST_UPLOADS} uploads to it already. Commit or abandon one first.")
    upload.save(force_insert=True)
    return upload


def _check_fits(upload: Upload, more: int) -> None:
    if upload.datastore.kind != Kind.VOLUME:
        check_room(upload.datastore.project, more)
    elif not uploads.laying_mark(upload).exists():
        volumes.check_room(upload.datastore, upload)
        _check_cap(upload.datastore.project, more)
        room.check(more, here=True)


@transaction.atomic
def change(
    *, datastore: Datastore, lines: bytes, pack: bytes, base: str, note: str = "", by: "Person | RoleHolder"
) -> tuple[Version, bool]:
    """A version that differs little from the latest one, whose digest is `base`, and whether it is new: in one what `begin`, a pack and
    `commit` do. Raises what these raise; then nothing is left of it.

    `lines`: what is different, as in `deltas`; `pack`: the contents of it, also those that the project may have.
    """
    check_text("note", note, NOTE)
    ownership.lock(datastore.project)  # until it is there no other becomes the latest
    with asked_once():
        return _changed(datastore, lines, pack, base, note, by)


def _changed(
    datastore: Datastore, lines: bytes, pack: bytes, base: str, note: str, by: "Person | RoleHolder"
) -> tuple[Version, bool]:
    with places.draft() as manifest:
        with uploads.full_said():
            manifest.write_bytes(lines)
        begun = begin(datastore=datastore, manifest=manifest, by=by, base=base)
    try:
        if begun.missing:
            uploads.receive_pack(begun.upload, pack, spare=True)
        return commit(upload=begun.upload, note=note, by=by)
    except BaseException:
        if begun.is_new:
            places.remove_upload(begun.upload.id)
        raise


def check_room(project: Project, more: int) -> None:
    """Whether so many bytes more can be kept. Raises TooMuch for the project's quota, blobs.Full for the disk."""
    _check_cap(project, more)
    room.check(more)


def _check_cap(project: Project, more: int) -> None:
    """Raises TooMuch. Volumes count as they were measured last."""
    most = settings.MLTEAM_DATA_CAP
    if not most or not more:
        return
    used = _sum(Blob.objects.filter(project=project), "size")
    used += _sum(Datastore.objects.present().filter(project=project, kind=Kind.VOLUME), "used")
    if used + more > most:
        kept = f"The project has {room.said(used)} of the {room.said(most)} that it may have"
        raise TooMuch(f"{kept}; these would be {room.said(more)} more. Remove what nobody needs.")


def _sum(rows: "QuerySet[Any]", field: str) -> int:
    return rows.aggregate(sum=Sum(field))["sum"] or 0


def commit(*, upload: Upload, note: str = "", by: "Person | RoleHolder", of_job: bool = False) -> tuple[Version, bool]:
    """The version of an upload that is here whole, and whether it is new: the latest one where that is the same.

    Raises Incomplete, ValidationError by field.
    """
    check_mine(upload, by, of_job=of_job)
    check_may_upload(upload.datastore, by, of_job=of_job)
    if upload.datastore.kind not in VERSIONED:
        raise Impossible("A volume has no versions.")
    check_text("note", note, NOTE)
    if missing := sum(1 for _ in uploads.lacking(upload)):
        raise Incomplete(missing)
    uploads.keep_manifest(upload)
    blobs.store().settle()
    return _committed(upload, note, by, of_job)


@transaction.atomic
def _committed(upload: Upload, note: str, by: "Person | RoleHolder", of_job: bool) -> tuple[Version, bool]:
    datastore = upload.datastore
    ownership.lock(datastore.project)  # one number after the other; and no check deletes what this is made of
    check_may_upload(datastore, by, of_job=of_job)  # once more: it may have been taken away
    if not Upload.objects.filter(pk=upload.pk).delete()[0]:
        raise Http404
    transaction.on_commit(partial(places.remove_upload, upload.id), robust=True)
    latest = questions.latest(datastore)
    if latest and latest.digest == upload.digest:
        return latest, False
    said = {"files": upload.files, "bytes": upload.bytes, "digest": upload.digest}
    number = latest.number + 1 if latest else 1
    version = datastore.versions.create(number=number, note=note, **said, **maker(by))
    action = f"{datastore.kind}:version:new"
    after = {"version": number, **said} | ({"note": note} if note else {})
    record(by=by, project=datastore.project, action=action, urn=datastore.urn, after=after, name=datastore.name)
    transaction.on_commit(partial(note_activity, datastore.project_id), robust=True)
    return version, True


@transaction.atomic
def abandon(*, upload: Upload, by: "Person | RoleHolder", of_job: bool = False) -> None:
    """Ends an upload without a version."""
    check_mine(upload, by, of_job=of_job)
    Upload.objects.filter(pk=upload.pk).delete()
    transaction.on_commit(partial(places.remove_upload, upload.id), robust=True)


def check_mine(upload: Upload, by: "Person | RoleHolder", *, of_job: bool = False) -> None:
    """An upload is there only for who began it, as long as they may see what it is for. Raises Http404."""
    if not upload.made_by(by):
        raise Http404
    if not of_job:
        access.require(by, f"{upload.datastore.kind}:get", upload.datastore)


# What is in a volume


def lay_out(*, upload: Upload, by: "Person | RoleHolder") -> volumes.Laid:
    """Puts the files of an upload that is here whole into its volume, in the stead of files that are there.

    Where it is interrupted, some are in their place, and the same again goes on. Raises Incomplete, TooMuch, InTheWay, Impossible, Full.
    """
    check_mine(upload, by)
    datastore = upload.datastore
    check_may_upload(datastore, by)
    volumes.check_is(datastore)
    mark = uploads.laying_mark(upload)
    with state.alone(mark.with_suffix(".lock")) as alone:
        if not alone:
            raise Impossible("It is being put into the volume already. Wait a little.")
        if not mark.exists():
            if missing := sum(1 for _ in uploads.lacking(upload)):
                raise Incomplete(missing)
            volumes.check_room(datastore, upload)
            volumes.prepare(upload)
            mark.touch()
        laid = volumes.lay_out(upload)
        os.sync()  # what was put stays where the power fails
        _note_laid(upload, laid, by)
    volumes.measure(datastore, volumes.SOON)
    return laid


@transaction.atomic
def _note_laid(upload: Upload, laid: volumes.Laid, by: "Person | RoleHolder") -> None:
    if not Upload.objects.filter(pk=upload.pk).delete()[0]:
        raise Http404
    transaction.on_commit(partial(places.remove_upload, upload.id), robust=True)
    _record_content(upload.datastore, "new", by, after={"files": laid.files, "bytes": laid.bytes})


def _record_content(datastore: Datastore, verb: str, by: "Person | RoleHolder", **how: Any) -> None:
    action = f"{datastore.kind}:content:{verb}"
    record(by=by, project=datastore.project, action=action, urn=datastore.urn, name=datastore.name, **how)
    transaction.on_commit(partial(note_activity, datastore.project_id), robust=True)


@transaction.atomic
def make_folder(*, datastore: Datastore, path: str, by: "Person | RoleHolder") -> None:
    """A folder in a volume, with those above it; no error where it is there. Raises BadPath, InTheWay, Impossible."""
    access.require(by, f"{datastore.kind}:set", datastore)
    volumes.check_is(datastore)
    found = paths.clean(paths.clean_there(path))
    _record_content(datastore, "new", by, after={"path": paths.told(found)})
    volumes.make_folder(datastore, found)


def remove_content(*, datastore: Datastore, path: str, by: "Person | RoleHolder") -> None:
    """Removes a file of a volume, or a folder with all in it; "." is all content. Raises BadPath, trees.NotThere, Impossible."""
    access.require(by, f"{datastore.kind}:set", datastore)
    volumes.check_is(datastore)
    found = "" if path == "." else paths.clean_there(path)
    with transaction.atomic():
        _record_content(datastore, "rm", by, before={"path": paths.told(found) or "."})
        volumes.take_away(datastore, found)
    hints.delete_gone()
    volumes.measure(datastore, volumes.SOON)
