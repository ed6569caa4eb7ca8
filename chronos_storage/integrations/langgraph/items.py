"""What the tables hold of LangGraph's store, many items in one statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import BooleanField, Expression, Q
from django.db.models.query import QuerySet

from ... import codec, jsonb
from ...backends.orm.having import JSONMayHave, texts_of
from ...compat.queries import selecting
from ...filters import And, Equals
from ...ledger.kept import Rows
from ...preparing import prepared_cursor
from .models import StoredItem

_TABLE = StoredItem._meta.db_table
#: Characters of a namespace that an item's place begins with.
_BEGINNING = 200
#: Items that a statement reads, writes or removes, at most.
BATCH = 500
#: What separates labels, and the character after it.
_PERIOD, _NEXT = ".", "/"

_INSERT = (
    f"INSERT INTO {_TABLE} (created_at, updated_at, place, namespace, key, value, ttl, expires_at)"
    " SELECT %s::timestamptz, %s::timestamptz, "
)
#: One item is no array: of that the planner would think anew each time.
_ONE = "%s::text, %s::text, %s::text, %s::json, %s::float8, %s::timestamptz"
_MANY = (
    "item.* FROM json_to_recordset(%s::json)"
    " AS item (place text, namespace text, key text, value json, ttl float8, expires_at timestamptz)"
)
_INSTEAD = (
    " ON CONFLICT (place) DO UPDATE SET value = EXCLUDED.value, ttl = EXCLUDED.ttl, expires_at = EXCLUDED.expires_at,"
    " updated_at = EXCLUDED.updated_at"
)


class Stored(NamedTuple):
    """An item as it is read; the names are those of its columns."""

    place: str
    namespace: str
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl: float | None


@dataclass(frozen=True)
class New:
    """An item as it is to be written at its place."""

    place: str
    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    ttl: float | None


def place_of(namespace: Sequence[str], key: str) -> str:
    """What tells an item from all others, and stands among those whose namespaces begin as its does."""
    digest = blake2b("\0".join([*namespace, key]).encode(), digest_size=20).hexdigest()
    return f"{_PERIOD.join(namespace)[:_BEGINNING]}{_PERIOD}{_PERIOD}{digest}"


def read(using: str, places: Collection[str], now: datetime) -> dict[str, Stored]:
    """The items at these places that have not expired."""
    found: dict[str, Stored] = {}
    listed = sorted(set(places))
    for at in range(0, len(listed), BATCH):
        some = listed[at : at + BATCH]
        rows = _live(using, now)
        if connections[using].vendor == "postgresql" and len(some) > 1:
            rows = rows.narrowed("listed", _listed, codec.dumps(some))
        else:
            rows = rows.narrowed("places", _at, *some)
        found |= {item.place: item for item in _fetch(rows)}
    return found


def search(using: str, prefix: Sequence[str], tree: And, now: datetime, *, limit: int, offset: int) -> list[Stored]:
    """The items below a prefix that match a filter, those that were written last first."""
    rows = below(_live(using, now), prefix)
    if not tree.parts:
        return list(_fetch(_ordered(rows, offset, offset + limit)))
    equal = [part for part in tree.parts if isinstance(part, Equals) and not isinstance(part.value, dict | list)]
    if connections[using].vendor == "postgresql":
        conditions = [_text(part) for part in equal if part.value is not None]
        conditions.append(jsonb.condition(tree, f"({_TABLE}.value)::jsonb"))
        sql = " AND ".join(each for each, _ in conditions)
        matching = rows.narrowed(sql, partial(_matching, sql), *(value for _, given in conditions for value in given))
        return list(_fetch(_ordered(matching, offset, offset + limit)))
    if equal:
        rows = Rows.of(rows.queryset.filter(*(JSONMayHave(part.path, part.value, "value") for part in equal)))
    found: list[Stored] = []
    at = 0
    while len(found) < offset + limit:
        page = list(_fetch(_ordered(rows, at, at + BATCH)))
        found += (item for item in page if tree.matches(item.value))
        at += BATCH
        if len(page) < BATCH:
            break
    return found[offset : offset + limit]


def namespaces(using: str, prefix: Sequence[str], now: datetime) -> Iterator[tuple[str, ...]]:
    """All namespaces below a prefix, each once, in order."""
    rows = below(_live(using, now), prefix).queryset
    for (namespace,) in rows.order_by("namespace").distinct().values_list("namespace").iterator():
        yield tuple(namespace.split(_PERIOD))


def write(using: str, items: Sequence[New], now: datetime) -> None:
    """Store items, of which no two have one place, each over what its place had; that keeps its created_at."""
    listed = sorted(items, key=lambda item: item.place)  # as all who write do, so that none waits for another in turn
    for at in range(0, len(listed), BATCH):
        some = [_columns(item, now) for item in listed[at : at + BATCH]]
        if connections[using].vendor == "postgresql":
            for each in some:
                each["value"] = codec.dumps(each["value"])
            with prepared_cursor(connections[using]) as cursor:
                if len(some) == 1:
                    cursor.execute(_INSERT + _ONE + _INSTEAD, [now, now, *some[0].values()])
                else:
                    cursor.execute(_INSERT + _MANY + _INSTEAD, [now, now, f"[{','.join(map(_text_of, some))}]"])
            continue
        rows = [StoredItem(**each, created_at=now, updated_at=now) for each in some]
        unique: dict[str, Any] = {} if connections[using].vendor == "mysql" else {"unique_fields": ["place"]}
        StoredItem.objects.using(using).bulk_create(
            rows, update_conflicts=True, update_fields=["value", "ttl", "expires_at", "updated_at"], **unique
        )


def remove(using: str, places: Collection[str]) -> None:
    """Remove the items at these places."""
    listed = sorted(places)
    for at in range(0, len(listed), BATCH):
        StoredItem.objects.using(using).filter(place__in=listed[at : at + BATCH]).delete()


def keep_longer(using: str, items: Iterable[Stored], now: datetime) -> None:
    """Have items that were read expire as late as if they had been written now."""
    by_ttl: dict[float, list[str]] = {}
    for item in items:
        if item.ttl is not None:
            by_ttl.setdefault(item.ttl, []).append(item.place)
    for ttl, places in sorted(by_ttl.items()):
        rows = StoredItem.objects.using(using).filter(place__in=sorted(places), ttl=ttl)
        rows.update(expires_at=now + timedelta(minutes=ttl))


def expired(using: str, now: datetime) -> list[str]:
    """The places of some items that have expired."""
    rows = StoredItem.objects.using(using).filter(expires_at__lte=now)
    return list(rows.order_by("expires_at", "place").values_list("place", flat=True)[:BATCH])


def below(rows: Rows, prefix: Sequence[str]) -> Rows:
    """Those of rows whose namespace begins with these labels."""
    if not prefix:
        return rows
    name = _PERIOD.join(prefix)
    cut = name[:_BEGINNING]
    rows = rows.narrowed("below", _between, cut + _PERIOD, cut + _NEXT)
    if len(name) < _BEGINNING:
        return rows
    return rows.narrowed("far below", _far_below, name, name + _PERIOD, name + _NEXT)


def _at(rows: QuerySet[Any], *places: Any) -> QuerySet[Any]:
    return rows.filter(place__in=places)


def _listed(rows: QuerySet[Any], places: Any) -> QuerySet[Any]:
    # One value, however many places there are, so that the statement is kept.
    given = "ARRAY(SELECT json_array_elements_text(%s::json))"
    return rows.filter(_Condition(f"{_TABLE}.place = ANY({given})", [places]))


def _between(rows: QuerySet[Any], first: Any, last: Any) -> QuerySet[Any]:
    return rows.filter(place__gte=first, place__lt=last)


def _far_below(rows: QuerySet[Any], name: Any, first: Any, last: Any) -> QuerySet[Any]:
    return rows.filter(Q(namespace=name) | Q(namespace__gte=first, namespace__lt=last))


def _matching(sql: str, rows: QuerySet[Any], *values: Any) -> QuerySet[Any]:
    return rows.filter(_Condition(sql, values))


def _text(node: Equals) -> tuple[str, list[Any]]:
    """By its text alone, without that the whole value is made ``jsonb``, that a field may equal what it is to."""
    texts = [node.value] if isinstance(node.value, str) else texts_of(node.value)
    path = f"{_TABLE}.value{' -> %s::text' * (len(node.path) - 1)} ->> %s::text"
    return f"({path} IN ({', '.join(['%s::text'] * len(texts))}))", [*node.path, *texts]


def _live(using: str, now: datetime) -> Rows:
    def make(now: Any) -> QuerySet[Any]:
        return StoredItem.objects.using(using).filter(Q(expires_at=None) | Q(expires_at__gt=now))

    return Rows(using, make, (now,), "langgraph items")


def _ordered(rows: Rows, start: int, stop: int) -> Rows:
    return rows.narrowed(f"{start} to {stop}", lambda found: found.order_by("-updated_at", "-pk")[start:stop])


def _fetch(rows: Rows) -> Iterator[Stored]:
    found = rows.fetch("items", lambda queryset: selecting(queryset, Stored._fields))
    return (Stored(*values) for values in found)


def _columns(item: New, now: datetime) -> dict[str, Any]:
    name = _PERIOD.join(item.namespace)
    return {
        "place": item.place,
        "namespace": name,
        "key": item.key,
        "value": item.value,
        "ttl": item.ttl,
        "expires_at": None if item.ttl is None else now + timedelta(minutes=item.ttl),
    }


def _text_of(columns: Mapping[str, Any]) -> str:
    """What an item's row is to have, as JSON; its value is that already."""
    plain = {**columns, "expires_at": columns["expires_at"] and columns["expires_at"].isoformat()}
    value = plain.pop("value")
    return f'{codec.encode(plain)[:-1]},"value":{value}}}'


class _Condition(Expression):
    """A condition in the database's own words, with its values, or what stands for them."""

    def __init__(self, sql: str, values: Sequence[Any]) -> None:
        super().__init__(output_field=BooleanField())
        self.sql, self.values = sql, values

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return self.sql, tuple(self.values)
