"""A backend in front of another, which keeps what that one gave in a cache of Django's."""

from __future__ import annotations

from .backend import CachedBackend

__all__ = ["CachedBackend"]
