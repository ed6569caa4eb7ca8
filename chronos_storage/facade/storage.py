"""`Storage`: one class for every backend.

Each method is written once, synchronously; its asynchronous variant, with the prefix ``a``, is made of it. All take
and return the records of `chronos_storage.records`, refuse what no backend can keep with `InvalidRecord`, and never
change the caller's object. `chronos_storage.testing` has the tests that hold every backend to it.

What every list has in common: `limit=None` is all, 0 is none, a negative `limit` or `offset` is `InvalidRecord`, and
the order is total. A list with an `offset` also takes `after`, the last record of the page before, which costs the same
however far down it is and passes nothing over when something is written in between; both together are refused. An
`iter_` method goes through the same records page by page, in flat memory.

What every write to a session, its messages, events, checkpoints, audit log and artifacts has in common: `fence` is
what `acquire` gave the writer, or its token. With another token than the session's last (0: none yet) it raises
`StaleWriter` and writes nothing; without one it does where the session's `require_fence` is true. Spans and memory take
a fence, and never require one.
"""

from __future__ import annotations

from ..exceptions import NotSupported
from .artifacts import ArtifactMethods
from .audit_logs import AuditLogMethods
from .checkpoints import CheckpointMethods
from .context import ContextMethods
from .events import EventMethods
from .fences import FenceMethods
from .handles import HandleMethods
from .images import ImageMethods
from .lifecycle import LifecycleMethods
from .memory import MemoryMethods
from .messages import MessageMethods
from .traces import TraceMethods


class NoAlias(NotSupported, AttributeError):
    """This store is no database of Django's: it has no alias."""


class Storage(
    CheckpointMethods,
    MessageMethods,
    ContextMethods,
    MemoryMethods,
    AuditLogMethods,
    TraceMethods,
    EventMethods,
    FenceMethods,
    ArtifactMethods,
    ImageMethods,
    LifecycleMethods,
    HandleMethods,
):
    """A store of sessions, messages, memory, audit logs, traces, events, checkpoints, artifacts, containers and images.

    It holds no state but its backend, so threads and tasks may share one.

    Args:
        backend: who keeps the records.
    """

    @property
    def supports_transactions(self) -> bool:
        """Whether `atomic()` works, which makes several calls one transaction."""
        return self.backend.supports_transactions

    @property
    def alias(self) -> str:
        """The alias of the Django database that is written to.

        Raises:
            NotSupported: the store is no database of Django's.
        """
        if (using := self.backend.using) is None:
            raise NoAlias
        return using

    def __repr__(self) -> str:
        return f"<Storage over {self.backend!r}>"
