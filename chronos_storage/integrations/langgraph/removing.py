"""What is removed of threads, in a transaction on any database.

Whoever removes locks the session first, as all writers do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter

from django.db import transaction
from django.db.models import Q

from ... import codec
from ...checkpoints.runs import Range, merged
from ...facade.storage import Storage
from ...ledger.heads import lock_sessions, refuse_held, require_fence
from ...snapshots import current
from .channels import from_json
from .encoding import new_version, run_key
from .keys import Where, key_of
from .models import GraphCheckpoint, GraphItems, GraphWrite, Namespace, Thread
from .reading import Found, ancestors, one
from .writing import BATCH, rows_of


def delete_thread(storage: Storage, where: Where, fence: int | None = None) -> bool:
    """Remove all that a thread has, and soft-delete its session, by which late writes are refused.

    Raises:
        LegalHold: the session is under one.
    """
    using = storage.alias
    with transaction.atomic(using=using):
        for session in lock_sessions(using, [where.session_id]).values():
            require_fence(session, fence)
            refuse_held(session)
            threads = rows_of(Thread, using).filter(pk=session.id, deleted=False)
            if not threads.update(deleted=True):
                return False
            _remove(using, rows_of(Namespace, using).filter(thread_id=session.id).values_list("pk", flat=True))
            storage.delete_session(session.id, fence=fence)
            return True
    return False


def keep_latest(using: str, where: Where) -> None:
    """Remove all checkpoints of a thread but the latest of each namespace, and what that is rebuilt from.

    The namespace of a subgraph's call goes with the checkpoint of the root that the call began from.

    Raises:
        LegalHold: the session is under one.
    """
    with _closed(using, where):
        names = rows_of(Namespace, using).filter(thread_id=where.session_id).order_by("key")
        roots: tuple[set[str], set[str]] = set(), set()
        for pk, name in names.values_list("pk", "name"):  # the root, which has no name, before all others
            latest = one(using, Where(where.thread_id, name), None)
            if latest is None:
                continue
            checkpoints = rows_of(GraphCheckpoint, using).filter(namespace_id=pk)
            there = set(checkpoints.values_list("checkpoint_id", flat=True))
            kept = {latest.checkpoint_id} | rebuilt_from(using, latest)
            if not name:
                roots = there, kept
            root = latest.metadata.get("parents", {}).get("")
            if ":" in name and root in roots[0] - roots[1]:
                _remove(using, [pk])
                continue
            _delete(using, pk, there - kept)
            checkpoints.exclude(parent_id__in=kept).exclude(parent_id="").update(parent_id="")


def rebuilt_from(using: str, found: Found) -> set[str]:
    """The ancestors of a checkpoint from whose writes its delta channels are rebuilt, down to their last snapshots."""
    wanted = set(found.metadata.get("counters_since_delta_snapshot") or ()) - set(found.places)
    needed: set[str] = set()
    if wanted:
        for step in ancestors(using, found.namespace, found.checkpoint_id):
            needed.add(step.checkpoint_id)
            wanted -= set(step.places)
            if not wanted:
                break
    return needed


@contextmanager
def _closed(using: str, where: Where) -> Iterator[None]:
    """A transaction in which nobody else writes to a thread, for who removes what it has.

    Raises:
        LegalHold: the session is under one.
    """
    with transaction.atomic(using=using):
        for session in lock_sessions(using, [where.session_id]).values():
            refuse_held(session)
        yield


def _delete(using: str, namespace: int, checkpoint_ids: Collection[str]) -> None:
    listed = sorted(checkpoint_ids)
    for at in range(0, len(listed), BATCH):
        for model in (GraphWrite, GraphCheckpoint):
            rows = rows_of(model, using).filter(namespace_id=namespace)
            rows.filter(checkpoint_id__in=listed[at : at + BATCH]).delete()
    if listed:
        _sweep(using, namespace)


def delete_runs(using: str, run_ids: Iterable[str]) -> None:
    """Remove the checkpoints of these runs, thread by thread, with their writes.

    Raises:
        LegalHold: a session is under one.
    """
    for where, namespaces in _of_runs(using, run_ids).items():
        with _closed(using, where):
            for pk, checkpoint_ids in sorted(namespaces.items()):
                _delete(using, pk, checkpoint_ids)


def _of_runs(using: str, run_ids: Iterable[str]) -> dict[Where, dict[int, set[str]]]:
    """The checkpoints of these runs, by their threads and namespaces."""
    found: dict[Where, dict[int, set[str]]] = {}
    listed = sorted(set(run_ids))
    for at in range(0, len(listed), BATCH):
        keys = [run_key(run_id) for run_id in listed[at : at + BATCH]]
        rows = rows_of(GraphCheckpoint, using).filter(~Q(run_id=""), run_id__in=keys)
        columns = rows.values_list("namespace__thread__thread_id", "namespace_id", "checkpoint_id")
        for thread_id, namespace, checkpoint_id in columns.order_by("namespace__thread_id", "pk"):
            found.setdefault(Where(thread_id), {}).setdefault(namespace, set()).add(checkpoint_id)
    return found


def _remove(using: str, namespaces: Iterable[int]) -> None:
    pks = list(namespaces)
    for model in (GraphWrite, GraphCheckpoint, GraphItems):
        rows_of(model, using).filter(namespace_id__in=pks).delete()
    rows_of(Namespace, using).filter(pk__in=pks).delete()


def _sweep(using: str, namespace: int) -> None:
    """Remove the items of a namespace's logs that no checkpoint uses; nobody adds to them meanwhile."""
    used: dict[str, list[Range]] = defaultdict(list)
    kept = current(rows_of(GraphCheckpoint, using).filter(namespace_id=namespace))
    for places in kept.values_list("places", flat=True):
        for channel, place in from_json(codec.loads(places)).items():
            ranges = used[key_of(channel)]
            ranges += place.ranges
            if len(ranges) > 10_000:
                used[key_of(channel)] = merged(ranges, near=0)
    spans = {channel: merged(ranges, near=0) for channel, ranges in used.items()}
    runs = rows_of(GraphItems, using).filter(namespace_id=namespace)
    unused = [
        pk
        for pk, channel, start, stop in runs.values_list("pk", "channel", "start", "stop")
        if not _touches(spans.get(channel, []), start, stop)
    ]
    for at in range(0, len(unused), BATCH):
        runs.filter(pk__in=unused[at : at + BATCH]).delete()
    if unused:  # which who knows the logs as they were has to see
        rows_of(Namespace, using).filter(pk=namespace).update(version=new_version())


def _touches(spans: list[Range], start: int, stop: int) -> bool:
    at = bisect_left(spans, stop, key=itemgetter(0)) - 1
    return at >= 0 and spans[at][1] > start
