"""What is compared: interfaces, with their methods as they are found by looking at them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from chronos_storage import Storage
from chronos_storage.chains.permit import PurgePermit
from chronos_storage.queues.base import EventQueue
from chronos_storage.records import KINDS, Collection, Embedding, QueueEntry, Record, Session
from chronos_storage.vectors.base import VectorStore
from tests.comparison.calls import Call
from tests.comparison.pools import COLLECTIONS, SESSIONS, START, TOPICS

Methods = dict[str, list[inspect.Parameter]]

_RECORDS = [*KINDS.values(), Embedding]
#: The types of records that an argument may have, by its annotation.
_TYPES = {kind.__name__: [kind] for kind in _RECORDS} | {"Record": list(KINDS.values())}
#: What a method of the storage is about whose name doesn't say it.
_ABOUT = {
    "memories": "memory",
    "last_seq": "event",
    "token": "message",
    "namespaces": "checkpoint",
    "fork": "checkpoint",
}


def methods_of(kind: type[Any]) -> Methods:
    """The public methods of a class but the asynchronous variants, and what each takes."""
    methods = dict(inspect.getmembers(kind, inspect.isfunction))
    return {
        name: list(inspect.signature(method).parameters.values())[1:]
        for name, method in methods.items()
        if not name.startswith("_") and not (name[0] == "a" and name[1:] in methods)
    }


def records_of(parameter: inspect.Parameter) -> list[type[Record]]:
    """The types of the record, or records, that an argument may be; none if it is something else."""
    kind = str(parameter.annotation).split(" | ")[0]
    return _TYPES.get(kind.removeprefix("Iterable[").removesuffix("]"), [])


@dataclass(frozen=True)
class Interface:
    """A class, of which several implementations are compared.

    Attributes:
        apart: the methods that are not called, and why.
        about: the type of what a method gives, changes or removes.
        first: the calls to begin with.
        everything: the calls that show all that is stored.
        ticks: what passes between two calls.
        has_transactions: whether it has `atomic`.
    """

    kind: type[Any]
    apart: dict[str, str]
    about: Callable[[str], type[Record]]
    first: tuple[Call, ...]
    everything: tuple[Call, ...]
    ticks: tuple[timedelta, ...] = (timedelta(seconds=1),)
    has_transactions: bool = False
    methods: Methods = field(init=False)

    def __post_init__(self) -> None:
        found = {name: taken for name, taken in methods_of(self.kind).items() if name not in self.apart}
        object.__setattr__(self, "methods", found)


#: What is called within the block of `purge_permit`.
PERMIT = {name: taken for name, taken in methods_of(PurgePermit).items() if name.startswith("purge_")}


def _about(method: str) -> type[Record]:
    named = [name for word, name in _ABOUT.items() if word in method] or [name for name in KINDS if name in method]
    return KINDS[max(named, key=method.rfind)] if named else Session


def _all_stored() -> Iterator[Call]:
    for kind in KINDS:
        yield Call("scan", [kind])
    for session_id in SESSIONS:
        for method in ("count_messages", "count_events", "last_seq", "last_message_seq", "token_usage"):
            yield Call(method, [session_id])
    yield Call("verify_all")


STORAGE = Interface(
    Storage,
    apart={
        "arun_atomic": "it is asynchronous alone, and atomic() in a thread",
        "atomic": "it is the block around some of the calls",
        "close": "it ends the connections that the test's transaction is on",
        "erase_content": "it is for files, of which each store has its own",
        "health": "it tells of the store itself",
        "load_content": "it is for files, of which each store has its own",
        "migrate": "it is for the tables, which are there",
        "session": "what it gives is a handle, which has tests of its own",
        "sweep_artifacts": "it is for files, of which each store has its own",
        "sweep_erased": "it is for files, of which each store has its own",
    },
    about=_about,
    first=tuple(Call("create_session", [Session(id=id, created_at=START)]) for id in SESSIONS[:3]),
    everything=tuple(_all_stored()),
    has_transactions=True,
)

QUEUE = Interface(
    EventQueue,
    apart={
        "close": "it ends the connections that the test's transaction is on",
        "kept": "it tells keys, which some queues make",
        "load": "it takes what kept gives",
        "stream": "it has no end",
        "subscribe": "it goes on in a thread",
    },
    about=lambda method: QueueEntry,
    first=(),
    everything=tuple(Call("recover", [topic], {"limit": None}) for topic in TOPICS),
    ticks=(timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=5), timedelta(hours=13)),
)

#: What shows all of a collection.
_SEARCHES: list[tuple[str, list[Any]]] = [("count", []), ("search", [[1.0, 0.5, 0.25], 100])]

VECTORS = Interface(
    VectorStore,
    apart={
        "close": "it ends the connections that the test's transaction is on",
        "recall": "it measures an index, which not all have",
        "reindex": "it builds an index, which not all have",
        "stats": "it tells of an index, which not all have",
    },
    about=lambda method: Collection if "collection" in method else Embedding,
    first=tuple(Call("create_collection", [name, 3], {"metric": metric}) for name, metric in COLLECTIONS.items()),
    everything=(
        Call("list_collections"),
        *(Call(method, [name, *query]) for name in COLLECTIONS for method, query in _SEARCHES),
    ),
)
