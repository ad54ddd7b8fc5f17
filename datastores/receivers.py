"""What datastores do when something happens in a project."""

from collections.abc import Callable
from functools import partial

from django.db import transaction

from datastores import checks, places, volumes
from datastores.kinds import Kind
from datastores.models import Datastore, Import, Upload
from projects import signals
from projects.models import Project

WORDS = {
    action: said
    for kind in Kind
    for action, said in {
        f"{kind}:new": f"Created a {kind.label.lower()}",
        f"{kind}:set": f"Renamed or described a {kind.label.lower()}",
        f"{kind}:rm": f"Removed a {kind.label.lower()}",
        f"{kind}:version:new": f"Added a version to a {kind.label.lower()}",
        f"{kind}:import:new": f"Began to fetch a version of a {kind.label.lower()} from an address",
        f"{kind}:import:stop": f"Stopped fetching a version of a {kind.label.lower()}",
    }.items()
} | {
    "volume:content:new": "Put files into a volume",
    "volume:content:rm": "Removed content of a volume",
}
for _ in ("version:new", "import:new", "import:stop"):
    del WORDS[f"volume:{_}"]


def connect() -> None:
    """Listens to projects; called once when the app is ready."""
    signals.project_purging.connect(_project_purging, dispatch_uid="datastores.project_purging")


def finder(kind: str) -> Callable[[str], Datastore | None]:
    """What finds one of a kind by its id; for `access.find`."""

    def find(datastore_id: str) -> Datastore | None:
        return Datastore.objects.present().for_programs().filter(pk=datastore_id, kind=kind).first()

    return find


def _project_purging(sender: object, *, project: Project, **_: object) -> None:
    for upload_id in Upload.objects.filter(datastore__project=project).values_list("pk", flat=True):
        transaction.on_commit(partial(places.remove_upload, upload_id), robust=True)
    for import_id in Import.objects.filter(datastore__project=project).values_list("pk", flat=True):
        transaction.on_commit(partial(places.remove_import, import_id), robust=True)
    # Where that is interrupted, the nightly check finds content of a project that is not there.
    transaction.on_commit(partial(checks.delete_all_of, project.pk), robust=True)
    transaction.on_commit(partial(volumes.remove_all_of, project.pk), robust=True)
