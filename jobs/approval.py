"""GPUs only for accounts that an admin approved, where MLTEAM_GPU_APPROVAL asks for it.

It is asked when a job is submitted and again when it would be placed: an approval that is withdrawn keeps back what waits.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Q

from jobs.models import Job

if TYPE_CHECKING:
    from accounts.models import User

NEEDED = "this installation gives GPUs only to accounts that its admin has approved; yours is not: ask the admin, or ask for 0"


def lacks(user: "User", gpu: int) -> bool:
    """Whether the user may not have so many GPUs."""
    return bool(settings.MLTEAM_GPU_APPROVAL and gpu and not user.gpu_approved)


def placeable() -> Q:
    """Waiting jobs that need no approval or have it; one whose account is gone has none."""
    return Q(gpu=0) | Q(created_by__gpu_approved=True) if settings.MLTEAM_GPU_APPROVAL else Q()


def waits(job: Job) -> str:
    """What the job waits for, when it is for an approval; else ""."""
    if not (settings.MLTEAM_GPU_APPROVAL and job.gpu):
        return ""
    if job.created_by is None:
        return "Its account is gone, and without one it gets no GPU here."
    if job.created_by.gpu_approved:
        return ""
    return f"Waits for an admin to approve GPUs for {job.created_by.username}."
