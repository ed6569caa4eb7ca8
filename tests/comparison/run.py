"""The same random calls on several stores side by side, and what they answer differently."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from chronos_storage import Storage, exceptions, records
from chronos_storage.records import KINDS, Checkpoint, Event, Message, Record
from tests.comparison.answers import Side, difference
from tests.comparison.arguments import Call, Calls
from tests.comparison.pools import SESSIONS, START

#: After so many calls all that is stored is compared.
_OFTEN = 60
#: So many earlier calls are told of one that has different answers.
_TOLD = 12


class Different(AssertionError):
    """Stores answer a call differently, or one raises what is no error of the storage's.

    Attributes:
        kind: the method, and what differs in a few words; the same for the same fault, most often.
    """

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


class _RolledBack(Exception):
    """The end of a transaction that is to leave nothing."""


@dataclass
class Comparison:
    """One sequence of calls, which its seed decides.

    Attributes:
        calls: how many were made on every store.
    """

    stores: Mapping[str, Storage]
    seed: int
    calls: int = 0
    _history: list[tuple[Call, str]] = field(default_factory=list)
    _now: datetime = START

    def __post_init__(self) -> None:
        self._sides = [Side(name, storage) for name, storage in self.stores.items()]
        self._random = random.Random(self.seed)
        self._calls = Calls(self._random, lambda kind: len(self._sides[0].seen[kind]), self._last)

    def _last(self, kind: type[Record], session_id: str) -> int:
        """The last number of a session, as it is on all sides."""
        storage = self._sides[0].storage
        try:
            if kind is Message:
                return storage.last_message_seq(session_id)
            if kind is Checkpoint:
                latest = storage.get_latest_checkpoint(session_id)
                return latest.seq_num if latest else 0
            return storage.last_seq(session_id) if kind is Event else 1
        except exceptions.InvalidRecord:
            return 0

    def run(self, calls: int) -> Iterator[int]:
        """Make at least so many more calls, and compare all that is stored at their end; gives the count on the way.

        Raises:
            Different: the stores don't agree.
        """
        until = self.calls + calls
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(records, "now", lambda: self._now)
            while self.calls < until:
                if self._random.random() < 0.04:
                    self._transaction()
                else:
                    self._compare(self._calls.next())
                if self.calls % _OFTEN == 0:
                    self._compare_all()
                yield self.calls
            self._compare_all()

    def _transaction(self) -> None:
        """Some calls in one transaction on every store, which is rolled back or committed."""
        is_kept = self._random.random() < 0.5
        with self._block(is_kept):
            for _ in range(self._random.randint(1, 6)):
                self._compare(self._calls.next(), "in a transaction that is " + ("kept: " if is_kept else "undone: "))

    @contextmanager
    def _block(self, is_kept: bool) -> Iterator[None]:
        with ExitStack() as stack:
            for side in self._sides:
                stack.enter_context(_undone(side.storage, is_kept))
            yield

    def _compare(self, call: Call, where: str = "") -> None:
        self.calls += 1
        self._now += timedelta(seconds=1)
        answers = {side.name: call.answer(side) for side in self._sides}
        (name, first), *others = answers.items()
        if isinstance(first, dict) and "raises" in first and not hasattr(exceptions, first["raises"]):
            raise self._different(call, where, answers, f"{name}: raises {first['raises']}, no error of the storage's")
        for other, answer in others:
            if found := difference(first, answer):
                raise self._different(call, where, answers, f"{name} and {other} differ in {found}")
        if not (isinstance(first, dict) and "raises" in first):
            self._history.append((call, where))

    def _compare_all(self) -> None:
        for kind in KINDS:
            self._compare(Call("scan", [kind]))
        for session_id in SESSIONS:
            for method in ("count_messages", "count_events", "last_seq", "last_message_seq", "token_usage"):
                self._compare(Call(method, [session_id]))
        self._compare(Call("verify_all"))

    def _different(self, call: Call, where: str, answers: dict[str, Any], found: str) -> Different:
        names = call.names() - {""}
        related = [f"  {where}{made}" for made, where in self._history if names & made.names()] if names else []
        history = related or [f"  {where}{made}" for made, where in self._history]
        told = "\n".join(f"  {name}: {answer!r:.2000}" for name, answer in answers.items())
        text = (
            f"seed {self.seed}, call {self.calls}: {found}\n after, of those that succeeded and share a string,\n"
            + "\n".join(history[-_TOLD:])
            + f"\n the call\n  {where}{call}\n gives\n{told}"
        )
        return Different(text, f"{call.method}: {found:.120}")


@contextmanager
def _undone(storage: Storage, is_kept: bool) -> Iterator[None]:
    try:
        with storage.atomic():
            yield
            if not is_kept:
                raise _RolledBack
    except _RolledBack:
        pass
