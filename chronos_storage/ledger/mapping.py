"""How records become rows and rows become records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from itertools import starmap
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.models.query import QuerySet

from .. import records
from ..chains.numbering import audit_chain
from ..checkpoints.runs import Missing
from ..checkpoints.skeletons import is_skeleton, size_of
from ..compat.queries import Fetch, fetch_values, is_for_update
from ..exceptions import StoreFailure
from ..models import (
    Artifact,
    AuditLog,
    Blob,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from ..models.memory import natural_key
from .item_log import fill
from .rows import insert

R = TypeVar("R", bound=records.Record)

#: How often checkpoints are read whose items go in between.
_ATTEMPTS = 20


class Table(Generic[R]):
    """The model that keeps a type of record.

    Attributes:
        id: the model's field for the record's id: "id", or where that is unique within a session only, another.
        names: the record's fields, and in the same order
        columns: the model's.
        derived: further fields of the model, worked out from the record.
    """

    def __init__(
        self, record: type[R], model: type[models.Model], id: str = "id", **derived: Callable[[R], Any]
    ) -> None:
        self.record = record
        self.model = model
        self.id = id
        self.derived = derived
        self.names: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(record))  # type: ignore[arg-type]
        self.columns: tuple[str, ...] = tuple(id if name == "id" else name for name in self.names)
        self._build = self._build_row = _constructor(record, {name: name for name in self.names})
        self._fields = attrgetter(*self.names)
        self._narrowed: dict[tuple[str, ...], Table[R]] = {}

    @property
    def stored(self) -> tuple[str, ...]:
        """All fields of the model that a record fills."""
        return (*self.columns, *self.derived)

    def values(self, record: R) -> dict[str, Any]:
        """What the model's fields hold for this record."""
        return dict(zip(self.stored, self.row_values(record), strict=True))

    def row_values(self, record: R) -> tuple[Any, ...]:
        """The same, in the order of `stored`."""
        values: tuple[Any, ...] = self._fields(record)
        return (*values, *(derive(record) for derive in self.derived.values())) if self.derived else values

    def columns_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the model's fields hold for these values of a record's fields."""
        return {self.id if name == "id" else name: value for name, value in values.items()}

    def copy(self, record: R) -> R:
        """Another record with the same values."""
        return self._build(*self._fields(record))

    def row(self, record: R) -> models.Model:
        """The record as an unsaved model instance."""
        return self.model(**self.values(record))

    def narrowed(self, fields: tuple[str, ...]) -> Table[R]:
        """The table to read some of the fields from, plain ones; the records have no others."""
        if (narrow := self._narrowed.get(fields)) is None:
            narrow = copy(self)
            narrow._narrow(fields)  # noqa: SLF001  (of its own class)
            self._narrowed[fields] = narrow
        return narrow

    def _narrow(self, fields: tuple[str, ...]) -> None:
        self.columns = tuple(self.id if name == "id" else name for name in fields)
        self._build_row = _constructor(self.record, {name: name for name in fields})

    def insert(self, using: str, new: Iterable[R]) -> None:
        """Store new records."""
        insert(self, using, new)

    def fetch(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[R]:
        """The records of a queryset of the model, in its order.

        Args:
            fetch: gives what their columns hold, of whatever it takes for `rows`.
            using: the alias, where `rows` is no queryset.
        """
        return list(starmap(self._build_row, fetch(rows, self.columns)))

    def fetch_as_kept(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[R]:
        """The same, without what is kept in other rows."""
        return self.fetch(rows, fetch, using)


def _constructor(record: type[R], fields: Mapping[str, str], arguments: Sequence[str] = ()) -> Callable[..., R]:
    """A function that makes a record of arguments in order: three times as fast as from a dictionary.

    Args:
        fields: by a field's name, what it is made of; most often the argument of that name.
        arguments: the names of these, where they are others than the fields'.
    """
    # The text is of our own names only; dataclasses and namedtuple make theirs the same way.
    given = ", ".join(f"{name}={value}" for name, value in fields.items())
    names = {"record": record, "TokenUsage": records.TokenUsage}
    constructor: Callable[..., R] = eval(f"lambda {', '.join(arguments or fields)}: record({given})", names)  # noqa: S307
    return constructor


class _UsageTable(Table[R]):
    """Records whose token usage is five columns."""

    _USAGE = tuple(field.name for field in dataclasses.fields(records.TokenUsage))
    _NOTHING = (None,) * len(_USAGE)
    _counts = attrgetter(*_USAGE)

    def __init__(self, record: type[R], model: type[models.Model], id: str = "id") -> None:
        super().__init__(record, model, id)
        at = self._at = self.names.index("usage")
        self.columns: tuple[str, ...] = (*self.columns[:at], *self._USAGE, *self.columns[at + 1 :])
        counts = ", ".join(f"{name}={name}" for name in self._USAGE)
        usage = f"None if {' is '.join(self._USAGE)} is None else TokenUsage({counts})"
        arguments = (*self.names[:at], *self._USAGE, *self.names[at + 1 :])
        self._build_row = _constructor(record, {name: name for name in self.names} | {"usage": usage}, arguments)

    def row_values(self, record: Any) -> tuple[Any, ...]:
        values = super().row_values(record)
        counts = self._NOTHING if record.usage is None else self._counts(record.usage)
        return (*values[: self._at], *counts, *values[self._at + 1 :])

    def columns_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        columns = super().columns_of(values)
        if "usage" in columns:
            usage = columns.pop("usage") or records.TokenUsage()
            columns |= {name: getattr(usage, name) for name in self._USAGE}
        return columns


class _CheckpointTable(Table[records.Checkpoint]):
    """Checkpoints, whose states may be skeletons in the table: what is fetched is whole."""

    def __init__(self) -> None:
        super().__init__(records.Checkpoint, Checkpoint, "checkpoint_id", state_size=_skeleton_size)

    def fetch(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[records.Checkpoint]:
        for_update = isinstance(rows, QuerySet) and is_for_update(rows)
        for _ in range(_ATTEMPTS):
            found = super().fetch(rows, fetch)
            try:
                fill(using or rows.db, found, for_update=for_update)
            except Missing:  # they were removed in between: others may be found now
                continue
            return found
        raise StoreFailure("items that a checkpoint's state is made of are not there, or are others")

    def fetch_as_kept(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[records.Checkpoint]:
        return super().fetch(rows, fetch, using)


def _skeleton_size(record: records.Checkpoint) -> int | None:
    state: Any = record.state
    return size_of(state) if is_skeleton(state) else None


SESSIONS = Table(records.Session, Session)
MESSAGES = _UsageTable(records.Message, Message, "message_id")
MEMORY = Table(records.MemoryRecord, MemoryRecord, natural_key=natural_key)
AUDIT_LOGS = Table(
    records.AuditLog,
    AuditLog,
    chain=lambda record: audit_chain(record.session_id, record.agent_id),
    owner=lambda record: record.session_id or audit_chain(None, record.agent_id),
)
TRACES = _UsageTable(records.Trace, Trace)
EVENTS = Table(records.Event, Event, "event_id")
CHECKPOINTS = _CheckpointTable()
CONTAINERS = Table(records.Container, Container)
IMAGES = Table(records.Image, Image)
ARTIFACTS = Table(records.Artifact, Artifact, scope=attrgetter("scope"))
BLOBS = Table(records.Blob, Blob)

TABLES: dict[type[records.Record], Table[Any]] = {
    table.record: table
    for table in (
        SESSIONS,
        MESSAGES,
        MEMORY,
        AUDIT_LOGS,
        TRACES,
        EVENTS,
        CHECKPOINTS,
        CONTAINERS,
        IMAGES,
        ARTIFACTS,
        BLOBS,
    )
}
