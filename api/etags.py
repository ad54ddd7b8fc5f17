"""Edits that are refused when somebody else was faster: `ETag` says what was read, `If-Match` what is to be changed.

A tag stands for what can be edited of a thing, not for counts and the like that change by themselves; answers are therefore
never kept by caches.
"""

import hashlib
import json
from typing import Any

from django.http import HttpRequest, HttpResponse

from api.problems import Problem


def tag_of(*values: Any) -> str:
    """The tag of a thing with these editable values."""
    said = json.dumps(values, sort_keys=True, default=str, separators=(",", ":"))
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:24]}"'


def tell(response: HttpResponse, tag: str) -> None:
    """Says in an answer what state of the thing it shows."""
    response["ETag"] = tag


def check(request: HttpRequest, tag: str) -> None:
    """Raises Problem when the request is about another state than this. Call it inside the transaction that changes the thing."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    if tag not in {one.strip() for one in wanted.split(",")}:
        raise Problem(412, "changed", "Somebody has changed this meanwhile. Read it again, then change it.")
