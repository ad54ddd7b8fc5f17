"""Where a job's files are, below var/."""

from pathlib import Path

from django.conf import settings


def job_directory(job_id: str) -> Path:
    return Path(settings.VAR) / "jobs" / job_id


def attempt_directory(job_id: str, index: int) -> Path:
    """The attempt's own directory, of the runner and the server."""
    return job_directory(job_id) / str(index)


def output_directory(job_id: str) -> Path:
    """What the job wrote to $MLTEAM_OUTPUT. A job can write here: enter only through compute.trees."""
    return job_directory(job_id) / "output"
