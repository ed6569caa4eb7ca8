"""Ids in addresses: as they are, or where a path can't hold them, ``~`` and their base64url without padding."""

from __future__ import annotations

import base64
import binascii
import re

_PLAIN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:@-]+\Z")
_ENCODED = re.compile(r"~[A-Za-z0-9_-]+\Z")
#: What an id looks like in an address, as a JSON schema says it.
PATTERN = r"^([A-Za-z0-9_.:@-]+|~[A-Za-z0-9_-]+)$"


def address(id: str) -> str:
    """The id as a segment of a path."""
    if _PLAIN.match(id):
        return id
    return "~" + base64.urlsafe_b64encode(id.encode()).decode().rstrip("=")


def read_address(segment: str) -> str | None:
    """The id that a segment of a path stands for; None if it is no address."""
    if _PLAIN.match(segment):
        return segment
    if not _ENCODED.match(segment):
        return None
    try:
        id = base64.urlsafe_b64decode(segment[1:] + "=" * (-(len(segment) - 1) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    canonical = base64.urlsafe_b64encode(id.encode()).decode().rstrip("=") == segment[1:]
    return id if canonical and "\x00" not in id else None
