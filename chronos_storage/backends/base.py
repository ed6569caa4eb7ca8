"""`Storage`: the interface of every backend.

Each method is written once, synchronously; its asynchronous variant, with the prefix ``a``, is made here. All take and
return the records of `chronos_storage.records`, refuse what no backend can keep with `InvalidRecord`, and never
change the caller's object. What each call means is the same on every backend; `chronos_storage.testing` has the tests.

What every list has in common: `limit=None` is all, 0 is none, a negative `limit` or `offset` is `InvalidRecord`,
and the order is total. An `iter_` method goes through the same records page by page, in flat memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar

from ..async_variants import async_iterator, async_variant, hop
from ..chains.permit import PurgePermit as PurgePermit
from ..records import (
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Health,
    Image,
    MemoryRecord,
    Message,
    Record,
    Session,
    TokenUsage,
    Trace,
    TraceNode,
    Verdict,
)
from ..spans import span_tree
from .arguments import UNSET, UnsetType

P = ParamSpec("P")
T = TypeVar("T")

SessionOrder = Literal["-created_at", "-last_activity_at"]
MessageOrder = Literal["asc", "desc"]


class Storage(ABC):
    """A store of sessions, messages, memory, audit logs, traces, events, checkpoints, containers and images."""

    #: Whether `atomic()` works: several calls as one transaction.
    supports_transactions: ClassVar[bool] = False

    # Sessions

    @abstractmethod
    def create_session(self, session: Session) -> Session:
        """Store a new session.

        Raises:
            AlreadyExists: the id is taken, be it by a soft-deleted session; the error then says so.
        """

    @async_variant(create_session)
    def acreate_session(self) -> Any: ...

    @abstractmethod
    def save_session(self, session: Session) -> Session:
        """Store a session, new or known; a known one keeps its created_at and its newest last_activity_at.

        Raises:
            NotFound: the session is soft-deleted.
        """

    @async_variant(save_session)
    def asave_session(self) -> Any: ...

    @abstractmethod
    def get_session(self, id: str, *, include_deleted: bool = False) -> Session | None:
        """The session, or None."""

    @async_variant(get_session)
    def aget_session(self) -> Any: ...

    @abstractmethod
    def update_session(self, session: Session) -> Session:
        """Write the whole record over the stored one; never un-deletes, never lowers last_activity_at.

        Raises:
            NotFound: no such session, or it is soft-deleted.
        """

    @async_variant(update_session)
    def aupdate_session(self) -> Any: ...

    @abstractmethod
    def patch_session(self, id: str, /, **changes: Any) -> Session:
        """Write only the fields named in `changes`; user_id can be set once.

        Raises:
            InvalidRecord: an unknown field, one that can't be changed, or a second user_id.
            NotFound: no such session, or it is soft-deleted.
        """

    @async_variant(patch_session)
    def apatch_session(self) -> Any: ...

    @abstractmethod
    def patch_session_metadata(self, id: str, changes: dict[str, Any]) -> Session:
        """Merge `changes` into the top level of the metadata, so that writers of different keys both win.

        Raises:
            NotFound: no such session, or it is soft-deleted.
        """

    @async_variant(patch_session_metadata)
    def apatch_session_metadata(self) -> Any: ...

    @abstractmethod
    def list_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        limit: int | None = 100,
        offset: int = 0,
        include_deleted: bool = False,
    ) -> list[Session]:
        """Sessions that match every filter given, newest first by the time that `order` names."""

    @async_variant(list_sessions)
    def alist_sessions(self) -> Any: ...

    @abstractmethod
    def iter_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        include_deleted: bool = False,
    ) -> Iterator[Session]:
        """`list_sessions`, page by page."""

    @async_iterator(iter_sessions)
    def aiter_sessions(self) -> Any: ...

    @abstractmethod
    def delete_session(self, id: str, *, hard: bool = False) -> bool:
        """Hide a session from get and list, and refuse writes to it; what belongs to it stays readable.

        `hard=True` removes it, soft-deleted or not, and all that belongs to it, ledger included, in one transaction,
        and leaves an audit entry with the session in `resource`.

        Returns:
            Whether something was deleted: False for an unknown session and for a second soft delete.
        """

    @async_variant(delete_session)
    def adelete_session(self) -> Any: ...

    @abstractmethod
    def restore_session(self, id: str) -> Session:
        """Undo a soft delete: the session is shown and takes writes again, with all that belongs to it.

        Raises:
            NotFound: no session of this id is soft-deleted.
        """

    @async_variant(restore_session)
    def arestore_session(self) -> Any: ...

    # Messages

    @abstractmethod
    def add_message(self, message: Message) -> Message:
        """Append a message to its session; see `add_messages`."""

    @async_variant(add_message)
    def aadd_message(self) -> Any: ...

    @abstractmethod
    def add_messages(self, messages: Iterable[Message]) -> list[Message]:
        """Append messages, of one session or several, all or none, and number them per session.

        A session's last_activity_at becomes its newest message's time, and never goes back. What is stored already
        with the same content is returned as it is.

        Raises:
            NotFound: a session that isn't there, or is soft-deleted.
            AlreadyExists: an id that is taken by other content.
            SequenceConflict: a message that came with a number which is not the next one.
        """

    @async_variant(add_messages)
    def aadd_messages(self) -> Any: ...

    @abstractmethod
    def get_message(self, id: str, *, session_id: str | None = None) -> Message | None:
        """The message, or None; without `session_id` that of a soft-deleted session only where no other has the id.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a message of this id.
        """

    @async_variant(get_message)
    def aget_message(self) -> Any: ...

    @abstractmethod
    def find_messages(self, ids: Sequence[str]) -> dict[str, Message]:
        """Messages by their ids, whatever their sessions: of each id the newest, of a session that is not deleted
        where there is one. They come in the order of the ids; what no session has is left out.
        """

    @async_variant(find_messages)
    def afind_messages(self) -> Any: ...

    @abstractmethod
    def list_messages(
        self,
        session_id: str,
        *,
        roles: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: MessageOrder = "asc",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Message]:
        """A session's messages by number; `since` and `until` are inclusive, on created_at.

        ``order="desc", limit=50`` is the latest fifty, newest first.
        """

    @async_variant(list_messages)
    def alist_messages(self) -> Any: ...

    @abstractmethod
    def iter_messages(
        self,
        session_id: str,
        *,
        roles: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: MessageOrder = "asc",
    ) -> Iterator[Message]:
        """`list_messages`, page by page."""

    @async_iterator(iter_messages)
    def aiter_messages(self) -> Any: ...

    @abstractmethod
    def delete_message(self, id: str, *, session_id: str | None = None) -> bool:
        """Remove one message; its number is not given again, and the session's last_activity_at stays.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a message of this id.
            NotFound: the session is soft-deleted.
        """

    @async_variant(delete_message)
    def adelete_message(self) -> Any: ...

    @abstractmethod
    def delete_messages(self, session_id: str) -> int:
        """Remove all messages of a session; returns how many. `NotFound` if it is soft-deleted."""

    @async_variant(delete_messages)
    def adelete_messages(self) -> Any: ...

    @abstractmethod
    def truncate_messages(self, session_id: str, after_message_id: str) -> int:
        """Remove the messages that come after this one; returns how many.

        Raises:
            NotFound: no such message in that session, or the session is soft-deleted.
        """

    @async_variant(truncate_messages)
    def atruncate_messages(self) -> Any: ...

    @abstractmethod
    def count_messages(self, session_id: str) -> int:
        """How many messages a session has."""

    @async_variant(count_messages)
    def acount_messages(self) -> Any: ...

    @abstractmethod
    def token_usage(self, session_id: str) -> TokenUsage:
        """The tokens of a session's messages, summed by the database.

        Zeros for a session without any; a cache field is None unless some message reported it. A message that
        reported its prompt and completion but no total counts with their sum.
        """

    @async_variant(token_usage)
    def atoken_usage(self) -> Any: ...

    @abstractmethod
    def usage(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> TokenUsage:
        """The tokens of all messages of a period in the sessions of an agent and a user, added up as by `token_usage`.

        Soft-deleted sessions count too, as their tokens were used; what was removed for good does not.

        Args:
            since: the first moment of the period, by the messages' created_at.
            until: the last one.
        """

    @async_variant(usage)
    def ausage(self) -> Any: ...

    # Memory

    @abstractmethod
    def put_memory(self, record: MemoryRecord) -> MemoryRecord:
        """Store a value under its natural key (agent_id, user_id, session_id, kind, key), over what was there.

        The row under a key keeps its first id and created_at. An id that is stored under another key moves there.

        Raises:
            AlreadyExists: the id would move to a key that another row holds.
        """

    @async_variant(put_memory)
    def aput_memory(self) -> Any: ...

    @abstractmethod
    def get_memory(
        self,
        agent_id: str,
        key: str,
        *,
        kind: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
    ) -> MemoryRecord | None:
        """The most recently updated record that matches and has not expired, or None. None in a filter is "any"."""

    @async_variant(get_memory)
    def aget_memory(self) -> Any: ...

    @abstractmethod
    def list_memory(
        self,
        agent_id: str,
        kind: str | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[MemoryRecord]:
        """What an agent remembers and has not expired, most recently updated first; `prefix` is the key's start."""

    @async_variant(list_memory)
    def alist_memory(self) -> Any: ...

    @abstractmethod
    def iter_memory(
        self,
        agent_id: str,
        kind: str | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        prefix: str | None = None,
    ) -> Iterator[MemoryRecord]:
        """`list_memory`, page by page."""

    @async_iterator(iter_memory)
    def aiter_memory(self) -> Any: ...

    @abstractmethod
    def delete_memory(self, id: str) -> bool:
        """Forget one record; whether it was there."""

    @async_variant(delete_memory)
    def adelete_memory(self) -> Any: ...

    # Audit logs

    @abstractmethod
    def append_audit_log(self, log: AuditLog) -> AuditLog:
        """Append an entry to its session's chain, or without a session to its agent's, ``agent:<agent_id>``.

        Raises:
            AlreadyExists: the id is taken by other content.
            SequenceConflict: the entry came with a number which is not the next one.
        """

    @async_variant(append_audit_log)
    def aappend_audit_log(self) -> Any: ...

    def insert_audit_log(self, log: AuditLog) -> AuditLog:
        """`append_audit_log`, by its other name."""
        return self.append_audit_log(log)

    @async_variant(insert_audit_log)
    def ainsert_audit_log(self) -> Any: ...

    @abstractmethod
    def list_audit_logs(
        self,
        session_id: str | None = None,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[AuditLog]:
        """Entries that match every filter given, newest first; `since` and `until` are inclusive."""

    @async_variant(list_audit_logs)
    def alist_audit_logs(self) -> Any: ...

    @abstractmethod
    def iter_audit_logs(
        self,
        session_id: str | None = None,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditLog]:
        """`list_audit_logs`, page by page."""

    @async_iterator(iter_audit_logs)
    def aiter_audit_logs(self) -> Any: ...

    # Traces

    @abstractmethod
    def insert_trace(self, trace: Trace) -> Trace:
        """Store a span; it may be finished already, come before its parent, or name a session that isn't there.

        Raises:
            AlreadyExists: the id is taken by other content.
        """

    @async_variant(insert_trace)
    def ainsert_trace(self) -> Any: ...

    @abstractmethod
    def end_trace(
        self, id: str, *, output: Any = UNSET, error: str | UnsetType = UNSET, ended_at: datetime | None = None
    ) -> Trace:
        """Finish a span, now unless `ended_at` says when, and leave what is not named as it is.

        Ending it again keeps the time of the first end.

        Raises:
            NotFound: no such span.
        """

    @async_variant(end_trace)
    def aend_trace(self) -> Any: ...

    @abstractmethod
    def get_trace(self, id: str) -> Trace | None:
        """The span, or None."""

    @async_variant(get_trace)
    def aget_trace(self) -> Any: ...

    @abstractmethod
    def list_traces(self, session_id: str, *, kind: str | None = None) -> list[Trace]:
        """A session's spans in the order they started, then by id."""

    @async_variant(list_traces)
    def alist_traces(self) -> Any: ...

    @abstractmethod
    def iter_traces(self, session_id: str, *, kind: str | None = None) -> Iterator[Trace]:
        """`list_traces`, page by page."""

    @async_iterator(iter_traces)
    def aiter_traces(self) -> Any: ...

    def trace_tree(self, session_id: str) -> list[TraceNode]:
        """A session's spans as trees, in the order they started.

        A span whose parent isn't there is a root. Where parents form a ring, its earliest span is one.
        """
        return span_tree(self.list_traces(session_id))

    @async_variant(trace_tree)
    def atrace_tree(self) -> Any: ...

    # Events

    @abstractmethod
    def append_event(self, event: Event, *, expected_seq: int | None = None) -> Event:
        """Append an event to its session's ledger with the next number, 1, 2, 3 … without gap or repeat.

        With the same id and content as a stored event, that one is returned, whatever number came with it.

        Args:
            expected_seq: append only if this is the session's last number (0: nothing appended yet); where the event
                has a number of its own, both must hold.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            SequenceConflict: the last number is another one, or the event's own number isn't the next.
            AlreadyExists: the id is taken by other content.
        """

    @async_variant(append_event)
    def aappend_event(self) -> Any: ...

    @abstractmethod
    def append_events(self, events: Iterable[Event], *, expected_seq: int | None = None) -> list[Event]:
        """Append events of one session or several in their order, all or none; see `append_event`.

        With `expected_seq` they are all of one session.
        """

    @async_variant(append_events)
    def aappend_events(self) -> Any: ...

    @abstractmethod
    def get_event(self, id: str, *, session_id: str | None = None) -> Event | None:
        """The event, or None; without `session_id` that of a soft-deleted session only where no other has the id.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have an event of this id.
        """

    @async_variant(get_event)
    def aget_event(self) -> Any: ...

    @abstractmethod
    def list_events(
        self,
        session_id: str,
        after_seq: int = 0,
        *,
        types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """A session's events with a number above `after_seq`, ascending."""

    @async_variant(list_events)
    def alist_events(self) -> Any: ...

    @abstractmethod
    def iter_events(
        self, session_id: str, after_seq: int = 0, *, types: Sequence[str] | None = None
    ) -> Iterator[Event]:
        """`list_events`, page by page."""

    @async_iterator(iter_events)
    def aiter_events(self) -> Any: ...

    @abstractmethod
    def get_recent_events(self, session_id: str, limit: int | None) -> list[Event]:
        """The last `limit` events, oldest first."""

    @async_variant(get_recent_events)
    def aget_recent_events(self) -> Any: ...

    @abstractmethod
    def count_events(self, session_id: str) -> int:
        """How many events a session has."""

    @async_variant(count_events)
    def acount_events(self) -> Any: ...

    @abstractmethod
    def last_seq(self, session_id: str) -> int:
        """The number of a session's last event; 0 before the first. A purge does not lower it."""

    @async_variant(last_seq)
    def alast_seq(self) -> Any: ...

    # Checkpoints

    @abstractmethod
    def save_checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Store a state under the next number of its session and namespace, or under its own, which raises the counter.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            AlreadyExists: its id is taken by other content, or its number by another checkpoint.
        """

    @async_variant(save_checkpoint)
    def asave_checkpoint(self) -> Any: ...

    @abstractmethod
    def get_checkpoint(self, id: str, *, session_id: str | None = None) -> Checkpoint | None:
        """The checkpoint, or None; without `session_id` that of a soft-deleted session only where no other has the id.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a checkpoint of this id, as copies do.
        """

    @async_variant(get_checkpoint)
    def aget_checkpoint(self) -> Any: ...

    @abstractmethod
    def get_latest_checkpoint(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Checkpoint | None:
        """The checkpoint with the highest number, or None."""

    @async_variant(get_latest_checkpoint)
    def aget_latest_checkpoint(self) -> Any: ...

    @abstractmethod
    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str = "",
        run_id: str | None = None,
        before_seq: int | None = None,
        limit: int | None = None,
    ) -> list[Checkpoint]:
        """Checkpoints with a number below `before_seq`, the latest first."""

    @async_variant(list_checkpoints)
    def alist_checkpoints(self) -> Any: ...

    @abstractmethod
    def iter_checkpoints(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Iterator[Checkpoint]:
        """`list_checkpoints`, page by page."""

    @async_iterator(iter_checkpoints)
    def aiter_checkpoints(self) -> Any: ...

    @abstractmethod
    def delete_checkpoint(self, id: str, *, session_id: str | None = None) -> bool:
        """Remove one checkpoint; its number is not given again. Whether it was there.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a checkpoint of this id.
            NotFound: the session is soft-deleted.
        """

    @async_variant(delete_checkpoint)
    def adelete_checkpoint(self) -> Any: ...

    @abstractmethod
    def delete_checkpoints(self, session_id: str, *, keep_last: int) -> int:
        """Remove all but the last `keep_last` checkpoints of each of a session's namespaces; returns how many."""

    @async_variant(delete_checkpoints)
    def adelete_checkpoints(self) -> Any: ...

    @abstractmethod
    def fork_session(self, checkpoint_id: str, /, *, session_id: str | None = None, **session_fields: Any) -> Session:
        """A new session that starts from a checkpoint's state; the source is untouched.

        Its first checkpoint is a copy under a fresh id, its agent, user, author, title, container and image are the
        source's unless `session_fields` says otherwise, and the metadata of both names the source under
        ``forked_from``. No messages or events are copied.

        Args:
            session_id: the session the checkpoint is in, needed where its id stands in several.
            session_fields: fields of the new session, such as its id.

        Raises:
            NotFound: no such checkpoint.
            AmbiguousId: without `session_id`, when several sessions have a checkpoint of this id.
            AlreadyExists: the new session's id is taken.
        """

    @async_variant(fork_session)
    def afork_session(self) -> Any: ...

    # Containers and images

    @abstractmethod
    def save_container(self, container: Container) -> Container:
        """Store a container, new or known; a known one keeps its created_at. An updated_at of None is now."""

    @async_variant(save_container)
    def asave_container(self) -> Any: ...

    @abstractmethod
    def get_container(self, id: str) -> Container | None:
        """The container, or None."""

    @async_variant(get_container)
    def aget_container(self) -> Any: ...

    @abstractmethod
    def list_containers(self, *, limit: int | None = None, offset: int = 0) -> list[Container]:
        """Containers, newest first."""

    @async_variant(list_containers)
    def alist_containers(self) -> Any: ...

    @abstractmethod
    def container_exists(self, id: str) -> bool:
        """Whether the container is there."""

    @async_variant(container_exists)
    def acontainer_exists(self) -> Any: ...

    @abstractmethod
    def delete_container(self, id: str) -> bool:
        """Remove a container and nothing else; whether it was there."""

    @async_variant(delete_container)
    def adelete_container(self) -> Any: ...

    @abstractmethod
    def save_image(self, image: Image) -> Image:
        """Store an image, new or known; a known one keeps its created_at. An updated_at of None is now."""

    @async_variant(save_image)
    def asave_image(self) -> Any: ...

    @abstractmethod
    def get_image(self, id: str) -> Image | None:
        """The image, or None."""

    @async_variant(get_image)
    def aget_image(self) -> Any: ...

    @abstractmethod
    def list_images(
        self, *, name: str | None = None, container_id: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Image]:
        """Images that match every filter given, newest first."""

    @async_variant(list_images)
    def alist_images(self) -> Any: ...

    @abstractmethod
    def image_exists(self, id: str) -> bool:
        """Whether the image is there."""

    @async_variant(image_exists)
    def aimage_exists(self) -> Any: ...

    @abstractmethod
    def patch_image_metadata(self, id: str, changes: dict[str, Any]) -> Image:
        """Merge `changes` into the top level of the metadata, so that writers of different keys both win.

        Raises:
            NotFound: no such image.
        """

    @async_variant(patch_image_metadata)
    def apatch_image_metadata(self) -> Any: ...

    @abstractmethod
    def delete_image(self, id: str) -> bool:
        """Remove an image and nothing else; whether it was there."""

    @async_variant(delete_image)
    def adelete_image(self) -> Any: ...

    @abstractmethod
    def get_image_session(self, image_id: str) -> Session | None:
        """The most recently created session that names this image, or None."""

    @async_variant(get_image_session)
    def aget_image_session(self) -> Any: ...

    # The ledger

    @abstractmethod
    def verify_events(self, session_id: str) -> Verdict:
        """Whether a session's events are as they were appended, or the first that is not."""

    @async_variant(verify_events)
    def averify_events(self) -> Any: ...

    @abstractmethod
    def verify_audit_logs(self, session_id: str | None = None, *, agent_id: str | None = None) -> Verdict:
        """Whether a session's audit entries, or those of an agent without a session, are as they were appended."""

    @async_variant(verify_audit_logs)
    def averify_audit_logs(self) -> Any: ...

    @abstractmethod
    def verify_all(self) -> Iterator[Verdict]:
        """The verdict of every chain in the store, one after the other."""

    @async_iterator(verify_all)
    def averify_all(self) -> Any: ...

    @abstractmethod
    def purge_permit(self, *, reason: str) -> AbstractContextManager[PurgePermit]:
        """Open deletion of ledger rows for one transaction, and write an audit entry of what went and why."""

    # Everything

    @abstractmethod
    def scan(self, kind: str, *, user_id: str | None = None, after: Record | None = None) -> Iterator[Any]:
        """All records of a kind, a name of `records.KINDS`: owned or not, soft-deleted and expired ones too.

        They come ordered by id, or by session and number where they have one, so that a walk can go on later.

        Args:
            user_id: only what belongs to this user, or to a session of theirs; containers and images have no owner.
            after: the last record of a walk that was broken off.
        """

    @async_iterator(scan)
    def ascan(self) -> Any: ...

    @abstractmethod
    def load(self, records: Iterable[Record]) -> int:
        """Write records as they are, numbers, times and hashes included, all or none; returns how many were new.

        What is stored already with the same content is passed over.

        Raises:
            InvalidRecord: an event or audit entry whose number or hash doesn't continue its chain.
            AlreadyExists: an id that is taken by other content.
            NotFound: a message, event or checkpoint whose session isn't there.
        """

    @async_variant(load)
    def aload(self) -> Any: ...

    @abstractmethod
    def migrate(self) -> None:
        """Make or bring up to date what the backend stores in; again, no change.

        Raises:
            ConfigurationError: the settings or the server do not let it; the message says what would.
            StoreFailure: the database can't be reached, or refuses it.
        """

    @async_variant(migrate)
    def amigrate(self) -> Any: ...

    @abstractmethod
    def close(self) -> None:
        """Release connections; again, no change. The storage can still be used: it opens new ones."""

    @async_variant(close)
    def aclose(self) -> Any: ...

    @abstractmethod
    def atomic(self) -> AbstractContextManager[None]:
        """One transaction around several calls; inside the caller's own, part of it.

        Raises:
            NotSupported: the backend has no transactions.
        """

    async def arun_atomic(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the synchronous `function` in one transaction, which no other task's work can get into."""

        def run() -> T:
            with self.atomic():
                return function(*args, **kwargs)

        return await hop(run)

    @abstractmethod
    def health(self) -> Health:
        """Whether the store can be reached and is ready for use; does not raise."""

    @async_variant(health)
    def ahealth(self) -> Any: ...
