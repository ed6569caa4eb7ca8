"""Who is alone at a series appends to it without a question, and whoever was overtaken meanwhile is told the truth."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from chronos_storage import Storage, connect
from chronos_storage.backends.document import Document, Key, Write
from chronos_storage.backends.document.recent import _LONG, _MANY, Recent
from chronos_storage.exceptions import AlreadyExists, NotFound, SequenceConflict, StaleWriter
from chronos_storage.records import AuditLog, Event, Message, Session

STORES = {
    name: {"dsn": url, name_of_place: uuid.uuid4().hex}
    for name, url, name_of_place in (
        ("redis", os.environ.get("TEST_REDIS_URL"), "base"),
        ("mongodb", os.environ.get("TEST_MONGODB_URL"), "collection"),
    )
    if url
}


class Asked:
    """A storage, and the keys that its driver reads."""

    def __init__(self, storage: Storage) -> None:
        backend: Any = storage.backend
        self.storage, self.keys = storage, list[Key]()
        read = backend.driver.read

        def noted(keys: Iterable[Key]) -> Any:
            keys = list(keys)
            self.keys += keys
            return read(keys)

        backend.driver.read = noted


@pytest.fixture(params=STORES)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Asked, Asked]]:
    """Two storages over one store, as two processes have."""
    options: Any = STORES[request.param]
    with ExitStack() as stack:
        one, other = (Asked(stack.enter_context(closing(connect(**options, migrate=True)))) for _ in range(2))
        yield one, other


@pytest.fixture
def id(both: tuple[Asked, Asked]) -> str:
    """That of a session to which the first has written a few times."""
    one, _ = both
    session = one.storage.create_session(Session())
    for _ in range(3):
        one.storage.append_event(Event(session_id=session.id))
        one.storage.add_message(Message(session_id=session.id, role="user"))
        one.storage.append_audit_log(AuditLog(session_id=session.id, actor="me", action="look"))
    return session.id


def test_who_is_alone_asks_nothing_before_he_writes(both: tuple[Asked, Asked], id: str) -> None:
    one, _ = both
    one.keys.clear()
    event = one.storage.append_event(Event(session_id=id), expected_seq=3)
    message = one.storage.add_message(Message(session_id=id, role="user"))
    log = one.storage.append_audit_log(AuditLog(session_id=id, actor="me", action="look"))
    assert (event.seq_num, message.seq_num, log.seq_num) == (4, 4, 4)
    assert one.keys == []
    assert one.storage.verify_events(id).intact
    session = one.storage.get_session(id)
    assert session is not None
    assert session.last_activity_at == message.created_at


def test_who_is_not_alone_is_told_the_truth(both: tuple[Asked, Asked], id: str) -> None:
    one, other = both
    mine = one.storage.append_event(Event(session_id=id, payload=1))
    theirs = other.storage.append_event(Event(session_id=id, payload=2))
    assert one.storage.append_event(Event(session_id=id)).seq_num == theirs.seq_num + 1
    one.keys.clear()
    one.storage.append_event(Event(session_id=id))
    assert one.keys  # one who was overtaken just now doesn't guess again
    for _ in range(2):
        one.storage.append_event(Event(session_id=id))
    assert one.storage.append_event(mine) == mine
    with pytest.raises(AlreadyExists):
        one.storage.append_event(Event(id=mine.id, session_id=id, payload=3))
    other.storage.append_event(Event(session_id=id))
    with pytest.raises(SequenceConflict):
        one.storage.append_event(Event(session_id=id), expected_seq=8)
    assert one.storage.verify_events(id).intact


def test_what_others_close_is_closed(both: tuple[Asked, Asked], id: str) -> None:
    one, other = both
    fence = other.storage.acquire(id, "other")
    with pytest.raises(StaleWriter):
        one.storage.append_event(Event(session_id=id), fence=fence.token - 1)
    other.storage.patch_session(id, title="kept")
    one.storage.add_message(Message(session_id=id, role="user"))
    found = other.storage.get_session(id)
    assert found is not None
    assert found.title == "kept"
    other.storage.delete_session(id)
    with pytest.raises(NotFound):
        one.storage.append_event(Event(session_id=id))
    other.storage.delete_session(id, hard=True)
    with pytest.raises(NotFound):
        one.storage.add_message(Message(session_id=id, role="user"))


def test_what_is_remembered_is_little() -> None:
    recent = Recent()

    def committed(key: Key, body: str) -> None:
        recent.recall([key])
        for version in (1, 2):
            before = Document(key, body, version=version)
            recent.committed([Write(key, before, Document(key, body))], version + 1)

    committed(("long",), "x" * (_LONG + 1))
    assert recent.recall([("long",)]) == {}
    for number in range(_MANY + 1):
        committed(("head", str(number)), "x")
    assert recent.recall([("head", "0")]) == {}
    last = ("head", str(_MANY))
    assert recent.recall([last])[last].version == 3
    assert recent.recall([last]) == {}  # one at a time
    recent.committed([Write(("other",), None, Document(("other",), "x"))], 1)
    assert recent.recall([("other",)]) == {}
