"""`mlteam login`, `logout`, `whoami`."""

import sys
import time
from typing import Any, Final

import click

from mlteam_sdk.cli.command import Trouble, command, session, wishes
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import clean, note

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT: Final = "mlteam"
SLOWER: Final = 5  # seconds that RFC 8628 adds to the interval when the server says slow_down


@command("login")
@click.argument("server", required=False, metavar="[URL]")
@click.option(
    "--token",
    help="A token from the page Tokens, for machines; other users of this machine may see it in the list of processes.",
)
@click.option("--token-stdin", is_flag=True, help="The same, read from standard input.")
@click.option("--no-browser", is_flag=True, help="Do not try to open a browser.")
@click.option("--name", metavar="NAME", help="What the token is called; otherwise this machine's name.")
def login(server: str | None, token: str | None, token_stdin: bool, no_browser: bool, name: str | None) -> None:
    """Signs this machine in at a server: prints an address and a code, and waits until you approve it in a browser.

    The token is kept in credentials.json in MLTEAM_CONFIG_DIR (~/.mlteam), which only you can read. A second server, or --profile NAME,
    is kept beside it.
    """
    if token and token_stdin:
        raise click.UsageError("Give --token or --token-stdin, not both.")
    said = session()
    url = said.address_for(server)
    secret = sys.stdin.readline().strip() if token_stdin else token
    if secret == "" or (token_stdin and not secret):
        raise Trouble("There was no token on standard input.")
    if secret is None:
        secret = _by_device(said, url, name, browser=not no_browser)
    me = _whose(said, url, secret)
    profile = said.keep_login(url, secret, me, wishes().get("profile"))
    beside = "" if profile == "default" else f" (profile {profile})"
    note(f"Signed in at {url} as {_called(me)}{beside}.")


def _whose(said: Any, url: str, secret: str) -> dict[str, Any]:
    from mlteam_sdk import errors

    try:
        found: dict[str, Any] = said.check_token(url, secret)
    except errors.NotSignedIn:
        raise Trouble(
            f"This token is worth nothing at {url}. The page Tokens of your profile there makes another."
        ) from None
    return found


def _called(me: dict[str, Any]) -> str:
    role = me.get("role")
    return f"the role {role['name']}" if role else str(me.get("username"))


def _by_device(said: Any, url: str, name: str | None, *, browser: bool) -> str:
    """The token that somebody approves in a browser (RFC 8628)."""
    import platform

    asked = {"client_id": CLIENT, "machine": name or platform.node()}
    status, grant = said.form(url, "/device/code", asked)
    if status != 200:
        raise Trouble(f"{url} does not sign in machines: {_reason(grant, status)}")
    address = grant.get("verification_uri_complete") or grant["verification_uri"]
    note(f"Open {grant['verification_uri']} in a browser and enter this code: {grant['user_code']}")
    if browser and _opened(address, url):
        note("A browser was opened with it.")
    note("Waiting for your approval. Ctrl-C gives up.")
    return _poll(said, url, grant)


def _opened(address: str, url: str) -> bool:
    from mlteam_sdk.cli.opening import browse

    return browse(address, url)


def _poll(said: Any, url: str, grant: dict[str, Any]) -> str:
    pause = float(grant.get("interval") or 5)
    until = time.monotonic() + float(grant.get("expires_in") or 600)
    while time.monotonic() < until:
        time.sleep(pause)
        asked = {"grant_type": GRANT, "device_code": grant["device_code"], "client_id": CLIENT}
        status, answer = said.form(url, "/device/token", asked)
        error = answer.get("error")
        if status == 200:
            return str(answer["access_token"])
        if error == "slow_down":
            pause += SLOWER
        elif error == "access_denied":
            raise Trouble("It was declined in the browser. Nothing changed here.")
        elif error == "expired_token":
            break
        elif error != "authorization_pending":
            raise Trouble(f"The server did not sign this machine in: {_reason(answer, status)}")
    raise Trouble("The code was not approved in time. `mlteam login` makes another.")


def _reason(answer: dict[str, Any], status: int) -> str:
    return clean(
        str(answer.get("error_description") or answer.get("detail") or answer.get("error") or f"it answered {status}")
    )


@command("logout")
@click.option("--forget", is_flag=True, help="Forget what is stored here even if it cannot be revoked.")
def logout(forget: bool) -> None:
    """Revokes this machine's token at the server and forgets it.

    With MLTEAM_TOKEN set it revokes that token, and what is stored here stays. A token that cannot be revoked stays stored, too: the
    server does not answer, or it is a role's key, which is revoked where it was made.
    """
    from mlteam_sdk import settings

    said = session()
    held = said.settings
    if not held.token:
        raise Trouble("Nobody is signed in here.")
    gone, why = _revoked(said)
    stored = settings.login_of(held.profile, held.directory)
    is_stored = stored.get("token") == held.token and stored.get("url") == held.url
    if is_stored and (gone or forget):
        settings.forget_login(held.profile, held.directory)
    if not gone:
        raise Trouble(" ".join([why, *_left(held.signed_in_by, is_stored, forgotten=forget)]))
    by_variable = held.signed_in_by == "variable"
    note(f"{why} MLTEAM_TOKEN is still set here; unset it." if by_variable else f"Signed out of {held.url}. {why}")
    if by_variable and stored and not is_stored:
        note(f"What is stored here (profile {held.profile}) stays: without MLTEAM_TOKEN, `mlteam logout` revokes it.")


def _revoked(said: Any) -> tuple[bool, str]:
    """Revokes the token; whether it is worth nothing now, and a sentence about it."""
    from mlteam_sdk import errors

    what = "The token in MLTEAM_TOKEN" if said.settings.signed_in_by == "variable" else "Its token"
    try:
        said.delete("/me/tokens/current")
    except errors.NotSignedIn:
        return True, f"{what} was worth nothing any more."
    except errors.Refused as error:
        if error.code != "person_needed":
            return False, f"{what} is not revoked: {error.detail}"
        return False, (
            f"{what} is a role's key, which is revoked where it was made: `mlteam role key rm ROLE KEY`, or the role's page."
        )
    except errors.MLTeamError as error:
        return False, f"The server could not be asked to revoke it ({error}): revoke it on the page Tokens."
    return True, f"{what} is revoked."


def _left(source: str, is_stored: bool, *, forgotten: bool) -> list[str]:
    """What of a token that was not revoked is still here."""
    if is_stored:
        return [
            "It is forgotten here." if forgotten else "It is still stored here; --forget removes it from this machine."
        ]
    return ["MLTEAM_TOKEN is still set here; unset it."] if source == "variable" else []


@command("whoami")
@prints("username", "name", "email", "server", "profile", "project", "token")
def whoami(out: Output) -> None:
    """Prints who is signed in, where, and what is active."""
    said = session()
    me = dict(said.get("/me"))
    active = said.settings.project
    token = me.get("token") or {}
    more = {
        "server": said.settings.url,
        "profile": said.settings.profile,
        "project": active,
        "token": token.get("name"),
    }
    if me.get("role"):
        more["role"] = me["role"]["name"]
        me.setdefault("username", None)
    out.details({**me, **more})
