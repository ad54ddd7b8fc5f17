"""How values are shown: times, durations, sizes, people."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from mlteam import copy_as, reference

if TYPE_CHECKING:
    from accounts.models import User

register = template.Library()

PERSON = '<span class="person"><span class="initials" aria-hidden="true">{}</span><span class="cut" title="{}">{}</span></span>'
COPY = '<button class="copy" type="button" data-copy="{}" title="Copy {}"><span class="out-of-sight">Copy {}</span></button>'
CURRENT = SafeString(' aria-current="page"')
REMOVED = SafeString('<span class="faint">removed account</span>')
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def span(seconds: float) -> str:
    """A duration in its two largest units: "3 min 20 s"."""
    left, parts = max(0, int(seconds)), []
    for unit, size in UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


register.simple_tag(reference.contact, name="contact")
register.simple_tag(reference.current, name="reference")
register.simple_tag(copy_as.of_page, takes_context=True, name="copy_as")
register.simple_tag(copy_as.of_form, takes_context=True, name="as_program")
register.simple_tag(copy_as.of_owners_form, takes_context=True, name="as_program_of_owners")


@register.simple_tag(takes_context=True)
def current(context: template.Context, *names: str) -> str:
    """For a link of the navigation: says that the page is one of these, by the names of their routes ("jobs:list", "jobs:*")."""
    match = context["request"].resolver_match
    here = match.view_name if match else ""
    return CURRENT if any(fnmatchcase(here, name) for name in names) else ""


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A duration for people; "" for none."""
    if value is None:
        return ""
    return span(value.total_seconds() if isinstance(value, timedelta) else value)


@register.filter
def until(start: datetime | None, end: datetime | None) -> str:
    """The time between two moments, as a duration; up to now when there is no end, "" when there is no start."""
    return duration((end or timezone.now()) - start) if start else ""


@register.filter
def when(at: datetime | None) -> SafeString | str:
    """A <time>, relative, with the exact time in the user's zone on hover."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), f"{local:%d %b %Y, %H:%M:%S %Z}", relative(at)
    )


@register.filter
def moment(at: datetime) -> SafeString:
    """A <time> to the second, in the user's zone."""
    local = timezone.localtime(at)
    shown = f"{local.day} {local:%b %Y, %H:%M:%S}"
    return format_html('<time datetime="{}" data-exact>{}</time>', at.isoformat(), shown)


def relative(at: datetime) -> str:
    """ "3 min ago", "in 2 d", "just now"."""
    seconds = (timezone.now() - at).total_seconds()
    largest = " ".join(span(abs(seconds)).split()[:2])
    if abs(seconds) < 5:
        return "just now"
    return f"{largest} ago" if seconds > 0 else f"in {largest}"


@register.filter
def person(user: "User | None") -> SafeString:
    """A user: initials and name."""
    if user is None:
        return REMOVED
    return format_html(PERSON, user.initials, user.username, user.shown)


@register.filter
def copy(text: object, what: str) -> SafeString:
    """A button that copies a text; `what`: the noun that people hear."""
    return format_html(COPY, escape(str(text)), what, what)


@register.filter
def tags(words: Iterable[str]) -> SafeString:
    """Each of the words as a tag."""
    return _tags(tuple(words))


@lru_cache(maxsize=512)
def _tags(words: tuple[str, ...]) -> SafeString:
    return format_html_join("", '<code class="tag">{}</code>', ((word,) for word in words))


@register.filter
def marked(text: str) -> SafeString:
    """A text in which what stands between backticks is code."""
    pieces = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>" if odd % 2 else "{}", piece),) for odd, piece in pieces)
    )


@register.filter
def size(count: int | None) -> str:
    """Bytes in binary units: "1.4 MiB"."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return ""


@register.filter
def markdown(text: str) -> SafeString:
    """What somebody wrote in Markdown, as HTML that does nothing."""
    from datastores import markdown as reading  # not before it is wanted: it takes memory

    return reading.html(text)
