"""What a view is given."""

from typing import TYPE_CHECKING

from django.http import HttpRequest

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from accounts.models import User


class UserRequest(HttpRequest):
    """A request of somebody who is signed in, as every view gets it that is not marked login_not_required; for types."""

    user: "User"
    htmx: "HtmxDetails"
