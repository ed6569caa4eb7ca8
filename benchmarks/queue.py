"""The event queue: how soon a waiting process has what was committed, and how fast it takes what is published."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from statistics import median, quantiles
from typing import Any

from django.db import transaction
from django.test.utils import override_settings

from chronos_storage.queues.orm import OrmQueue

from .appending import EVENTS, appending, session
from .databases import Database, Vendor
from .measure import Figure, Side, duration, rate

_CHANNEL = "bare"
_TABLE = "CREATE TABLE bare (id {id}, topic text NOT NULL, event text NOT NULL)"
_INSERT = "INSERT INTO bare (topic, event) VALUES ({0}, {0})"
_EVENT = '{"n": 1, "text": "a short message of some thirty letters"}'


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    with vendor.database() as database:
        queue = OrmQueue(using=database.storage.alias)  # benchmarks are of the ORM's
        execute, close = _bare(database.url)
        try:
            yield _publishing(queue, execute, 4 if quick else 20)
            yield _events(vendor, database, 4 if quick else 20)
            if database.url.startswith("postgres"):
                yield from _delivery(database, queue, execute, 100 if quick else 500)
        finally:
            close()
            queue.close()


def _bare(url: str) -> tuple[Callable[..., object], Callable[[], None]]:
    """How the bare driver runs a statement, after a table of its own was made."""
    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"), 60, isolation_level=None)
        file.execute("PRAGMA synchronous = FULL")
        file.execute(_TABLE.format(id="integer PRIMARY KEY"))
        insert = _INSERT.format("?")
        return lambda: file.execute(insert, ["t", _EVENT]), file.close
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute(_TABLE.format(id="bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))
    insert = _INSERT.format("%s")
    return lambda: connection.execute(insert, ["t", _EVENT], prepare=True), connection.close


def _publishing(queue: OrmQueue, insert: Callable[..., object], rounds: int) -> Figure:
    count = 50
    event = {"n": 1, "text": "a short message of some thirty letters"}

    def repeated(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(count):
                work()

        return run

    return rate(
        "publish, one after the other",
        count,
        lambda: repeated(lambda: queue.publish("t", event)),
        lambda: repeated(insert),
        rounds=rounds,
    )


def _events(vendor: Vendor, database: Database, rounds: int) -> Figure:
    """An append with its event's publishing, beside one without."""
    count, options = 50, {"OPTIONS": {"USING": database.storage.alias}, "PUBLISH_EVENTS": True}
    sides = [appending(EVENTS, database, session(EVENTS, database, name), count) for name in ("published", "not")]

    def set_to(value: bool, side: Side) -> Side:
        def ready() -> Callable[[], object]:
            options["PUBLISH_EVENTS"] = value
            return side()

        return ready

    with override_settings(CHRONOS_STORAGE={"QUEUE": options}):
        return duration(
            "append_event with PUBLISH_EVENTS",
            count,
            set_to(True, sides[0]),
            set_to(False, sides[1]),
            rounds=rounds,
            against="without",
            at_most=vendor.bar(1.3),
        )


def _delivery(database: Database, queue: OrmQueue, execute: Any, count: int) -> Iterator[Figure]:
    import psycopg

    with psycopg.connect(database.url, autocommit=True) as sender:

        def publish() -> float:
            with transaction.atomic(using=queue.alias):
                queue.publish("live", 1)
                return time.monotonic()

        def notify() -> float:
            with sender.transaction():
                sender.execute(f"NOTIFY {_CHANNEL}")
                return time.monotonic()

        ours = _times(partial(_subscribe, queue), count, publish)
        bare = _times(partial(_listen, database.url), count, notify)
    for name, part in (("median", median), ("99 %", lambda times: quantiles(times, n=100)[98])):
        mine, theirs = part(ours) * 1000, part(bare) * 1000
        yield Figure(
            name=f"from commit to another process that waits, {name}",
            unit="ms",
            ours=mine,
            other=theirs,
            ratio=mine / theirs,
            against="bare NOTIFY",
            rounds=list(zip(ours, bare, strict=True)) if name == "median" else [],
        )


def _times(wait: Callable[[Connection], None], count: int, send: Callable[[], float]) -> list[float]:
    """Seconds from each commit, which begins when `send` says, to the moment when another process has heard of it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=wait, args=[theirs], daemon=True)
    process.start()
    ours.recv()
    times = []
    for number in range(count + 20):
        committed = send()
        heard = ours.recv()
        if number >= 20:
            times.append(heard - committed)
    process.kill()
    process.join()
    return times


def _subscribe(queue: OrmQueue, pipe: Connection) -> None:
    """The other process: tells when its handler is called."""
    queue.subscribe("live", lambda entry: pipe.send(time.monotonic()))
    pipe.send("ready")
    threading.Event().wait()


def _listen(url: str, pipe: Connection) -> None:
    """The other process, with nothing but the driver."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {_CHANNEL}")
        pipe.send("ready")
        for _ in connection.notifies():
            pipe.send(time.monotonic())
