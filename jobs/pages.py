"""What the pages of one job show."""

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse

import access
from billing import usage
from billing.money import in_words
from compute import trees
from jobs import artifacts, hidden, lending, logs, queue, rows, transfers
from jobs.data import named, written
from jobs.models import Attempt, Job, Transfer
from jobs.spec import Spec
from jobs.states import FINAL, JobState, Reason

if TYPE_CHECKING:
    from accounts.models import User

ERROR_WINDOW = 1024 * 1024  # bytes at the end of a log in which its error is looked for
ERROR_LINES = 40
COMPARED_LINES = 1000  # of a job.yml: comparing takes time that grows with their square
TRACEBACK = b"Traceback (most recent call last):"


def status_context(user: "User", job: Job) -> dict[str, Any]:
    """What _status.html shows: the job, why it is in its state, and what the user may do."""
    held = access.abilities(user, job)
    return {
        "job": job,
        "project": job.project,
        "can": {
            "stop": bool(held.decide("job:stop", job)) and job.state not in FINAL | {JobState.CANCELLING},
            "clone": bool(held.decide("job:new", job)),
            "rm": bool(held.decide("job:rm", job)),
            "store": job.reason == Reason.UPLOAD and job.final and bool(held.decide("job:stop", job)),
        },
        "waiting": queue.explain(job) if job.state == JobState.QUEUED else None,
        "under_way": transfers.under_way([job]).get(job.pk, "") if job.state == JobState.UPLOADING else "",
        **carried_context(job),
    }


def carried_context(job: Job) -> dict[str, Any]:
    """What _carried.html shows: the job's inputs and outputs that are carried, with how far each is."""
    rows = transfers.of([job.pk]).get(job.pk, [])
    return {"carried": [_carried(row, job) for row in rows]}


def _carried(row: Transfer, job: Job) -> dict[str, Any]:
    state = transfers.state_of(row, job)
    said = {transfers.STOPPED: "not sent" if row.outward else "not fetched"}.get(state, row.get_state_display().lower())
    said = f"{'Output' if row.outward else 'Input'} {said}"
    return {
        "row": row,
        "state": state,
        "said": said,
        "address": transfers.shown(row.address),
        "words": transfers.in_words([row]),
    }


def detail_context(user: "User", job: Job, *, tab: str, chosen: str = "") -> dict[str, Any]:
    """What every tab of the job's page shows."""
    attempts = list(job.attempts.select_related("resource"))
    attempt = next((one for one in attempts if str(one.index) == chosen), attempts[-1] if attempts else None)
    return {
        **status_context(user, job),
        "attempts": attempts,
        "attempt": attempt,
        "tab": tab,
        "log": _log(job, attempt),
        "written": ", ".join(f"{one.name} ({one.path})" for one in written(named(job))),
        "error": error_of(job, attempt) if job.state == JobState.FAILED and tab == "log" else None,
        "difference": difference(job) if job.state == JobState.FAILED and tab == "log" else "",
        "facts": facts(job, attempt, user) + cost(job),
        "socket": f"/ws/jobs/{job.id}",
    }


def _log(job: Job, attempt: Attempt | None) -> dict[str, int]:
    """The log's size, and the offset from which the page opens: 64 KiB before its end."""
    if attempt is None:
        return {"size": 0, "offset": 0}
    path = logs.path_of(job.id, attempt.index)
    return {"size": logs.size(path), "offset": logs.tail(path, 64 * 1024)}


def facts(job: Job, attempt: Attempt | None, user: "User") -> list[tuple[str, str]]:
    """Where it runs and with what, as label and value, for the user."""
    found = [
        ("CPU cores", f"{job.cpu_milli / 1000:g}"),
        ("Memory", f"{job.memory_mib / 1024:g} GiB"),
        ("GPUs", ", ".join(gpu["type"] for gpu in attempt.gpus) if attempt and attempt.gpus else str(job.gpu)),
    ]
    if job.bid:
        found.append(("Bid", str(job.bid)))
    if keys := job.spec.get("keys"):
        found.append(("Keys", ", ".join(keys)))
    if data := named(job):
        found.append(("Data", ", ".join(map(str, data))))
        found += [("From elsewhere", said) for said in lending.notices(lending.borrowed(job), job.project, user)]
    if output := job.spec.get("output"):
        found.append(("Output", ", ".join(one["to"] for one in output)))
    if attempt:
        found.append(("Host", attempt.host))
        network = {"own": "own, separated", "host": "shared with the host"}.get(
            attempt.isolation.get("network", ""), ""
        )
        found += [("Network", network)] if network else []
        if attempt.peak_memory_mib:
            found.append(("Peak memory", f"{attempt.peak_memory_mib} MiB"))
    return found


def cost(job: Job) -> list[tuple[str, str]]:
    """What it has cost up to now, as a fact; nothing where nothing costs anything."""
    amount = usage.cost_of(job.id)
    return [] if amount is None else [("Cost" if job.final else "Cost so far", in_words(amount))]


def error_of(job: Job, attempt: Attempt | None) -> dict[str, Any] | None:
    """The first traceback in the last mebibyte of the log, else its last lines: {"lines": [...], "line": number of the first}."""
    if attempt is None:
        return None
    path = logs.path_of(job.id, attempt.index)
    start = max(0, logs.size(path) - ERROR_WINDOW)
    data = logs.read(path, start, ERROR_WINDOW)
    at = data.find(TRACEBACK)
    if at >= 0:
        at = data.rfind(b"\n", 0, at) + 1
        lines = _traceback(data[at:].split(b"\n"))
    else:
        kept = data.rstrip().split(b"\n")[-10:]
        at, lines = len(data.rstrip()) - len(b"\n".join(kept)), kept
    shown = [rows.plain(line.rsplit(b"\r", 1)[-1])[:500] for line in lines[:ERROR_LINES]]
    return {"lines": shown, "line": logs.line_at(path, start + at)} if any(shown) else None


def _traceback(lines: list[bytes]) -> list[bytes]:
    """The lines of the traceback that begins the list: to the first that is not indented, which says the error."""
    for number, line in enumerate(lines[1:], 1):
        if line.strip() and not line.startswith((b" ", b"\t")):
            return lines[: number + 1]
    return lines[:ERROR_LINES]


def difference(job: Job) -> str:
    """What differs in the spec from the same person's last succeeded job of this name; "" when nothing does or there is none."""
    before = (
        Job.objects.filter(
            project=job.project_id, created_by=job.created_by_id, name=job.name, state=JobState.SUCCEEDED
        )
        .newest_first()
        .first()
    )
    if before is None:
        return ""
    old, new = (hidden.shown(Spec.model_validate(one.spec)).as_yaml().splitlines() for one in (before, job))
    if max(len(old), len(new)) > COMPARED_LINES:
        return ""
    return "\n".join(
        list(
            difflib.unified_diff(
                old, new, f"{before.name} ({before.id}, succeeded)", f"{job.name} ({job.id}, failed)", lineterm="", n=1
            )
        )
    )


def artifacts_context(job: Job) -> dict[str, Any]:
    """What the Artifacts tab shows."""
    entries, truncated = artifacts.listed(job)
    here = {"slug": job.project.slug, "job_id": job.id}
    shown = [
        {
            "path": entry.path,
            "size": entry.size,
            "kind": artifacts.kind_of(entry),
            "url": reverse("jobs:artifact", kwargs={**here, "path": entry.path}) if "\n" not in entry.path else "",
            "modified": datetime.fromtimestamp(min(max(entry.modified, 0), artifacts.LATEST), UTC),
        }
        for entry in entries
    ]
    return {
        "artifacts": shown,
        "shown_json": list(
            _json_texts(job, [entry.path for entry in entries if artifacts.kind_of(entry) == "json"][:5])
        ),
        "total_size": sum(entry.size for entry in entries if entry.kind == "file"),
        "truncated": truncated,
        "zip_url": reverse("jobs:artifacts_zip", kwargs=here),
    }


def _json_texts(job: Job, paths: list[str]) -> "Any":
    for path in paths:
        try:
            yield {"path": path, "text": artifacts.json_text(job, path)}
        except trees.NotThere:
            continue
