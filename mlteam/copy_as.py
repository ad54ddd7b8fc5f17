"""Every page as a program would ask for it: a command, a few lines of Python, curl.

A page is found by the name of its route. What people type into its form stands in the texts as a blank: a word in capitals,
which the page fills with what is typed, quoted as the text around it needs.
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.template import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

BLANK: Final = re.compile(r"\[\[(\w+)\]\]")  # of the field of a form
NAMES: Final = re.compile(r"\{(\w+)\}")
SHELL, PYTHON, JSON = "shell", "python", "json"  # how what is typed is quoted: JSON stands in a word of the shell


@dataclass(frozen=True)
class Way:
    """What a page is to a program. `{project}` and the like are the ids of what the page is about, `[[name]]` a blank.

    `path`: the operation; `sent`: the fields of its body, which has no others. Where the command is ""
    it is the one that asks any operation.
    """

    path: str
    command: str = ""
    method: str = "GET"
    sent: tuple[str, ...] = ()
    query: dict[str, str] = field(default_factory=dict)  # parameter of the page -> that of the operation


_job = {"mine": "mine", "state": "state", "q": "q"}
WAYS: Final = {
    "jobs:list": Way("/jobs?project={project}", "job ls --global --project {project}", query=_job),
    "jobs:detail": Way("/jobs/{job}", "job get {job}"),
    "jobs:artifacts": Way("/jobs/{job}/artifacts", "job artifacts {job}"),
    "jobs:spec": Way("/jobs/{job}?fields=spec", "job get {job} --field spec_yaml"),
    "jobs:history": Way("/jobs/{job}/history"),
    "projects:list": Way("/projects", "project ls"),
    "projects:new": Way("/projects", "project new [[name]]", method="POST", sent=("name",)),
    "projects:members": Way("/projects/{project}/members", "project members {project}"),
    "projects:access": Way("/rules?project={project}", "rule ls --project {project}"),
    "projects:roles": Way("/projects/{project}/roles", "project role ls {project}"),
    "projects:role": Way("/roles/{role}/members", "role member ls {role}"),
    "projects:team_roles": Way("/teams/{team}/roles", "team role ls {team}"),
    "projects:audit": Way("/projects/{project}/audit"),
    "projects:settings": Way("/projects/{project}"),
    "projects:ownership": Way("/projects/{project}"),
    "projects:leave": Way("/projects/{project}/leave", "project leave {project}", method="POST"),
    "projects:rules": Way("/rules", "rule ls"),
    "billing:mine": Way("/me/usage"),
    "billing:project": Way("/projects/{project}/usage"),
    "billing:budgets": Way("/projects/{project}/budgets"),
    "teams:list": Way("/teams", "team ls"),
    "teams:new": Way("/teams", method="POST", sent=("name",)),
    "teams:detail": Way("/teams/{team}/members", "team {team}"),
    "profile": Way("/me", "whoami"),
    "tokens": Way("/me/tokens"),
    "admins": Way("/installation/roles", "organization role ls"),
}


@dataclass(frozen=True)
class Copy:
    """One of the texts: what it is called, and the text with its blanks."""

    label: str
    text: SafeString


def of_page(context: Context) -> list[Copy]:
    """The texts for the page that is rendered; none for a page that is nothing to a program."""
    request: Any = context.get("request")
    match = getattr(request, "resolver_match", None)
    way = WAYS.get(match.view_name) if match and request.user.is_authenticated else None
    if way is None:
        return []
    names = {
        name: context[name].pk for name in ("project", "job", "team", "role") if getattr(context.get(name), "pk", "")
    }
    if not set(NAMES.findall(way.path)) <= set(names):  # the page that says that there is none
        return []
    asked = _asked(way, request.GET)
    path = way.path.format(**names) + asked
    command = way.command.format(**names) if way.command and not asked else _any_command(way, path)
    return [
        Copy("Terminal", _blanks(f"mlteam {command}", SHELL)),
        Copy("Python", _blanks(_script(_python(way, path)), PYTHON)),
        Copy("curl", _blanks(_curl(way, path), JSON)),
    ]


def of_job(project: Any, spec: dict[str, Any], spec_yaml: str) -> list[Copy]:
    """The texts that submit a job."""
    sent = json.dumps({"spec": spec}, indent=2)
    address = f"{settings.MLTEAM_URL}/api/v1/projects/{project.pk}/jobs"
    asked = f"curl {_CURL} -H 'Content-Type: application/json' -d @- '{address}'"
    script = f"client.post({f'/projects/{project.pk}/jobs'!r}, {{'spec': {spec!r}}})"
    return [
        Copy("Terminal", _plain(_fed(f"mlteam job submit --project {project.pk} -f -", spec_yaml))),
        Copy("Python", _plain(_script(script))),
        Copy("curl", _plain(_fed(asked, sent))),
    ]


_CURL: Final = '--fail-with-body -sS -H "Authorization: Bearer $MLTEAM_TOKEN"'


def _asked(way: Way, asked: Any) -> str:
    """What the page was asked for, as its operation is asked."""
    kept = {name: "true" if asked[one] == "1" else asked[one] for one, name in way.query.items() if asked.get(one)}
    return f"{'&' if '?' in way.path else '?'}{urlencode(kept)}" if kept else ""


def _any_command(way: Way, path: str) -> str:
    method = f"-X {way.method} " if way.method != "GET" else ""
    return f"api {method}{shlex.quote(path)}" + "".join(f" -d {name}=[[{name}]]" for name in way.sent)


def _python(way: Way, path: str) -> str:
    path, _, query = path.partition("?")
    sent = [f"{{{', '.join(f'{json.dumps(name)}: [[{name}]]' for name in way.sent)}}}"] if way.sent else []
    asked = [f"{name}={value!r}" for name, value in parse_qsl(query)]
    return f"client.{way.method.lower()}({', '.join([json.dumps(path), *sent, *asked])})"


def _script(line: str) -> str:
    return (
        f'from mlteam_sdk.sync import MLTeam\n\nwith MLTeam(url="{settings.MLTEAM_URL}") as client:\n    print({line})'
    )


def _curl(way: Way, path: str) -> str:
    sent = ", ".join(f'"{name}": [[{name}]]' for name in way.sent)
    body = f" -X {way.method} -H 'Content-Type: application/json' -d '{{{sent}}}'" if way.method != "GET" else ""
    return f"curl {_CURL}{body} '{settings.MLTEAM_URL}/api/v1{path}'"


def _fed(command: str, text: str) -> str:
    """The command with the text as its input. The word that ends it does not stand in the text."""
    end = "EOF"
    while end in text:
        end += "_"
    return f"{command} <<'{end}'\n{text.rstrip()}\n{end}"


def _plain(text: str) -> SafeString:
    return format_html("{}", text)


def _blanks(text: str, quoted: str) -> SafeString:
    """The text as HTML, with an element for each blank."""
    parts = BLANK.split(text)  # text, field, text, …
    blank = '{}<var data-field="{}" data-quoted="{}">{}</var>'
    pairs = ((before, name, quoted, name.upper()) for before, name in zip(parts[:-1:2], parts[1::2], strict=True))
    return format_html("{}{}", format_html_join("", blank, pairs), parts[-1])
