"""The logs of items that states of checkpoints are made of, in tables; what a log is, `checkpoints` says.

Whoever adds to a log or removes from it has locked the head of its series. Readers lock nothing: they read a skeleton
and then its items, and where those have gone in between they begin again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import copy
from itertools import pairwise
from typing import Any

from django.db import connections, transaction
from django.db.models import Q
from django.db.models.query import QuerySet

from .. import codec, records
from ..batches import batches
from ..checkpoints.outlines import WHOLE, Outline
from ..checkpoints.runs import MAX_ITEMS, Item, Items, Range, digests_in, merged, packed
from ..checkpoints.skeletons import Skeleton, assembled, is_skeleton, place, ranges_of
from ..models import Checkpoint, CheckpointItems, Head
from ..preparing import prepared_cursor
from ..snapshots import current
from .heads import heads_of, locked, move

#: Ranges that a statement reads or removes, at most.
_RANGES = 50
#: Checkpoints that a statement names, at most.
_KEYS = 500
#: A log is looked through for what no checkpoint uses once one was removed for so many that are kept.
_KEPT_PER_REMOVED = 100


class ItemLog:
    """The log of a series, whose head is locked, for who adds to it.

    Attributes:
        head: its `log_end` is moved by `write`; the caller saves it.
    """

    def __init__(self, using: str, head: Head) -> None:
        self.head = head
        self._using = using
        self._rows = _items(using, head.owner, head.namespace)
        self._checkpoints = Checkpoint.objects.using(using).filter(session_id=head.owner, namespace=head.namespace)
        self._new: list[Item] = []
        self._kept: dict[str, Any] = {}
        self._last: Any = None

    def keep(self, record: records.Checkpoint, parts: Outline) -> records.Checkpoint:
        """The record as it is to be stored: with a skeleton for its state, unless that is short.

        Args:
            parts: the outline of the state.
        """
        kept = copy(record)
        if parts.size > WHOLE:
            state: Any
            state, new = place(parts, self._base(record.parent_id), self._end, self._digests)
            self._new += new
            kept.state = state
        self._kept[record.id] = self._last = kept.state
        return kept

    def write(self) -> None:
        """Add what is new."""
        runs = packed(self._new, self.head.log_end)
        self.head.log_end, self._new = self._end, []
        for batch in batches(runs):
            self._rows.bulk_create(
                CheckpointItems(
                    session_id=self.head.owner,
                    namespace=self.head.namespace,
                    start=run.start,
                    stop=run.stop,
                    digests=run.digests,
                    items=run.items,
                )
                for run in batch
            )

    @property
    def _end(self) -> int:
        return self.head.log_end + len(self._new)

    def _base(self, parent_id: str) -> Skeleton | None:
        """The skeleton of the parent, or else of the one before."""
        if self._end == 0:
            return None
        state = self._kept.get(parent_id)
        if state is None and parent_id:
            state = self._stored(self._checkpoints.filter(checkpoint_id=parent_id))
        if state is None:
            state = self._last
        if state is None:
            state = self._stored(self._checkpoints.order_by("-seq_num"))
        return state if is_skeleton(state) else None

    def _stored(self, rows: QuerySet[Checkpoint]) -> Any:
        return current(rows).values_list("state", flat=True).first()

    def _digests(self, ranges: list[Range]) -> Mapping[int, bytes]:
        end = self.head.log_end
        found = dict(enumerate((item.digest for item in self._new), end))
        stored = (each for each in ranges if each[0] < end)
        return found | digests_of(self._using, self.head.owner, self.head.namespace, stored, for_update=True)


def digests_of(
    using: str, session_id: str, namespace: str, ranges: Iterable[Range], *, for_update: bool = False
) -> dict[int, bytes]:
    """The digests of the items of a series in these ranges and near them, by position."""
    found: dict[int, bytes] = {}
    for start, digests in _select(using, session_id, namespace, "start, digests", ranges, for_update=for_update):
        found.update(digests_in(start, bytes(digests)))
    return found


def fill(using: str, found: Iterable[records.Checkpoint], *, for_update: bool = False) -> None:
    """Put the states in the place of their skeletons.

    Args:
        for_update: whether the checkpoints were locked as they were read, and seen past a snapshot.

    Raises:
        Missing: items are not there any more.
    """
    series: dict[tuple[str, str], list[records.Checkpoint]] = defaultdict(list)
    for record in found:
        if is_skeleton(record.state):
            series[record.session_id, record.namespace].append(record)
    for (session_id, namespace), of_series in series.items():
        skeletons: list[Any] = [record.state for record in of_series]
        ranges = [positions for skeleton in skeletons for positions in ranges_of(skeleton)]
        columns = "start, stop, digests, items"
        items = Items(_select(using, session_id, namespace, columns, ranges, for_update=for_update))
        for record, skeleton in zip(of_series, skeletons, strict=True):
            record.state = codec.loads(assembled(skeleton, items))


def _select(
    using: str, session_id: str, namespace: str, columns: str, ranges: Iterable[Range], *, for_update: bool
) -> list[Any]:
    """Columns, the first of which is "start", of the runs of a series that have an item in these ranges.

    The text of the statement is made here: Django takes longer to make it than a database to read a hundred runs.
    """
    connection = connections[using]
    locked = " FOR UPDATE" if for_update and connection.vendor == "mysql" else ""
    spans = merged(ranges)
    found: list[Any] = []
    for at in range(0, len(spans), _RANGES):
        some = spans[at : at + _RANGES]
        # A run begins at most so far before the first item that is wanted of it: the index needs to know.
        bounds = [bound for start, stop in some for bound in (start - MAX_ITEMS, stop, start)]
        within = " OR ".join(["start > %s AND start < %s AND stop > %s"] * len(some))
        sql = (
            f"SELECT {columns} FROM {CheckpointItems._meta.db_table}"
            f" WHERE session_id = %s AND namespace = %s AND ({within}){locked}"
        )
        with prepared_cursor(connection) as cursor:
            cursor.execute(sql, [session_id, namespace, *bounds])
            rows = cursor.fetchall()
        # What begins before the end of the last statement's spans was found by that one.
        found += [row for row in rows if row[0] >= spans[at - 1][1]] if at else rows
    return found


def count_removed(using: str, head: Head, removed: int) -> None:
    """Count the checkpoints that were removed from a series; `sweep` is to be called once that is committed.

    Args:
        head: locked; it is saved, so that a transaction that saw what is removed now can't go on from it.
    """
    if head.log_end:
        head.removed += removed
        move(using, head, "removed")


def sweep(using: str, session_id: str, namespace: str) -> None:
    """Remove the items that no checkpoint of a series uses, or put it off; to be called outside of transactions.

    The skeletons of all that are kept are read before others have to wait, and so once for every hundredth of them that
    was removed; under the lock the keys of all are, and those that were saved meanwhile, which alone may use what was
    added or what their bases did, that were removed meanwhile.
    """
    heads = heads_of(using, Head.Kind.CHECKPOINT, [session_id], namespace)
    kept = Checkpoint.objects.using(using).filter(session_id=session_id, namespace=namespace, state_size__gt=0)
    removed = heads.values_list("removed", flat=True).first()
    if not removed or removed * _KEPT_PER_REMOVED < kept.count():
        return
    used, seen = _used(kept)
    with transaction.atomic(using=using):
        for head in locked(heads):
            # Not those of higher keys: a sequence may have each connection give out a stock of its own.
            added = sorted(set(current(kept).values_list("pk", flat=True)) - seen)
            for at in range(0, len(added), _KEYS):
                used += _used(current(kept.filter(pk__in=added[at : at + _KEYS])))[0]
            bounds = pairwise([(0, 0), *merged(used, near=0), (head.log_end, head.log_end)])
            unused = [(stop, start) for (_, stop), (start, _) in bounds if start > stop]
            rows = _items(using, session_id, namespace)
            for at in range(0, len(unused), _RANGES):
                within = (Q(start__gte=start, stop__lte=stop) for start, stop in unused[at : at + _RANGES])
                rows.filter(_any(within)).delete()
            head.removed = max(head.removed - removed, 0)
            move(using, head, "removed")


def _used(kept: QuerySet[Checkpoint]) -> tuple[list[Range], set[int]]:
    """What the states of checkpoints are made of, and their primary keys."""
    used: list[Range] = []
    seen: set[int] = set()
    for pk, skeleton in kept.values_list("pk", "state").iterator():
        seen.add(pk)
        used += ranges_of(skeleton)
        if len(used) > 10_000:
            used = merged(used, near=0)
    return used, seen


def _items(using: str, session_id: str, namespace: str) -> QuerySet[CheckpointItems]:
    return CheckpointItems.objects.using(using).filter(session_id=session_id, namespace=namespace)


def _any(conditions: Iterable[Q]) -> Q:
    either = Q()
    for condition in conditions:
        either |= condition
    return either
