"""What programs ask about the installation: which it is, and whether it is well."""

import time
from datetime import datetime
from typing import Any, Final, Literal

from django.conf import settings
from django.utils import timezone
from ninja import Router

import access
from access.installation import INSTALLATION, KIND
from accounts.models import User
from api.callers import ApiRequest
from api.door import caller_of
from api.lists import Out
from mlteam import health
from mlteam.health import Finding

router = Router(tags=["installation"])

KEPT: Final = 30.0  # seconds for which an answer of all checks, some of which start programs, is given again

_found: tuple[float, list[Finding]] = (0.0, [])


class InstallationOut(Out):
    """The installation. `mine`: who asks is one of its admins."""

    id: str
    urn: str
    name: str
    version: str
    url: str
    contact: str
    mine: bool


class PartOut(Out):
    """A part of the server. `detail` is for the installation's admins."""

    name: str
    status: Literal["ok", "note", "wrong"]
    detail: str


class HealthOut(Out):
    """Whether the installation is well; `parts` only for who is signed in."""

    status: Literal["ok", "degraded"]
    version: str
    time: datetime
    parts: list[PartOut] | None


@router.get("/installation", response=InstallationOut)
@access.route("self")
def get_installation(request: ApiRequest) -> dict[str, Any]:
    """Which installation this is."""
    about = {"id": KIND, "urn": INSTALLATION.urn, "name": settings.MLTEAM_ORGANIZATION, "version": health.version()}
    mine = isinstance(request.user, User) and request.user.is_superuser
    return about | {"url": settings.MLTEAM_URL, "contact": settings.MLTEAM_CONTACT, "mine": mine}


@router.get("/health", response=HealthOut, auth=None)
@access.route("public")
def get_health(request: ApiRequest) -> dict[str, Any]:
    """Whether the installation is well; for whoever is signed in also what `manage.py doctor` says, to admins with details."""
    caller = caller_of(request)
    found = _all_findings() if caller else health.findings(health.NEEDED)
    well = not any(finding.verdict == "wrong" for finding in found)
    said = {"status": "ok" if well else "degraded", "version": health.version(), "time": timezone.now()}
    admin = caller is not None and isinstance(caller.holder, User) and caller.holder.is_superuser
    return said | {"parts": [_show(finding, admin) for finding in found] if caller else None}


def _all_findings() -> list[Finding]:
    global _found
    if not _found[1] or _found[0] < time.monotonic() - KEPT:
        _found = time.monotonic(), health.findings()
    return _found[1]


def _show(finding: Finding, admin: bool) -> dict[str, str]:
    return {"name": finding.subject, "status": finding.verdict, "detail": finding.text if admin else ""}
