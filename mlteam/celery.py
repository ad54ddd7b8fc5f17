"""The Celery application of web and worker: every app's `tasks.py`, the queues of this host."""

import os
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning

from mlteam import beat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlteam.settings")
# A worker would import every page and the API at its start, only to check them: a third of the time that it takes to begin, and
# 19 MB for as long as it runs. `make lint` has checked them, and the web server imports them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# Said at each loss of Redis, about tasks that are acknowledged late; we have none.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
# Said at each start as root: a server run as root is provided for, its jobs drop to users of their own.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("mlteam")
app.conf.update(beat.SETTINGS, task_queues=beat.queues())
app.autodiscover_tasks()
