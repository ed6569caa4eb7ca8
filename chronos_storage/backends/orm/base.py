"""What every group of methods of `OrmStorage` stands on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError, connections, models, router, transaction
from django.db.models import Q
from django.db.models.query import QuerySet

from ... import codec, records, signals
from ...aliases import known_alias
from ...compat import in_transaction
from ...exceptions import AlreadyExists, AmbiguousId, NotFound
from ...ledger.mapping import Table
from ...models import Session
from ...snapshots import current, refuse_unseen
from ...transactions import attempt, translated
from ..arguments import span
from ..base import Storage
from .metadata import merge_metadata

R = TypeVar("R", bound=records.Record)


class OrmBase(Storage):
    """Storage in the tables of Django's models, on one database alias.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
    """

    supports_transactions = True

    def __init__(self, using: str | None = None) -> None:
        self._using = using and known_alias(using)

    @property
    def alias(self) -> str:
        """The database alias that is used."""
        return self._using or router.db_for_write(Session)

    def rows(self, table: Table[Any]) -> QuerySet[Any]:
        """All rows of a table."""
        return table.model._default_manager.using(self.alias)

    def atomic(self) -> AbstractContextManager[None]:
        return translated(self.alias, self.transaction)

    def transaction(self) -> AbstractContextManager[None]:
        """`atomic`, with the database's own errors: for the methods here."""
        return transaction.atomic(using=self.alias)

    @contextmanager
    def unless_taken(self, what: str) -> Iterator[None]:
        """Around one statement: a broken unique constraint becomes `AlreadyExists`, the transaction stays usable."""
        guard = self.transaction() if in_transaction(connections[self.alias]) else nullcontext()
        try:
            with guard:
                yield
        except IntegrityError as error:
            raise AlreadyExists(f"{what} is stored already") from error

    def one(self, table: Table[R], rows: QuerySet[Any]) -> R | None:
        """The first of the rows as a record, or None."""
        found = table.fetch(rows[:1])
        return found[0] if found else None

    def one_of_session(self, table: Table[R], id: str, session_id: str | None, argument: str = "id") -> R | None:
        """The record of this id, the argument of that name, which is unique within a session only."""
        id = codec.string(id, argument)
        rows = self.rows(table).filter(**{table.id: id})
        if session_id is not None:
            return self.one(table, rows.filter(session_id=codec.string(session_id, "session_id")))
        found = table.fetch(rows.filter(session__deleted_at=None)[:2]) or table.fetch(rows[:2])
        if len(found) > 1:
            raise AmbiguousId(f"{table.record.__name__} {id!r} stands in several sessions: name the session too")
        return found[0] if found else None

    def written(self, *stored: records.Record) -> None:
        """Tell the receivers of `signals.records_written`."""
        if stored:
            signals.announce(signals.records_written, type(stored[0]), self.alias, records=stored)

    def upserted(self, table: Table[R], record: Any, argument: str) -> R:
        """Store a record over what its id had, in one statement; a known one keeps its created_at.

        An updated_at that is given stays; otherwise it is now.
        """
        new: R = table.record.of(record, argument).cleaned()
        new.complete(touch=record.updated_at is None)
        return attempt(self.alias, partial(self._upsert, table, new))

    def _upsert(self, table: Table[R], record: Any) -> R:
        keep = {table.id, "created_at"}
        with self.transaction():
            self.rows(table).bulk_create(
                [table.row(record)],
                update_conflicts=True,
                update_fields=[column for column in table.columns if column not in keep],
                **self.conflict_target(table.id),
            )
            stored = self.one(table, current(self.rows(table).filter(pk=record.id)))
        assert stored is not None
        self.written(stored)
        return stored

    def merged(self, table: Table[R], id: str, changes: dict[str, Any]) -> R:
        """Merge changes into the top level of the metadata of the one row, if it is not soft-deleted."""
        row = pk_row(self.rows(table), id)
        if table.record is records.Session:
            row = row.filter(deleted_at=None)
        with self.transaction():
            merge_metadata(row, changes, updated_at=records.now())
            stored = self.one(table, row)
            if stored is None:
                self.refuse_unseen(table, id)
                raise NotFound(f"there is no such {table.record.__name__.lower()}")
            stored.check_size()  # which the changes may have made too large
        self.written(stored)
        return stored

    def refuse_unseen(self, table: Table[Any], id: str) -> None:
        """Before saying that a record isn't there; see `snapshots`."""
        record = table.record(id=id)
        record.complete()
        refuse_unseen(self.alias, table.row(record))

    def conflict_target(self, *fields: str) -> dict[str, Any]:
        """The argument of bulk_create that MariaDB and MySQL don't take: there every unique key is a target."""
        if connections[self.alias].vendor != "mysql":
            return {"unique_fields": fields}
        return {}


def sliced(rows: QuerySet[Any], limit: int | None, offset: int = 0) -> QuerySet[Any]:
    """The part of a list that was asked for."""
    return rows[span(limit, offset)]


def starts_with(column: str, prefix: str) -> Q:
    """Rows whose bytewise column starts with a prefix: a range, not LIKE, which on SQLite takes no notice of case."""
    found = Q(**{f"{column}__gte": prefix})
    end = _behind_prefix(prefix)
    return found if end is None else found & Q(**{f"{column}__lt": end})


def _behind_prefix(prefix: str) -> str | None:
    """The first string, by code points, behind all that start with `prefix`; None if there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def pk_row(rows: QuerySet[models.Model], id: str) -> QuerySet[models.Model]:
    """The row of a globally unique id."""
    return rows.filter(pk=codec.string(id, "id"))
