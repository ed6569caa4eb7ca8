"""The indexes of each collection on PostgreSQL, HNSW for its vectors and GIN for the words of its contents.

They are partial, on the rows of one collection only, so that collections of different dimensions stand in one table.
Small collections have none: each costs every search of the table some planning. An index is built by ``CREATE INDEX
CONCURRENTLY``, which keeps nobody from reading and writing and can't run inside a transaction; an advisory lock, tried
for and never waited for (a waiting statement would hold up the build it waits for), lets one process build at a time.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connections, transaction

from .base import Progress

logger = logging.getLogger(__name__)

#: From so many embeddings on a collection has its indexes.
INDEXED_FROM = 10_000
#: The most dimensions that HNSW takes of ``vector`` and of ``halfvec``.
MAX_VECTOR, MAX_HALFVEC = 2_000, 4_000
#: The content as an index holds its words: a ``tsvector`` can't be larger than a megabyte.
WORDS = "to_tsvector('english', left(content, 100000))"
#: By metric: pgvector's operator of its distance, and the end of its operator classes' names.
OPERATORS = {"cosine": ("<=>", "cosine_ops"), "l2": ("<->", "l2_ops"), "inner_product": ("<#>", "ip_ops")}

_TABLE = "chronos_vectors_embedding"
#: The first half of the advisory lock's key: any number of our own.
_LOCK = 0x43565354
_POLL_SECONDS = 0.2

#: The statement that a `Shape` is read by.
SHAPE = """
    SELECT c.id, c.dimension, c.metric, c.m, c.ef_construction, c.ef_search, coalesce(i.indisvalid, FALSE),
           coalesce((SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = i.indexrelid), 0)
    FROM chronos_vectors_collection AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass('chronos_vectors_' || c.id || '_hnsw')
    WHERE c.name = %s
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement has to know of a collection.

    Attributes:
        indexed: whether its HNSW index is there and complete.
        rows: how many rows the index has, about.
    """

    id: int
    dimension: int
    metric: str
    m: int
    ef_construction: int
    ef_search: int
    indexed: bool
    rows: int

    @property
    def kind(self) -> str:
        """pgvector's type that the index is on."""
        return "vector" if self.dimension <= MAX_VECTOR else "halfvec"

    @property
    def operator(self) -> str:
        """The operator that gives the distance."""
        return OPERATORS[self.metric][0]

    @property
    def expression(self) -> str:
        """What the index is on."""
        return f"(vector::{self.kind}({self.dimension}))"


def _indexes(shape: Shape) -> dict[str, str]:
    """By name: what each index is on, and how."""
    where = f"WHERE collection_id = {shape.id}"
    operators = f"{shape.kind}_{OPERATORS[shape.metric][1]}"
    parameters = f"m = {shape.m}, ef_construction = {shape.ef_construction}"
    return {
        f"chronos_vectors_{shape.id}_words": f"USING gin ({WORDS}) {where}",
        # Last: a search takes its being there for the sign that both are.
        f"chronos_vectors_{shape.id}_hnsw": f"USING hnsw ({shape.expression} {operators}) WITH ({parameters}) {where}",
    }


class _Build(threading.Thread):
    """One build of a collection's indexes, on a connection of its own.

    Args:
        anew: whether indexes that are there are replaced.
    """

    def __init__(self, alias: str, shape: Shape, anew: bool) -> None:
        super().__init__(name=f"chronos_vectors index of collection {shape.id}")
        self.alias = alias
        self.shape = shape
        self.anew = anew
        self.error: DatabaseError | None = None
        #: The backend of PostgreSQL that builds, once it does.
        self.backend: int | None = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the build and wait for its end; the indexes stay as they were before."""
        self._cancelled.set()
        while self.is_alive():
            with connections[self.alias].cursor() as cursor:
                cursor.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                    " WHERE pid = %s AND state = 'active' AND query LIKE 'CREATE INDEX%%'",
                    [self.backend],
                )
            self.join(_POLL_SECONDS)

    def run(self) -> None:
        connection = connections[self.alias]
        try:
            with connection.cursor() as cursor:
                while not self._locked(cursor):
                    if self._cancelled.wait(_POLL_SECONDS):
                        return
                self._build(cursor)
        except DatabaseError as error:
            self.error = error
            logger.warning("Building the index of collection %s failed: %s", self.shape.id, error)
        finally:
            connection.close()  # which gives the lock back

    def _locked(self, cursor: Any) -> bool:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s), pg_backend_pid()", [_LOCK, self.shape.id % 2**31])
        locked, self.backend = cursor.fetchone()
        return bool(locked)

    def _build(self, cursor: Any) -> None:
        for name, definition in _indexes(self.shape).items():
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
            if cursor.fetchone() == (True,) and not self.anew:
                continue
            for leftover in (f"{name}_new", f"{name}_old"):  # of a build that was broken off
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {leftover}")
            if self._cancelled.is_set():
                return
            try:
                cursor.execute(f"CREATE INDEX CONCURRENTLY {name}_new ON {_TABLE} {definition}")
            except DatabaseError:
                # Half an index answers no search, and every write would have to keep it.
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_new")
                raise
            with transaction.atomic(using=self.alias):
                cursor.execute(f"ALTER INDEX IF EXISTS {name} RENAME TO {name}_old")
                cursor.execute(f"ALTER INDEX {name}_new RENAME TO {name}")
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_old")
        # The planner has to know the table as it is now.
        cursor.execute(f"ANALYZE {_TABLE}")
        cursor.execute("SELECT 1 FROM chronos_vectors_collection WHERE id = %s", [self.shape.id])
        if cursor.fetchone() is None:  # dropped meanwhile
            _drop(cursor, self.shape.id)


_builds: dict[tuple[str, int], _Build] = {}
_lock = threading.Lock()


def _start(alias: str, shape: Shape, anew: bool) -> _Build:
    with _lock:
        running = _builds.get((alias, shape.id))
        if running and running.is_alive() and not anew:
            return running
        build = _builds[alias, shape.id] = _Build(alias, shape, anew)
        build.start()
        return build


def build_if_due(alias: str, shape: Shape) -> None:
    """Begin to build a collection's indexes, if it is large enough to have them; `wait` waits for the end."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {_TABLE} WHERE collection_id = {shape.id} LIMIT 1 OFFSET {INDEXED_FROM - 1}")
        if cursor.fetchone():
            _start(alias, shape, anew=False)


def rebuild(alias: str, shape: Shape, progress: Progress | None) -> None:
    """Build a collection's indexes anew and wait for the end."""
    build = _start(alias, shape, anew=True)
    try:
        while build.is_alive():
            build.join(_POLL_SECONDS)
            if progress:
                progress(*((build.backend and _progress(alias, build.backend)) or ("waiting", 0.0)))
    except BaseException:
        build.cancel()
        raise
    if build.error:
        raise build.error


def _progress(alias: str, backend: int) -> tuple[str, float] | None:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT phase, greatest(blocks_done::float / nullif(blocks_total, 0),"
            " tuples_done::float / nullif(tuples_total, 0), 0) FROM pg_stat_progress_create_index WHERE pid = %s",
            [backend],
        )
        found: tuple[str, float] | None = cursor.fetchone()
        return found


def wait(alias: str) -> None:
    """Wait until the builds that this process began in a database have ended."""
    with _lock:
        running = [_builds.pop(key) for key in [*_builds] if key[0] == alias]
    for build in running:
        if build is not threading.current_thread():
            build.join()


def drop(alias: str, collection_id: int) -> None:
    """Remove the indexes of a collection that is gone; must be called outside a transaction."""
    with connections[alias].cursor() as cursor:
        _drop(cursor, collection_id)


def _drop(cursor: Any, collection_id: int) -> None:
    for kind in ("hnsw", "words"):
        for ending in ("", "_new", "_old"):
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS chronos_vectors_{collection_id}_{kind}{ending}")


def state(alias: str, collection_id: int) -> tuple[str, int]:
    """The state of a collection's HNSW index, see `CollectionStats`, and its bytes."""
    name = f"chronos_vectors_{collection_id}_hnsw"
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(%s) IS NOT NULL, coalesce(pg_relation_size(to_regclass(%s)), 0),"
            " to_regclass(%s) IS NOT NULL,"
            " EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = to_regclass(%s))",
            [name, name, f"{name}_new", f"{name}_new"],
        )
        is_there, size, is_begun, is_building = cursor.fetchone()
    if is_there:
        return "ready", size
    return ("building" if is_building else "broken" if is_begun else "none"), 0
