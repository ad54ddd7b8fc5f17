"""The ledger as CSV, a piece at a time."""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from billing import usage
from billing.models import Charge

ROWS = 1000  # read at a time
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")

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


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: names are whatever somebody typed."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULAS) else text


def response(charges: QuerySet, *, money: bool, filename: str) -> StreamingHttpResponse:
    """The rows as a download."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}.csv"', "X-Content-Type-Options": "nosniff"}
    return StreamingHttpResponse(
        _streamed(charges, money=money), content_type="text/csv; charset=utf-8", headers=headers
    )


async def _streamed(charges: QuerySet, *, money: bool) -> AsyncIterator[str]:
    texts = _texts(charges, money=money)
    following = sync_to_async(lambda: next(texts, None))
    while (text := await following()) is not None:
        yield text


def _texts(charges: QuerySet, *, money: bool) -> Iterator[str]:
    yield _lines([[*USED, *(COSTS if money else [])]])
    for rows in usage.pieces(charges, ROWS):
        yield _lines([_row(row, money=money) for row in rows])


def _lines(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


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
