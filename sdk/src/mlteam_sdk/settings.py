"""Which server, whose token, which project: an argument, else the environment, else the files of `mlteam login` and `configure`.

    MLTEAM_URL MLTEAM_TOKEN MLTEAM_PROJECT MLTEAM_PROFILE    what to use
    MLTEAM_CONFIG_DIR                                        where the files are; ~/.mlteam

credentials.json, which only its owner can read: {"profile": "default", "profiles": {"default": {"url", "token", …}}}
config.json: {"project": ID, "url": the server that has it}, and the same for other profiles in "profiles": {NAME: {…}}
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mlteam_sdk.errors import SettingsError

DEFAULT_PROFILE: Final = "default"
DEFAULT_DIRECTORY: Final = "~/.mlteam"
CONFIG: Final = "config.json"
CREDENTIALS: Final = "credentials.json"
ID: Final = re.compile(r"[a-z2-7]{16}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a client uses. `source` says where the project comes from: argument, variable, file or personal.

    `signed_in_by`: where the token comes from: argument, variable or file; none where there is no token.
    """

    url: str
    token: str | None = field(repr=False)
    project: str | None
    source: str
    profile: str
    directory: Path
    signed_in_by: str = "none"


def load(
    *,
    url: str | None = None,
    token: str | None = None,
    project: str | None = None,
    profile: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """What holds here. Raises SettingsError when no server is known, or a file cannot be read."""
    where = directory_of(directory, environ)
    named = profile or environ.get("MLTEAM_PROFILE")
    logins = _read(where / CREDENTIALS)
    wished = url or environ.get("MLTEAM_URL")
    name, login = _login(logins, named, address(wished) if wished else None)
    server = address(wished) if wished else login.get("url")
    if not server:
        raise SettingsError(_no_server(name, named))
    secret, origin = _token(token, environ, login)
    chosen, source = _project(project, environ, where, name, server)
    return Settings(server, secret, chosen, source, name, where, origin)


def directory_of(directory: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the files are."""
    return Path(directory or environ.get("MLTEAM_CONFIG_DIR") or DEFAULT_DIRECTORY).expanduser()


def address(url: str) -> str:
    """A server's address without what is too much. Raises SettingsError when it is none."""
    text = url.strip().rstrip("/").removesuffix("/api/v1")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise SettingsError(f"“{url}” is no address of a server. It begins with https:// or http://, as in a browser.")
    if parts.username or parts.password:
        raise SettingsError("An address holds no name or password. Sign in with `mlteam login`, or set MLTEAM_TOKEN.")
    return text


def is_id(text: str) -> bool:
    """Whether this looks like an id (of a project, say) and not like a name."""
    return ID.fullmatch(text) is not None


def _no_server(name: str, named: str | None) -> str:
    if named:
        return f"There is no profile “{name}”. `mlteam login URL --profile {name}` makes it."
    return "No server is known. Say `mlteam login URL`, or set MLTEAM_URL."


def _token(token: str | None, environ: Mapping[str, str], login: Json) -> tuple[str | None, str]:
    """The token and where it comes from. A variable that is set but empty is an error: whoever set it did not mean the stored one."""
    variable = environ.get("MLTEAM_TOKEN")
    if not token and variable is not None and not variable.strip():
        raise SettingsError("MLTEAM_TOKEN is set but empty. Give it a token, or unset it to act as who signed in here.")
    for origin, secret in (("argument", token), ("variable", variable), ("file", login.get("token"))):
        if checked := _checked(secret):
            return checked, origin
    return None, "none"


def _checked(token: str | None) -> str | None:
    if token is None or not token.strip():
        return None
    if not token.strip().isascii() or any(not 33 <= ord(sign) <= 126 for sign in token.strip()):
        raise SettingsError("The token holds signs that no token has. Copy it again.")
    return token.strip()


def _login(logins: Json, named: str | None, server: str | None) -> tuple[str, Json]:
    """The profile and its login. A token is used only for the server that gave it."""
    profiles: Json = logins.get("profiles") or {}
    current = str(logins.get("profile") or DEFAULT_PROFILE)
    for name in [named] if named else [current, *profiles]:
        login = profiles.get(name)
        if login and server in {None, login.get("url")}:
            return name, login
    return named or (DEFAULT_PROFILE if server else current), {}


def _project(
    project: str | None, environ: Mapping[str, str], where: Path, name: str, server: str
) -> tuple[str | None, str]:
    if project:
        return project, "argument"
    if wished := environ.get("MLTEAM_PROJECT"):
        return wished, "variable"
    stored = _entry(_read(where / CONFIG), name)
    if stored.get("project") and stored.get("url") in {None, server}:
        return str(stored["project"]), "file"
    return None, "personal"


def _entry(config: Json, profile: str) -> Json:
    """What config.json holds for a profile."""
    return config if profile == DEFAULT_PROFILE else (config.get("profiles") or {}).get(profile) or {}


# Storing


def store_project(settings: Settings, project: str | None) -> None:
    """Keeps the active project for this server and profile; None for Personal. Other settings stay as they are."""

    def change(config: Json) -> None:
        entry = config
        if settings.profile != DEFAULT_PROFILE:
            entry = config.setdefault("profiles", {}).setdefault(settings.profile, {})
        entry.pop("project", None)
        entry.pop("url", None)
        if project:
            entry.update(project=project, url=settings.url)

    _change(settings.directory / CONFIG, change)


def store_login(
    url: str,
    token: str,
    *,
    profile: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> str:
    """Keeps a token and makes its profile the one that is used; returns the profile's name.

    Without a name it is the profile that this server has, else `default`, else one with the server's name.
    """
    server, kept = address(url), ""

    def change(logins: Json) -> None:
        nonlocal kept
        profiles = logins.setdefault("profiles", {})
        kept = profile or _profile_for(server, profiles)
        profiles[kept] = {"url": server, "token": token, **(about or {})}
        logins["profile"] = kept

    _change(directory_of(directory) / CREDENTIALS, change)
    return kept


def _profile_for(server: str, profiles: Json) -> str:
    for name, login in profiles.items():
        if login.get("url") == server:
            return str(name)
    return DEFAULT_PROFILE if DEFAULT_PROFILE not in profiles else urlsplit(server).netloc


def forget_login(profile: str, directory: str | os.PathLike[str] | None = None) -> None:
    """Removes a profile's token from this machine."""

    def change(logins: Json) -> None:
        left = logins.get("profiles") or {}
        left.pop(profile, None)
        if logins.get("profile") == profile:
            logins.pop("profile")
            if left:
                logins["profile"] = next(iter(left))

    path = directory_of(directory) / CREDENTIALS
    if path.exists():
        _change(path, change)


def profiles(directory: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Name -> server of the profiles that there are."""
    found = _read(directory_of(directory) / CREDENTIALS).get("profiles") or {}
    return {name: str(login.get("url", "")) for name, login in found.items()}


def login_of(profile: str, directory: str | os.PathLike[str] | None = None) -> Json:
    """What is kept of a profile: url, token and what is known of whose it is; {} for none."""
    logins = _read(directory_of(directory) / CREDENTIALS)
    found: Json = (logins.get("profiles") or {}).get(profile) or {}
    return found


def _read(path: Path) -> Json:
    try:
        held = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read ({error}). {_REMEDY[path.name]}") from None
    if not _is_sound(held):
        raise SettingsError(f"{path} is damaged: it holds something else than settings. {_REMEDY[path.name]}")
    found: Json = held
    return found


_REMEDY: Final = {
    CREDENTIALS: "Repair it, or remove it and sign in again with `mlteam login URL`.",
    CONFIG: "Repair it, or remove it and choose the project again with `mlteam configure`.",
}
_TEXTS: Final = ("url", "token", "project", "profile")


def _is_sound(held: Any) -> bool:
    """Whether what a file holds has the shape of settings; what others keep there beside it is theirs."""
    profiles = held.get("profiles") or {} if isinstance(held, dict) else None
    if not isinstance(profiles, dict):
        return False
    entries = [held, *(entry or {} for entry in profiles.values())]
    return all(isinstance(one, dict) and all(isinstance(one.get(key) or "", str) for key in _TEXTS) for one in entries)


def _change(path: Path, change: Callable[[Json], None]) -> None:
    """Changes a file so that whoever reads it meanwhile, or after a crash, finds the old or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(path.parent):
            held = _read(path)
            change(held)
            _replace(path, json.dumps(held, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).") from None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One at a time in a directory, where the system can tell."""
    try:
        import fcntl

        handle = os.open(directory, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
