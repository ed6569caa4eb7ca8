"""The work on the indexes of PostgreSQL: building, replacing and removing them, in threads beside the callers' work.

``CREATE INDEX CONCURRENTLY`` and ``DROP INDEX CONCURRENTLY`` keep nobody from reading and writing, can't run inside a
transaction, and wait for transactions that began before them, as long as those take; two of them at one table would
wait for each other. So all work on the indexes, of every process, takes one lock. It is an advisory lock that a
transaction on a connection of its own holds: it ends with that however the process ends, and stays behind neither in a
pool of connections nor at a pooler. It is tried for and never waited for, as a waiting statement would hold up the
build that it waits for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, OperationalError, connections, transaction

from ..database_errors import sqlstate
from . import indexes
from .base import Progress
from .indexes import INDEXED_FROM, LOCK, TABLE, TABLES, Shape
from .tsvectors import ALL_WORDS, KEPT_WORDS, WORDS_TO_KEEP

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2

#: The indexes that nobody needs: of collections that are gone, and of work that was broken off.
_NEEDLESS = f"""
    SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid IN {TABLES} AND c.relname ~ '^chronos_vectors_[0-9]+_(hnsw|words)' AND (
        c.relname ~ '_(new|old)$' OR NOT EXISTS (
            SELECT FROM chronos_vectors_collection WHERE id = substring(c.relname FROM '[0-9]+')::bigint))
"""
#: Ends the statements that work on indexes, but what tidies up not within so many seconds.
_CANCEL = """
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND (
        query ~ '^CREATE INDEX CONCURRENTLY "?chronos_vectors_'
        OR (query LIKE 'DROP INDEX CONCURRENTLY IF EXISTS chronos_vectors_%%'
            AND query_start < clock_timestamp() - make_interval(secs => %s)))
"""
_TIDYING_SECONDS = 2.0

#: For how long a statement waits for others' locks: less than PostgreSQL takes to find that they wait for each other.
_PATIENCE = "300ms"
#: A lock that was not to be had, and a deadlock.
_IN_THE_WAY = frozenset({"55P03", "40P01"})
#: Embeddings whose words are worked out at once, which those wait for who change them meanwhile.
_FILLED = 1_000
#: Fills in the words of some of a collection's embeddings, from an id on; gives the last of these. They are locked, so
#: that words are not written over by those of a content that was there before.
_FILL = f"""
    WITH part AS MATERIALIZED (
        SELECT id, collection_id, embedding_id, {WORDS_TO_KEEP} AS words FROM {TABLE}
        WHERE collection_id = %s AND embedding_id > %s ORDER BY embedding_id LIMIT {_FILLED} FOR SHARE
    ), filled AS (
        INSERT INTO {KEPT_WORDS} AS kept SELECT * FROM part ORDER BY embedding_id
        ON CONFLICT (id) DO UPDATE SET words = excluded.words WHERE kept.words IS DISTINCT FROM excluded.words)
    SELECT max(embedding_id) FROM part
"""

#: What a host lets its statements and transactions take, where it has set that: work on indexes takes what it takes.
_LIMITS = """
    SELECT name, setting FROM pg_settings WHERE setting NOT IN ('0', '-1') AND name IN
        ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
"""


@contextmanager
def _unlimited(cursor: Any) -> Iterator[None]:
    """The block's statements may take as long as they do; but behind a pooler, where each may have another session."""
    cursor.execute("SELECT pg_backend_pid()")
    [session] = cursor.fetchone()
    limits = []
    if session == cursor.connection.info.backend_pid:
        cursor.execute(_LIMITS)
        limits = cursor.fetchall()
    for name, _ in limits:
        cursor.execute("SELECT set_config(%s, '0', false)", [name])
    try:
        yield
    finally:
        with suppress(DatabaseError):
            for limit in limits:  # a pool gives the session to others
                cursor.execute("SELECT set_config(%s, %s, false)", limit)


@contextmanager
def _alone(alias: str) -> Iterator[bool]:
    """Whether nobody else works on the indexes of this database, and then nobody does until the end of the block."""
    connection: Any = connections[alias].copy()
    try:
        with connection.cursor() as cursor:
            # At other levels the transaction would keep a snapshot, for whose end the build inside would wait.
            cursor.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            cursor.execute(f"SELECT set_config(name, '0', true) FROM ({_LIMITS}) AS limits")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            [alone] = cursor.fetchone()
            # Where the server binds values, the portal of the query before stays open, and its snapshot with it, for
            # whose end the build inside would wait.
            cursor.execute("CLOSE ALL")
            try:
                yield alone
            finally:
                with suppress(DatabaseError):  # a connection that is lost has given the lock back
                    cursor.execute("ROLLBACK")
    finally:
        connection.close()


class _Work(threading.Thread):
    """Work on the indexes of one collection, or without one, the removal of what nobody needs.

    Args:
        anew: whether indexes that are there are replaced.
    """

    def __init__(self, alias: str, shape: Shape | None = None, *, anew: bool = False) -> None:
        super().__init__(name=f"chronos_vectors index of collection {shape.id}" if shape else "chronos_vectors indexes")
        self.alias = alias
        self.shape = shape
        self.anew = anew
        self.error: DatabaseError | None = None
        #: Whether its turn has come.
        self.begun = False
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the work and wait for its end; the indexes stay as they were before."""
        self._cancelled.set()
        while self.is_alive():
            if self.begun:
                with connections[self.alias].cursor() as cursor:
                    cursor.execute(_CANCEL, [_TIDYING_SECONDS])
            self.join(_POLL_SECONDS)

    def run(self) -> None:
        try:
            while not self._cancelled.is_set():
                with _alone(self.alias) as self.begun:
                    if self.begun:
                        with connections[self.alias].cursor() as cursor, _unlimited(cursor):
                            self._work(cursor)
                        return
                self._cancelled.wait(_POLL_SECONDS)
        except DatabaseError as error:
            self.error = error
            if not self._cancelled.is_set():
                logger.warning("Work on the indexes of %s failed: %s", self.shape or "dropped collections", error)
        finally:
            connections[self.alias].close()

    def _work(self, cursor: Any) -> None:
        _end_orphans(cursor)
        if self.shape and _exists(cursor, self.shape):  # not dropped meanwhile
            if self.anew or not _is_worded(cursor, self.shape):
                self._keep_words(cursor, self.shape)
            if self._cancelled.is_set():
                return
            # Last: a search takes its being there for the sign that the collection has what a large one has.
            name, statement = indexes.hnsw(self.shape, "_new")
            if self.anew or not _is_valid(cursor, name):
                self._make(cursor, name, statement)
            if self._cancelled.is_set():
                return
            _let_planner_know(cursor, self.shape)
        cursor.execute(_NEEDLESS)
        for [name] in cursor.fetchall():
            _drop(cursor, name)

    def _keep_words(self, cursor: Any, shape: Shape) -> None:
        """Have the words of a collection kept, those that stand there already too."""
        # Who is about to write holds the collection, and may not know yet that its words are to be kept.
        held = f"SELECT 1 FROM chronos_vectors_collection WHERE id = {shape.id} FOR UPDATE"
        kept = f"UPDATE chronos_vectors_collection SET worded = greatest(worded, 1) WHERE id = {shape.id}"
        self._patiently(cursor, held, kept)
        last: str | None = ""
        while last is not None and not self._cancelled.is_set():
            self._patiently(cursor, _FILL, parameters=[shape.id, last])
            (last,) = cursor.fetchone()
        # Of embeddings that were deleted before theirs were filled in.
        there = f"SELECT FROM {TABLE} AS e WHERE e.id = {KEPT_WORDS}.id"
        gone = f"DELETE FROM {KEPT_WORDS} WHERE collection_id = {shape.id} AND NOT EXISTS ({there})"
        self._patiently(cursor, gone)
        if self._cancelled.is_set():
            return
        self._make(cursor, *indexes.words(shape, "_new"))
        if self._cancelled.is_set():
            return
        cursor.execute(f"ANALYZE {KEPT_WORDS}")
        cursor.execute(f"UPDATE chronos_vectors_collection SET worded = {ALL_WORDS} WHERE id = {shape.id}")

    def _patiently(self, cursor: Any, *statements: str, parameters: Sequence[Any] = ()) -> None:
        """Execute statements in a transaction, again where others hold what they need: these shall not wait for it."""
        while not self._cancelled.is_set():
            try:
                with transaction.atomic(using=self.alias):
                    # At the host's level it might end with what others have changed since it began.
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                    cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
                    for statement in statements:
                        cursor.execute(statement, parameters)
                    return
            except OperationalError as error:
                if sqlstate(error) not in _IN_THE_WAY:
                    raise
            self._cancelled.wait(_POLL_SECONDS)

    def _make(self, cursor: Any, name: str, statement: str) -> None:
        for leftover in (f"{name}_new", f"{name}_old"):  # of work that was broken off
            _drop(cursor, leftover)
        if self._cancelled.is_set():
            return
        try:
            cursor.execute(statement)
        except DatabaseError:
            # Half an index answers no search, and every write would have to keep it.
            _drop(cursor, f"{name}_new")
            raise
        with transaction.atomic(using=self.alias):
            if _is_valid(cursor, name) is not None:
                cursor.execute(f"ALTER INDEX {name} RENAME TO {name}_old")
            cursor.execute(f"ALTER INDEX {name}_new RENAME TO {name}")
        _drop(cursor, f"{name}_old")


def _end_orphans(cursor: Any) -> None:
    """End what a process began that was killed: the server goes on with it, and nobody has the lock any more."""
    cursor.execute(_CANCEL, [0.0])
    while cursor.fetchone():
        time.sleep(_POLL_SECONDS)
        cursor.execute(_CANCEL, [0.0])


def _exists(cursor: Any, shape: Shape) -> bool:
    cursor.execute("SELECT 1 FROM chronos_vectors_collection WHERE id = %s", [shape.id])
    return cursor.fetchone() is not None


def _is_worded(cursor: Any, shape: Shape) -> bool:
    cursor.execute("SELECT worded FROM chronos_vectors_collection WHERE id = %s", [shape.id])
    return bool(cursor.fetchone() == (ALL_WORDS,))


def _is_valid(cursor: Any, name: str) -> bool | None:
    """Whether an index is whole; None where it is not there. By its name alone it could be another schema's."""
    cursor.execute(
        "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        f" WHERE indrelid IN {TABLES} AND relname = %s",
        [name],
    )
    found: tuple[bool] | None = cursor.fetchone()
    return found and found[0]


def _drop(cursor: Any, name: str) -> None:
    if _is_valid(cursor, name) is not None:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def _let_planner_know(cursor: Any, shape: Shape) -> None:
    """Analyze the table, which takes a while, if the planner thinks a large collection to be of quite another size."""
    cursor.execute("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", [f"chronos_vectors_{shape.id}_hnsw"])
    [rows] = cursor.fetchone()
    if rows < INDEXED_FROM:
        return
    cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM {TABLE} WHERE collection_id = {shape.id}")
    [[explained]] = cursor.fetchone()
    if not rows / 2 <= explained["Plan"]["Plan Rows"] <= rows * 2:
        cursor.execute(f"ANALYZE {TABLE}")


#: What this process began, the last of each alias and collection.
_begun: dict[tuple[str, int | None], _Work] = {}


def _start(work: _Work) -> _Work:
    work.start()  # before others may wait for it
    _begun[work.alias, work.shape.id if work.shape else None] = work
    return work


def build_if_due(alias: str, shape: Shape) -> None:
    """Begin to build a collection's indexes, if it is large enough to have them; `wait` waits for the end."""
    running = _begun.get((alias, shape.id))
    if running and running.is_alive():
        return
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {TABLE} WHERE collection_id = {shape.id} LIMIT 1 OFFSET {INDEXED_FROM - 1}")
        is_due = cursor.fetchone() is not None
    if is_due:
        _start(_Work(alias, shape))


def begin(alias: str, collection_id: int) -> None:
    """Remove the indexes of an earlier collection of this id, which ``flush`` gives again."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            f" WHERE indrelid IN {TABLES} AND relname ~ %s",
            [f"^chronos_vectors_{collection_id}_(hnsw|words)"],
        )
        for [name] in cursor.fetchall():
            cursor.execute(f"DROP INDEX IF EXISTS {name}")


def keep_words(alias: str) -> None:
    """Have the words kept of the collections that were indexed before words were kept, and wait for the end."""
    with connections[alias].cursor() as cursor:
        cursor.execute(indexes.UNWORDED)
        shapes = [Shape(alias, *row) for row in cursor.fetchall()]
    for shape in shapes:
        _start(_Work(alias, shape)).join()


def tidy(alias: str) -> None:
    """Begin to remove the indexes of collections that are gone; `wait` waits for the end."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_NEEDLESS)
        is_due = cursor.fetchone() is not None
    running = _begun.get((alias, None))
    if is_due and not (running and running.is_alive() and not running.begun):
        _start(_Work(alias))


def rebuild(alias: str, shape: Shape, progress: Progress | None) -> None:
    """Build a collection's indexes anew and wait for the end."""
    work = _start(_Work(alias, shape, anew=True))
    try:
        while work.is_alive():
            work.join(_POLL_SECONDS)
            if progress:
                progress(*((work.begun and _progress(alias)) or ("waiting", 0.0)))
    except BaseException:
        work.cancel()
        raise
    if work.error:
        raise work.error


def _progress(alias: str) -> tuple[str, float] | None:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT phase, greatest(blocks_done::float / nullif(blocks_total, 0),"
            f" tuples_done::float / nullif(tuples_total, 0), 0) FROM pg_stat_progress_create_index"
            f" WHERE relid IN {TABLES}"
        )
        found: tuple[str, float] | None = cursor.fetchone()
        return found


def wait(alias: str) -> None:
    """Wait until the work that this process began in a database has ended."""
    for key in list(_begun):  # in one step, as other threads begin theirs
        work = _begun.pop(key, None) if key[0] == alias else None
        if work and work is not threading.current_thread():
            work.join()
