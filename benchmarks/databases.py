"""Databases of the benchmark's own, and what the bare driver does in them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from chronos_storage.chains import hashing
from chronos_storage.facade import Storage
from chronos_storage.fields import JSONTextField, MetadataField
from chronos_storage.ledger.mapping import EVENTS, Table
from chronos_storage.ledger.series import EVENT_CHAIN
from chronos_storage.records import Event

from .measure import Side

#: An event's columns: first those that come with it, in the order our own statement takes them.
GIVEN = [name for name in EVENTS.values(Event()) if name not in ("seq_num", "hash")]
#: All that is to be stored.
COLUMNS = [*GIVEN, "seq_num", "hash"]


@dataclass(frozen=True, slots=True)
class Row:
    """An event made ready for the bare driver: the values of the columns `GIVEN`, and what its hash covers of them."""

    values: list[Any]
    fixed: bytes


def row(event: Event) -> Row:
    """The row of an event that has its id and time."""
    document = EVENT_CHAIN.text(event)
    values = EVENTS.values(event) | {"payload": document, "created_at": str(event.created_at)}
    return Row([values[name] for name in GIVEN], EVENT_CHAIN.fixed_part(event, document))


class Chain:
    """The numbers and hashes of a session's events, worked out without a database."""

    def __init__(self) -> None:
        self._seq_num, self._hash = 0, hashing.ZERO

    def rows(self, events: Iterable[Event]) -> list[list[Any]]:
        """The values of all `COLUMNS` of the session's next events."""
        result = []
        for given in map(row, events):
            self._seq_num += 1
            self._hash = hashing.row_hash(self._hash, self._seq_num, given.fixed)
            result.append([*given.values, self._seq_num, self._hash])
        return result


def documents(table: Table[Any]) -> list[bool]:
    """Of each column of the table's records whether it holds JSON."""
    fields = {field.attname: field for field in table.model._meta.concrete_fields}
    return [isinstance(fields[name], JSONTextField | MetadataField) for name in table.columns]


def parsed(rows: Iterable[tuple[Any, ...]], documents: list[bool]) -> list[list[Any]]:
    """The rows with their JSON parsed, which is there as text."""
    loads = json.JSONDecoder().decode
    return [
        [loads(value) if document else value for value, document in zip(row, documents, strict=True)] for row in rows
    ]


class Bare(ABC):
    """A connection of the bare driver. What a method has stored is durable when it returns."""

    @abstractmethod
    def append_event(self, row: Row) -> None:
        """Store an event with the next number and hash, as our storage does, in a session that has some already."""

    @abstractmethod
    def insert_events(self, rows: list[list[Any]]) -> None:
        """Store events that have their numbers and hashes, all at once, in the fastest way there is."""

    @abstractmethod
    def select(self, table: Table[Any], rest: str, *parameters: Any, times: int = 1) -> Side:
        """Read the columns of the table's records, JSON parsed; `rest` is the statement from WHERE on."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A new, empty database.

    Attributes:
        storage: ours, in it.
        url: its address.
        bare: connects the bare driver with it.
        analyze: brings the planner's statistics up to date, as the database does by itself after a while.
        size: how many bytes its checkpoints, or where files are counted all of it, take on the disk.
    """

    storage: Storage
    url: str
    bare: Callable[[], Bare]
    analyze: Callable[[], None]
    size: Callable[[], int]


class Vendor(ABC):
    """A kind of database."""

    #: Whether the bars are for it.
    has_bars: ClassVar[bool] = False

    @abstractmethod
    def description(self) -> str:
        """What runs, in words, and how durable it is."""

    @abstractmethod
    def database(self) -> AbstractContextManager[Database]:
        """A new database that is there until the end of the block."""

    def bar(self, value: float) -> float | None:
        """The bar, where bars are for this kind of database."""
        return value if self.has_bars else None
