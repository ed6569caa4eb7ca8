"""What messages say, as blocks of a page: Markdown, texts, images, files and links."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NoBase64
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from ..dialects.media import Medium, medium_of
from ..dialects.said import Call, Part, Result, is_thought, kind_of, result_parts
from ..downloads import IMAGES
from ..records import Artifact
from ..text import name as shown
from ..text import visible
from . import markdown
from .addresses import address
from .artifacts import LARGEST
from .previews import laid_out
from .spoken import Spoken

#: How much of a tool's result a block has, in characters.
RESULT = 4_000
#: What only makes sense line by line: the lines of a traceback, of Python's, Java's or JavaScript's.
_TRACE = re.compile(r"^(?:Traceback \(most recent call last\):|[ \t]+File \"|[ \t]+at [\w.$<>/]+ ?\()", re.MULTILINE)
#: How many times as long a text may become by being laid out.
_WIDER = 8
#: As many characters of Base64 as say how the bytes begin.
_START = 64


@dataclass(frozen=True)
class Block:
    """A piece of what is said.

    Attributes:
        kind: "html", "text", "image", "file" or "link"; how the text is meant.
        label: what it is, where that has to be said.
        folded: whether it is opened to be read.
    """

    kind: str
    text: str
    label: str = ""
    address: str = ""
    folded: bool = False


class Blocks:
    """Makes the blocks of a page, of which only so much is rendered as Markdown."""

    def __init__(self) -> None:
        self._left = markdown.LENGTH

    def of(self, message: Spoken) -> list[tuple[Part, list[Block]]]:
        """The blocks of each part of a message; those of a call are made by who shows it."""
        numbers = {id(part): number for number, (part, _medium) in enumerate(media_of(message))}
        found: list[tuple[Part, list[Block]]] = []
        for part in message.parts:
            if isinstance(part, Result):
                shown = [plain(each, RESULT) if isinstance(each, str) else each for each in result_parts(part.content)]
            elif isinstance(part, Call):
                shown = []
            else:
                shown = [self._text(message.row, part) if isinstance(part, str) else part]
            blocks = [each if isinstance(each, Block) else _of(message.row, each, numbers) for each in shown]
            found.append((part, blocks))
        return found

    def _text(self, row: Any, text: str) -> Block:
        text = visible(text)
        block = plain(text)
        if block.text != text or "error" in (row.role, row.kind) or _TRACE.search(text) or len(text) > self._left:
            return block
        self._left -= len(text)
        html = markdown.rendered(text)
        return block if html is None else Block("html", html)


def plain(text: str, length: int | None = None) -> Block:
    """A text as it is, or laid out where it is JSON; only so much of it."""
    if text[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            made = laid_out(json.loads(text))
            # Deep in a nest, most of it is the space before the lines.
            text = made if len(made) < _WIDER * len(text) else text
    text = visible(text)
    return Block("text", text if length is None or len(text) <= length else f"{text[:length]}…")


def media_of(message: Spoken) -> list[tuple[dict[str, Any], Medium]]:
    """The pictures, sounds and files of a message, with the parts that they are, in order."""
    parts: list[Any] = []
    for part in message.parts:
        parts += result_parts(part.content) if isinstance(part, Result) else [part]
    return [(part, medium) for part in parts if isinstance(part, dict) and (medium := medium_of(part))]


def artifact_block(row: Any) -> Block:
    """The bytes of an artifact."""
    is_image = row.mime_type in IMAGES and row.size <= LARGEST
    label = f"{shown(row.name)} ({filesizeformat(row.size)})"
    return Block("image" if is_image else "file", label, address=address(row, "download"))


def _of(row: Any, part: dict[str, Any], numbers: dict[int, int]) -> Block:
    """The block of what is no text."""
    if is_thought(part):
        return Block("text", _thought(part), label=_("thought"), folded=True)
    if (medium := medium_of(part)) is None:
        return Block("text", plain(laid_out(part), RESULT).text, label=visible(kind_of(part)))
    kind = visible(medium.mime_type) or kind_of(part)
    if not medium.data:
        if medium.url.lower().startswith(("http://", "https://")):
            return Block("link", visible(medium.url), label=kind, address=medium.url)
        return Block("text", visible(medium.url), label=kind)
    return Block("image" if _is_image(medium) else "file", kind, address=address(row, "medium", str(numbers[id(part)])))


def _is_image(medium: Medium) -> bool:
    """Whether browsers may show it: it is what it is said to be, and that runs nothing."""
    beginning = IMAGES.get(medium.mime_type)
    try:
        start = b64decode(medium.data[:_START])
    except (NoBase64, ValueError):
        return False
    return beginning is not None and beginning.match(start) is not None


def _thought(part: dict[str, Any]) -> str:
    text = next((part[name] for name in ("thinking", "text") if isinstance(part.get(name), str)), None)
    return visible(text if text is not None else laid_out(part))


def file_of(message: Spoken, number: int) -> tuple[Artifact, bytes] | None:
    """One of a message's pictures, sounds and files, and its bytes; None if there are none, or it is elsewhere."""
    media = media_of(message)
    if number >= len(media):
        return None
    medium = media[number][1]
    try:
        data = b64decode(medium.data)
    except (NoBase64, ValueError):
        return None
    ending = medium.mime_type.rpartition("/")[2]
    name = f"message-{message.row.seq_num}-{number + 1}.{ending if ending.isalnum() else 'bin'}"
    digest = sha256(data).hexdigest()
    return (Artifact(name=name, mime_type=medium.mime_type, size=len(data), sha256=digest), data) if data else None
