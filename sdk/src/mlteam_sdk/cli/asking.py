"""`mlteam api`: whatever else the server can be asked."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from mlteam_sdk.cli.command import command, session
from mlteam_sdk.cli.texts import clean

if TYPE_CHECKING:
    import httpx

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


@command("api")
@click.argument("path")
@click.option(
    "-X",
    "--method",
    type=click.Choice(METHODS, case_sensitive=False),
    help="How it is asked.  [default: GET, POST with --data]",
)
@click.option("-d", "--data", metavar="NAME=TEXT", multiple=True, help="A field of what is sent; repeatable.")
@click.option("-j", "--json", "typed", metavar="NAME=JSON", multiple=True, help="A field that is no text; repeatable.")
def api(path: str, method: str | None, data: tuple[str, ...], typed: tuple[str, ...]) -> None:
    """Asks an operation of the API, such as `mlteam api /me`, and prints its answer as JSON.

    The server describes its operations at /api/v1/docs.
    """
    sent = dict(map(_field, data)) | {name: _parsed(name, value) for name, value in map(_field, typed)}
    asked = (method or ("POST" if sent else "GET")).upper()
    if not path.startswith("/"):
        raise click.UsageError("PATH begins with / and comes after /api/v1, such as /projects.")
    _print(_answer(asked, path, sent))


def _answer(method: str, path: str, sent: dict[str, Any]) -> "httpx.Response":
    from urllib.parse import parse_qsl

    from mlteam_sdk import asking

    path, _, query = path.partition("?")
    headers = asking.post_headers(None) if method == "POST" else {}
    body = sent if sent or method in ("POST", "PATCH", "PUT") else None
    return session().client.response(asking.Ask(method, path, dict(parse_qsl(query)), body, headers=headers))


def _print(answer: "httpx.Response") -> None:
    """JSON with a line for each value; a terminal gets codes in place of what could move its cursor. All else as it is."""
    if answer.content and "json" in answer.headers.get("content-type", ""):
        in_codes = sys.stdout.isatty() or not (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(answer.json(), indent=2, ensure_ascii=in_codes))
    else:
        sys.stdout.buffer.write(answer.content)


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"“{clean(text)}” is no NAME=VALUE.")
    return name, value


def _parsed(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise click.UsageError(f"The value of {clean(name)} is no JSON.") from None
