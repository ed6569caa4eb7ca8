"""The storage: what each call means, once, whoever keeps the records."""

from .storage import Storage

__all__ = ["Storage"]
