"""Django's question, `user.has_perm("projects.manage_jobs", project)`, answered as access answers its own.

guardian's rows are what members hold; its own backend would not know of owners, of removed projects, and would give a superuser
everything.
"""

from typing import Any, Final

from django.contrib.auth.backends import BaseBackend

import access
from projects.levels import KINDS, permission
from projects.models import Project

# A level -> what only it and those above it allow on anything of the kind.
SHOWN_BY: Final = {"read": "get", "own": "new", "all": "rm"}
ASKED: Final = {
    "projects.view_project": "project:get",
    "projects.change_project": "project:set",
    "projects.delete_project": "project:rm",
    **{f"projects.{permission(kind, level)}": f"{kind}:{verb}" for kind in KINDS for level, verb in SHOWN_BY.items()},
}


class Backend(BaseBackend):
    """Named in settings.AUTHENTICATION_BACKENDS, in the place of guardian's."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not isinstance(obj, Project):
            return set()
        held = access.abilities(user_obj, obj)
        return {name for name, action in ASKED.items() if held.decide(action, obj)}
