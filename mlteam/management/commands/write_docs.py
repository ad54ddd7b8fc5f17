"""`manage.py write_docs`: writes what docs/ says of the code from the code."""

from typing import Any

from django.core.management.base import BaseCommand

from api.described import described
from api.markdown import written
from mlteam import state
from mlteam.api import api

API = state.ROOT / "docs" / "api.md"


def api_reference() -> str:
    """What docs/api.md has to be."""
    return written(described(api.get_openapi_schema()))


class Command(BaseCommand):
    help = "Writes docs/api.md from the API's description of itself."

    def handle(self, *args: Any, **options: Any) -> None:
        API.write_text(api_reference())
