"""The storage over Django's models: the host's own database, transactions and migrations."""

from __future__ import annotations

from .audit_logs import AuditLogMethods
from .checkpoints import CheckpointMethods
from .events import EventMethods
from .images import ImageMethods
from .lifecycle import LifecycleMethods
from .memory import MemoryMethods
from .messages import MessageMethods
from .sessions import SessionMethods
from .traces import TraceMethods

__all__ = ["OrmStorage"]


class OrmStorage(
    CheckpointMethods,
    SessionMethods,
    MessageMethods,
    MemoryMethods,
    AuditLogMethods,
    TraceMethods,
    EventMethods,
    ImageMethods,
    LifecycleMethods,
):
    """`Storage` on one database alias. It holds no connection and no state, so threads and tasks may share one.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
    """
