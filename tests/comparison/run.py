"""The same random calls on several stores side by side, and what they answer differently."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from chronos_storage import Storage, exceptions, records
from chronos_storage.backends.document.mongodb import MongoDriver
from chronos_storage.backends.document.redis import RedisDriver
from chronos_storage.ledger import clock
from tests.comparison.answers import Side, difference
from tests.comparison.calls import Call, Told
from tests.comparison.drawing import Calls
from tests.comparison.methods import Interface
from tests.comparison.pools import START

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

    interface: Interface
    stores: Mapping[str, Any]
    seed: int
    calls: int = 0
    _history: list[Told] = field(default_factory=list)
    _now: datetime = START

    def __post_init__(self) -> None:
        self._sides = [Side(name, store) for name, store in self.stores.items()]
        self._random = random.Random(self.seed)
        self._calls = Calls(self._random, self.interface, self._sides[0])

    def run(self, calls: int) -> Iterator[int]:
        """Make at least so many more calls, and compare all that is stored at their end; gives the count on the way.

        Raises:
            Different: the stores don't agree.
        """
        until = self.calls + calls
        with pytest.MonkeyPatch.context() as patch:
            for module in (records, records.base):
                patch.setattr(module, "now", lambda: self._now)
            patch.setattr(clock, "now", lambda using: self._now)
            for driver in (MongoDriver, RedisDriver):
                patch.setattr(driver, "now", lambda driver: self._now)
            for call in self.interface.first if not self.calls else ():
                self._compare(call)
            while self.calls < until:
                if self.interface.has_transactions and self._random.random() < 0.04:
                    self._transaction()
                else:
                    self._compare(self._calls.next())
                if self.calls % _OFTEN == 0:
                    self._compare_all()
                yield self.calls
            self._compare_all()

    def _transaction(self) -> None:
        """Some calls in one transaction on every store, which is rolled back or committed.

        Stores without transactions make those that are kept one by one, and not those that are to leave nothing.
        """
        is_kept = self._random.random() < 0.5
        able = [side for side in self._sides if side.store.supports_transactions]
        with ExitStack() as stack:
            for side in able if not is_kept else ():
                stack.callback(side.forget, side.noted())
            for side in able:
                stack.enter_context(_undone(side.store, is_kept))
            where = "in a transaction that is " + ("kept: " if is_kept else "undone: ")
            for _ in range(self._random.randint(1, 6)):
                self._compare(self._calls.next(), where, self._sides if is_kept else able)

    def _compare(self, call: Call, where: str = "", among: Sequence[Side] = ()) -> None:
        self.calls += 1
        self._now += self._random.choice(self.interface.ticks)
        told = call.told(self._sides[0])
        told = replace(told, text=where + told.text)
        sides = among or self._sides
        if call.method == "delete_session":
            for side in sides:
                side.back_up()
        answers = {side.name: call.answer(side) for side in sides}
        (name, first), *others = answers.items()
        if isinstance(first, dict) and "raises" in first and not hasattr(exceptions, first["raises"]):
            raise self._different(
                call.method, told, answers, f"{name}: raises {first['raises']}, no error of the storage's"
            )
        for other, answer in others:
            if found := difference(first, answer):
                raise self._different(call.method, told, answers, f"{name} and {other} differ in {found}")
        if not (isinstance(first, dict) and "raises" in first):
            self._history.append(told)

    def _compare_all(self) -> None:
        for call in self.interface.everything:
            self._compare(call)

    def _different(self, method: str, call: Told, answers: dict[str, Any], found: str) -> Different:
        related = [earlier for earlier in self._history if earlier.strings & call.strings] or self._history
        lines = [
            f"seed {self.seed}, call {self.calls}: {found}",
            "After, of those that succeeded and have a string in common,",
            *(f"  {earlier.text}" for earlier in related[-_TOLD:]),
            "the call",
            f"  {call.text}",
            "gives",
            *(f"  {name}: {answer!r:.2000}" for name, answer in answers.items()),
        ]
        return Different("\n".join(lines), f"{method}: {found:.120}")


@contextmanager
def _undone(storage: Storage, is_kept: bool) -> Iterator[None]:
    try:
        with storage.atomic():
            yield
            if not is_kept:
                raise _RolledBack
    except _RolledBack:
        pass
