"""Every page and every form as a program would ask for it: a command, a few lines of Python, curl.

A page is found by the name of its route; a form says its name by `{% as_program %}`, and is then in the foot of the page that
shows it. What people type, and whom one of many rows is about, stands in the texts as a blank: a word in capitals, which the page
fills, quoted as the text around it needs.
"""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from projects.third_party_types import TYPES, Type

# Field of a form; what an empty one means; how it is quoted.
BLANK: Final = re.compile(r"\[\[(\w+)(?:=(\w*))?(?:\|(\w+))?\]\]")
NAMES: Final = re.compile(r"\{(\w+)\}")
SHELL, PYTHON, JSON, URL = "shell", "python", "json", "url"  # JSON stands in a word of the shell

Sent = dict[str, Any]  # field of the body -> field of the form, or such a dict again


@dataclass(frozen=True, eq=False)
class Way:
    """What a page or form is to a program. `{project}` and the like are the ids of what the page is about, `[[name]]` a blank.

    `path`: the operation. Where the command is "" it is the one that asks any operation.
    """

    path: str
    command: str = ""
    method: str = "GET"
    sent: Sent = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)  # parameter of the page -> that of the operation
    title: str = "This page"


def _same(*names: str) -> Sent:
    return {name: name for name in names}


_job = {"mine": "mine", "state": "state", "q": "q"}
_trail = {"by": "by", "action": "action", "since": "from", "until": "to", "q": "q"}
PAGES: Final = {
    "jobs:list": Way("/jobs?project={project}", "job ls --global --project {project}", query=_job),
    "jobs:detail": Way("/jobs/{job}", "job get {job}"),
    "jobs:artifacts": Way("/jobs/{job}/artifacts", "job artifacts {job}"),
    "jobs:spec": Way("/jobs/{job}?fields=spec", "job get {job} --field spec_yaml"),
    "jobs:history": Way("/jobs/{job}/history"),
    "projects:list": Way("/projects", "project ls", query={"q": "q"}),
    "projects:members": Way("/projects/{project}/members", "project members {project}", query={"q": "q"}),
    "projects:access": Way("/rules?project={project}", "rule ls --in {project}"),
    "projects:roles": Way("/projects/{project}/roles", "project role ls {project}"),
    "projects:role": Way("/roles/{role}/members", "role member ls {role}"),
    "projects:team_roles": Way("/teams/{team}/roles", "team role ls {team}"),
    "projects:installation_roles": Way("/installation/roles", "organization role ls"),
    "projects:keys": Way("/projects/{project}/keys", "key ls --project {project}"),
    "projects:audit": Way("/projects/{project}/audit", query=_trail),
    "projects:settings": Way("/projects/{project}", "project get {project}"),
    "projects:ownership": Way("/projects/{project}", "project get {project}"),
    "projects:rules": Way("/rules", "rule ls"),
    "billing:mine": Way("/me/usage", query={"month": "month", "view": "view"}),
    "billing:project": Way("/projects/{project}/usage", query={"month": "month", "member": "member"}),
    "billing:budgets": Way("/projects/{project}/budgets"),
    "teams:list": Way("/teams", "team ls", query={"q": "q"}),
    "teams:detail": Way("/teams/{team}/members", "team {team}", query={"q": "q"}),
    "profile": Way("/me", "whoami"),
    "account_emails": Way("/me?fields=muted"),
    "tokens": Way("/me/tokens"),
    "admins": Way("/roles/admin/members", "organization role member ls admin"),
}

_levels = {"levels": _same("job", "dataset", "model", "volume")}
_level_flags = "".join(f" --level {kind}=[[{kind}]]" for kind in _levels["levels"])


def _new(title: str, path: str, sent: Sent | None = None, command: str = "") -> Way:
    return Way(path, command, "POST", sent or {}, title=title)


def _set(title: str, path: str, sent: Sent) -> Way:
    return Way(path, method="PATCH", sent=sent, title=title)


def _remove(title: str, path: str, command: str = "") -> Way:
    return Way(path, command, "DELETE", title=title)


FORMS: Final[dict[str, Way]] = {
    "jobs:stop": _new("Stop the job", "/jobs/{job}/stop", command="job kill {job}"),
    "jobs:remove": _remove("Remove the job", "/jobs/{job}", "job rm {job} --yes"),
    "projects:new": _new("New project", "/projects", _same("name")),
    "projects:settings": _set("Rename", "/projects/{project}", _same("name")),
    "projects:remove": _remove(
        "Remove the project", "/projects/{project}?confirm=[[confirm]]", "project rm {project} --yes"
    ),
    "projects:leave": _new("Leave", "/projects/{project}/leave", command="project leave {project} --yes"),
    "projects:invite": _new(
        "Invite someone",
        "/projects/{project}/invitations",
        _same("email") | _levels,
        f"project invite{_level_flags} -- [[email]] {{project}}",
    ),
    "projects:invitation_resend": _new(
        "Send an invitation again", "/projects/{project}/invitations/[[invitation]]/send"
    ),
    "projects:invitation_revoke": _remove("Revoke an invitation", "/projects/{project}/invitations/[[invitation]]"),
    "projects:member_set": _set("Change a member's levels", "/projects/{project}/members/[[user]]", _levels),
    "projects:member_remove": _remove("Remove a member", "/projects/{project}/members/[[user]]"),
    "projects:team_add": _new("Add a team", "/projects/{project}/teams", _same("team", "preset")),
    "projects:team_set": _set("Change a team's levels", "/projects/{project}/teams/[[team]]", _levels),
    "projects:team_remove": _remove("Remove a team", "/projects/{project}/teams/[[team]]"),
    "projects:ownership_offer": _new("Make somebody the owner", "/projects/{project}/offer", _same("user")),
    "projects:ownership_withdraw": _remove("Take the offer back", "/projects/{project}/offer"),
    "projects:ownership_accept": _new("Accept", "/projects/{project}/offer/accept"),
    "projects:ownership_decline": _new("Decline", "/projects/{project}/offer/decline"),
    "projects:access": Way(
        "/rules/allowed?action=[[action]]&urn=[[resource]]&user=[[person=]]",
        "rule allowed [[action]]@[[resource]] --user [[person=me]]",
        title="Ask",
    ),
    "projects:roles": _new("New role", "/projects/{project}/roles", _same("name")),
    "projects:team_roles": _new("New role", "/teams/{team}/roles", _same("name")),
    "projects:installation_roles": _new("New role", "/installation/roles", _same("name")),
    "projects:role_remove": _remove("Remove the role", "/roles/{role}", "role rm {role} --yes"),
    "projects:role_policy_add": _new(
        "Attach a policy", "/roles/{role}/policies", _same("text"), "role policy new -- {role} [[text]]"
    ),
    "projects:team_policy_add": _new(
        "Attach a policy", "/teams/{team}/policies", _same("text"), "team policy new -- {team} [[text]]"
    ),
    "projects:user_policy_add": _new(
        "Attach a policy", "/users/[[username]]/policies", _same("text"), "user policy new -- [[username]] [[text]]"
    ),
    "projects:policy_remove": _remove("Take a policy away", "/policies/[[policy]]", "role policy rm [[policy]]"),
    "projects:role_member_add": _new(
        "Give it to", "/roles/{role}/members", {"[[kind]]": "name"}, "role member add {role} --[[kind]] [[name]]"
    ),
    "projects:role_member_remove": _remove(
        "Take it from somebody", "/roles/{role}/members/[[member]]", "role member rm {role} --[[kind]] [[member]]"
    ),
    "projects:role_key_add": _new(
        "New key", "/roles/{role}/keys", _same("name"), "role key new {role} --name=[[name]]"
    ),
    "projects:role_key_remove": _remove("Revoke a key", "/roles/{role}/keys/[[key]]", "role key rm {role} [[key]]"),
    "projects:key_remove": _remove(
        "Remove a key",
        "/projects/{project}/keys/[[third_party_key]]",
        "key rm [[third_party_key]] --project {project} --yes",
    ),
    "billing:budgets": Way(
        "/projects/{project}/budgets/[[member=project]]",
        method="PUT",
        sent=_same("amount", "when_full"),
        title="Set a budget",
    ),
    "billing:budget_remove": _remove("Lift a budget", "/projects/{project}/budgets/[[member=project]]"),
    "teams:new": _new("New team", "/teams", _same("name")),
    "teams:rename": _set("Rename", "/teams/{team}", _same("name")),
    "teams:remove": _remove("Remove the team", "/teams/{team}"),
    "teams:leave": _new("Leave", "/teams/{team}/leave"),
    "teams:user_add": _new("Add someone", "/teams/{team}/members", {"user": "username", "role": "role"}),
    "teams:user_set": _set("Change somebody's role", "/teams/{team}/members/[[user]]", _same("role")),
    "teams:user_remove": _remove("Remove somebody", "/teams/{team}/members/[[user]]"),
    "teams:team_add": _new("Put a team in", "/teams/{team}/teams", _same("team")),
    "teams:team_remove": _remove("Take a team out", "/teams/{team}/teams/[[inner]]"),
    "teams:invitation_resend": _new("Send an invitation again", "/teams/{team}/invitations/[[invitation]]/send"),
    "teams:invitation_revoke": _remove("Revoke an invitation", "/teams/{team}/invitations/[[invitation]]"),
    "profile": _set("Change the profile", "/me", _same("name", "username", "time_zone", "theme")),
    "token_revoke": _remove("Revoke a token", "/me/tokens/[[token]]"),
    "admin_add": _new("Make somebody an admin", "/roles/admin/members", {"user": "username"}),
    "admin_remove": _remove("Make an admin a user", "/roles/admin/members/[[user]]"),
}


_THIS_KEY: Final = "[[third_party_key]]"


def _key_fields(kind: Type) -> Sent:
    """What is no secret is filled from the form; a secret stays a blank of a name that no form has."""
    asked = [one for one in kind.fields if not one.aside]
    needed = {one.name: one.name if one.required and not one.default else f"{one.name}=" for one in asked}
    return {one.name: f"your_{one.name}" if one.secret else needed[one.name] for one in asked}


def _key_command(verb: str, which: str, kind: Type) -> str:
    sent = _key_fields(kind)
    secret = next(one.name for one in kind.fields if one.secret)
    plain = "".join(f" --with {name}=[[{blank}]]" for name, blank in sent.items() if not blank.startswith("your_"))
    return f"key {verb} --project {{project}}{plain} --from {secret}=[[file_with_it]] -- {which}"


def _key_forms(kind: Type) -> dict[str, Way]:
    """Adding and replacing keys of one type."""
    new: Sent = {"name": "name", "type": f"type={kind.name}", "fields": _key_fields(kind)}
    add = _key_command("new", f"{kind.name} [[name]]", kind)
    change = _key_command("set", _THIS_KEY, kind)
    fields: Sent = {"fields": _key_fields(kind)}
    return {
        f"projects:key_add_{kind.name}": _new("Save the key", "/projects/{project}/keys", new, add),
        f"projects:key_replace_{kind.name}": Way(
            f"/projects/{{project}}/keys/{_THIS_KEY}", change, "PUT", fields, title="Replace the key"
        ),
    }


for _kind in TYPES.values():
    FORMS.update(_key_forms(_kind))


@dataclass(frozen=True)
class Copy:
    """One of the texts: what it is called, and the text with its blanks."""

    label: str
    text: SafeString


@dataclass(frozen=True)
class Copies:
    """The texts of the page itself, where `form` is "", or of one of its forms."""

    form: str
    title: str
    texts: list[Copy]

    @property
    def at(self) -> str:
        """What the ids of its texts begin with."""
        return f"{self.form.replace(':', '-') or 'page'}-"


def of_form(context: Context, name: str, **about: str) -> SafeString:
    """In the tag of a form: says which of FORMS it is and, of one of many rows, what it is about. The foot then has its texts."""
    request: Any = context.get("request")
    if request is not None:
        _noted(request)[name] = None
    about = {"way": name} | about
    return mark_safe("".join(f' data-{one}="{escape(value)}"' for one, value in about.items()))  # noqa: S308 - it is escaped


def of_page(context: Context) -> SafeString:
    """A button and what it opens: the texts for the page that is rendered and for the forms on it. "" for a page that is nothing to
    a program."""
    request: Any = context.get("request")
    match = getattr(request, "resolver_match", None)
    if not match or not request.user.is_authenticated:
        return SafeString("")
    names = _Names(
        (name, context[name].pk) for name in ("project", "job", "team", "role") if getattr(context.get(name), "pk", "")
    )
    page, forms = _page(match.view_name, names), tuple(_noted(request))
    if page and (asked := _asked(page, request.GET)):
        return _panel(page, forms, names, asked)
    return _filled(_kept(settings.MLTEAM_URL, page, forms, tuple(names)), names)


def _page(view: str, names: dict[str, str]) -> Way | None:
    """What this page is to a program, unless it says that there is none of what it is about."""
    way = PAGES.get(view)
    return way if way and set(NAMES.findall(way.path)) <= set(names) else None


def _panel(page: Way | None, forms: tuple[str, ...], names: "_Names", asked: str = "") -> SafeString:
    found = [Copies("", page.title, _texts(page, names, asked))] if page else []
    found += [Copies(form, FORMS[form].title, _texts(FORMS[form], names)) for form in forms]
    return render_to_string("components/copies.html", {"copies": found}) if found else SafeString("")


@lru_cache(maxsize=512)
def _kept(_url: str, page: Way | None, forms: tuple[str, ...], names: tuple[str, ...]) -> SafeString:
    """The panel of all pages that are alike but for what they are about, with a mark in the place of each id."""
    return _panel(page, forms, _Names((name, _mark(name)) for name in names))


def _mark(name: str) -> str:
    """No id has a 0, and neither the shell nor JSON quotes it."""
    return f"0{name}0"


def _filled(panel: SafeString, names: dict[str, str]) -> SafeString:
    text = str(panel)
    for name, pk in names.items():
        text = text.replace(_mark(name), escape(pk))
    return mark_safe(text)  # noqa: S308 - the panel is, and the ids are escaped


def _noted(request: Any) -> dict[str, None]:
    """The forms that the page has shown so far, in their order."""
    if not hasattr(request, "forms_shown"):
        request.forms_shown = {}
    return request.forms_shown  # type: ignore[no-any-return]


class _Names(dict[str, str]):
    """The ids of what a page is about; of what only a row of it is about, a blank."""

    def __missing__(self, name: str) -> str:
        return f"[[{name}]]"


def _texts(way: Way, names: _Names, asked: str = "") -> list[Copy]:
    path = way.path.format_map(names) + asked
    command = way.command.format_map(names) if way.command and not asked else _any_command(way, path)
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


_YES: Final = {"mine": "true"}  # of boxes that are ticked


def _asked(way: Way, asked: Any) -> str:
    """What the page was asked for, as its operation is asked."""
    kept = {name: _YES.get(name, asked[one]) for one, name in way.query.items() if asked.get(one)}
    return f"{'&' if '?' in way.path else '?'}{urlencode(kept)}" if kept else ""


def _any_command(way: Way, path: str) -> str:
    method = f"-X {way.method} " if way.method != "GET" else ""
    sent = (
        f" -d {name}=[[{one}]]" if isinstance(one, str) else f" -j {name}='{_body(one, JSON)}'"
        for name, one in way.sent.items()
    )
    return f"api {method}{shlex.quote(_in_url(path))}" + "".join(sent)


def _python(way: Way, path: str) -> str:
    path, _, query = path.partition("?")
    sent = [_body(way.sent, PYTHON)] if way.sent else []
    asked = [_argument(name, value if BLANK.fullmatch(value) else repr(value)) for name, value in parse_qsl(query)]
    return f"client.{way.method.lower()}({', '.join([json.dumps(_in_url(path)), *sent, *asked])})"


def _argument(name: str, value: str) -> str:
    return f'**{{"{name}": {value}}}' if iskeyword(name) else f"{name}={value}"


def _script(line: str) -> str:
    return (
        f'from mlteam_sdk.sync import MLTeam\n\nwith MLTeam(url="{settings.MLTEAM_URL}") as client:\n    print({line})'
    )


def _curl(way: Way, path: str) -> str:
    method = f" -X {way.method}" if way.method != "GET" else ""
    body = f" -H 'Content-Type: application/json' -d '{_body(way.sent, JSON)}'" if way.sent else ""
    return f"curl {_CURL}{method}{body} '{settings.MLTEAM_URL}/api/v1{_in_url(path)}'"


def _body(sent: Sent, quoted: str) -> str:
    """What is sent, as JSON and Python write it alike."""
    parts = (
        f"{name if BLANK.fullmatch(name) else json.dumps(name)}: "
        + (f"[[{one}|{quoted}]]" if isinstance(one, str) else _body(one, quoted))
        for name, one in sent.items()
    )
    return f"{{{', '.join(parts)}}}"


def _in_url(path: str) -> str:
    """The path, its blanks to be quoted as an address needs it."""
    return BLANK.sub(lambda blank: f"{blank[0][:-2]}|{URL}]]", path)


def _fed(command: str, text: str) -> str:
    """The command with the text as its input. The word that ends it does not stand in the text."""
    end = "EOF"
    while end in text:
        end += "_"
    return f"{command} <<'{end}'\n{text.rstrip()}\n{end}"


def _plain(text: str) -> SafeString:
    return format_html("{}", text)


def _blanks(text: str, quoted: str) -> SafeString:
    """The text as HTML, with an element for each blank that does not say itself how it is quoted."""
    html, end = [], 0
    for blank in BLANK.finditer(text):
        html.append(format_html("{}{}", text[end : blank.start()], _blank(blank[1], blank[2], blank[3] or quoted)))
        end = blank.end()
    return format_html("{}{}", SafeString("".join(html)), text[end:])


def _blank(name: str, default: str | None, quoted: str) -> SafeString:
    shown = name.upper() if default is None else default if quoted == URL else _QUOTED[quoted](default)
    return format_html('<var data-field="{}" data-quoted="{}">{}</var>', name, quoted, shown)


_QUOTED: Final[dict[str, Callable[[str], str]]] = {SHELL: shlex.quote, PYTHON: json.dumps, JSON: json.dumps}
