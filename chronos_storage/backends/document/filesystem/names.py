"""Any string as the name of a file or folder, on every system; no two strings have the same.

What most ids are made of stands as it is. A capital letter is its small one after a plus, since some file systems take
both for one; any other character is the bytes of its UTF-8 after percent signs, since some change how an accent is
spelled. So no name holds a slash, begins or ends with a dot, or means a device, and none leads out of its folder.
"""

from __future__ import annotations

import re
from hashlib import sha256

#: Longest name, in bytes; file systems take 255, of which a number, a second name and an ending have their part.
_LONGEST = 160
#: What a longer one has between its beginning and its digest, which no other name holds.
_CUT = "%-"

_PLAIN = re.compile(r"[a-z0-9_-]([a-z0-9._-]*[a-z0-9_-])?")
_OTHERS = re.compile(r"[^a-z0-9._-]|^\.|\.$")
#: Names of devices on Windows, whatever follows a dot.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.DOTALL)


def name_of(text: str, longest: int = _LONGEST) -> str:
    """The name that stands for a text.

    Args:
        longest: bytes it may have; 70 at least. What would be longer ends with the text's SHA-256.
    """
    name = text if _PLAIN.fullmatch(text) else _OTHERS.sub(_escaped, text) or "%"
    if _DEVICE.fullmatch(name):
        name = f"%{ord(name[0]):02x}{name[1:]}"
    if len(name) > longest:
        digest = sha256(text.encode()).hexdigest()
        name = f"{name[: longest - len(_CUT) - len(digest)]}{_CUT}{digest}"
    return name


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if "A" <= character <= "Z":
        return f"+{character.lower()}"
    return "".join(f"%{byte:02x}" for byte in character.encode())
