"""How uploaded files may be named. Django quietly takes a name's last part; a name that leads elsewhere is refused here."""

import html
from typing import Any

from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIRequest
from django.http.multipartparser import MultiPartParser

from mlteam import one_thread


class StrictParser(MultiPartParser):
    """Refuses names with directories, “..” or characters that no file name has."""

    def sanitize_file_name(self, file_name: str) -> str | None:
        plain = super().sanitize_file_name(file_name)
        if file_name and plain != html.unescape(file_name):
            raise BadRequest(
                f"“{file_name[:80]}” is no name that an uploaded file may have: a plain one, without “..” or “/”."
            )
        return plain


class Request(ASGIRequest):
    """A request whose uploads are read by the strict parser."""

    def parse_file_upload(self, META: Any, post_data: Any) -> Any:
        return StrictParser(META, post_data, list(self.upload_handlers), self.encoding).parse()


class Handler(one_thread.Handler):
    request_class = Request
