"""The adapter's tables."""

from __future__ import annotations

from django.core.management import call_command

from ...async_threads import from_any_thread
from ...facade.storage import Storage


def set_up(storage: Storage) -> None:
    """Bring the adapter's tables up to date in the database of a storage, after the storage's own."""
    from_any_thread(storage, _set_up, storage)


def _set_up(storage: Storage) -> None:
    storage.migrate()
    call_command("migrate", "chronos_langgraph", database=storage.alias, interactive=False, verbosity=0)
