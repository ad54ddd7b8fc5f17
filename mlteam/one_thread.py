"""How Django answers under ASGI: each request in one thread, from the first middleware to the answer."""

from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler


class Handler(ASGIHandler):
    """Django's own goes back to the loop before each check of a view and before the view itself: half as many changes of thread again.

    A view that is a coroutine runs on the loop, as with Django's own, and what it streams is sent from there.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)
        chain: Any = sync_to_async(self._middleware_chain, thread_sensitive=True)  # type: ignore[has-type]
        self._middleware_chain = chain
