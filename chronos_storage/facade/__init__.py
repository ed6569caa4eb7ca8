"""`Storage`: one class for every backend, and handles of its sessions."""

from __future__ import annotations

from .handles import SessionHandle
from .recording import Span
from .storage import Storage

__all__ = ["SessionHandle", "Span", "Storage"]
