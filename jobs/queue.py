"""Placement: which waiting job is given slots next, and why a job still waits.

Order: bid, then fair share between the projects' owners (who uses least now comes first), then age. A job that
does not fit holds back what it waits for, so that smaller ones behind it cannot starve it; what it does not need goes
on. Preemption ends only `preemptable` jobs, and only for a higher bid. What a budget holds back has no place.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from compute.models import ComputeResource, Gpu
from jobs import approval, engine, holds, laying, transfers, transitions
from jobs.models import Attempt, Job
from jobs.states import JobState, Reason

PER_OWNER = 200  # how many of one owner's waiting jobs are looked at in one go
READ = (
    "state",
    "reason",
    "project",
    "created_by_id",
    "queued_at",
    "bid",
    "cpu_milli",
    "memory_mib",
    "gpu",
)  # of a waiting job
EXPLAINED = 500  # how far into the queue a job's place is told exactly


@dataclass(slots=True)
class Slots:
    """Amounts of CPU cores × 1000, MiB and whole GPUs."""

    cpu: int
    memory: int
    gpu: int

    def fits(self, job: Job) -> bool:
        return job.cpu_milli <= self.cpu and job.memory_mib <= self.memory and job.gpu <= self.gpu

    def take(self, job: Job) -> None:
        """Less what the job needs, not below nothing."""
        self.cpu = max(0, self.cpu - job.cpu_milli)
        self.memory = max(0, self.memory - job.memory_mib)
        self.gpu = max(0, self.gpu - job.gpu)

    def give(self, job: Job) -> None:
        self.cpu, self.memory, self.gpu = self.cpu + job.cpu_milli, self.memory + job.memory_mib, self.gpu + job.gpu

    def beside(self, attempts: Iterable[Attempt]) -> "Slots":
        """What is left of these when the attempts have theirs."""
        left = Slots(self.cpu, self.memory, self.gpu)
        for attempt in attempts:
            left.take(attempt.job)
        return left


def living(resource: ComputeResource) -> list[Attempt]:
    """The attempts that hold slots of a resource."""
    return list(
        Attempt.objects.filter(resource=resource, ended_at=None).select_related("job__project").defer("job__spec")
    )


def in_order() -> Iterator[Job]:
    """Waiting jobs as they are to be placed. A job that this yields counts as its owner's use for the rest of the order."""
    used = _used()
    lines = {owner: _line(owner) for owner in _owners()}
    heap = [
        (-job.bid, used.get(owner, 0), job.queued_at, job.id, owner, job)
        for owner, line in lines.items()
        if (job := next(line, None))
    ]
    heapq.heapify(heap)
    while heap:
        *_, owner, job = heapq.heappop(heap)
        yield job
        used[owner] = used.get(owner, 0) + _weight(job.cpu_milli, job.gpu)
        if following := next(lines[owner], None):
            heapq.heappush(heap, (-following.bid, used[owner], following.queued_at, following.id, owner, following))


def _used() -> dict[str, int]:
    """How much each owner's jobs hold now."""
    used: dict[str, int] = {}
    columns = ("job__project__owner_id", "job__cpu_milli", "job__gpu")
    for owner, cpu, gpu in Attempt.objects.filter(ended_at=None).order_by().values_list(*columns):
        used[owner] = used.get(owner, 0) + _weight(cpu, gpu)
    return used


def _owners() -> list[str]:
    return list(Job.objects.queued().ready().order_by().values_list("project__owner_id", flat=True).distinct())


def _line(owner_id: str) -> Iterator[Job]:
    """One owner's waiting jobs by bid and age."""
    waiting = (
        Job.objects.queued()
        .ready()
        .filter(approval.placeable(), project__owner_id=owner_id)
        .order_by("-bid", "queued_at", "id")
    )
    return waiting.select_related("project").only(*READ)[:PER_OWNER].iterator(chunk_size=20)


def _weight(cpu_milli: int, gpu: int) -> int:
    """How much of a host a job takes, for fair share: a GPU counts as much as eight cores."""
    return cpu_milli + 8000 * gpu


def place(resource: ComputeResource) -> list[Attempt]:
    """Gives slots of this resource to waiting jobs; returns their new attempts, to be started after this transaction."""
    if resource.facts.get("isolation") == "none" or not Job.objects.queued().exists():
        return []
    with transaction.atomic():
        # On PostgreSQL this row is the lock; SQLite's transactions exclude each other anyway.
        resource = ComputeResource.objects.select_for_update().get(pk=resource.pk)
        held = holds.holds()
        holds.refresh(held)
        attempts, gpus = living(resource), list(resource.gpus.all())
        whole = Slots(resource.cpu_milli, resource.memory_mib, len(gpus))
        slots = whole.beside(attempts)
        placed: list[Attempt] = []
        for job in in_order():
            if not whole.fits(job) or holds.hold_of(job, held):  # held: it came in between
                continue
            if slots.fits(job) and (attempt := _place(job, resource, gpus, attempts + placed)):
                placed.append(attempt)
            elif not slots.fits(job):
                _preempt_for(job, slots, attempts)
            slots.take(job)
            if slots.cpu <= 0:  # every job needs some
                break
        return placed


def _place(job: Job, resource: ComputeResource, gpus: list[Gpu], living_attempts: list[Attempt]) -> Attempt | None:
    taken = {gpu["uuid"] for attempt in living_attempts for gpu in attempt.gpus}
    gpus = [gpu for gpu in gpus if gpu.uuid not in taken][: job.gpu]
    uids = {attempt.uid for attempt in living_attempts if attempt.uid is not None}
    index = 0 if job.reason == Reason.SUBMITTED else Attempt.objects.filter(job=job).count()
    if not transitions.move(job, JobState.PREPARING, reason=Reason.PLACED, sentence=f"Placed on {resource.name}."):
        return None
    attempt = Attempt(
        job=job,
        index=index,
        resource=resource,
        gpus=[{"index": gpu.index, "uuid": gpu.uuid, "type": gpu.type} for gpu in gpus],
        uid=engine.free_uid(uids, job) if engine.drops_uids() else None,
        placed_at=timezone.now(),
    )
    attempt.token_hash = engine.token_hash(attempt.id)
    attempt.save(force_insert=True)
    return attempt


def _preempt_for(job: Job, slots: Slots, attempts: list[Attempt]) -> None:
    """Interrupts preemptable jobs of lower bids, cheapest first, when that makes room for the job; otherwise none."""
    victims = sorted(
        (
            attempt
            for attempt in attempts
            if attempt.job.preemptable
            and attempt.job.bid < job.bid
            and attempt.job.state in {JobState.PREPARING, JobState.RUNNING}
        ),
        key=lambda attempt: (attempt.job.bid, -attempt.placed_at.timestamp()),
    )
    room, chosen = Slots(slots.cpu, slots.memory, slots.gpu), []
    for attempt in victims:
        if room.fits(job):
            break
        room.give(attempt.job)
        chosen.append(attempt)
    if room.fits(job):
        for attempt in chosen:
            transaction.on_commit(partial(engine.stop, attempt, reason=Reason.PREEMPTED))


@dataclass(frozen=True)
class Waiting:
    """Why a job waits, and its place in the queue (from 1; None beyond EXPLAINED)."""

    sentence: str
    position: int | None


def positions() -> dict[str, int]:
    """The places of the first EXPLAINED waiting jobs: job id -> place from 1."""
    return {job.id: place for place, job in zip(range(1, EXPLAINED + 1), in_order(), strict=False)}


def explain(job: Job) -> Waiting:
    """What a queued job waits for, in words."""
    return explanations([job])[job.id]


def explanations(jobs: Iterable[Job]) -> dict[str, Waiting]:
    """What queued jobs wait for: job id -> why. The jobs come with their projects and creators; few queries for many jobs."""
    listed = list(jobs)
    if not listed:
        return {}
    held, resource, found = holds.holds(), ComputeResource.objects.order_by("-seen_at").first(), positions()
    room = _Room.of(resource) if resource else None
    waiting = [job for job in listed if job.waits_for_data]
    fetching = transfers.explained(waiting) | laying.troubles(waiting)
    return {job.id: _explained(job, held, room, found.get(job.id), fetching.get(job.id, "")) for job in listed}


@dataclass(frozen=True, slots=True)
class _Room:
    """A resource, what it has and what of it is free."""

    resource: ComputeResource
    whole: Slots
    free: Slots

    @classmethod
    def of(cls, resource: ComputeResource) -> "_Room":
        whole = Slots(resource.cpu_milli, resource.memory_mib, resource.gpus.count())
        return cls(resource, whole, whole.beside(living(resource)))

    @property
    def closed(self) -> str:
        """Why nothing is placed here at all; "" where something is."""
        if self.resource.facts.get("isolation") == "none":
            return " ".join(self.resource.facts.get("problems", [])) or "Waits for a host with a sandbox."
        if (timezone.now() - self.resource.seen_at).total_seconds() > 60:
            return f"Waits for {self.resource.name}, whose worker has not been heard of for a while."
        return ""

    def lacking(self, job: Job) -> str:
        """Which amounts the job waits for; "" where they are free."""
        lacking = [*_lacking("CPU", job.cpu_milli / 1000, self.free.cpu / 1000, self.whole.cpu / 1000)]
        lacking += _lacking("GiB of memory", job.memory_mib / 1024, self.free.memory / 1024, self.whole.memory / 1024)
        lacking += _lacking("GPU", job.gpu, self.free.gpu, self.whole.gpu)
        return f"Waits for {' and '.join(lacking)}." if lacking else ""


def _explained(job: Job, held: holds.Holds, room: _Room | None, position: int | None, fetching: str) -> Waiting:
    if sentence := approval.waits(job):
        return Waiting(sentence, None)
    if hold := holds.hold_of(job, held):
        return Waiting(hold.sentence, None)
    if job.waits_for_data:
        return Waiting(fetching or "Waits until its datasets and models are laid out on the host.", None)
    if room is None:
        return Waiting("Waits for a compute resource: no worker has reported yet.", None)
    if sentence := room.closed or room.lacking(job):
        return Waiting(sentence, position)
    ahead = (position or 1) - 1
    return Waiting(
        f"Waits for {ahead} job{'s' if ahead != 1 else ''} before it." if ahead else "Is about to start.", position
    )


def _lacking(what: str, wanted: float, available: float, whole: float) -> list[str]:
    if wanted <= available:
        return []
    return [f"{wanted:g} {what} ({max(0, available):.3g} of {whole:.3g} free)"]


def counts(jobs: "object") -> dict[str, int]:
    """How many jobs there are in each state, in one query."""
    return dict(jobs.order_by().values_list("state").annotate(Count("pk")))  # type: ignore[attr-defined]
