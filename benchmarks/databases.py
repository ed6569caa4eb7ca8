"""Databases of the benchmark's own, and what the bare driver does in them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from chronos_storage.chains import hashing
from chronos_storage.facade import Storage
from chronos_storage.fields import JSONTextField, MetadataField
from chronos_storage.ledger.mapping import Table
from chronos_storage.ledger.postgresql import column_values, columns_of
from chronos_storage.ledger.series import SERIES

from .measure import Side


class Series:
    """The numbers, and for a chain the hashes, of a session's records, worked out without a database."""

    seq_num, hash = 0, hashing.ZERO

    def table_and_rows(self, records: Sequence[Any]) -> tuple[Table[Any], list[list[Any]]]:
        """The table of the next records, and of each the values of all columns that it fills, JSON as text."""
        series: Any = SERIES[type(records[0])]
        rows = []
        for record in records:
            record.complete()
            self.seq_num = record.seq_num = self.seq_num + 1
            series.seal(self, record)
            rows.append(values_of(series.table, record))
        return series.table, rows


def values_of(table: Table[Any], record: Any) -> list[Any]:
    """What the columns `table.stored` hold for a record, JSON as text."""
    values, *_ = column_values(table, record)
    place = dict(zip(columns_of(table), values, strict=True))
    return [place.get(name, getattr(record, name, None)) for name in table.stored]


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


def built(table: Table[Any], rows: Iterable[Sequence[Any]]) -> list[Any]:
    """The table's records of rows that hold what their fields do."""
    return table.fetch_as_kept(rows, lambda rows, columns: iter(rows))


class Bare(ABC):
    """A connection of the bare driver. What a method has stored is durable when it returns."""

    @abstractmethod
    def appending(self, records: Sequence[Any]) -> Callable[[], None]:
        """What appends complete events, messages or checkpoints one by one with the next numbers, and hashes, as our
        storage does, in a session that has some already; all that a driver does not do is done beforehand.
        """

    @abstractmethod
    def insert(self, table: Table[Any], rows: list[list[Any]]) -> None:
        """Store rows, as `Series` gives them, all at once, in the fastest way there is."""

    @abstractmethod
    def select(self, table: Table[Any], rest: str, *parameters: Any, times: int = 1) -> Side:
        """Read the table's records; `rest` is the statement from WHERE on."""

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
