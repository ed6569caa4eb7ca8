"""The steps of a run of Pydantic AI's, beside the harness's own store in a file of SQLite's.

It has none for PostgreSQL, so there is nothing to measure on that.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai_harness.step_persistence import ContinuableSnapshot, RunRecord, SqliteStepStore, StepEvent

from chronos_storage.ids import new_id
from chronos_storage.integrations.pydantic_ai import ChronosStepStore

from .. import samples
from ..databases import Database, Vendor
from ..measure import Figure, Side, duration, rate
from ..sqlite import Sqlite

_OWN = "SqliteStepStore"


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this section, one by one."""
    if not isinstance(vendor, Sqlite):
        return
    rounds, turns = (3, 40) if quick else (5, 200)
    with tempfile.TemporaryDirectory() as folder, vendor.database() as database:
        own, ours = Path(folder) / "steps.sqlite3", ChronosStepStore(database.storage)
        theirs = SqliteStepStore(database=own)
        conversation = _conversation(turns)
        yield rate(
            "append_event of a step", turns, _events(ours, turns), _events(theirs, turns), rounds=rounds, against=_OWN
        )
        before = (database.size(), _size(own))
        yield duration(
            f"save_snapshot, {turns} turns that grow a conversation",
            turns,
            _snapshots(ours, conversation),
            _snapshots(theirs, conversation),
            rounds=rounds,
            against=_OWN,
        )
        yield _disk(database, own, before, turns)


def _events(store: Any, count: int) -> Side:
    return lambda: _running(lambda: _append(store, count))


async def _append(store: Any, count: int) -> None:
    run_id = new_id()
    await store.register_run(RunRecord(run_id=run_id, conversation_id="talk"))
    for number in range(count):
        await store.append_event(
            StepEvent(run_id=run_id, kind="model_request_completed", step_index=number, idempotency_key=f"{number}:")
        )


def _snapshots(store: Any, conversation: list[ModelMessage]) -> Side:
    return lambda: _running(lambda: _save(store, conversation))


async def _save(store: Any, conversation: list[ModelMessage]) -> None:
    run_id = new_id()
    await store.register_run(RunRecord(run_id=run_id, conversation_id="talk"))
    for turn in range(1, len(conversation) // 2 + 1):
        messages = conversation[: 2 * turn]
        key = f"{turn}:{turn}:complete"
        await store.save_snapshot(
            ContinuableSnapshot(run_id=run_id, step_index=turn, messages=messages, idempotency_key=key)
        )
    found = await store.latest_snapshot(run_id=run_id)
    assert found.messages == conversation


def _running(work: Callable[[], Any]) -> Callable[[], object]:
    return lambda: asyncio.run(work())


def _conversation(turns: int) -> list[ModelMessage]:
    texts = [str(each.content) for each in samples.messages("session", 2 * turns)]
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return [
        message
        for asked, answer in pairs
        for message in (ModelRequest([UserPromptPart(asked)]), ModelResponse([TextPart(answer)]))
    ]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def _disk(database: Database, own: Path, before: tuple[int, int], turns: int) -> Figure:
    ours, theirs = (database.size() - before[0]) / 1000, (_size(own) - before[1]) / 1000
    return Figure(
        name=f"the snapshots of all rounds, {turns} turns each, disk",
        unit="kB",
        ours=ours,
        other=theirs,
        ratio=ours / theirs,
        against=_OWN,
    )
