from __future__ import annotations

from .audit_logs import AuditLogMethods
from .checkpoints import CheckpointMethods
from .events import EventMethods
from .images import ImageMethods
from .lifecycle import LifecycleMethods
from .memory_records import MemoryMethods
from .messages import MessageMethods
from .sessions import SessionMethods
from .traces import TraceMethods


class DocumentStorage(
    LifecycleMethods,
    CheckpointMethods,
    SessionMethods,
    MessageMethods,
    MemoryMethods,
    AuditLogMethods,
    TraceMethods,
    EventMethods,
    ImageMethods,
):
    """`Storage` over documents. It holds no state but the driver, so threads and tasks may share one.

    The ledger's rows are removed by the purge permit and with their session alone. There are no triggers here: whoever
    changes documents by other ways than this storage is found by the chains, as on every backend.

    Args:
        driver: what keeps the documents.
    """
