"""Questions that every transfer asks, compiled once."""

from typing import Final

from access.prepared import Prepared
from datastores.models import Blob, Datastore, Upload, Version

PRESENT: "Final[Prepared[Datastore]]" = Prepared(
    lambda pk: Datastore.objects.present().filter(pk=pk).select_related("project")
)
UPLOADS: "Final[Prepared[Upload]]" = Prepared(
    lambda pk: Upload.objects.filter(
        pk=pk, datastore__removed_at=None, datastore__project__removed_at=None
    ).select_related("datastore__project")
)
LATEST: "Final[Prepared[Version]]" = Prepared(
    lambda datastore: Version.objects.filter(datastore=datastore).order_by("-number")[:1]
)
FAULTS: Final = Prepared(  # with its values in sight PostgreSQL sees that an index has just these rows
    lambda project: Blob.objects.filter(project=project).exclude(fault="").values("pk")[:1], planned="anew"
)
SOUND: Final = Prepared(
    lambda project, hashes: Blob.objects.filter(project=project, sha256__in=hashes, fault="").values_list(
        "sha256", "size"
    )
)


def latest(datastore: Datastore) -> Version | None:
    """The newest version of a dataset or model."""
    version = LATEST.first(datastore=datastore.pk)
    if version:
        version.datastore = datastore
    return version
