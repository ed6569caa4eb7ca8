"""The data types that cross every boundary: what each backend takes and returns.

Times are aware UTC datetimes, empty strings and None mean "not given", and every field but the session's id of a
message, event or checkpoint may be left empty: the store fills in ids, numbers, hashes and times.
"""

from .artifacts import Artifact, Blob
from .base import TIMES, Batch, Record, measured, now
from .checkpoints import Checkpoint
from .encoder import RecordEncoder
from .health import Health
from .images import Container, Image
from .kinds import KINDS, REMOVED_WITH_SESSION
from .ledger import AuditLog, ChainHead, Event, Verdict
from .memory import MemoryRecord
from .messages import Message
from .queue import QueueEntry
from .sameness import STORE_FIELDS, require_same
from .sessions import Fence, Session
from .traces import SPAN_STATUSES, Trace, TraceNode
from .usage import TokenUsage
from .vectors import Collection, CollectionStats, Embedding, SearchResult

__all__ = (
    "KINDS",
    "REMOVED_WITH_SESSION",
    "SPAN_STATUSES",
    "STORE_FIELDS",
    "TIMES",
    "Artifact",
    "AuditLog",
    "Batch",
    "Blob",
    "ChainHead",
    "Checkpoint",
    "Collection",
    "CollectionStats",
    "Container",
    "Embedding",
    "Event",
    "Fence",
    "Health",
    "Image",
    "MemoryRecord",
    "Message",
    "QueueEntry",
    "Record",
    "RecordEncoder",
    "SearchResult",
    "Session",
    "TokenUsage",
    "Trace",
    "TraceNode",
    "Verdict",
    "measured",
    "now",
    "require_same",
)
