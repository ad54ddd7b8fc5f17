"""The access generation: a number in the database that is raised in the transaction that takes access away.

Every process looks at it twice a second for all that it has open (sockets, streams) and asks again when it has changed. It needs no
Redis, and a lost message costs nothing.
"""

from django.apps import apps
from django.db.models import F


def bump() -> None:
    """Raises the generation; call inside the revoking transaction."""
    rows = apps.get_model("access", "Generation").objects
    if not rows.filter(pk=1).update(number=F("number") + 1):
        rows.bulk_create([rows.model(pk=1)], ignore_conflicts=True)  # the first ever, perhaps two at once
        rows.filter(pk=1).update(number=F("number") + 1)


def generation() -> int:
    """The current number; one indexed read."""
    number = apps.get_model("access", "Generation").objects.filter(pk=1).values_list("number", flat=True).first()
    return number or 0
