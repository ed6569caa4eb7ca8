from __future__ import annotations

from .artifacts import Artifact
from .base import Record
from .checkpoints import Checkpoint
from .images import Container, Image
from .ledger import AuditLog, Event
from .memory import MemoryRecord
from .messages import Message
from .sessions import Session
from .traces import Trace

#: The records by the name that `Storage.scan` takes, in the order a copy must load them.
KINDS: dict[str, type[Record]] = {
    "container": Container,
    "image": Image,
    "session": Session,
    "message": Message,
    "memory": MemoryRecord,
    "audit_log": AuditLog,
    "trace": Trace,
    "event": Event,
    "checkpoint": Checkpoint,
    "artifact": Artifact,
}

#: What is removed with its session, beside the ledger.
REMOVED_WITH_SESSION: tuple[type[Record], ...] = (Message, Checkpoint, Trace, MemoryRecord, Artifact)
