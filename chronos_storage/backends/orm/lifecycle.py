from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from django.core.management import CommandError, call_command
from django.db import Error, connections, router
from django.db.models.query import QuerySet

from ... import records
from ...async_threads import release
from ...batches import batches
from ...compat.connections import connect, server
from ...compat.schema import unapplied
from ...exceptions import ConfigurationError, StoreFailure
from ...ledger import triggers
from ...ledger.lines import Line, Lines
from ...ledger.mapping import TABLES, Table
from ...ledger.pages import MAX_PAGE, iterate, pages
from ...migrated import remedy
from ...models import Session
from ...records import Health, Record
from .base import OrmBase
from .loading import load_some

R = TypeVar("R", bound=Record)

_APP = "chronos_storage"
_BATCH = 500

#: What each kind is walked by: fields that are unique together and have an index.
_WALKS: dict[type[Record], tuple[str, ...]] = {
    records.Message: ("session_id", "seq_num"),
    records.Event: ("session_id", "seq_num"),
    records.Checkpoint: ("session_id", "namespace", "seq_num"),
    records.AuditLog: ("chain", "seq_num"),
}
#: Records that are loaded at once, whose series are locked and moved once.
_LOADED = 2000
#: Rows of a page of lines, at most: making the statement takes as long as reading some hundred.
_PAGE = 5000
#: Of what there is much, and which is kept as it is, its lines.
_LINES: dict[type[Record], Lines] = {
    record: Lines(TABLES[record], kind, _WALKS.get(record, ("id",)))
    for kind, record in records.KINDS.items()
    if kind in ("message", "event", "audit_log", "trace", "memory")
}


class LifecycleMethods(OrmBase):
    def scan(self, record: type[R], user_id: str | None, after: R | None) -> Iterator[R]:
        table, order = TABLES[record], _WALKS.get(record, ("id",))
        if user_id is None:
            return iterate(table, self._rows(table), *order, after=after)
        return self._scan_owned(table, order, user_id, after)

    def lines(self, record: type[Record], after: Record | None) -> Iterator[list[Line]] | None:
        connection, lines = connections[self.using], _LINES.get(record)
        if lines is None or (connection.vendor != "postgresql" and connection.timezone_name != "UTC"):
            return None  # SQLite and MariaDB have their times without a zone
        values = None if after is None else TABLES[record].values(after)
        begin = None if values is None else tuple(values[name] for name in lines.order)
        return pages(lines, self._rows(TABLES[record]), *lines.order, after=begin, size=_PAGE)

    def _scan_owned(
        self, table: Table[Any], order: tuple[str, ...], user_id: str, after: Record | None
    ) -> Iterator[Any]:
        """The records of a user and of their sessions, in order and each once."""
        parts = list(self._owned(table, user_id))
        most = MAX_PAGE // max(len(parts), 1)  # of each, as a page of each is in memory
        walks = [iterate(table, rows, *order, after=after, most=most) for rows in parts]

        def position(record: Record) -> list[Any]:
            values = table.values(record)
            return [values[column] for column in order]

        for _, same in groupby(heapq.merge(*walks, key=position), position):
            yield next(same)

    def _owned(self, table: Table[Any], user_id: str) -> Iterator[QuerySet[Any]]:
        """The rows of a user and of their sessions, in parts that an index finds: joined, whole tables may be read."""
        if table.record in (records.Container, records.Image):
            return
        rows = self._rows(table)
        if "user_id" in table.names:
            yield rows.filter(user_id=user_id)
        if "session_id" in table.names:
            sessions = Session.objects.using(self.using).filter(user_id=user_id).values_list("id", flat=True)
            ids: list[str] = self.run(partial(list, sessions.order_by("id")))
            for start in range(0, len(ids), _BATCH):
                yield rows.filter(session_id__in=ids[start : start + _BATCH])

    def load(self, records: Iterable[Record]) -> int:
        if isinstance(records, Iterator):  # it can't be gone through again
            with self.transaction():
                return self.run(partial(self._load, records))
        counts: list[int] = []

        def write() -> int:
            with self._atomic():
                counts.append(self._load(records))
            return counts[-1]

        # Once a connection was lost, what had been new before may be what is stored already now.
        return self.run(write, lambda: max(write(), *counts))

    def _load(self, records: Iterable[Record]) -> int:
        count = 0
        for record_type, group in groupby(records, type):
            for batch in batches(group, _LOADED):
                count += load_some(self.using, record_type, batch)
        return count

    def migrate(self) -> None:
        if not router.allow_migrate(self.using, _APP, model_name="session", model=Session):
            raise ConfigurationError(f"a database router forbids to make the tables in {self.using!r}")
        try:
            for label in (_APP, *_apps_of_sessions()):
                call_command("migrate", label, database=self.using, interactive=False, verbosity=0)
        except CommandError as error:
            raise ConfigurationError(str(error)) from error
        except Error as error:
            problem = str(error).partition("\n")[0]
            raise StoreFailure(f"the database {self.using!r} can't be migrated: {problem}") from error

    def close(self) -> None:
        release(self.using)

    def health(self) -> Health:
        backend = f"{type(self).__module__}.{type(self).__qualname__}"
        try:
            return self.run(partial(self._health, backend))
        except Exception as error:  # whatever it is, this is the place to tell it
            return Health(backend=backend, problems=(str(error.__cause__ or error),))

    def _health(self, backend: str) -> Health:
        connection = connections[self.using]
        connect(connection)
        start = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        latency = time.perf_counter() - start
        return Health(
            backend=backend,
            store=server(connection),
            latency=latency,
            problems=tuple(self._problems()),
        )

    def _problems(self) -> Iterator[str]:
        if count := unapplied(self.using, _APP):
            yield f"{count} migrations are not applied: {remedy(self.using)}"
        elif missing := triggers.missing(self.using):
            names = ", ".join(missing)
            yield f"the ledger's triggers or functions are missing or outdated ({names}): {remedy(self.using)}"


def _apps_of_sessions() -> list[str]:
    """Our other apps whose rows go with a session: no session can be removed where they have no tables."""
    fields: Any = Session._meta.get_fields(include_hidden=True)
    related = {each.related_model._meta.app_config for each in fields if each.is_relation}
    return sorted(each.label for each in related if each.name.startswith(f"{_APP}."))
