"""Ids of messages that are unique among all live sessions, as AgentOS and Ago know them."""

from __future__ import annotations

from collections.abc import Sequence

from .. import codec
from ..exceptions import AlreadyExists
from ..facade import Storage
from ..records import Message


def add_unique(storage: Storage, messages: Sequence[Message]) -> list[Message]:
    """`Storage.add_messages`, which also refuses an id that a message of another live session has.

    Two writers of different sessions do not wait for each other: an id that both give at the same moment is stored
    twice, and `Storage.find_messages` then finds the newer message.

    Raises:
        AlreadyExists: an id is taken in another session, or by other content.
        NotFound: a session that isn't there, or is soft-deleted.
    """
    sessions: dict[str, str] = {}
    for message in messages:
        id = codec.string(message.id, "id")
        session_id = codec.string(message.session_id, "session_id")
        if id and sessions.setdefault(id, session_id) != session_id:
            raise AlreadyExists(f"message {id!r} is given for two sessions")
    for id, found in storage.find_messages(list(sessions)).items():
        if found.session_id != sessions[id] and _is_taken(storage, found, sessions[id]):
            raise AlreadyExists(f"message {id!r} is stored already, in another session")
    return storage.add_messages(messages)


def _is_taken(storage: Storage, found: Message, session_id: str) -> bool:
    """Whether another session's message keeps its id from a session, which is there and has none of it."""
    return (
        storage.get_session(found.session_id) is not None
        and storage.get_session(session_id) is not None
        and storage.get_message(found.id, session_id=session_id) is None
    )
