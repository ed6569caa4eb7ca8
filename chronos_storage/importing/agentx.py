"""The JSON file that AgentX' export script writes: containers, images, sessions, and messages by session."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from ..exceptions import InvalidRecord
from ..interfaces import agentx_records as agentx
from ..interfaces.agentx_originals import SQLITE, refuse_original
from ..records import Message, Record, Session
from .lines import parse
from .source import Conversation, Source, within

_NAMESPACE = uuid.UUID("b1d5c5de-5d0e-4a6e-9f3b-6f2f7f1d3a11")
_SESSION_KEYS = {agentx.SessionRecord.spelling(field.name) for field in fields(agentx.SessionRecord)}


@contextmanager
def opened(name: str) -> Iterator[Source]:
    """What a file holds, which is read as a whole."""
    content = Path(name).read_bytes()
    if content.startswith(SQLITE):
        refuse_original(name)
    yield _AgentX(parse(content))


class _AgentX(Source):
    def __init__(self, document: Any) -> None:
        if not isinstance(document, dict):
            raise InvalidRecord("document", "must be an object with containers, images, sessions and messages")
        self._containers = _typed(document, "containers", list)
        self._images = _typed(document, "images", list)
        self._sessions = _typed(document, "sessions", list)
        self._messages_by_session = _typed(document, "messages", dict)

    def count(self) -> int:
        return len(self._sessions)

    def others(self) -> Iterator[tuple[str, Callable[[], Record]]]:
        for number, container in enumerate(self._containers):
            yield f"containers[{number}]", partial(_container, f"containers[{number}]", container)
        for number, image in enumerate(self._images):
            yield f"images[{number}]", partial(_image, f"images[{number}]", image)

    def conversations(self) -> Iterator[Conversation]:
        there = set()
        for number, given in enumerate(self._sessions):
            place = f"sessions[{number}]"
            session_id = given.get("sessionId") if isinstance(given, dict) else None
            there.add(session_id)
            messages = self._messages_by_session.get(session_id, []) if isinstance(session_id, str) else []
            yield Conversation(
                place=place,
                session=partial(_session, place, given),
                messages=partial(_messages, session_id or "", messages),
            )
        for session_id in self._messages_by_session.keys() - there:
            yield Conversation(
                place=f"messages[{session_id!r}]", session=partial(_refuse, session_id), messages=lambda: ()
            )


def _typed(document: dict[str, Any], name: str, kind: type[Any]) -> Any:
    if not isinstance(found := document.get(name, kind()), kind):
        raise InvalidRecord(name, f"must be {'an object' if kind is dict else 'a list'}")
    return found


def _container(place: str, given: Any) -> Record:
    with within(place):
        return _completed(agentx.container_of(agentx.ContainerRecord.from_json(given)).cleaned())


def _image(place: str, given: Any) -> Record:
    with within(place):
        return _completed(agentx.image_of(agentx.ImageRecord.from_json(given)).cleaned())


def _completed(record: Record) -> Record:
    record.complete()
    return record


def _session(place: str, given: Any) -> Session:
    """A session; what its system has besides goes into the metadata."""
    with within(place):
        own = {key: value for key, value in given.items() if key in _SESSION_KEYS} if isinstance(given, dict) else given
        session = agentx.session_of(agentx.SessionRecord.from_json(own))
        session.metadata = {key: value for key, value in given.items() if key not in _SESSION_KEYS}
        return session.cleaned()


def _messages(session_id: str, given: Any) -> Iterator[Message]:
    place = f"messages[{session_id!r}]"
    if not isinstance(given, list):
        raise InvalidRecord(place, "must be a list")
    for number, each in enumerate(given):
        with within(f"{place}[{number}]"):
            message = agentx.message_of(session_id, agentx.Message.from_json(each)).cleaned()
        # The same again for the same file.
        message.id = message.id or str(uuid.uuid5(_NAMESPACE, f"{session_id}\x00{number}"))
        yield message


def _refuse(session_id: str) -> Session:
    raise InvalidRecord(f"messages[{session_id!r}]", "belong to no session of the file")
