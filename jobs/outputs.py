"""What becomes of a job's output when it has ended: a new model or dataset, a version of one that is there, objects in a bucket."""

import hashlib
import os
import shutil
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404

import access
from access.keys import RoleHolder
from access.models import Role
from access.sources import ROLE
from compute import trees
from datastores import actions as datastores
from datastores import blobs, paths, uploads
from datastores.errors import Impossible
from datastores.kinds import Kind
from datastores.manifests import FILES, BadManifest, Entry
from datastores.models import Datastore, Upload
from datastores.paths import BadPath
from datastores.remote.errors import Stopped, Unavailable
from datastores.remote.progress import Counted, check
from datastores.remote.sources import CHUNK
from jobs import bucket_outputs, places, transfers, transitions
from jobs.left_out import LeftOut
from jobs.models import Attempt, Job, Transfer, TransferState
from jobs.spec import Output, Spec, due
from jobs.states import JobState, Reason, outcome
from mlteam import state
from projects.models import Project

if TYPE_CHECKING:
    from accounts.models import User

NOT_THERE: Final = "Who submitted the job has no access to this project any more."
SMALL: Final = 2**20  # bytes; what is larger goes by itself
# What is said to people, and waits for them to mend it.
UNDONE: Final = (
    *(Impossible, BadManifest, BadPath, ValidationError, uploads.Damaged, blobs.Full, trees.NotThere, trees.TooMuch),
    *(access.Refused, Http404),
)


def errors(project: Project, spec: Spec, by: "User | RoleHolder") -> list[tuple[str, str]]:
    """What is wrong with where a spec's output shall go, as (field, sentence)."""
    found = [
        "" if output.in_bucket or output.to == "artifacts" else _error(project, output, by) for output in spec.output
    ]
    return [(f"output.{number}.to", said) for number, said in enumerate(found) if said]


def _error(project: Project, output: Output, by: "User | RoleHolder") -> str:
    there = _there(project, output.name)
    if there is None:
        if output.kind == Kind.MODEL or access.allowed(by, f"{output.kind}:new", project):
            return ""  # a job may always make a new model
        return f"you may make no {output.kind} in this project ({output.kind}:new)"
    if there.kind != output.kind:
        return f"{output.name} is a {there.kind} here"
    if access.allowed(by, *datastores.needed_to_upload(there, by, of_job=True)):
        return ""
    return f"you may add no version to the {there.kind} {there.name} ({there.kind}:set)"


def _there(project: Project, name: str) -> Datastore | None:
    found: Datastore | None = Datastore.objects.present().for_programs().filter(project=project, name=name).first()
    return found


# When it has ended


def store(job_id: str) -> None:
    """Stores what a job has left where its spec says, and ends it. Killed in between, it is asked again and goes on."""
    job = Job.objects.select_related("project", "created_by").filter(pk=job_id, state=JobState.UPLOADING).first()
    if job is None:
        return
    with _alone(job) as alone:
        if not alone:
            return
        try:
            made = _all_stored(job)
        except (blobs.Unavailable, Stopped, Unavailable):
            return  # it is asked again
        except (*UNDONE, *bucket_outputs.UNDONE) as error:
            said = f"Its output is kept here, but could not be stored: {_why(error)}"
            _end(job, JobState.FAILED, Reason.UPLOAD, said)
            return
        _end_as_it_ended(job, made)


def _why(error: Exception) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error) or NOT_THERE


def _all_stored(job: Job) -> list[str]:
    """What all its outputs became, in words; those that were sent before are not sent again."""
    spec, attempt = Spec.model_validate(job.spec), _last(job)
    succeeded = outcome(attempt.reason, attempt.exit_status) == JobState.SUCCEEDED
    outputs = [(number, spec.output[number]) for number in due(job.spec, succeeded=succeeded)]
    if not _has_files(job):
        if succeeded:
            said = "The job wrote no files to $MLTEAM_OUTPUT."
            for row in job.transfers.filter(outward=True, number__in=[number for number, _ in outputs]):
                row.job = job
                transfers.failed(row, said)
            raise Impossible(said)
        return []
    left = _Left(job)
    return [
        bucket_outputs.send(job, number, output, attempt) if output.in_bucket else _stored(job, number, output, left)
        for number, output in outputs
    ]


def _last(job: Job) -> Attempt:
    """The attempt of which the output is."""
    attempt: Attempt = job.attempts.order_by("-index")[0]
    return attempt


def _has_files(job: Job) -> bool:
    entries = trees.walk(places.output_directory(job.id), limit=FILES, whole=True)
    return any(entry.kind == "file" for entry in entries)


def _end_as_it_ended(job: Job, made: list[str]) -> None:
    """All is stored: the job ends as its command did."""
    attempt = _last(job)
    became = f"Its output became {' and '.join(made)}." if made else ""
    state = outcome(attempt.reason, attempt.exit_status)
    said = became if state == JobState.SUCCEEDED else f"{attempt.sentence} {became}".strip()
    _end(job, state, Reason(attempt.reason), said)


def _end(job: Job, state: JobState, reason: Reason, sentence: str) -> None:
    transitions.move(job, state, reason=reason, sentence=sentence, only_from=frozenset({JobState.UPLOADING}))


def _alone(job: Job) -> AbstractContextManager[bool]:
    return state.alone(places.job_directory(job.id) / "output.lock")


def _stored(job: Job, number: int, output: Output, left: "_Left") -> str:
    """What it became, in words; unless that was done before, it is made."""
    row: Transfer = job.transfers.get(outward=True, number=number)
    row.job = job
    if row.state == TransferState.DONE:
        return row.sentence
    do = partial(_make, job, output, left)
    try:
        became = transfers.carry_here(row, do, wanted=partial(bucket_outputs.uploads, job))
    except (blobs.Unavailable, Stopped):
        transfers.wait_again(row)
        raise
    except UNDONE as error:
        transfers.failed(row, _why(error))
        raise
    transfers.done(row, left.files, left.bytes, became)
    return became


def _make(job: Job, output: Output, left: "_Left", progress: Counted) -> str:
    """A version of what the job has left, in words."""
    by = _submitter(job)
    left.read(progress)
    target = _there(job.project, output.name) or datastores.create(
        project=job.project, kind=output.kind, name=output.name, by=by, of_job=True
    )
    if target.kind != output.kind:
        raise Impossible(f"{output.name} is a {target.kind} by now.")
    upload = datastores.begin(datastore=target, manifest=_copy(left.manifest), by=by, of_job=True).upload
    try:
        _send(upload, left, progress)
    except Stopped:
        if not bucket_outputs.uploads(job):  # nobody goes on with it
            datastores.abandon(upload=upload, by=by, of_job=True)
        raise
    note = f"Output of the job {job.name}, {job.urn}"[:1000]
    version, _ = datastores.commit(upload=upload, note=note, by=by, of_job=True)
    became = f"version {version.number} of the {target.kind} {target.name}"
    return f"{became}, {left.without.said}" if left.without.said else became


def _copy(manifest: Path) -> Path:
    """One to be taken away."""
    return Path(shutil.copyfile(manifest, manifest.with_suffix(".sent")))


def _submitter(job: Job) -> "User | RoleHolder":
    """As whom it is stored: what they may no longer do, is not done."""
    if job.created_by:
        return job.created_by
    if not Role.objects.filter(pk=job.by_role_id).exists():
        raise Impossible("Who submitted the job is no longer here.")
    return RoleHolder(f"{ROLE}{job.by_role_id}", job.by_role_id, job.by_role)


class _Left:
    """What a job has left: its `manifest`, and of each content the `paths` at which it is. `without`: links and whatever is no file."""

    def __init__(self, job: Job) -> None:
        self.root = places.output_directory(job.id)
        self.manifest = places.job_directory(job.id) / "output.manifest"
        self.paths: dict[str, list[str]] = {}
        self.sizes: dict[str, int] = {}
        self.without = LeftOut()

    @property
    def files(self) -> int:
        return sum(map(len, self.paths.values()))

    @property
    def bytes(self) -> int:
        return sum(self.sizes[sha256] * len(paths) for sha256, paths in self.paths.items())

    def read(self, progress: Counted) -> None:
        """Finds out what there is, once for all outputs."""
        if not self.paths:
            entries = list(self.without.of(trees.walk(self.root, limit=FILES, whole=True)))
            progress.total(len(entries), sum(one.size for one in entries))
            with self.manifest.open("wb") as lines:
                for entry in entries:
                    paths.clean(entry.path)
                    line = _read(self.root, entry.path, progress)
                    self.paths.setdefault(line.sha256, []).append(entry.path)
                    self.sizes[line.sha256] = line.size
                    lines.write(line.line)
        progress.total(self.files, self.bytes)


def _read(root: Path, path: str, progress: Counted) -> Entry:
    digest, size = hashlib.sha256(), 0
    with trees.opened(root, path) as file:
        while piece := file.read(CHUNK):
            check(progress)
            digest.update(piece)
            size += len(piece)
        mode = os.fstat(file.fileno()).st_mode
    return Entry(path, digest.hexdigest(), size, 0o755 if mode & 0o100 else 0o644)


def _send(upload: Upload, left: _Left, progress: Counted) -> None:
    """What the project lacks of it: small files together, large ones in pieces from where they stand."""
    lacking = list(uploads.lacking(upload))
    for sha256 in left.paths.keys() - {lack.sha256 for lack in lacking}:
        _count(left, sha256, progress)
    pack: dict[str, bytes] = {}
    for lack in lacking:
        if lack.size > SMALL:
            _send_large(upload, lack, left, progress)
            continue
        with trees.opened(left.root, left.paths[lack.sha256][0]) as file:
            pack[lack.sha256] = uploads.RECORD.pack(bytes.fromhex(lack.sha256), lack.size) + file.read()
        if sum(map(len, pack.values())) > uploads.PACK - SMALL:
            _send_pack(upload, pack, left, progress)
            pack = {}
    _send_pack(upload, pack, left, progress)


def _send_pack(upload: Upload, pack: dict[str, bytes], left: _Left, progress: Counted) -> None:
    check(progress)
    if pack:
        uploads.receive_pack(upload, b"".join(pack.values()))
    for sha256 in pack:
        _count(left, sha256, progress)


def _send_large(upload: Upload, lack: uploads.Lack, left: _Left, progress: Counted) -> None:
    at = lack.received
    progress.add(at)
    with trees.opened(left.root, left.paths[lack.sha256][0]) as file:
        file.seek(at)
        while piece := file.read(uploads.PIECE):
            check(progress)
            at = uploads.receive_piece(upload, lack.sha256, lack.size, at, piece)
            progress.add(len(piece))
    _count(left, lack.sha256, progress, before=lack.size)


def _count(left: _Left, sha256: str, progress: Counted, before: int = 0) -> None:
    """This content is there, at all of its paths; so much of it was counted before."""
    paths = left.paths[sha256]
    progress.add(left.sizes[sha256] * len(paths) - before)
    for _ in paths:
        progress.file_done()


@transaction.atomic
def store_again(job: Job) -> bool:
    """Takes up an output that could not be stored; False when there is none."""
    again = Job.objects.filter(pk=job.pk, state=JobState.FAILED, reason=Reason.UPLOAD)
    sentence = "Its output is stored once more."
    failed = frozenset({JobState.FAILED})
    if again:
        rows = Transfer.objects.filter(job=job, outward=True).exclude(state=TransferState.DONE)
        rows.update(state=TransferState.WAITING, tries=0, sentence="")
    return bool(again) and transitions.move(
        job, JobState.UPLOADING, reason=Reason.UPLOAD, sentence=sentence, only_from=failed
    )
