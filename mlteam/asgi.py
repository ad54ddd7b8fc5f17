"""The root of everything that arrives over the network.

Runners are answered first, outside Django's middleware, whatever name they call this host by: their token is what
counts. The dashboard answers only on its own names, and a WebSocket only to its own pages.
"""

import gc
import os
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlteam.settings")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django import setup
from django.conf import settings

setup(set_prefix=False)

from django.urls import get_resolver, path

from datastores import transfer
from jobs import consumers, runner_api
from mlteam import bodies, uploads

pages = bodies.limited(uploads.Handler())

websocket_urlpatterns = [
    path("ws/p/<slug:slug>/jobs", consumers.ProjectConsumer.as_asgi()),
    path("ws/jobs/<slug:job_id>", consumers.JobConsumer.as_asgi()),
    path("ws/jobs/<slug:job_id>/<int:index>/log", consumers.LogConsumer.as_asgi()),
]


class OwnPages(OriginValidator):
    """Lets pages of our own alone open a WebSocket. An Origin that is no address is none; nobody else takes a connection to Redis."""

    async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
        if self._from_ours(dict(scope["headers"]).get(b"origin", b"")):
            return await self.application(scope, receive, send)
        await receive()
        await send({"type": "websocket.close"})

    def _from_ours(self, origin: bytes) -> bool:
        try:
            return bool(self.valid_origin(urlsplit(origin.decode("latin1"))))
        except ValueError:
            return False


async def http(scope, receive, send):  # type: ignore[no-untyped-def]
    """Runners and what data consists of to their endpoints, everything else to Django, which refuses foreign host names itself."""
    handler = transfer.application if transfer.is_here(scope) else pages
    if scope["path"].startswith("/runner/"):
        handler = runner_api.application
    await handler(scope, receive, send)


application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OwnPages(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.WEBSOCKET_ORIGINS),
    }
)

# What is loaded now stays: it need not be looked through for garbage again and again, each time 60 ms in the middle of a page.
assert get_resolver().url_patterns
gc.collect()
gc.freeze()
# A page makes some thousand objects, nearly all of which go without being looked for. Looking costs a long list a twentieth.
gc.set_threshold(20_000, 10, 10)
