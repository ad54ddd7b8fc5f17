"""The Celery application of web and worker: every app's `tasks.py`, the queues of this host."""

import os
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning

from mlteam import beat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlteam.settings")

# Said at each loss of Redis, about tasks that are acknowledged late; we have none.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
# Said at each start as root: a server run as root is provided for, its jobs drop to users of their own.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("mlteam")
app.conf.update(beat.SETTINGS, task_queues=beat.queues())
app.autodiscover_tasks()
