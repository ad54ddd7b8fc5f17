"""What people do in an installation, done by a process of its own with that installation's settings and database.

`python -m tests.faults.desk` reads one JSON list a line, [verb, arguments], and answers each with one JSON line.
"""

# ruff: noqa: E402 - Django must be set up before its apps are imported
import contextlib
import json
import os
import sys
import traceback
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlteam.settings")

import django

django.setup()

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts import actions as accounts
from accounts import first, tokens
from accounts.models import User
from billing.models import Charge
from datastores import actions as data
from datastores.models import Blob, Upload, Version
from jobs import actions, queue
from jobs.models import Attempt, Job, Transfer
from jobs.spec import parse
from projects import actions as projects
from projects import third_party
from projects.models import AuditEntry, Project


def owner():
    return User.objects.get(username="ada")


def project():
    return Project.objects.get(name="Vision")


def set_up():
    """The first account and a project; answers the project's slug."""
    user = accounts.create_first_account(
        token=first.make_token(), email="ada@example.org", username="ada", name="Ada", password="correct-horse-9"
    )
    return projects.create(name="Vision", by=user).slug


def sign_in():
    """A session of the owner's: its key, as it is in the cookie."""
    user, session = owner(), SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return session.session_key


def submit(specs):
    """Submits jobs; answers their ids."""
    return [actions.submit(project=project(), spec=parse(spec), by=owner()).id for spec in specs]


def stop(job_id):
    """Stops a job as its owner does; one that has just ended is left at that."""
    with contextlib.suppress(actions.Refusal):
        actions.stop(job=Job.objects.get(pk=job_id), by=owner())


def look(job_ids):
    """The jobs as their rows say now."""
    jobs = Job.objects.filter(pk__in=job_ids).prefetch_related("attempts", "moves")
    return [_job(job) for job in jobs]


def _job(job):
    row = {key: getattr(job, key) for key in ("id", "name", "state", "reason", "sentence", "exit_status", "final")}
    attempts = [
        {
            **{key: getattr(attempt, key) for key in ("id", "index", "uid", "generation", "reason", "sentence")},
            **{key: getattr(attempt, key) for key in ("exit_status", "log_size", "log_lines", "log_verified")},
            "gaps": attempt.log_gaps,
            "ended": attempt.ended_at is not None,
        }
        for attempt in job.attempts.all()
    ]
    return {**row, "attempts": attempts, "moves": [[move.state, move.reason] for move in job.moves.all()]}


def add_key(kind, name, values):
    """A key of the project's."""
    third_party.add(project=project(), kind=kind, name=name, values=values, by=owner())


def volume(name):
    """A volume of the project's, and what a program needs to push to it."""
    made = data.create(project=project(), kind="volume", name=name, by=owner())
    return {
        "id": made.pk,
        "project": made.project_id,
        "token": tokens.make(user=owner(), name=name, scope="all", days=1),
    }


def carried(job_id):
    """How far what is fetched and sent for a job is."""
    return list(
        Transfer.objects.filter(job=job_id).values("state", "files", "bytes", "all_files", "all_bytes", "tries")
    )


def counted(job_id):
    """What is written down of a job where everything counts once; its time and what is charged of it in milliseconds."""
    job = Job.objects.get(pk=job_id)
    ran = sum((one.ended_at - one.started_at for one in job.attempts.exclude(started_at=None)), timedelta())
    trail = AuditEntry.objects
    return {
        "attempts": job.attempts.count(),
        "versions": list(Version.objects.filter(note__contains=job.urn).values_list("number", "files", "bytes")),
        "uploads": Upload.objects.count(),
        "blobs": list(Blob.objects.values_list("sha256", flat=True)),
        "submitted": trail.filter(action="job:new", urn=job.urn).count(),
        "made": trail.filter(action="model:version:new").count(),
        "ran": ran // timedelta(milliseconds=1),
        "charged": sum(Charge.objects.filter(subject_id=job_id).values_list("milliseconds", flat=True)),
    }


def unfinished():
    """Ids of all jobs that have not ended."""
    return list(Job.objects.unfinished().values_list("pk", flat=True))


def held():
    """What attempts hold: {attempts, cpu, memory, gpu}; nothing when no job runs."""
    attempts = list(Attempt.objects.filter(ended_at=None).select_related("job"))
    slots = queue.Slots(0, 0, 0)
    for attempt in attempts:
        slots.give(attempt.job)
    return {"attempts": len(attempts), "cpu": slots.cpu, "memory": slots.memory, "gpu": slots.gpu}


VERBS = {
    verb.__name__: verb
    for verb in (set_up, sign_in, add_key, submit, stop, look, volume, carried, counted, unfinished, held)
}


def main():
    """Answers until nobody asks any more."""
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        try:
            answer = {"answer": VERBS[verb](**arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
