"""A project by its address, as each of its pages begins."""

from typing import Final

from django.db.models import QuerySet

from access.prepared import Prepared
from projects.models import Project


def _named(slug: str) -> "QuerySet[Project]":
    return Project.objects.present().filter(slug=slug).select_related("owner", "offered_to", "parent")


# The present one, for access.fetch: with its owner, with whom it is offered to and with what it is in.
BY_SLUG: Final = Prepared(_named)
