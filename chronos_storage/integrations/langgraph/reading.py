"""What the tables hold of threads, in few statements: a checkpoint with its writes is one, and its items another."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.utils import CursorWrapper

from ... import codec
from ...backends.orm.having import JSONHas
from ...checkpoints.runs import Range, merged
from ...keyset import After
from ...preparing import prepared_cursor
from .channels import RUN_ITEMS, Items, Place, Run, from_json
from .keys import Where, key_of
from .models import GraphCheckpoint, GraphItems, GraphWrite, Namespace
from .phrases import expanded, shortened

#: Ranges that a statement reads, and checkpoints whose writes one reads, at most.
_RANGES = 50
_KEYS = 400

_CHECKPOINT = GraphCheckpoint._meta.db_table
_ITEMS = GraphItems._meta.db_table
_NAMESPACE = Namespace._meta.db_table
_WRITE = GraphWrite._meta.db_table

#: What is read of runs: each, or where the database puts bytes together, all as one, if none is missing between them.
_EACH_RUN = "i.start, i.stop, i.channel, NULL, NULL, NULL, NULL, NULL, i.entries, i.items"
_RUNS = {
    "postgresql": "MIN(i.start), MAX(i.stop), MIN(i.channel), NULL, NULL, NULL, NULL, NULL,"
    " string_agg(i.entries, '' ORDER BY i.start), string_agg(i.items, '' ORDER BY i.start)"
}
_TOGETHER = {"postgresql": "HAVING SUM(i.stop - i.start) = MAX(i.stop) - MIN(i.start)"}


class Write(NamedTuple):
    """A pending write, in the order of its fields."""

    task_path: str
    task_id: str
    idx: int
    channel: str
    type: str
    data: bytes

    def columns(self) -> dict[str, Any]:
        """What its row has."""
        return self._replace(data=shortened(self.data))._asdict()


@dataclass
class Found:
    """A checkpoint as it is stored.

    Attributes:
        pk: of its row; 0 where it was read alone.
        places: by the channel; nothing for a value that is with the checkpoint.
        version, ends, runs: of its namespace, and the items of its main channel, where it was read alone.
    """

    pk: int
    namespace: int
    where: Where
    checkpoint_id: str
    parent_id: str
    type: str
    data: bytes
    places: dict[str, list[Any]]
    metadata: dict[str, Any]
    version: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @property
    def kept(self) -> dict[str, Place]:
        """The places of the channels whose values are in logs."""
        return from_json(self.places)


def one(using: str, where: Where, checkpoint_id: str | None) -> Found | None:
    """A checkpoint with its writes, in order, and the items of its main channel; the latest where none is named."""
    which, given = "%s", [checkpoint_id]
    if not checkpoint_id:
        which = f"(SELECT MAX(l.checkpoint_id) FROM {_CHECKPOINT} l WHERE l.namespace_id = n.id)"
        given = []
    # Where a column is nothing in the first two parts, PostgreSQL would take it for text.
    sql = f"""WITH c AS (
    SELECT c.*, n.version, n.ends FROM {_NAMESPACE} n
    JOIN {_CHECKPOINT} c ON c.namespace_id = n.id AND c.checkpoint_id = {which}
    WHERE n.thread_id = %s AND n.{_quoted(using, "key")} = %s
)
SELECT 1, c.namespace_id, c.version, c.checkpoint_id, c.parent_id, c.type, c.ends, c.places,
    {_text_of(using, "c.metadata")}, c.data, NULL FROM c
UNION ALL SELECT 2, {_RUNS.get(connections[using].vendor, _EACH_RUN)}
    FROM c JOIN {_ITEMS} i ON i.namespace_id = c.namespace_id AND i.channel = c.main
    AND i.start > c.main_start - {RUN_ITEMS} AND i.start < c.main_stop AND i.stop > c.main_start
    {_TOGETHER.get(connections[using].vendor, "")}
UNION ALL SELECT 3, w.idx, NULL, w.task_path, w.task_id, w.channel, w.type, NULL, NULL, w.data, NULL
    FROM c JOIN {_WRITE} w ON w.namespace_id = c.namespace_id AND w.checkpoint_id = c.checkpoint_id"""
    found: Found | None = None
    writes: list[Write] = []
    runs: list[Run] = []
    for kind, one, other, a, b, c, d, e, f, data, items in _all(using, sql, [*given, where.session_id, where.key]):
        if kind == 1:
            found = Found(0, one, where, a, b, c, expanded(data), codec.loads(e), codec.loads(f), other, codec.loads(d))
        elif kind == 2:
            runs.append(Run(a, one, other, bytes(data), expanded(items)))
        else:
            writes.append(Write(a, b, one, c, d, expanded(data)))
    if found is not None:
        found.writes, found.runs = sorted(writes), runs
    return found


def writes_of(
    using: str, namespace: int, checkpoint_ids: Collection[str], channels: Collection[str] | None = None
) -> dict[str, list[Write]]:
    """The writes after these checkpoints of a namespace, each's in order; to these channels, or all."""
    found: dict[str, list[Write]] = defaultdict(list)
    listed = list(checkpoint_ids)
    for at in range(0, len(listed), _KEYS):
        ids = listed[at : at + _KEYS]
        sql = (
            f"SELECT checkpoint_id, task_path, task_id, idx, channel, type, data FROM {_WRITE}"
            f" WHERE namespace_id = %s AND checkpoint_id IN ({_marks(ids)})"
        )
        values: list[Any] = [namespace, *ids]
        if channels is not None:
            sql += f" AND channel IN ({_marks(channels)})"
            values += channels
        for checkpoint_id, *columns in _all(using, sql, values):
            found[checkpoint_id].append(_write(*columns))
    for each in found.values():
        each.sort()
    return found


class Step(NamedTuple):
    """What a walk along the parents of a checkpoint needs to know of one."""

    checkpoint_id: str
    parent_id: str
    places: dict[str, list[Any]]


def ancestors(using: str, namespace: int, checkpoint_id: str) -> Iterator[Step]:
    """The parent of a checkpoint, its parent, and so on, page by page: nearly always it is the one before."""
    steps: dict[str, Step] = {}
    wanted, size, seen = checkpoint_id, 64, {checkpoint_id}
    while True:
        if wanted not in steps:
            sql = (
                f"SELECT checkpoint_id, parent_id, places FROM {_CHECKPOINT}"
                f" WHERE namespace_id = %s AND checkpoint_id <= %s ORDER BY checkpoint_id DESC LIMIT {size}"
            )
            rows = _all(using, sql, [namespace, wanted])
            steps |= {id: Step(id, parent, codec.loads(places)) for id, parent, places in rows}
            size = min(2 * size, 1024)
        if (step := steps.get(wanted)) is None:
            return
        if wanted != checkpoint_id:
            yield step
        if not step.parent_id or step.parent_id in seen:
            return
        wanted = step.parent_id
        seen.add(wanted)


class Logs:
    """The items of channels' logs, each run of them read once.

    Args:
        found: a checkpoint that was read alone, with what was read along.
    """

    def __init__(self, using: str, found: Found | None = None) -> None:
        self._using = using
        self._runs: dict[tuple[int, str], dict[int, Run]] = defaultdict(dict)
        self._read: dict[tuple[int, str], list[Range]] = defaultdict(list)
        if found is not None and found.runs:
            self._add(found.namespace, found.runs, merged([(run.start, run.stop) for run in found.runs], near=0))

    def items(self, namespace: int, channel: str, places: Iterable[Place]) -> Items:
        """The items of these places of a channel's values, and perhaps others."""
        key = key_of(channel)
        wanted = merged(each for place in places for each in place.ranges)
        if missing := [each for each in wanted if not _covers(self._read[namespace, key], each)]:
            runs = _runs(self._using, namespace, key, missing)
            self._add(namespace, runs, missing)
        return Items(self._runs[namespace, key].values())

    def _add(self, namespace: int, runs: Iterable[Run], ranges: Sequence[Range]) -> None:
        channel = ""
        for run in runs:
            channel = run.channel
            self._runs[namespace, channel][run.start] = run
        known = self._read[namespace, channel]
        known[:] = merged([*known, *ranges], near=0)


def _runs(using: str, namespace: int, channel: str, ranges: Sequence[Range]) -> list[Run]:
    """The runs of a log that have an item in these ranges, which are in order and not near each other."""
    found: list[Run] = []
    for at in range(0, len(ranges), _RANGES):
        some = ranges[at : at + _RANGES]
        # A run begins at most so far before the first item that is wanted of it: the index needs to know.
        bounds = [bound for start, stop in some for bound in (start - RUN_ITEMS, stop, start)]
        within = " OR ".join(["start > %s AND start < %s AND stop > %s"] * len(some))
        sql = (
            f"SELECT start, stop, entries, items FROM {_ITEMS} WHERE namespace_id = %s AND channel = %s AND ({within})"
        )
        rows = _all(using, sql, [namespace, channel, *bounds])
        found += [Run(channel, start, stop, bytes(entries), expanded(items)) for start, stop, entries, items in rows]
    return found


def page(
    using: str,
    *,
    session_id: str | None,
    key: str | None,
    checkpoint_id: str | None,
    before: str | None,
    metadata: Mapping[str, Any],
    after: tuple[str, int] | None,
    limit: int,
) -> list[Found]:
    """Checkpoints that match, the newest first, without their writes.

    Args:
        session_id, key: of one thread, and of one namespace; None for all.
        metadata: strings, numbers, booleans or None that the metadata must have.
        after: the last of the page before, its id and primary key.
    """
    rows = GraphCheckpoint.objects.using(using)
    equal = {"namespace__thread": session_id, "namespace__key": key, "checkpoint_id": checkpoint_id}
    rows = rows.filter(**{name: value for name, value in equal.items() if value is not None})
    if before is not None:
        rows = rows.filter(checkpoint_id__lt=before)
    for name, value in metadata.items():
        rows = rows.filter(JSONHas((name,), value))
    if after is not None:
        rows = rows.filter(After(("checkpoint_id", "pk"), after, "lt"))
    columns = rows.order_by("-checkpoint_id", "-pk").values_list(
        "pk",
        "namespace_id",
        "namespace__thread__thread_id",
        "namespace__name",
        "checkpoint_id",
        "parent_id",
        "type",
        "data",
        "places",
        "metadata",
    )
    return [
        Found(pk, namespace, Where(thread_id, name), id, parent_id, form, expanded(data), codec.loads(places), metadata)
        for pk, namespace, thread_id, name, id, parent_id, form, data, places, metadata in columns[:limit]
    ]


def _write(task_path: str, task_id: str, idx: int, channel: str, form: str, data: Any) -> Write:
    return Write(task_path, task_id, idx, channel, form, expanded(data))


def _covers(known: list[Range], wanted: Range) -> bool:
    at = bisect_right(known, (wanted[0], float("inf"))) - 1
    return at >= 0 and known[at][1] >= wanted[1]


def _marks(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _text_of(using: str, column: str) -> str:
    return f"{column}::text" if connections[using].vendor == "postgresql" else column


def _quoted(using: str, name: str) -> str:
    return connections[using].ops.quote_name(name)


def _all(using: str, sql: str, values: Sequence[Any]) -> list[Any]:
    with prepared_cursor(connections[using]) as cursor:
        if isinstance(cursor, CursorWrapper):
            cursor.execute(sql, values)
        else:  # the driver's own, of PostgreSQL, which else would write bytes out as text
            cursor.execute(sql, values, binary=True)
        rows: list[Any] = cursor.fetchall()
    return rows
