"""Lists to choose from, quickly: Django renders two templates for each choice, a list of fifty people takes it 5 ms."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class Select(forms.Select):
    """A <select> as Django writes it, of choices that are in no groups."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        shown = self.get_context(name, value, attrs)["widget"]
        options = [option for _, group, _ in shown["optgroups"] for option in group]
        rows = ((option["value"], flatatt(option["attrs"]), option["label"]) for option in options)
        inside = format_html_join("\n", '  <option value="{}"{}>{}</option>', rows)
        return format_html('<select name="{}"{}>\n{}\n</select>', shown["name"], flatatt(shown["attrs"]), inside)
