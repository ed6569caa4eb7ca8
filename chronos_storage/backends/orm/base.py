"""What every group of methods of `OrmBackend` stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from django.db import connections, router, transaction
from django.db.models.query import QuerySet

from ... import records
from ...aliases import known_alias
from ...compat.connections import in_transaction, settings_of
from ...ledger.heads import lock_sessions, lockable, locked, require_fence
from ...ledger.mapping import SESSIONS, TABLES, Table
from ...models import Session
from ...refusals import Reason, Refused
from ...snapshots import refuse_unseen, snapshot
from ...transactions import attempt, in_callers_transaction, nothing_under_way, translated
from ..base import Backend

R = TypeVar("R", bound=records.Record)
T = TypeVar("T")

_VALUES_PER_QUERY = 500


class OrmBase(Backend):
    """Records in the tables of Django's models, on one database alias."""

    supports_transactions = True

    def __init__(self, using: str | None = None) -> None:
        self._using = using and known_alias(using)

    def __repr__(self) -> str:
        """The alias and the database, without a password."""
        connection = connections[self.using]
        name = str(settings_of(connection)["NAME"])
        return f"<{type(self).__name__} {self.using!r}: {connection.vendor} {name!r}>"

    @property
    def using(self) -> str:
        return self._using or router.db_for_write(Session)

    def run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        return attempt(self.using, call, again)

    def transaction(self) -> AbstractContextManager[None]:
        return translated(self.using, self._atomic)

    def snapshot(self) -> AbstractContextManager[bool]:
        return snapshot(self.using)

    def after_commit(self, call: Callable[[], object]) -> None:
        def call_by_itself() -> None:
            with nothing_under_way():  # what is called is no part of the call that wrote
                call()

        transaction.on_commit(call_by_itself, using=self.using, robust=True)

    def in_transaction(self) -> bool:
        return in_callers_transaction(self.using)

    def exclusively(
        self, record: type[records.Record], ids: Sequence[str], call: Callable[[], T], session_id: str = ""
    ) -> T:
        def alone() -> T:
            with self._atomic():
                if session_id:
                    lock_sessions(self.using, [session_id])
                else:
                    for some in lockable(self.using, sorted(ids)):
                        locked(self._rows(TABLES[record]).filter(pk__in=some).only("pk").order_by("pk"))
                return call()

        return self.run(alone)

    def _atomic(self) -> AbstractContextManager[None]:
        """A transaction with the database's own errors."""
        return transaction.atomic(using=self.using)

    def _savepoint(self) -> AbstractContextManager[None]:
        """Around one statement that may fail: the transaction it is in, if it is in one, stays usable."""
        return self._atomic() if in_transaction(connections[self.using]) else nullcontext()

    def _rows(self, table: Table[Any]) -> QuerySet[Any]:
        """All rows of a table."""
        return table.model._default_manager.using(self.using)

    def _named(self, rows: QuerySet[Any], column: str, values: Iterable[Any]) -> Iterator[QuerySet[Any]]:
        """Those of the rows that have one of these values in a column, in as many statements as so many take."""
        listed = list(values)
        for start in range(0, len(listed), _VALUES_PER_QUERY):
            yield rows.filter(**{f"{column}__in": listed[start : start + _VALUES_PER_QUERY]})

    def _one(self, table: Table[R], rows: QuerySet[Any]) -> R | None:
        """The first of the rows as a record, or None."""
        found = table.fetch(rows[:1])
        return found[0] if found else None

    def _refuse_unseen(self, table: Table[Any], id: str) -> None:
        """Before saying that a record isn't there; see `snapshots`."""
        record = table.record(id=id)
        record.complete()
        refuse_unseen(self.using, table.row(record))

    def _require_fence(self, session_id: str, fence: int) -> None:
        """Lock a session, in a transaction, for who writes with a fence what needs neither.

        Raises:
            Refused: MISSING or STALE.
        """
        require_fence(self._lock_session(session_id), fence)

    def _lock_session(self, session_id: str) -> Session:
        """A session, soft-deleted or not, locked.

        Raises:
            Refused: MISSING.
        """
        session = lock_sessions(self.using, [session_id]).get(session_id)
        if session is None:
            self._refuse_unseen(SESSIONS, session_id)
            raise Refused(Reason.MISSING, records.Session, session_id)
        return session

    def _lock_open(self, session_id: str) -> Session:
        """A session that takes more, locked.

        Raises:
            Refused: MISSING or DELETED.
        """
        session = self._lock_session(session_id)
        if session.deleted_at is not None:
            raise Refused(Reason.DELETED, records.Session, session_id)
        return session

    def _conflict_target(self, *fields: str) -> dict[str, Any]:
        """The argument of bulk_create that MariaDB and MySQL don't take: there every unique key is a target."""
        if connections[self.using].vendor != "mysql":
            return {"unique_fields": fields}
        return {}
