"""GPUs only for accounts that an admin approved, where MLTEAM_GPU_APPROVAL asks for it.

It is asked when a job is submitted and again when it would be placed: an approval that is withdrawn keeps back what waits.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Q

from access.keys import person_of
from jobs.models import Job

if TYPE_CHECKING:
    from access.keys import RoleHolder
    from accounts.models import User

NEEDED = "this installation gives GPUs only to accounts that its admin has approved; yours is not: ask the admin, or ask for 0"


NO_ACCOUNT = "this installation gives GPUs to accounts that its admin has approved, and a role is none: use a personal token, or ask for 0"


def lacking(by: "User | RoleHolder", gpu: int) -> str:
    """Why somebody may not have so many GPUs; "" where they may."""
    if not (settings.MLTEAM_GPU_APPROVAL and gpu):
        return ""
    account = person_of(by)
    if account is None:
        return NO_ACCOUNT
    return "" if account.gpu_approved else NEEDED


def placeable() -> Q:
    """Waiting jobs that need no approval or have it; one whose account is gone has none."""
    return Q(gpu=0) | Q(created_by__gpu_approved=True) if settings.MLTEAM_GPU_APPROVAL else Q()


def waits(job: Job) -> str:
    """What the job waits for, when it is for an approval; else ""."""
    if not (settings.MLTEAM_GPU_APPROVAL and job.gpu):
        return ""
    if job.created_by is None:
        whose = "A role submitted it" if job.by_role else "Its account is gone"
        return f"{whose}, and without an account it gets no GPU here."
    if job.created_by.gpu_approved:
        return ""
    return f"Waits for an admin to approve GPUs for {job.created_by.username}."
