"""A page of a timeline as a conversation: each message with what was done about it folded in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .items import Item


@dataclass
class Entry:
    """A message with all that belongs to its step, or something else, alone.

    Attributes:
        folded: what happened from then to the next message, and the calls of the model that it is the answer of; with
            the first message of a page what came before it too.
        is_open: whether that is to be seen at once.
    """

    item: Item
    folded: list[Item] = field(default_factory=list)
    is_open: bool = False

    @property
    def counts(self) -> list[tuple[Any, int]]:
        """How many of each kind are folded."""
        return list(Counter(item.label for item in self.folded).items())

    @property
    def tokens(self) -> int | None:
        """The message's tokens; without any, those of its calls of the model."""
        counts = [item.tokens for item in self._model_calls if item.tokens is not None]
        return self.item.tokens if self.item.tokens is not None or not counts else sum(counts)

    @property
    def cost(self) -> Decimal | None:
        """What its calls of the model cost."""
        costs = [item.cost for item in self._model_calls if item.cost is not None]
        return sum(costs, Decimal()) if costs else None

    @property
    def files(self) -> list[Any]:
        """The artifacts that were kept in it."""
        return [item.file for item in self.folded if item.file]

    @property
    def _model_calls(self) -> list[Item]:
        return [item for item in self.folded if item.is_model_call]


def entries_of(items: list[Item], at: str = "") -> list[Entry]:
    """The entries of a page.

    Args:
        at: the anchor of the item that was asked for, which is not to be folded away.
    """
    found: list[Entry] = []
    of_message: dict[Any, Entry] = {}
    latest: Entry | None = None
    before: list[Item] = []
    waiting: list[Item] = []

    def put(items: list[Item]) -> None:
        (before if latest is None else latest.folded).extend(items)

    for item in items:
        if item.speech is not None:
            entry = of_message.get(item.speech.within)
            if entry is None:
                entry = Entry(item)
                found.append(entry)
            if not item.speech.is_answer:
                put(waiting)
                waiting = []
            entry.folded += [*before, *waiting]
            before, waiting = [], []
            latest = of_message[item.pk] = entry
        elif item.is_model_call:
            waiting.append(item)
        else:
            put([item])
    put(waiting)
    places = {id(item): place for place, item in enumerate(items)}
    found += map(Entry, sorted(before, key=lambda item: places[id(item)]))
    for entry in found:
        entry.folded.sort(key=lambda item: places[id(item)])
        entry.is_open = any(item.error or item.anchor == at for item in entry.folded)
    return found
