"""Names of uploaded files that lead elsewhere are refused, not tidied."""

import io

import pytest
from django.core.exceptions import BadRequest

from mlteam.uploads import Handler, Request


def upload(name: bytes):
    """The files of a request that uploads one with this name."""
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\nprint(1)\r\n--x--\r\n'
    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "method": "POST", "path": "/p/vision/jobs/new", "query_string": b"", "headers": headers}
    return Request(scope, io.BytesIO(body)).FILES.getlist("files")


@pytest.mark.parametrize(
    "name", [b"../x", b"/etc/passwd", b"a/../../x", b"..", b"a/b.py", b"C:\\\\x", b"&sol;etc&sol;passwd", b"a\x07b"]
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(BadRequest, match="no name that an uploaded file may have"):
        upload(name)


def test_plain_names_are_taken():
    [file] = upload("тренировка 1.py".encode())
    assert (file.name, file.read()) == ("тренировка 1.py", b"print(1)")


def test_the_server_reads_uploads_that_way():
    from mlteam import asgi

    assert asgi.uploads.Handler is Handler
    assert Handler.request_class is Request
