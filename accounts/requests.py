"""What a view is given, and from where it was asked."""

from ipaddress import ip_address
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from accounts.models import User


class UserRequest(HttpRequest):
    """A request of somebody who is signed in, as every view gets it that is not marked login_not_required; for types."""

    user: "User"
    htmx: "HtmxDetails"


def client_address(request: HttpRequest) -> str:
    """From where a request comes: as the proxies that the installation trusts say (MLTEAM_PROXIES), else the connection's address;
    "" where there is none, as on a Unix socket."""
    hops = request.headers.get("x-forwarded-for", "").split(",")
    proxies = settings.MLTEAM_PROXIES
    said = hops[-proxies] if 0 < proxies <= len(hops) else ""
    return _address(said) or _address(request.META.get("REMOTE_ADDR") or "")


def _address(text: str) -> str:
    """The address that the text is, also with a port as some proxies write it; "" for anything else."""
    host, _, _ = text.strip().rpartition(":")
    for address in (text.strip(), host.strip("[]")):
        try:
            return str(ip_address(address))
        except ValueError:
            continue
    return ""
