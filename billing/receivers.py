"""What billing does when something happens to a project: what it stored until then is charged to who owned it."""

from billing import storage
from projects import signals
from projects.models import Project


def connect() -> None:
    """Listens to projects; called once when the app is ready."""
    signals.project_removing.connect(_settle, dispatch_uid="billing.project_removing")
    signals.owner_changing.connect(_settle, dispatch_uid="billing.owner_changing")


def _settle(sender: object, *, project: Project, **_: object) -> None:
    storage.settle(project)
