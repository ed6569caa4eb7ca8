"""The storage over documents: the contract written once, for every store that has the primitives of a `Driver`."""

from __future__ import annotations

from .driver import Driver
from .memory import MemoryStorage
from .storage import DocumentStorage

__all__ = ["DocumentStorage", "Driver", "MemoryStorage"]
