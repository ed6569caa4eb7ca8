"""By which method of `Storage` a record is stored anew."""

from __future__ import annotations

from typing import Any

from .. import records
from ..facade import Storage

_WRITERS = {
    records.Session: Storage.create_session,
    records.Message: Storage.add_message,
    records.MemoryRecord: Storage.put_memory,
    records.AuditLog: Storage.append_audit_log,
    records.Trace: Storage.insert_trace,
    records.Event: Storage.append_event,
    records.Checkpoint: Storage.save_checkpoint,
    records.Container: Storage.save_container,
    records.Image: Storage.save_image,
}


def write(storage: Storage, record: Any) -> Any:
    """Store a new record by the method for its type."""
    return getattr(storage, _WRITERS[type(record)].__name__)(record)
