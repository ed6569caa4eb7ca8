"""Sessions of the OpenAI Agents SDK, beside the SDK's own stores.

On both databases that is its `SQLAlchemySession`, on the same server, or on SQLite in a file of its own; and on SQLite
its `SQLiteSession` too, which is the bare driver without a table of numbers. Each commit of all of them is on the disk
when it returns, in SQLite's write-ahead log.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agents import SQLiteSession
from agents.extensions.memory import SQLAlchemySession
from sqlalchemy.ext.asyncio import create_async_engine

from chronos_storage.ids import new_id
from chronos_storage.integrations.openai_agents import ChronosSession

from .. import samples
from ..databases import Vendor
from ..measure import Figure, Side, rate
from ..sqlite import Sqlite

_Timed = Callable[[], Coroutine[Any, Any, None]]


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this section, one by one."""
    rounds, turns = (3, 100) if quick else (5, 400)
    items: list[Any] = [{"role": each.role, "content": each.content} for each in samples.messages("s", 2 * turns)]
    with tempfile.TemporaryDirectory() as folder, vendor.database() as database, asyncio.Runner() as runner:

        def ours() -> Any:
            return ChronosSession(new_id(), storage=database.storage)

        def by_sqlalchemy() -> Any:
            return SQLAlchemySession(new_id(), engine=engine)

        def by_sqlite() -> Any:
            return SQLiteSession(new_id(), Path(folder) / "sessions.sqlite3")

        others: list[tuple[str, Callable[[], Any], float | None]]
        if isinstance(vendor, Sqlite):
            engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/sqlalchemy.sqlite3")
            others = [("SQLAlchemySession", by_sqlalchemy, None), ("SQLiteSession", by_sqlite, None)]
        else:
            engine = create_async_engine(urlsplit(database.url)._replace(scheme="postgresql+asyncpg").geturl())
            others = [("SQLAlchemySession", by_sqlalchemy, vendor.bar(2))]
        runner.run(SQLAlchemySession("first", engine=engine, create_tables=True).get_items())
        for against, theirs, at_least in others:
            for name, work, count in (
                ("turns of two items, one by one", _adding, turns),
                ("turns of 20 workers at once, a session each", _adding_at_once, 20 * (turns // 20)),
                ("get_items of the latest 50", _reading, turns),
            ):
                mine, other = (_side(runner, work, make, items) for make in (ours, theirs))
                yield rate(name, count, mine, other, rounds=rounds, against=against, at_least=at_least)
        runner.run(engine.dispose())


def _side(runner: asyncio.Runner, work: Callable[..., Any], make: Callable[[], Any], items: list[Any]) -> Side:
    def ready() -> Callable[[], object]:
        timed = runner.run(work(make, items))
        return lambda: runner.run(timed())

    return ready


async def _adding(make: Callable[[], Any], items: list[Any]) -> _Timed:
    session = make()

    async def work() -> None:
        for place in range(0, len(items), 2):
            await session.add_items(items[place : place + 2])

    return work


async def _adding_at_once(make: Callable[[], Any], items: list[Any]) -> _Timed:
    size = 2 * (len(items) // 40)
    works = [await _adding(make, items[size * number : size * (number + 1)]) for number in range(20)]

    async def work() -> None:
        await asyncio.gather(*(each() for each in works))

    return work


async def _reading(make: Callable[[], Any], items: list[Any]) -> _Timed:
    session = make()
    await session.add_items(items)

    async def work() -> None:
        for _ in range(len(items) // 2):
            assert len(await session.get_items(limit=50)) == 50

    return work
