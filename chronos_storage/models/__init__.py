"""The tables: a model a record type, and the counters of their numbers."""

from ..extras import require_app

require_app("chronos_storage")

from .artifacts import Artifact, Blob
from .audit_logs import AuditLog
from .checkpoints import Checkpoint, CheckpointItems
from .events import Event
from .fences import Fence
from .heads import Head
from .images import Container, Image
from .memory import MemoryRecord
from .messages import Message
from .queue import Consumer, QueueEntry, Topic
from .sessions import Session
from .traces import Trace

__all__ = [
    "Artifact",
    "AuditLog",
    "Blob",
    "Checkpoint",
    "CheckpointItems",
    "Consumer",
    "Container",
    "Event",
    "Fence",
    "Head",
    "Image",
    "MemoryRecord",
    "Message",
    "QueueEntry",
    "Session",
    "Topic",
    "Trace",
]
