"""Bytes of artifacts, kept by their digest, which is compared whenever they are taken."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from io import BufferedReader, BytesIO
from typing import Any

from ...exceptions import DamagedArtifact
from ...records import Artifact
from .cache import Cache, key

#: The most bytes that are kept: as text they still fit into the megabyte that Memcached takes.
LARGEST = 512 * 1024


def opened(artifact: Artifact, read: Callable[[], BufferedReader], cache: Cache) -> BufferedReader:
    """A file object with the bytes of an artifact.

    Args:
        read: opens their file, where the cache doesn't have them.
    """
    if artifact.size > LARGEST:
        return read()
    place = place_of(artifact.sha256)
    data = _decoded(cache.get([place]).get(place), artifact.sha256)
    if data is None:
        with read() as file:
            try:
                data = file.read()
            except DamagedArtifact:  # which whoever reads is told, when it is read
                return read()
        cache.set({place: b64encode(data).decode()})
    content: Any = BytesIO(data)
    return BufferedReader(content)


def place_of(sha256: str) -> str:
    """The key under which bytes are kept."""
    return key("content", sha256)


def _decoded(text: str | None, sha256: str) -> bytes | None:
    try:
        data = None if text is None else b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # what somebody else has put there
        return None
    return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None
