"""The conversations: a session each, whose messages are the log, and whose checkpoints say where the history ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

from pydantic import TypeAdapter
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from ... import storage as default_storage
from ...async_variants import hop
from ...exceptions import AlreadyExists, NotFound
from ...facade import Storage
from ...ids import composite_id
from ...records import Checkpoint, Message, Session
from .messages import messages_of, of_text, raw_of, records_of, text_of
from .whole import in_one

#: Of the checkpoints that hold the records, and of the session's metadata that says the last of them once more.
NAMESPACE = "pydantic_ai"
#: The metadata of a session into whose history a fork points.
FORKED = "pydantic_ai_forked"
#: So many characters of what was asked first are what lists of sessions call it.
_TITLE = 80

_record: TypeAdapter[ConversationRecord] = TypeAdapter(ConversationRecord)


class ChronosConversationStore(ConversationStore):
    """Keeps conversations in a storage, on any backend.

    A conversation is a session, with its id; an entry is a message, with its id, in the session that wrote it first, in
    which the message before it is its parent. A fork is a session whose first message has its parent in another one.
    Where the history ends is a checkpoint of the namespace ``pydantic_ai``, whose number decides between two writers,
    so each save stays readable. The scope is the session's user.

    What is deleted is a soft-deleted session: it neither loads nor lists, and its messages stay until the session is
    removed for good (`Storage.delete_session` with ``hard=True``, or retention), for the forks that go back to them.

    Args:
        storage: where to; the settings' default one unless given.
        agent_id: whose sessions they are; a store lists these alone.
    """

    def __init__(self, storage: Storage | None = None, *, agent_id: str = "pydantic_ai") -> None:
        self._storage = default_storage if storage is None else storage
        self._agent_id = agent_id

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        return await hop(self._storage, self._read_record_of, composite_id(conversation_id))

    async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[ConversationRecord]:
        records = await hop(self._storage, self._records, scope, limit)
        return sorted(records, key=lambda record: record.updated_at, reverse=True)

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        raw = raw_of([entry.message for entry in new_entries])
        session_id = composite_id(record.conversation_id)
        # As they will be read: without what no store takes, and never such that nobody could.
        messages = [
            message
            for entry, item, read in zip(new_entries, raw, messages_of(raw), strict=True)
            for message in records_of(entry.id, entry.parent_id or "", session_id, read, item)
        ]
        await in_one(self._storage, partial(self._write, record, session_id, messages, expected_revision))

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        await in_one(self._storage, partial(self._delete, conversation_id, expected_revision))

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        return (await self.read_history(entry_id, limit=1))[0]

    async def read_history(self, head_id: str | None, *, limit: int | None = None) -> list[ConversationEntry]:
        """The entries up to `head_id`, in order, or the last `limit` of them.

        Raises:
            LookupError: one of them isn't there.
        """
        found = await hop(self._storage, self._history, head_id, limit)
        messages = messages_of(message.raw for message in found)
        return [
            ConversationEntry(id=each.id, parent_id=each.parent_id or None, message=message)
            for each, message in zip(found, messages, strict=True)
        ]

    def _records(self, scope: str | None, limit: int | None) -> list[ConversationRecord]:
        user_id = None if scope is None else _owner(scope)
        sessions = self._storage.iter_sessions(self._agent_id, user_id=user_id, order="-last_activity_at")
        texts = (session.metadata[NAMESPACE] for session in sessions if NAMESPACE in session.metadata)
        records = (of_text(_record, text) for text in texts)
        return list(islice((each for each in records if scope is None or each.scope == scope), limit))

    def _read_record_of(self, session_id: str) -> ConversationRecord | None:
        if self._storage.get_session(session_id) is None:
            return None
        return _said(self._latest(session_id))

    def _latest(self, session_id: str) -> Checkpoint | None:
        return self._storage.get_latest_checkpoint(session_id, namespace=NAMESPACE)

    def _write(
        self, record: ConversationRecord, session_id: str, messages: list[Message], expected_revision: str | None
    ) -> None:
        storage = self._storage
        known = storage.get_session(session_id, include_deleted=True)
        latest = None if known is None else self._latest(session_id)
        stored = None if known is None or known.deleted_at is not None else _said(latest)
        if stored is not None and stored.revision == record.revision:
            return  # by an attempt before this one, of which nobody heard
        if (stored.revision if stored else None) != expected_revision:
            raise ConversationConflict(record.conversation_id)
        known_ids = {message.id for message in messages}
        if record.head_id and record.head_id not in known_ids and storage.get_message(record.head_id) is None:
            raise ConversationConflict(record.conversation_id)
        self._open(record, session_id, known, messages)
        if record.forked_from is not None and stored is None:
            with suppress(NotFound):
                storage.patch_session_metadata(composite_id(record.forked_from), {FORKED: True})
        if messages:
            storage.add_messages(messages)
        text = text_of(_record, record)
        self._claim(record.conversation_id, session_id, latest, text)
        storage.patch_session_metadata(session_id, {NAMESPACE: text})
        storage.patch_session(session_id, last_activity_at=record.updated_at)

    def _open(
        self, record: ConversationRecord, session_id: str, known: Session | None, messages: list[Message]
    ) -> None:
        """See to it that there is a session for a record, which is that of its scope.

        Raises:
            ConversationConflict: it is somebody else's.
        """
        storage, owner = self._storage, _owner(record.scope)
        if known is None:
            asked = (each.content for each in messages if each.role == "user" and isinstance(each.content, str))
            new = Session(
                id=session_id,
                agent_id=self._agent_id,
                user_id=owner,
                title=next(asked, "")[:_TITLE],
                created_at=record.updated_at,
            )
            try:
                known = storage.ensure_session(new)
            except AlreadyExists:
                raise ConversationConflict(record.conversation_id) from None
        if owner and known.user_id not in ("", owner):
            raise ConversationConflict(record.conversation_id)
        if known.deleted_at is not None:
            storage.restore_session(session_id)
            if FORKED not in known.metadata:
                storage.delete_messages(session_id)
        if owner and not known.user_id:
            storage.patch_session(session_id, user_id=owner)

    def _delete(self, conversation_id: str, expected_revision: str) -> None:
        session_id = composite_id(conversation_id)
        latest = self._latest(session_id)
        stored = _said(latest)
        if stored is None or stored.revision != expected_revision:
            raise ConversationConflict(conversation_id)
        self._claim(conversation_id, session_id, latest, None)
        self._storage.delete_session(session_id)

    def _claim(self, conversation_id: str, session_id: str, latest: Checkpoint | None, record: str | None) -> None:
        """Save a record, or that there is none any more, as what follows the latest one.

        Raises:
            ConversationConflict: another writer did.
        """
        number = (latest.seq_num if latest else 0) + 1
        try:
            self._storage.save_checkpoint(
                Checkpoint(session_id=session_id, namespace=NAMESPACE, seq_num=number, state={"record": record})
            )
        except (AlreadyExists, NotFound):
            raise ConversationConflict(conversation_id) from None

    def _history(self, head_id: str | None, limit: int | None) -> list[Message]:
        found: list[Message] = []
        while head_id and (limit is None or len(found) < limit):
            head = self._storage.get_message(head_id)
            if head is None:
                raise KeyError(head_id)
            for message in self._back_from(head):
                found.append(message)
                head_id = message.parent_id
                if len(found) == limit:
                    break
        found.reverse()
        return found

    def _back_from(self, head: Message) -> Iterator[Message]:
        """A message and those before it, as far as they are in its session."""
        wanted = head.id
        for message in self._storage.iter_messages(head.session_id, order="desc"):
            if message.id == wanted:
                yield message
                wanted = message.parent_id


def _said(latest: Checkpoint | None) -> ConversationRecord | None:
    """The record that a checkpoint holds."""
    text = latest.state["record"] if latest else None
    return None if text is None else of_text(_record, text)


def _owner(scope: str | None) -> str:
    return composite_id(scope) if scope else ""
