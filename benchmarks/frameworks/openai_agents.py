"""Sessions of the OpenAI Agents SDK, beside the SDK's own store in a file of SQLite's.

Each commit of both is on the disk when it returns. On PostgreSQL the SDK's own needs SQLAlchemy.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agents import SQLiteSession

from chronos_storage.ids import new_id
from chronos_storage.integrations.openai_agents import ChronosSession

from .. import samples
from ..databases import Vendor
from ..measure import Figure, Side, rate
from ..sqlite import Sqlite

_OWN = "SQLiteSession"


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this section, one by one."""
    if not isinstance(vendor, Sqlite):
        return
    rounds, turns = (3, 100) if quick else (5, 400)
    items: list[Any] = [{"role": each.role, "content": each.content} for each in samples.messages("s", 2 * turns)]
    with tempfile.TemporaryDirectory() as folder, vendor.database() as database:
        path = Path(folder) / "sessions.sqlite3"

        def ours() -> Any:
            return ChronosSession(new_id(), storage=database.storage)

        def theirs() -> Any:
            return SQLiteSession(new_id(), path)

        for name, work, count in (
            ("turns of two items, one by one", _adding, turns),
            ("turns of 20 workers at once, a session each", _adding_at_once, 20 * (turns // 20)),
            ("get_items of the latest 50", _reading, turns),
        ):
            yield rate(name, count, _side(work, ours, items), _side(work, theirs, items), rounds=rounds, against=_OWN)


def _side(work: Callable[..., Any], make: Callable[[], Any], items: list[Any]) -> Side:
    return lambda: lambda: asyncio.run(work(make, items))


async def _adding(make: Callable[[], Any], items: list[Any]) -> None:
    session = make()
    for place in range(0, len(items), 2):
        await session.add_items(items[place : place + 2])


async def _adding_at_once(make: Callable[[], Any], items: list[Any]) -> None:
    size = 2 * (len(items) // 40)
    await asyncio.gather(*(_adding(make, items[size * number : size * (number + 1)]) for number in range(20)))


async def _reading(make: Callable[[], Any], items: list[Any]) -> None:
    session = make()
    await session.add_items(items)
    for _ in range(len(items) // 2):
        await session.get_items(limit=50)
