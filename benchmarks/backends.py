"""The engines that keep documents: what a call takes beside the bare client that does the same with the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from chronos_storage.backends.document import Document, DocumentBackend, Write
from chronos_storage.backends.document.indexes import INDEXES, series_of
from chronos_storage.backends.document.memory import MemoryDriver
from chronos_storage.facade import Storage
from chronos_storage.records import Checkpoint, Event, Message, Session

from . import samples
from .engines import Engine
from .measure import Figure, Side, always, duration

#: A single call may take so many times as long as the client.
_AT_MOST = 2.0
_SESSIONS = 50


class _Recording(MemoryDriver):
    """Keeps what each commit writes, for the bare client to write the same."""

    def begin(self) -> None:
        super().begin()
        self.written: list[list[Document]] = []

    def commit(self, writes: Sequence[Write]) -> bool:
        self.written.append([write.now for write in writes if write.now is not None and write.now is not write.was])
        return super().commit(writes)


def figures(engine: Engine, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds = 3 if quick else 15
    recording = _Recording()
    for storage in (engine.storage, recorded := Storage(DocumentBackend(recording))):
        for number in range(_SESSIONS):
            storage.create_session(Session(id=f"{number:03}", agent_id="agent"))
    for documents in recording.written:
        engine.bare.write(documents)
    measure = partial(_Measured, engine, recording, recorded, rounds)
    yield measure("append_event").write(lambda store, given: store.append_event(given), _events)
    yield measure("add_message").write(lambda store, given: store.add_message(given), _messages)
    yield measure("save_checkpoint").write(lambda store, given: store.save_checkpoint(given), _checkpoints)
    more = list(islice(_events(), 1000))
    for event in more:
        event.session_id = "001"
    engine.storage.append_events(more)
    recorded.append_events(more)
    engine.bare.write(recording.written[-1])
    page, kind = engine.bare.page, "checkpoint"
    latest = series_of(kind, "000")
    by_agent = INDEXES[Session][0].partition("session", {"user_id": ""})
    yield measure("get_latest_checkpoint").read(
        lambda: engine.storage.get_latest_checkpoint("000"), lambda: page(latest, 1, reverse=True), 20
    )
    yield measure("list_sessions, 50").read(
        lambda: engine.storage.list_sessions(user_id="", limit=50), lambda: page(by_agent, 50, reverse=True), 5
    )
    yield measure("list_events, 1,000").read(
        lambda: engine.storage.list_events("001", limit=1000), lambda: page(series_of("event", "001"), 1000), 1
    )


class _Measured:
    def __init__(self, engine: Engine, recording: _Recording, recorded: Storage, rounds: int, name: str) -> None:
        self._engine, self._recording, self._recorded = engine, recording, recorded
        self._rounds, self._name = rounds, name

    def write(self, call: Callable[[Storage, Any], object], given: Callable[[], Iterator[Any]]) -> Figure:
        """Single calls, one after the other."""
        records, count = given(), 20

        def ours() -> Callable[[], None]:
            some = list(islice(records, count))
            return lambda: [call(self._engine.storage, each) for each in some].clear()

        def bare() -> Callable[[], None]:
            self._recording.written.clear()
            for each in islice(records, count):
                call(self._recorded, each)
            commits = list(self._recording.written)
            return lambda: [self._engine.bare.write(each) for each in commits].clear()

        return self._figure(count, ours, bare)

    def read(self, ours: Callable[[], object], bare: Callable[[], list[str]], count: int) -> Figure:
        """Single calls, one after the other; the bare client's texts are parsed."""
        return self._figure(count, always(ours, count), always(lambda: list(map(json.loads, bare())), count))

    def _figure(self, count: int, ours: Side, bare: Side) -> Figure:
        return duration(self._name, count, ours, bare, rounds=self._rounds, at_most=_AT_MOST, against="bare client")


def _events() -> Iterator[Event]:
    while True:
        yield from samples.events("000", 100)


def _messages() -> Iterator[Message]:
    while True:
        yield from samples.messages("000", 100)


def _checkpoints() -> Iterator[Checkpoint]:
    number = 0
    while True:
        number += 1
        yield Checkpoint(session_id="000", node_id="agent", state={"step": number, "last": samples.payload(number)})
