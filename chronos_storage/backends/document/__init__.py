"""Records as documents: what a `Backend` does, written once for every store that has the primitives of a `Driver`."""

from __future__ import annotations

from .backend import DocumentBackend
from .driver import Document, Driver, Entry, Key, Unavailable, Write, up_to_size
from .memory import MemoryBackend

__all__ = [
    "Document",
    "DocumentBackend",
    "Driver",
    "Entry",
    "Key",
    "MemoryBackend",
    "Unavailable",
    "Write",
    "up_to_size",
]
