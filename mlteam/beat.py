"""The clock: what happens every second, every ten and every minute; and how Celery is set up, here and in the worker.

Beat sends names of tasks and runs none, so that it needs no Django and stays small. The schedule is in memory: each
entry is a plain interval, and a beat that was killed has nothing to repair.
"""

from celery import Celery
from celery.schedules import crontab
from kombu import Queue

from mlteam import state

DEFAULT_QUEUE = "mlteam"

SETTINGS = {
    "broker_url": state.broker_url(),
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # The retries are those of connecting, without which a request would wait six seconds for a Redis that is away.
    "broker_transport_options": {
        "global_keyprefix": "mlteam:",
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.05,
        "interval_max": 0.1,
        # A Redis that hangs is as good as away; above the second for which the worker's read waits for a task.
        "socket_timeout": 3,
        "socket_connect_timeout": 3,
    },
    "enable_utc": True,
    "task_default_queue": DEFAULT_QUEUE,
    "task_ignore_result": True,
    # One more try, at once: it covers a connection that died since its last use. Longer would hold up a request while
    # Redis is away, for a hint that the sweep replaces within a second.
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_prefetch_multiplier": 1,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": False,
}


def every(seconds: int, task: str) -> dict[str, object]:
    """A schedule entry; a tick that nobody took before the next one is dropped, so that none pile up."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds, "ignore_result": True}}


SCHEDULE = {
    "sweep": every(1, "jobs.tasks.sweep"),
    "heartbeat": every(10, "compute.tasks.heartbeat"),
    "email": every(10, "accounts.tasks.send_waiting"),
    "purge": every(60, "projects.tasks.purge"),
    "charge": every(60, "jobs.tasks.charge"),
    "stored": every(600, "datastores.tasks.charge"),
    "imports": every(60, "datastores.tasks.resume_imports"),
    "closed": every(300, "accounts.tasks.forget_closed"),
    "volumes": every(60, "datastores.tasks.measure"),
    "written": every(60, "jobs.tasks.note_writing"),
    "answers": every(600, "api.tasks.forget_answers"),
    # By the clock: a beat that is started anew each day would never reach the end of a day's interval.
    "content": {
        "task": "datastores.tasks.check",
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": 3600, "ignore_result": True},
    },
}


def host_queue() -> str:
    """The queue that only the worker on this host reads: its jobs are started and stopped from here."""
    return f"{DEFAULT_QUEUE}.{state.host_name()}"


def queues() -> list[Queue]:
    """What the worker of this host reads."""
    return [Queue(DEFAULT_QUEUE), Queue(host_queue())]


app = Celery("mlteam.beat", fixups=[], set_as_current=False)
app.conf.update(SETTINGS, beat_schedule=SCHEDULE)
