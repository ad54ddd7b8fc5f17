"""Lists to choose from, quickly: Django renders two templates for each choice, a list of fifty people takes it 5 ms."""

from functools import lru_cache
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class Select(forms.Select):
    """A <select> as Django writes it, of choices that are in no groups."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        rows = tuple(("" if one is None else str(one), str(label)) for one, label in self.choices)
        inside = _options(rows, frozenset(self.format_value(value)))
        return format_html(
            '<select name="{}"{}>\n{}\n</select>', name, flatatt(self.build_attrs(self.attrs, attrs)), inside
        )


@lru_cache(maxsize=128)
def _options(rows: tuple[tuple[str, str], ...], chosen: frozenset[str]) -> SafeString:
    """The choices, those of these values as chosen: the same on page after page."""
    chosen_or_not = ((value, " selected" if value in chosen else "", label) for value, label in rows)
    return format_html_join("\n", '  <option value="{}"{}>{}</option>', chosen_or_not)
