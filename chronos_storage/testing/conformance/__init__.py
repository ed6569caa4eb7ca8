"""What every backend must do, as test classes: one file a group, all of them in `StorageConformance`."""

from __future__ import annotations

from .arguments import ArgumentContract
from .artifacts import ArtifactContract
from .asynchronous import AsynchronousContract, RunAtomicContract
from .audit_logs import AuditLogContract
from .bad_input import BadQuestionContract, BadRecordContract, FailureContract
from .checkpoint_states import CheckpointStateContract
from .checkpoints import CheckpointContract, ForkContract
from .concurrency import ConcurrentAppendContract
from .concurrent_changes import ConcurrentChangeContract
from .context import ContextContract
from .copies import LoadContract, ScanContract
from .deletion import HardDeletionContract, RestoreContract, SoftDeletionContract
from .erasing import ErasureContract
from .events import EventContract
from .fences import FenceContract
from .fidelity import FidelityContract
from .handles import HandleContract, SpanContract
from .holds import LegalHoldContract
from .images import ImageContract
from .ledger import ErasedRowsContract, LedgerContract, PurgeContract
from .lifecycle import AtomicContract, LifecycleContract
from .lists import ListContract
from .memory import MemoryContract
from .messages import MessageContract, TokenUsageContract
from .plain import PlainValueContract
from .retries import RetryContract
from .sessions import SessionContract
from .sizes import SizeContract
from .steps import StepContract
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
    ContextContract,
    MemoryContract,
    AuditLogContract,
    TraceContract,
    EventContract,
    RetryContract,
    LedgerContract,
    PurgeContract,
    ErasedRowsContract,
    ErasureContract,
    CheckpointContract,
    CheckpointStateContract,
    ForkContract,
    FenceContract,
    HandleContract,
    SpanContract,
    StepContract,
    LegalHoldContract,
    ArtifactContract,
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
