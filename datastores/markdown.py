"""What people write about data, in Markdown, as HTML for a page of ours: nothing in it acts, and nothing is fetched from elsewhere."""

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

# What remains of whatever is written: no images (who looks would be seen by others), no styles, no ids, no forms.
BLOCKS: Final = frozenset({"blockquote", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "ul"})
TABLES: Final = frozenset({"table", "tbody", "td", "th", "thead", "tr"})
TAGS: Final = BLOCKS | TABLES | {"a", "br", "code", "em", "s", "strong"}
ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES: Final = frozenset({"http", "https", "mailto"})
BELOW: Final = 2  # a heading of the text is below those of the page
KEPT: Final = 256  # texts


@lru_cache(maxsize=KEPT)
def html(text: str) -> SafeString:
    """A text in Markdown (CommonMark, with tables) as HTML. What is HTML already is shown as it was typed."""
    import nh3

    written = _reader().render(text)
    clean = nh3.clean(
        written,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=set(SCHEMES),
        link_rel="nofollow noopener noreferrer",
    )
    return mark_safe(clean)  # noqa: S308 - it was just cleaned


@cache
def _reader() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    reader.core.ruler.push("below the page", _lowered)
    reader.add_render_rule("image", _linked)
    return reader


def _lowered(state: Any) -> None:
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + BELOW)}"


def _linked(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """An image is what it shows in words, and a link to it."""
    from markdown_it.common.utils import escapeHtml

    token = tokens[index]
    said = renderer.renderInlineAsText(token.children or [], options, env) or token.attrGet("src")
    return f'<a href="{escapeHtml(str(token.attrGet("src")))}">{escapeHtml(str(said))}</a>'
