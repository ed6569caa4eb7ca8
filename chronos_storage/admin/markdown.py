"""Markdown of others as HTML that does nothing: no HTML of theirs, no images, links to the web and to mail alone."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core import checks
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

try:
    import nh3
    from markdown_it import MarkdownIt
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

#: How many characters of a page are rendered, at most, which bounds the time that it takes.
LENGTH = 64_000
_SCHEMES = ("http", "https", "mailto")
_TAGS = set(
    "a blockquote br code em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
#: By how much headings are moved down: above them are those of the page.
_HEADINGS = {f"h{level}": f"h{min(level + 2, 6)}" for level in range(1, 7)}


@checks.register(checks.Tags.admin)
def check_markdown(**kwargs: Any) -> list[checks.CheckMessage]:
    """Whether it can be rendered."""
    if IS_INSTALLED:
        return []
    hint = "For Markdown install chronos-storage[admin]."
    return [checks.Info("The admin shows what agents say as plain text.", hint=hint, id="chronos_storage.I002")]


def rendered(text: str) -> SafeString | None:
    """A text's HTML; None where the libraries for that, the extra "admin", are not installed."""
    if not IS_INSTALLED:
        return None
    html = _parser().render(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        # What is wide, such as code, scrolls, and who has no mouse must get to it.
        set_tag_attribute_values={"pre": {"tabindex": "0"}},
    )
    return mark_safe(clean)  # noqa: S308


@cache
def _parser() -> Any:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.validateLink = _may_be_linked  # type: ignore[method-assign]
    parser.add_render_rule("image", _linked_image)
    for name in ("heading_open", "heading_close"):
        parser.add_render_rule(name, _lower_heading)
    return parser


def _may_be_linked(url: str) -> bool:
    return url.strip().lower().startswith(tuple(f"{scheme}:" for scheme in _SCHEMES))


def _linked_image(self: Any, tokens: Any, place: int, options: Any, env: Any) -> str:
    """An image is not loaded from elsewhere, which would tell that somebody looks: it is linked to."""
    token = tokens[place]
    token.tag, token.attrs = "a", {"href": token.attrs["src"]}
    name = self.renderInlineAsText(token.children or [], options, env) or token.attrs["href"]
    return f"{self.renderToken([token], 0, options, env)}{escape(name)}</a>"


def _lower_heading(self: Any, tokens: Any, place: int, options: Any, env: Any) -> str:
    tokens[place].tag = _HEADINGS[tokens[place].tag]
    html: str = self.renderToken(tokens, place, options, env)
    return html
