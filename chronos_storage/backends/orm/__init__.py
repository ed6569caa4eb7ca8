"""Records in the tables of Django's models: the host's own database, transactions and migrations."""

from __future__ import annotations

from .backend import OrmBackend

__all__ = ["OrmBackend"]
