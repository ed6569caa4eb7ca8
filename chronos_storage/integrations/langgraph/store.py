"""LangGraph's long-term memory over Django's database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from ... import codec, records
from ...async_variants import async_variant, hop
from ...exceptions import InvalidRecord
from ...facade.arguments import page_slice
from ...facade.storage import Storage
from . import items
from .adapter import Adapter
from .items import New, Stored, place_of
from .lasting import COLLECTION
from .meaning import Meaning
from .wanted import common_prefix, fits, tree_of

#: For how many minutes an item is kept at most, unless it is kept for ever.
_MAX_TTL = 1e9


class ChronosStore(Adapter, BaseStore):
    """A store for LangGraph: ``graph.compile(store=ChronosStore())``.

    Values are JSON; in what no database takes `codec.storable` changes what it must. An item that has expired is not
    there, whether it was swept or not.

    Args:
        storage: over a database of Django's; the one with the alias "default" unless given.
        index: as LangGraph takes it: which fields are embedded by what, for searches by meaning.
        vectors: where the embeddings are; `chronos_storage.vector_store` unless given.
        collection: which collection of these.
        ttl: as LangGraph takes it: for how many minutes items are kept unless they say so, and whether reading one has
            it kept longer.
    """

    supports_ttl = True

    def __init__(
        self,
        storage: Storage | None = None,
        *,
        index: IndexConfig | None = None,
        vectors: Any = None,
        collection: str = COLLECTION,
        ttl: TTLConfig | None = None,
    ) -> None:
        super().__init__(storage)
        self.ttl_config = ttl
        self._meaning = None if index is None else Meaning(index, vectors, collection)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do many operations, all or none: reads see what was there before, and of writes to one place the last counts.

        Raises:
            InvalidRecord: a value that is no object, or an operator that no filter has.
        """
        todo = _Batch(ops)
        meaning = self._meaning
        vectors = meaning.embed(meaning.texts(todo.puts.values(), todo.queries)) if meaning else {}
        return self._run(partial(self._do, todo, vectors))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The asynchronous variant of `batch`."""
        todo = _Batch(ops)
        meaning = self._meaning
        vectors = await meaning.aembed(meaning.texts(todo.puts.values(), todo.queries)) if meaning else {}
        return await hop(self, self._run, partial(self._do, todo, vectors))

    def sweep_ttl(self) -> int:
        """Remove what has expired; returns how many items that were. To be called now and then, as by a scheduler."""
        count = 0
        while places := self._run(partial(items.expired, self.alias, records.now())):
            self._run(partial(self._remove, places))
            count += len(places)
        return count

    @async_variant(sweep_ttl)
    def asweep_ttl(self) -> Any: ...

    def _do(self, todo: _Batch, vectors: Mapping[str, Sequence[float]]) -> list[Result]:
        now = records.now()
        with nullcontext() if self._is_one_statement(todo.puts) else transaction.atomic(using=self.alias):
            found = items.read(self.alias, [place for place, _ in todo.gets.values()], now)
            results: list[Result] = [None] * todo.count
            longer: dict[str, Stored] = {}
            for number, (place, op) in todo.gets.items():
                if item := found.get(place):
                    results[number] = Item(**_values(item))
                    if self._refreshes(op.refresh_ttl):
                        longer[item.place] = item
            for number, search in todo.searches.items():
                hits = self._search(search, vectors, now)
                results[number] = [SearchItem(**_values(item), score=score) for item, score in hits]
                if self._refreshes(search.refresh_ttl):
                    longer |= {item.place: item for item, _ in hits}
            for number, listing in todo.listings.items():
                results[number] = self._namespaces(listing, now)
            items.keep_longer(self.alias, longer.values(), now)
            if todo.puts:
                self._put(todo.puts, vectors, now)
        return results

    def _is_one_statement(self, puts: Mapping[str, PutOp]) -> bool:
        """Whether so many writes are done at once by themselves: a transaction is two more round trips."""
        kinds = {op.value is None for op in puts.values()}
        return not kinds or (len(kinds) == 1 and len(puts) <= items.BATCH and self._meaning is None)

    def _refreshes(self, wanted: bool | None) -> bool:
        return (self.ttl_config or {}).get("refresh_on_read", True) if wanted is None else wanted

    def _search(
        self, op: SearchOp, vectors: Mapping[str, Sequence[float]], now: datetime
    ) -> list[tuple[Stored, float | None]]:
        tree = tree_of(op.filter)
        if not op.query or self._meaning is None:
            found = items.search(self.alias, op.namespace_prefix, tree, now, limit=op.limit, offset=op.offset)
            return [(item, None) for item in found]
        wanted = op.offset + op.limit
        hits: list[tuple[Stored, float | None]] = []
        start, size = 0, max(wanted, 10)
        while len(hits) < wanted:
            scores = self._meaning.search(op, vectors[op.query], start, size)
            there = items.read(self.alias, list(scores), now)
            hits += [
                (there[place], score)
                for place, score in scores.items()
                if place in there and tree.matches(there[place].value)
            ]
            start, size, last = start + size, 2 * size, len(scores) < size
            if last:
                break
        return hits[op.offset : wanted]

    def _namespaces(self, op: ListNamespacesOp, now: datetime) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()
        fitting = (
            name for name in items.namespaces(self.alias, common_prefix(conditions), now) if fits(conditions, name)
        )
        found = sorted({name if op.max_depth is None else name[: op.max_depth] for name in fitting})
        return found[op.offset : op.offset + op.limit]

    def _put(self, puts: Mapping[str, PutOp], vectors: Mapping[str, Sequence[float]], now: datetime) -> None:
        new = [_new(place, op) for place, op in puts.items() if op.value is not None]
        gone = [place for place, op in puts.items() if op.value is None]
        if gone:
            items.remove(self.alias, gone)
        if new:
            items.write(self.alias, new, now)
        if self._meaning is not None:
            self._meaning.replace(puts, vectors)

    def _remove(self, places: Sequence[str]) -> None:
        with transaction.atomic(using=self.alias):
            items.remove(self.alias, places)
            if self._meaning is not None:
                self._meaning.remove(places)


class _Batch:
    """Operations by what they do, each by its number, a get with its place; of puts to a place the last, by the place.

    Raises:
        InvalidRecord: something is no operation.
    """

    def __init__(self, ops: Iterable[Op]) -> None:
        self.gets: dict[int, tuple[str, GetOp]] = {}
        self.searches: dict[int, SearchOp] = {}
        self.listings: dict[int, ListNamespacesOp] = {}
        self.puts: dict[str, PutOp] = {}
        self.count = 0
        for number, op in enumerate(ops):
            validate_op_namespace(op)
            for label in _labels(op):
                codec.string(label, "namespace", codec.MAX_TEXT)
            if isinstance(op, GetOp | PutOp):
                codec.string(op.key, "key", codec.MAX_TEXT)
            elif isinstance(op, SearchOp | ListNamespacesOp):
                page_slice(op.limit, op.offset)
            self.count += 1
            match op:
                case GetOp():
                    self.gets[number] = place_of(op.namespace, op.key), op
                case SearchOp():
                    self.searches[number] = op
                case ListNamespacesOp():
                    self.listings[number] = op
                case PutOp():
                    self.puts[place_of(op.namespace, op.key)] = op
                case _:
                    raise InvalidRecord("ops", f"has a {type(op).__name__}, which is no operation of a store")

    @property
    def queries(self) -> set[str]:
        """What is searched for by its meaning."""
        return {op.query for op in self.searches.values() if op.query}


def _new(place: str, op: PutOp) -> New:
    try:
        value: Any = codec.json_object(op.value, "value")
    except InvalidRecord:
        value = codec.storable(op.value).value
    if not isinstance(value, dict):
        raise InvalidRecord("value", f"must be an object, not {type(op.value).__name__}")
    return New(place, op.namespace, op.key, value, _minutes(op.ttl))


def _minutes(ttl: object) -> float | None:
    if ttl is None:
        return None
    if not isinstance(ttl, int | float) or not -_MAX_TTL <= ttl <= _MAX_TTL:
        raise InvalidRecord("ttl", f"must be at most {_MAX_TTL:,.0f} minutes, or None for ever; it is {ttl!r}")
    return float(ttl)


def _labels(op: Op) -> Iterable[str]:
    match op:
        case GetOp() | PutOp():
            return op.namespace
        case SearchOp():
            return op.namespace_prefix
        case ListNamespacesOp():
            return [label for condition in op.match_conditions or () for label in condition.path]
    return ()


def _values(item: Stored) -> dict[str, Any]:
    return {
        "namespace": tuple(item.namespace.split(".")),
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }
