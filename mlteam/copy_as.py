"""Every page and every form as a program would ask for it: a command, a few lines of Python, curl.

A form says its name by `{% as_program %}`, and is then in the foot of the page that shows it. What people type, and whom one of
many rows is about, stands in the texts as a blank: a word in capitals, which the page fills, quoted as the text around it needs.
"""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from mlteam.ways import FORMS, OWNERS, OWNERS_FORMS, PAGES, Sent, Way

# Field of a form; what the text says instead of what stands in it; what an empty one means; how it is quoted.
# Instead: GiB, of which bytes are sent; or a flag of the command that stands there when a box is not ticked.
BLANK: Final = re.compile(r"\[\[(\w+)(?::([\w-]+))?(?:=(\w*))?(?:\|(\w+))?\]\]")
NAMES: Final = re.compile(r"\{(\w+)\}")
THINGS: Final = ("project", "job", "team", "role", "datastore")  # in a page's context, what it is about
ID: Final = re.compile(r"[a-z2-7]{16}")
SHELL, PYTHON, JSON, URL = "shell", "python", "json", "url"  # JSON stands in a word of the shell


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


def of_owners_form(context: Context) -> SafeString:
    """In a form of the owners' site, or beside one: says which form of the pages does the same, and what its row is about."""
    form = OWNERS_FORMS.get(_view(context))
    return format_html("<span hidden{}></span>", of_form(context, form, **_of_row(context))) if form else SafeString("")


def of_page(context: Context) -> SafeString:
    """A button and what it opens: the texts for the page that is rendered and for the forms on it. "" for a page that is nothing to
    a program."""
    request: Any = context.get("request")
    view = _view(context)
    if not view or not request.user.is_authenticated:
        return SafeString("")
    names = _Names((name, context[name].pk) for name in THINGS if getattr(context.get(name), "pk", ""))
    if number := getattr(context.get("version"), "number", 0):
        names["version"] = str(number)
    if view in OWNERS:
        names.update(_of_row(context))
    page, forms = _page(view, names), tuple(_noted(request))
    if page and (asked := _asked(page, request.GET)):
        return _panel(page, forms, names, asked)
    return _filled(_kept(settings.MLTEAM_URL, page, forms, tuple(names)), names)


def _view(context: Context) -> str:
    """The name of the route that is served; "" for none."""
    match = getattr(context.get("request"), "resolver_match", None)
    return match.view_name if match else ""


def _of_row(context: Context) -> dict[str, str]:
    """The ids of what a page of the owners' site is about: of its row, or the project that its list is of."""
    row = context.get("original") or context.get("object")
    if row is None:
        chosen = context["request"].GET.get("project", "")
        return {"project": chosen} if ID.fullmatch(chosen) else {}
    about = {name: getattr(row, f"{name}_id", "") for name in ("project", "user", "team", "member")}
    return {"project": row.pk} | {name: pk for name, pk in about.items() if pk}


def _page(view: str, names: dict[str, str]) -> Way | None:
    """What this page is to a program, unless it says that there is none of what it is about. The owners' site says it of few."""
    way = PAGES.get(view)
    return way if way and set(NAMES.findall(way.path)) <= set(names) else OWNERS.get(view)


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
        f" -d {name}=[[{one}]]" if isinstance(one, str) and ":" not in one else f" -j {name}='{_value(one, JSON)}'"
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
        f"{name if BLANK.fullmatch(name) else json.dumps(name)}: {_value(one, quoted)}" for name, one in sent.items()
    )
    return f"{{{', '.join(parts)}}}"


def _value(one: str | Sent, quoted: str) -> str:
    return f"[[{one}|{quoted}]]" if isinstance(one, str) else _body(one, quoted)


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
        html.append(
            format_html(
                "{}{}", text[end : blank.start()], _blank(blank[1], blank[2] or "", blank[3], blank[4] or quoted)
            )
        )
        end = blank.end()
    return format_html("{}{}", SafeString("".join(html)), text[end:])


def _blank(name: str, instead: str, default: str | None, quoted: str) -> SafeString:
    shown = name.upper() if default is None else default if quoted == URL else _QUOTED[quoted](default)
    if instead:
        shown = "" if instead.startswith("--") else _NOTHING[quoted]
    says = format_html(' data-instead="{}"', instead) if instead else ""
    return format_html('<var data-field="{}" data-quoted="{}"{}>{}</var>', name, quoted, says, shown)


_NOTHING: Final = {SHELL: "''", PYTHON: "None", JSON: "null"}

_QUOTED: Final[dict[str, Callable[[str], str]]] = {SHELL: shlex.quote, PYTHON: json.dumps, JSON: json.dumps}
