"""Storing conversations so that nothing doubles, however often and wherever an import was broken off."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .. import codec
from ..batches import batches
from ..exceptions import AlreadyExists
from ..facade import Storage
from ..facade.base import at_once
from ..records import Container, Event, Message, Record, Session
from ..redaction import redacted
from ..transactions import again
from . import Format
from .lines import parse

_NAMESPACE = uuid.UUID("6a7b5c8c-5ce7-47d9-996d-fc1b67a4866c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a conversation.

    Attributes:
        session_id: its session's.
        messages: how many were stored.
        new: whether it was stored now; if not, it was there.
        deleted: whether it was there, but soft-deleted, which its source has not done.
    """

    session_id: str
    messages: int
    new: bool
    deleted: bool = False


class Importer:
    """Stores the conversations of one run, whose ids say what they are: the same run again finds them stored.

    Args:
        agent_id: whose sessions those are that don't say it themselves.
        user_id: likewise.
    """

    def __init__(self, storage: Storage, read: Format, *, agent_id: str = "", user_id: str = "") -> None:
        self._storage = storage
        self._read = read
        self._agent_id = agent_id
        self._user_id = user_id
        # All that grows with the number of lines: 16 bytes of a hash and a count for each.
        self._seen: Counter[bytes] = Counter()

    def add(self, text: bytes) -> Imported:
        """Store one line: its session, its messages and an event for each of these, all or none.

        Raises:
            InvalidRecord: the line is no conversation of this format, or one that can't be kept.
            RetryTransaction: the database is still busy after a few attempts.
        """
        document = parse(text)
        session, messages = self._read(document)
        session.agent_id = session.agent_id or self._agent_id
        session.user_id = session.user_id or self._user_id
        self._identify(codec.canonical(document), session, messages)
        return store(self._storage, session, lambda: messages)

    def _identify(self, canonical: str, session: Session, messages: list[Message]) -> None:
        """Give ids that follow from the line, which of its equals it is, the agent and the user."""
        key = hashlib.sha256(canonical.encode()).digest()[:16]
        self._seen[key] += 1
        # No part holds the NUL that joins them.
        parts = (canonical, str(self._seen[key]), session.agent_id, session.user_id)
        namespace = uuid.uuid5(_NAMESPACE, "\x00".join(parts))
        session.id = str(namespace)
        for position, message in enumerate(messages):
            message.id = str(uuid.uuid5(namespace, str(position)))
            message.session_id = session.id


def store(
    storage: Storage, session: Session, messages: Callable[[], Iterable[Message]], *, deleted: bool = False
) -> Imported:
    """Store a session, its messages and an event for each of these, all or none, unless the session is there.

    One that is soft-deleted stays so.

    Args:
        messages: gives the messages, which have their ids; called again for each attempt.
        deleted: soft-delete the session then.

    Raises:
        InvalidRecord: something in it can't be kept.
        RetryTransaction: the database is still busy after a few attempts.
    """
    return again(storage.backend.using, lambda: _store_once(storage, session, messages(), deleted))


def _store_once(storage: Storage, session: Session, messages: Iterable[Message], deleted: bool) -> Imported:
    known = storage.get_session(session.id, include_deleted=True)
    is_hidden = known is not None and known.deleted_at is not None
    there = Imported(session_id=session.id, messages=0, new=False, deleted=is_hidden and not deleted)
    # Without transactions an import that was broken off may have left a part; what is deleted stays so.
    if known is not None and (storage.supports_transactions or is_hidden):
        return there
    count = 0
    with at_once(storage):
        if known is None:
            try:
                storage.create_session(session)
            except AlreadyExists:  # by another import, at this moment
                return there
        for batch in batches(messages):
            stored = storage.add_messages(batch)
            storage.append_events([_event(message) for message in stored])
            count += len(batch)
        if deleted:
            storage.delete_session(session.id)
    return Imported(session_id=session.id, messages=count, new=known is None)


def put_once(storage: Storage, record: Record) -> None:
    """Store a container or an image with its times, but redacted, unless one of its id is there."""
    found = storage.get_container(record.id) if isinstance(record, Container) else storage.get_image(record.id)
    if found is None:
        storage.load([redacted(record)])


def _event(message: Message) -> Event:
    """The ledger's word of a message: whose it is, and a digest by which a changed one can be told."""
    payload = {"message_id": message.id, "role": message.role, "sha256": digest(message)}
    return Event(id=message.id, session_id=message.session_id, type="chat_message", payload=payload)


def digest(message: Message) -> str:
    """SHA-256, in hexadecimal, of what a message says: of the canonical JSON of these of its fields."""
    said = (message.role, message.content, message.name, message.tool_calls, message.tool_call_id)
    return hashlib.sha256(codec.canonical(said).encode()).hexdigest()
