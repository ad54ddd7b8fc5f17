"""The Celery application of web and worker: every app's `tasks.py`, the queues of this host."""

import os

from celery import Celery

from mlteam import beat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlteam.settings")

app = Celery("mlteam")
app.conf.update(beat.SETTINGS, task_queues=beat.queues())
app.autodiscover_tasks()
