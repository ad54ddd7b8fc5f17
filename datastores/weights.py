"""How much each project stores, for who pays for it."""

from collections import Counter

from django.db.models import Sum

from billing import storage
from datastores.models import Blob, Datastore


def charge() -> int:
    """Has what projects store charged; the number of projects."""
    return storage.look(of_projects())


def of_projects() -> dict[str, int]:
    """Project id -> bytes: those of its datasets and models, where what versions share is there once, and of its volumes as they were
    last measured."""
    sums: Counter[str] = Counter()
    for rows, size in ((Blob.objects.all(), "size"), (Datastore.objects.present().filter(used__gt=0), "used")):
        sums.update(dict(rows.order_by().values_list("project").annotate(Sum(size))))
    return dict(sums)
