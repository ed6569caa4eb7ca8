from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from chronos_storage import connect
from chronos_storage.ledger.mapping import CHECKPOINTS, Table
from chronos_storage.ledger.postgresql import append_parameters, append_statement, column_values
from chronos_storage.ledger.postgresql_checkpoints import save_statement
from chronos_storage.ledger.series import SERIES
from chronos_storage.records import Checkpoint
from tests import servers

from .databases import Bare, Database, Vendor, built, documents, parsed
from .measure import Side, always, fastest


class PostgresBare(Bare):
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._cursor = self._connection.cursor()

    def appending(self, records: Sequence[Any]) -> Callable[[], None]:
        for record in records:
            record.complete()
        if isinstance(records[0], Checkpoint):
            statement = save_statement()
            given = [[*[None] * 8, *column_values(CHECKPOINTS, record)[0]] for record in records]
        else:
            series: Any = SERIES[type(records[0])]
            statement = append_statement(series)
            given = [append_parameters(series, record, None, None) for record in records]

        def work() -> None:
            for parameters in given:
                self._cursor.execute(statement, parameters, prepare=True)
                found = self._cursor.fetchone()
                assert found is not None
                assert found[0] is not None, "nothing was appended"

        return work

    def insert(self, table: Table[Any], rows: list[list[Any]]) -> None:
        statement = f"COPY {table.model._meta.db_table} ({', '.join(table.stored)}) FROM STDIN"
        with self._cursor.copy(statement) as copy:
            for values in rows:
                copy.write_row(values)

    def select(self, table: Table[Any], rest: str, *parameters: Any, times: int = 1) -> Side:
        is_document = documents(table)
        as_text = [f"{name}::text" if found else name for name, found in zip(table.columns, is_document, strict=True)]
        source = f"FROM {table.model._meta.db_table} {rest}"

        def parsed_by_driver(binary: bool) -> list[Any]:
            with self._connection.cursor(binary=binary) as cursor:
                cursor.execute(f"SELECT {', '.join(table.columns)} {source}", parameters, prepare=True)
                return built(table, cursor.fetchall())

        def parsed_here() -> list[Any]:
            self._cursor.execute(f"SELECT {', '.join(as_text)} {source}", parameters, prepare=True)
            return built(table, parsed(self._cursor.fetchall(), is_document))

        works: list[Callable[[], object]] = [
            partial(parsed_by_driver, binary=False),
            partial(parsed_by_driver, binary=True),
            parsed_here,
        ]
        return fastest([always(work, times) for work in works])

    def close(self) -> None:
        self._connection.close()


class Postgres(Vendor):
    has_bars = True

    def __init__(self, url: str) -> None:
        self._url = url

    def description(self) -> str:
        with psycopg.connect(self._url) as connection:
            version, *durable = (
                (connection.execute(f"SHOW {name}").fetchone() or ("",))[0]
                for name in ("server_version", "fsync", "synchronous_commit", "wal_sync_method")
            )
        settings = "fsync {}, synchronous_commit {}, wal_sync_method {}".format(*durable)
        return f"PostgreSQL {version} ({settings}), psycopg {psycopg.__version__} ({psycopg.pq.__impl__})"

    @contextmanager
    def database(self) -> Iterator[Database]:
        name = f"chronos_benchmark_{uuid.uuid4().hex[:12]}"
        url = urlsplit(self._url)._replace(path=f"/{name}").geturl()
        self._execute(self._url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            storage = connect(url, migrate=True)
            yield Database(
                storage=storage,
                url=url,
                bare=partial(PostgresBare, url),
                analyze=partial(self._execute, url, sql.SQL("VACUUM ANALYZE")),
                size=partial(self._size, url),
            )
            storage.close()
        finally:
            self._execute(self._url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @staticmethod
    def _size(url: str) -> int:
        with psycopg.connect(url) as connection:
            # With their indexes: of all others the first page counts already, whatever is in it.
            total = "SUM(pg_total_relation_size(oid))"
            row = connection.execute(
                f"SELECT {total} FROM pg_class WHERE relkind = 'r' AND relname LIKE 'chronos_storage_checkpoint%'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    @staticmethod
    def _execute(url: str, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)


def vendor() -> Vendor | None:
    """PostgreSQL, where it is installed."""
    url = servers.postgres()
    return Postgres(url) if url else None
