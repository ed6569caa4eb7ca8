"""What every backend must do, as test classes: one file a group, all of them in `StorageConformance`."""

from __future__ import annotations

from .arguments import ArgumentContract
from .asynchronous import AsynchronousContract, RunAtomicContract
from .audit_logs import AuditLogContract
from .bad_input import BadQuestionContract, BadRecordContract, FailureContract
from .checkpoint_states import CheckpointStateContract
from .checkpoints import CheckpointContract, ForkContract
from .concurrency import ConcurrentAppendContract
from .concurrent_changes import ConcurrentChangeContract
from .copies import LoadContract, ScanContract
from .deletion import HardDeletionContract, RestoreContract, SoftDeletionContract
from .events import EventContract
from .fences import FenceContract
from .fidelity import FidelityContract
from .images import ImageContract
from .ledger import LedgerContract, PurgeContract
from .lifecycle import AtomicContract, LifecycleContract
from .lists import ListContract
from .memory import MemoryContract
from .messages import MessageContract, TokenUsageContract
from .plain import PlainValueContract
from .retries import RetryContract
from .sessions import SessionContract
from .sizes import SizeContract
from .traces import TraceContract
from .upcasting import UpcastingContract


class StorageConformance(
    FidelityContract,
    ListContract,
    SizeContract,
    SessionContract,
    SoftDeletionContract,
    RestoreContract,
    HardDeletionContract,
    MessageContract,
    TokenUsageContract,
    MemoryContract,
    AuditLogContract,
    TraceContract,
    EventContract,
    RetryContract,
    LedgerContract,
    PurgeContract,
    CheckpointContract,
    CheckpointStateContract,
    ForkContract,
    FenceContract,
    ImageContract,
    UpcastingContract,
    ScanContract,
    LoadContract,
    ArgumentContract,
    PlainValueContract,
    BadRecordContract,
    BadQuestionContract,
    FailureContract,
    AtomicContract,
    LifecycleContract,
    AsynchronousContract,
    RunAtomicContract,
    ConcurrentAppendContract,
    ConcurrentChangeContract,
):
    """The whole contract. Subclass it with the fixtures that `chronos_storage.testing` names."""
