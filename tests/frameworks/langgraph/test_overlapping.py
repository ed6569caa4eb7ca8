"""Who writes while others remove, with statements or snapshots that are older than what they wait for."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction

from chronos_storage import Storage
from chronos_storage.exceptions import RetryTransaction
from chronos_storage.integrations.langgraph import ChronosSaver
from chronos_storage.integrations.langgraph.models import GraphWrite, Namespace
from tests.conftest import STRICTEST, alias_of
from tests.frameworks.langgraph.graphs import STEP, checkpoint, config

alias = alias_of(STRICTEST)


@pytest.fixture
def saver(storage_committed: Storage) -> ChronosSaver:
    return ChronosSaver(storage_committed)


def _put(saver: ChronosSaver, given: Any = None) -> Any:
    return saver.put(given or config(), checkpoint({"x": 1}), STEP, {"x": 1})


def _until_it_waits(saver: ChronosSaver, job: Future[Any]) -> None:
    """Until a statement waits for what this thread's transaction has locked."""
    end, waiting = time.monotonic() + 60, 0
    with connections[saver.alias].cursor() as cursor:
        while not waiting and not job.done() and time.monotonic() < end:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            [waiting] = cursor.fetchone()
    assert waiting


def _left_over(saver: ChronosSaver) -> int:
    """Writes of which there is no namespace."""
    there = Namespace.objects.using(saver.alias).values("pk")
    return GraphWrite.objects.using(saver.alias).exclude(namespace__in=there).count()


def test_a_write_that_waited_while_its_thread_was_made_again_is_not_left_over(saver: ChronosSaver) -> None:
    before = _put(saver)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(using=saver.alias):
            other = ChronosSaver(saver.storage)
            other.delete_thread("t")
            _put(other)
            job = pool.submit(saver.put_writes, before, [("x", 2)], "task")
            _until_it_waits(saver, job)
        job.result(60)

    assert _left_over(saver) == 0
    assert [write.task_id for write in GraphWrite.objects.using(saver.alias)] == ["task"]


@pytest.mark.parametrize("knows", [True, False])
def test_a_deletion_in_an_older_snapshot_leaves_no_write_over(saver: ChronosSaver, knows: bool) -> None:
    before = _put(saver)
    storage = saver.storage

    def delete() -> bool:
        with transaction.atomic(using=saver.alias):
            with connections[saver.alias].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return storage.delete_session("t", hard=True)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(using=saver.alias):
            writer = saver if knows else ChronosSaver(storage)
            writer.put_writes(before, [("x", 2)], "task")
            job = pool.submit(delete)
            _until_it_waits(saver, job)
        with pytest.raises(RetryTransaction):
            job.result(60)
        assert pool.submit(delete).result(60)
        pool.submit(connections.close_all).result(60)

    assert _left_over(saver) == 0
    assert not GraphWrite.objects.using(saver.alias).exists()
