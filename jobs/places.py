"""Where a job's files are, below var/."""

from pathlib import Path

from django.conf import settings

from mlteam import state


def job_directory(job_id: str) -> Path:
    return Path(settings.VAR) / "jobs" / job_id


def make_job_directory(job_id: str) -> Path:
    """The job's directory, made when it is missing: a job's own user may enter it, and list nothing."""
    state.directory("jobs", 0o711)
    path = job_directory(job_id)
    path.mkdir(mode=0o711, exist_ok=True)
    return path


def attempt_directory(job_id: str, index: int) -> Path:
    """The attempt's own directory, of the runner and the server."""
    return job_directory(job_id) / str(index)


def output_directory(job_id: str) -> Path:
    """What the job wrote to $MLTEAM_OUTPUT. A job can write here: enter only through compute.trees."""
    return job_directory(job_id) / "output"
