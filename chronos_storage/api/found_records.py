"""Records of a store that is no Django database: what its backend finds, whichever that is.

A backend is asked for what every backend can be asked for. What goes beyond that is looked at here, record by record:
texts inside others, and of what only names a session, whether that is the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

from .. import codec
from ..backends.base import Backend, Query
from ..backends.base import Condition as Asked
from ..batches import batches
from ..filters import Equals
from ..ledger.pages import LITTLE, MAX_PAGE, much_follows
from ..records import Artifact, AuditLog, Checkpoint, Event, MemoryRecord, Message, Record, Session, TokenUsage
from .found import Condition, Found

_OF_SESSIONS = (Message, Event, Checkpoint)
#: What need not name a session.
_OF_USERS = (MemoryRecord, AuditLog, Artifact)
#: Of what names sessions so many are looked at together, at most.
_CHUNK = 100
#: By operator: what makes a test of a condition's value.
_TESTS: dict[str, Callable[[Any], Callable[[Any], bool]]] = {
    "not": lambda value: lambda found: found != value,
    "has": lambda value: Equals(*value).matches,
    "has text": lambda text: lambda found: text in found,
    "has JSON text": lambda text: lambda found: codec.dumps(text)[1:-1] in codec.dumps(found),
}


@dataclass(frozen=True, slots=True)
class FoundRecords(Found):
    """What a query of a backend finds.

    Attributes:
        tests: what the backend isn't asked for.
        sessions: which sessions they may name; None for any.
        apart: what those must fulfil that name none.
    """

    backend: Backend
    query: Query[Any]
    tests: tuple[Callable[[Any], bool], ...] = ()
    sessions: Query[Session] | None = None
    apart: tuple[Asked, ...] = ()

    @classmethod
    def of(
        cls, backend: Backend, record: type[Record], conditions: Iterable[Condition] | None, session_id: str | None
    ) -> FoundRecords:
        """The records that a user may see.

        Args:
            conditions: on them, and as ``session.`` on the sessions that they name, which must be there; None for who
                sees all, soft-deleted ones too.
            session_id: of a session whose records alone are found.
        """
        found = cls(backend, Query(record=record))
        if session_id is not None:
            found = found.where(Condition("session_id", "=", session_id))
        if conditions is None:
            return found
        about = [each for each in conditions if each.field.startswith("session.")]
        apart = [each for each in conditions if each.operator == "where no session is named"]
        own = [each for each in conditions if each not in about and each not in apart]
        found = replace(found, apart=tuple(Asked(field, "=", value) for field, _, value in apart))
        if record is Session or (record in _OF_SESSIONS and session_id is None):  # which backends can be asked for
            return found.where(*own, *about, Condition("deleted_at", "=", None))
        if about:
            where = (Condition(field.partition(".")[2], operator, value) for field, operator, value in about)
            found = replace(found, sessions=cls(backend, Query(record=Session, deleted=False)).where(*where).query)
        return found.where(*own)

    def where(self, *conditions: Condition, kept: bool = False) -> FoundRecords:
        query, tests = self.query, self.tests
        for field, operator, value in conditions:
            if (field, operator, value) == ("deleted_at", "=", None):
                query = replace(query, deleted=False)
            elif make := _TESTS.get(operator):
                tests = (*tests, _of_field(field, make(value)))
            else:
                query = replace(query, where=(*query.where, Asked(field, operator, value)))  # type: ignore[arg-type]
        return replace(self, query=query, tests=tests)

    def page(
        self, order: Sequence[str], size: int, after: Mapping[str, Any] | None = None, most: int | None = None
    ) -> tuple[list[Any], bool]:
        most = MAX_PAGE if most is None else most
        page: list[Any] = []
        held = 0
        start = None if after is None else self.query.record(**after)
        for record in self._walk(order=tuple(order), after=start, limit=size + 1):
            if len(page) == size or held >= most:
                return page, True
            page.append(record)
            held = _hold(record, held)
        return page, False

    def one(self) -> Any:
        for record in self._walk(limit=1):
            _hold(record, 0)
            return record
        return None

    def exists(self) -> bool:
        return any(True for _ in self._walk(limit=1, whole=False))

    def count(self) -> int:
        if self.tests or self.sessions is not None:
            return sum(1 for _ in self._walk(whole=False))
        return self.backend.run(partial(self.backend.count, self.query))

    def ids(self) -> set[str]:
        return {record.id for record in self._walk(whole=False)}

    def some(self, order: Sequence[str], count: int, *names: str) -> Iterator[tuple[Any, ...]]:
        for record in islice(self._walk(order=tuple(order), whole=False), count):
            yield tuple(getattr(record, name) for name in names)

    def first(self, ids: Sequence[str]) -> list[Any]:
        found, _ = self.where(Condition("id", "in", list(ids))).page((), len(ids))
        by_id = {record.id: record for record in found}
        return [by_id[id] for id in ids if id in by_id]

    def usage(self) -> TokenUsage:
        return self.backend.run(partial(self.backend.token_usage, self.query))

    def _walk(self, order: tuple[str, ...] = (), after: Any = None, **options: Any) -> Iterator[Any]:
        """The records, one after the other, as they are wanted.

        Args:
            options: of the query.
        """
        if order and any(field == "id" and operator == "in" for field, operator, _ in self.query.where):
            return self._in_order(order, after)
        query = replace(self.query, order=order, after=after, **options)
        of_one = {field for field, operator, _ in self.query.where if operator == "="} & {"id", "session_id"}
        if order and self.sessions is not None and self.apart and not of_one:
            found = self._of_each_session(self.sessions, query)
        else:
            found = self.backend.iterate(query)
        if self.tests:
            found = (record for record in found if all(test(record) for test in self.tests))
        return found if self.sessions is None else self._within(self.sessions, found)

    def _of_each_session(self, sessions: Query[Session], query: Query[Any]) -> Iterator[Any]:
        """What names none of the sessions and fulfils what that must, and what names one, in their order.

        A backend can't be asked for one thing or another, and of all that there is it might be little.
        """
        ids = (session.id for session in self.backend.iterate(replace(sessions, order=("id",))))
        narrower = [self.apart, *((Asked("session_id", "=", id),) for id in ids)]
        walks = [self.backend.iterate(replace(query, where=(*query.where, *more))) for more in narrower]
        names = [name.removeprefix("-") for name in query.order]
        merged = merge(*walks, key=attrgetter(*names), reverse=query.order[0].startswith("-"))
        return (next(same) for _, same in groupby(merged, attrgetter("id")))

    def _in_order(self, order: tuple[str, ...], after: Any) -> Iterator[Any]:
        """Those of some ids, which a backend gives in any order: each is read by itself once its place is known."""
        names = [name.removeprefix("-") for name in order]
        descending = order[0].startswith("-")

        def place(record: Any) -> tuple[Any, ...]:
            return tuple(getattr(record, name) for name in names)

        found = sorted(((place(record), record.id) for record in self._walk(whole=False)), reverse=descending)
        for at, id in found:
            if after is None or (at < place(after) if descending else at > place(after)):
                where = (each for each in self.query.where if each.field != "id")
                query = replace(self.query, where=(Asked("id", "=", id), *where))
                yield from replace(self, query=query).page((), 1)[0]

    def _within(self, sessions: Query[Session], found: Iterator[Any]) -> Iterator[Any]:
        """Those that name one of these sessions, or none if they need not."""
        known: dict[str, bool] = {"": self.query.record in _OF_USERS}
        for chunk in batches(found, _CHUNK):
            asked = {record.session_id or "" for record in chunk} - known.keys()
            if asked:
                one_of = Asked("id", "in", sorted(asked))
                select = partial(self.backend.select, replace(sessions, where=(one_of, *sessions.where)))
                there = {session.id for session in self.backend.run(select)}
                known |= {id: id in there for id in asked}
            yield from (
                record
                for record in chunk
                if known[record.session_id or ""]
                and (record.session_id or all(getattr(record, field) == value for field, _, value in self.apart))
            )


def _of_field(field: str, test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda record: test(getattr(record, field))


def _hold(record: Any, held: int) -> int:
    """How many characters are in memory with one record more; where they are many, its turn is waited for."""
    total = held + len(repr(record))
    if held <= LITTLE < total:
        much_follows()
    return total
