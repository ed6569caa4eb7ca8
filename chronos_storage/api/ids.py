"""Ids in addresses: as they are, or where a path can't hold them, ``~`` and their base64url without padding."""

from __future__ import annotations

import base64
import re

_PLAIN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:@-]+\Z")
_ENCODED = re.compile(r"~[A-Za-z0-9_-]+\Z")
#: What an id looks like in an address, as a JSON schema says it.
PATTERN = r"^([A-Za-z0-9_.:@-]+|~[A-Za-z0-9_-]+)$"


#: Names of several things that the query gives, at most.
MAX_NAMES = 100
#: What they look like there, as a JSON schema says it.
LIST_PATTERN = r"^([A-Za-z0-9_.:@-]+|~[A-Za-z0-9_-]+)(,([A-Za-z0-9_.:@-]+|~[A-Za-z0-9_-]+))*$"


#: The names of routes that stand where an id could.
OWN_NAMES = frozenset(
    ("batch", "clear", "export", "history", "last-seq", "latest", "namespaces", "prune", "stream", "truncate")
)


#: The names of the segments that are ids; a path has others where the project mounts the API below some of its own.
SEGMENTS = frozenset(("id", "session_id", "topic", "collection"))


def address(id: str) -> str:
    """The id as a segment of a path."""
    if _PLAIN.match(id) and id not in OWN_NAMES:
        return id
    return f"~{encode(id)}"


def read_address(segment: str) -> str | None:
    """The id that a segment of a path stands for; None if it is no address."""
    if _PLAIN.match(segment):
        return segment
    if not _ENCODED.match(segment):
        return None
    try:
        id = decode(segment[1:])
    except ValueError:
        return None
    return None if "\x00" in id else id


def encode(text: str) -> str:
    """Its base64url, without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(encoded: str) -> str:
    """The text of which `encode` made this; raises ValueError for what it makes of none."""
    text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    if encode(text) != encoded:
        raise ValueError("not the base64url of a text")
    return text


def read_addresses(text: str) -> list[str]:
    """The ids, or other names, that a comma-separated list of such segments stands for.

    Raises:
        ValueError: saying what is wrong with it.
    """
    segments = text.split(",")
    if len(segments) > MAX_NAMES:
        raise ValueError(f"names {len(segments):,}, and at most {MAX_NAMES} are taken")
    names = [(segment, read_address(segment)) for segment in segments]
    for segment, name in names:
        if name is None:
            raise ValueError(f"{segment!r} is none: write ~ and its base64url for what has other characters in it")
    return [name for _, name in names if name is not None]
