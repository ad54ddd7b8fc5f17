"""The ledger as CSV, a piece at a time."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from accounts import downloads
from accounts.downloads import cell
from billing import usage
from billing.models import Charge

ROWS = 1000  # read at a time

USED = [
    "hour (UTC)",
    "project",
    "member",
    "job",
    "job id",
    "line",
    "GPUs",
    "used",
    "GPU hours",
    "CPU core hours",
    "memory GiB hours",
    "storage GiB hours",
]
COSTS = ["GPU cost", "CPU cost", "memory cost", "storage cost", "amount", "currency", "payer"]


def response(charges: QuerySet, *, money: bool, filename: str) -> StreamingHttpResponse:
    """The rows as a download."""
    return downloads.response(_texts(charges, money=money), filename=f"{filename}.csv", kind=downloads.CSV)


def _texts(charges: QuerySet, *, money: bool) -> Iterator[str]:
    yield downloads.lines([[*USED, *(COSTS if money else [])]])
    for rows in usage.pieces(charges, ROWS):
        yield downloads.lines([_row(row, money=money) for row in rows])


def _row(row: Charge, *, money: bool) -> list[str]:
    names = [cell(name) for name in (row.project_name, row.member_name, row.subject_name)]
    used = [f"{row.hour:%Y-%m-%d %H:%M}", *names, row.subject_id, row.line, cell(row.gpus), _clock(row.milliseconds)]
    hours = [row.gpu_hours, row.cpu_hours, row.memory_hours, row.storage_hours]
    costs = [row.gpu_cost, row.cpu_cost, row.memory_cost, row.storage_cost, row.amount]
    paid = [*map(str, costs), settings.MLTEAM_CURRENCY, cell(row.payer_name)]
    return [*used, *map(str, hours), *(paid if money else [])]


def _clock(milliseconds: int) -> str:
    """0:59:30; a correction is below zero."""
    return f"{'-' if milliseconds < 0 else ''}{timedelta(seconds=abs(milliseconds) // 1000)}"
