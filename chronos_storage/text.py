"""Stored strings as people see them: what would be invisible, or change what stands around it, is written out."""

from __future__ import annotations

#: Longest part of a string that a title or a name in a sentence shows.
MAX_NAME = 200

#: Controls but for tab and line feed, marks of direction and joining, line separators, fillers that look like nothing,
#: tags (an alphabet nobody sees), and surrogates, which no encoding takes.
_UNSEEN = (
    *range(0x09),
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    0xAD,
    0x061C,
    0x115F,
    0x1160,
    0x180E,
    0x200B,
    0x200C,
    0x200E,  # not the one between them, which joins emoji
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0x3164,
    0xFEFF,
    0xFFA0,
    *range(0xFFF9, 0xFFFC),
    *range(0xD800, 0xE000),
    *range(0xE0000, 0xE0080),
)
_WRITTEN_OUT = {code: f"⟨U+{code:04X}⟩" for code in _UNSEEN}


def visible(text: str) -> str:
    """The text with each character that can't be seen as ``⟨U+202E⟩``; tabs and line ends stay."""
    return text if text.isascii() and text.isprintable() else text.translate(_WRITTEN_OUT)


def name(text: str) -> str:
    """The start of a text, as one line that can stand in a title."""
    start = visible(" ".join(text[: MAX_NAME + 1].split()) or text[:MAX_NAME])
    return start if len(text) <= MAX_NAME else f"{start[:MAX_NAME]}…"
