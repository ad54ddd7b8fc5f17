"""Projects in projects, as a tree."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from access.models import Nested
from access.prepared import planned_once
from projects.models import Project

if TYPE_CHECKING:
    from accounts.models import User

MOST: Final = 200  # projects in a tree that is shown


@dataclass(frozen=True, slots=True)
class Branch:
    """A project, and those in it."""

    project: Project
    below: list["Branch"] = field(default_factory=list)


def below(project: Project, user: "User") -> list[Branch]:
    """The projects in this one that the user sees, with those in them; one query. What is hidden hides what is in it."""
    inside = Nested.objects.filter(above=project.pk).values("place")
    seen = Project.objects.visible_to(user).filter(pk__in=inside).select_related("owner").order_by("name", "pk")
    with planned_once():
        branches = {one.pk: Branch(one) for one in seen[:MOST]}
    top: list[Branch] = []
    for branch in branches.values():
        parent = branches.get(branch.project.parent_id or "")
        if parent:
            parent.below.append(branch)
        elif branch.project.parent_id == project.pk:
            top.append(branch)
    return top
