"""What attempts used, for the ledger: each from the start of its sandbox to its exit."""

import logging
from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils import timezone

from billing import ledger
from billing.ledger import Use
from jobs.models import Attempt
from jobs.states import Reason

log = logging.getLogger(__name__)

SOURCE = "attempt"
AT_ONCE = 500  # ended attempts that one look takes


def charge_all() -> int:
    """Brings the ledger up to now: attempts that run, and those whose end it lacks. The number of attempts looked at."""
    charged = _charge_each(_rows().filter(ended_at=None, started_at__isnull=False))
    return charged + _charge_each(_rows().filter(charged=False, ended_at__isnull=False).order_by("ended_at")[:AT_ONCE])


def charge_ended(attempt_id: str) -> None:
    """The attempt has ended: the rest of its use. What fails here the next look does."""
    _charge_each(_rows().filter(pk=attempt_id, charged=False, ended_at__isnull=False))


def charge_rest(attempts: QuerySet) -> None:
    """The rest of what these ended attempts used, before their rows go. Raises what goes wrong."""
    for attempt in attempts.filter(charged=False, ended_at__isnull=False).select_related(*_SHOWN):
        _charge(attempt)


_SHOWN = ("job__project__owner", "job__created_by")


def _rows() -> QuerySet:
    return Attempt.objects.select_related(*_SHOWN).defer("job__spec", "job__files")


def _charge_each(attempts: Iterable[Attempt]) -> int:
    rows = list(attempts)
    for attempt in rows:
        try:
            _charge(attempt)
        except Exception:  # one that cannot be charged must not keep the others from it
            log.exception("attempt %s of job %s was not charged", attempt.index, attempt.job_id)
    return len(rows)


def _charge(attempt: Attempt) -> None:
    if attempt.reason == Reason.HOST_RESTARTED:
        ledger.close(
            SOURCE, attempt.pk
        )  # nobody knows when the host went down: it is not charged for what it did not run
    elif attempt.started_at:
        ledger.charge(use_of(attempt))
    if attempt.ended_at:
        Attempt.objects.filter(pk=attempt.pk).update(charged=True)


def use_of(attempt: Attempt) -> Use:
    """What the attempt has used until it ended, or until now."""
    job = attempt.job
    assert attempt.started_at
    return Use(
        source=SOURCE,
        source_id=attempt.pk,
        subject_id=job.pk,
        subject_name=job.name,
        project=job.project,
        member=job.created_by,
        start=attempt.started_at,
        until=attempt.ended_at or timezone.now(),
        over=attempt.ended_at is not None,
        cpu_milli=job.cpu_milli,
        memory_mib=job.memory_mib,
        gpus=tuple(gpu["type"] for gpu in attempt.gpus),
    )
