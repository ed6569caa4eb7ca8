from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from django.core.management import call_command
from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q
from django.db.models.query import QuerySet

from ... import codec, records
from ...exceptions import ConfigurationError, InvalidRecord
from ...ledger import triggers
from ...models import Session
from ...models.mapping import TABLES
from ...records import Health, Record
from .base import OrmBase, choice, iterate
from .errors import retried
from .loading import load_some

_APP = "chronos_storage"
_BATCH = 500

#: What each kind is walked by: fields that are unique together and have an index.
_WALKS: dict[type[Record], tuple[str, ...]] = {
    records.Message: ("session_id", "seq_num"),
    records.Event: ("session_id", "seq_num"),
    records.Checkpoint: ("session_id", "namespace", "seq_num"),
    records.AuditLog: ("chain", "seq_num"),
}


class LifecycleMethods(OrmBase):
    def scan(self, kind: str, *, user_id: str | None = None, after: Record | None = None) -> Iterator[Any]:
        record = choice(kind, "kind", records.KINDS)
        if after is not None and not isinstance(after, record):
            raise InvalidRecord("after", f"must be a {record.__name__} or None, not {type(after).__name__}")
        table = TABLES[record]
        rows = self.rows(table)
        if user_id is not None:
            rows = self._owned(rows, record, codec.string(user_id, "user_id"))
        return iterate(table, rows, *_WALKS.get(record, ("id",)), after=after)

    def _owned(self, rows: QuerySet[Any], record: type[Record], user_id: str) -> QuerySet[Any]:
        if record in (records.Container, records.Image):
            return rows.none()
        if record is records.Session:
            return rows.filter(user_id=user_id)
        in_session = Q(session_id__in=Session.objects.using(self.alias).filter(user_id=user_id).values("id"))
        if record in (records.MemoryRecord, records.AuditLog):
            return rows.filter(in_session | Q(user_id=user_id))
        return rows.filter(in_session)

    def load(self, records: Iterable[Record]) -> int:
        if isinstance(records, Iterator):  # it can't be gone through again
            with self.atomic():
                return self._load(records)
        return self._load(records)

    @retried
    def _load(self, records: Iterable[Record]) -> int:
        count = 0
        with self.transaction():
            for record_type, group in groupby(records, type):
                while batch := list(islice(group, _BATCH)):
                    count += load_some(self.alias, record_type, batch)
        return count

    def migrate(self) -> None:
        if not router.allow_migrate_model(self.alias, Session):
            raise ConfigurationError(f"a database router forbids to make the tables in {self.alias!r}")
        call_command("migrate", _APP, database=self.alias, interactive=False, verbosity=0)

    def close(self) -> None:
        connection = connections[self.alias]
        if not connection.in_atomic_block:
            connection.close()

    def health(self) -> Health:
        backend = f"{type(self).__module__}.{type(self).__qualname__}"
        try:
            connection = connections[self.alias]
            connection.ensure_connection()
            start = time.perf_counter()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            latency = time.perf_counter() - start
            version = ".".join(map(str, connection.get_database_version()))
            return Health(
                backend=backend,
                store=f"{connection.display_name} {version}",
                latency=latency,
                problems=tuple(self._problems()),
            )
        except DatabaseError as error:
            return Health(backend=backend, problems=(str(error),))

    def _problems(self) -> Iterator[str]:
        executor = MigrationExecutor(connections[self.alias])
        leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] == _APP]
        if plan := executor.migration_plan(leaves):
            yield f"{len(plan)} migrations are not applied: run migrate"
        elif missing := triggers.missing(self.alias):
            yield f"the ledger's triggers are missing ({', '.join(missing)}): run migrate"
