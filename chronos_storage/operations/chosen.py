"""What an export is to hold, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .. import codec
from ..backends.base import Condition, Line, Query
from ..chains.hashing import time_text
from ..chains.numbering import audit_chain
from ..exceptions import InvalidRecord, NotFound
from ..facade import Storage
from ..records import KINDS, Artifact, AuditLog, Checkpoint, Event, MemoryRecord, Message, Record, Session
from .exported import Notes

#: The kinds of records that are numbered one by one.
NUMBERED: dict[str, type[Record]] = {
    "message": Message,
    "event": Event,
    "audit_log": AuditLog,
    "checkpoint": Checkpoint,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What an export is to hold: all, or what belongs to the sessions that fulfil every condition given.

    Attributes:
        session: the session of this id.
        agent: those of this agent; without `user`, with the agent's own audit entries.
        user: those of this user.
        since: those in which something happened from then on; they are exported whole.
    """

    session: str | None = None
    agent: str | None = None
    user: str | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("session", "agent", "user"):
            if (value := getattr(self, name)) is not None and not codec.string(value, name):
                raise InvalidRecord(name, "is empty")
        if self.since is not None:
            codec.timestamp(self.since, "since")

    def as_dict(self) -> dict[str, str]:
        """The conditions, as JSON's types; none for all."""
        given = {name: getattr(self, name) for name in ("session", "agent", "user")}
        since = self.since and time_text(self.since)
        return {name: value for name, value in {**given, "since": since}.items() if value is not None}

    def has(self, session: Session) -> bool:
        """Whether a session is one of them."""
        return (
            self.session in (None, session.id)
            and self.agent in (None, session.agent_id)
            and self.user in (None, session.user_id)
            and (self.since is None or (session.last_activity_at or self.since) >= self.since)
        )


class Selection:
    """The records of a store that are chosen.

    Args:
        notes: what is known of the file: the chosen sessions as ``session``, what these name as ``container`` and
            ``image``, and the heads of the series.
    """

    def __init__(self, storage: Storage, chosen: Chosen, notes: Notes) -> None:
        self._storage = storage
        self._chosen = chosen
        self._notes = notes
        self._is_all = not chosen.as_dict()

    def sessions(self) -> Iterator[Session]:
        """The sessions that are chosen.

        Raises:
            NotFound: there is no such session.
        """
        if self._chosen.session is None:
            yield from filter(self._chosen.has, self._storage.scan("session", user_id=self._chosen.user))
            return
        session = self._storage.get_session(self._chosen.session, include_deleted=True)
        if session is None or not self._chosen.has(session):
            raise NotFound(f"There is no such session {self._chosen.session!r}.")
        yield session

    def series(self, kind: str) -> Iterator[str | None]:
        """The names of the series that are chosen; None for all."""
        if self._is_all:
            yield None
            return
        if kind != "audit_log":
            yield from self._notes.all("session")
            return
        for id in self._notes.all("session"):
            yield audit_chain(id, None)
        if self._chosen.agent is not None and self._chosen.user is None:
            yield audit_chain(None, self._chosen.agent)

    def records(self, kind: str, after: Any) -> Iterator[Any]:
        """The records of a kind that are chosen, from the one after this on."""
        if self._is_all:
            return iter(self._storage.scan(kind, after=after))
        if kind in ("container", "image"):
            return self._named(kind, after)
        return self._of_sessions(kind, after)

    def lines(self, kind: str, after: Any) -> Iterator[list[Line]] | None:
        """The same as lines of an export, by pages, where the backend can and all is chosen; else None."""
        return self._storage.backend.lines(KINDS[kind], after) if self._is_all else None

    def _named(self, kind: str, after: Record | None) -> Iterator[Any]:
        get: Callable[[str], Record | None] = getattr(self._storage, f"get_{kind}")
        for id in self._notes.all(kind):
            if (after is None or id > after.id) and (found := get(id)) is not None:
                yield found

    def _of_sessions(self, kind: str, after: Any) -> Iterator[Any]:
        for query in self._queries(kind):
            if after is not None:
                if not all(_value(after, each.field) == each.value for each in query.where):
                    continue  # it was gone through before
                query = replace(query, after=after)
                after = None
            for record in self._storage.backend.iterate(query):
                if self._is_own(record, query):
                    yield record

    def _queries(self, kind: str) -> Iterable[Query[Any]]:
        """What finds the records of a kind, each time in the same order."""
        record = KINDS[kind]
        order = ("seq_num",) if kind in NUMBERED else ("id",)

        def query(**equal: str) -> Query[Any]:
            where = tuple(Condition(name, "=", value) for name, value in equal.items())
            return Query(record=record, where=where, order=order)

        if kind == "audit_log":
            yield from (query(chain=chain) for chain in self.series(kind) if chain is not None)
            return
        for id in self._notes.all("session"):
            if kind == "checkpoint":
                yield from (query(session_id=id, namespace=each) for each in self._notes.namespaces(id))
            else:
                yield query(session_id=id)
        if kind in ("memory", "artifact") and self._chosen.user is not None:
            yield query(session_id="", user_id=self._chosen.user)
        elif kind == "memory" and self._chosen.agent is not None:
            yield query(session_id="", agent_id=self._chosen.agent)

    def _is_own(self, record: Any, query: Query[Any]) -> bool:
        """Whether a record that belongs to no session is of the agent, where one is chosen too."""
        is_free = isinstance(record, MemoryRecord) and not record.session_id
        return not is_free or self._chosen.agent in (None, record.agent_id)


def _value(record: Any, name: str) -> Any:
    return audit_chain(record.session_id, record.agent_id) if name == "chain" else getattr(record, name)


def outside(storage: Storage, user_id: str, is_own: Callable[[str], bool]) -> Iterator[Any]:
    """What is a person's, or names them, and is in no session of theirs: what is not in the records of these.

    Those are memories and artifacts of the user, in others' sessions or in none; images that were made of a session of
    theirs; and audit entries that name the user, or no user and the user as the actor, or a session of theirs as the
    resource. Containers and other images are nobody's.

    Args:
        is_own: whether a session of this id is the user's.
    """
    of_user = Condition("user_id", "=", user_id)
    for kind in (MemoryRecord, Artifact):
        query: Query[Any] = Query(record=kind, where=(of_user,), order=("id",))
        yield from (each for each in storage.backend.iterate(query) if not is_own(each.session_id))
    yield from (image for image in storage.scan("image") if is_own(image.session_id))
    yield from _entries(storage, user_id, is_own)


def _entries(storage: Storage, user_id: str, is_own: Callable[[str], bool]) -> Iterator[AuditLog]:
    """The audit entries of `outside`, each once."""
    anybody = Condition("user_id", "=", "")

    def named(*where: Condition) -> Iterator[AuditLog]:
        query = Query(record=AuditLog, where=where, order=("created_at", "seq_num", "id"))
        return (log for log in storage.backend.iterate(query) if not is_own(log.session_id))

    yield from named(Condition("user_id", "=", user_id))
    yield from named(Condition("actor", "=", user_id), anybody)
    for session in storage.scan("session", user_id=user_id):
        about = named(Condition("resource", "=", session.id), anybody)
        yield from (log for log in about if log.actor != user_id)
