from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from itertools import count
from operator import itemgetter
from typing import Any, TypeVar

from django.db import IntegrityError, connections
from django.db.models import BigIntegerField, F, Field, Func, Model, Value
from django.db.models.functions import Coalesce, Greatest
from django.db.models.lookups import LessThanOrEqual
from django.db.models.query import QuerySet

from ... import codec
from ...batches import batches
from ...compat.queries import can_return_inserted, can_return_updated, fetch_statement, updating, upserting
from ...fields import MetadataField
from ...ledger.heads import open_to, refuse_stale
from ...ledger.kept import FEW, Built, Place, fetch_kept
from ...ledger.mapping import MEMORY, SESSIONS, TABLES, Table
from ...models.memory import natural_key
from ...preparing import prepared_cursor
from ...records import MemoryRecord, Record, Session, measured
from ...refusals import Reason, Refused
from ...snapshots import Unseen, current, unless_unseen
from ..base import Patch
from .base import OrmBase
from .metadata import IsObject, can_merge, merge_metadata, merged

R = TypeVar("R", bound=Record)

#: What is written over what was under a natural key.
_MEMORY_CONTENT = ["value", "schema", "schema_version", "updated_at", "expires_at"]
#: Up to how many are put by one statement alone: all databases take so many values.
_AT_ONCE = 50


class UpsertMethods(OrmBase):
    def put(self, given: Sequence[R], fresh: Set[str] = frozenset(), fence: int | None = None) -> list[R]:
        table: Table[R] = TABLES[type(given[0])]
        if fence is None and (stored := self._put_at_once(table, given, fresh)):
            return stored
        with self._atomic():
            if table.record is MemoryRecord:
                if fence is not None:
                    self._require_fence(given[0].session_id, fence)  # type: ignore[attr-defined]
                return self._put_memories(given, fresh)
            self._upsert(table, given, _content(table), table.id)
            return self._as_stored(table, given, table.id)

    def _put_at_once(self, table: Table[R], given: Sequence[R], fresh: Set[str]) -> list[R]:
        """The same in one statement; nothing where the database can't, or an id may be stored under another key."""
        is_memory = table.record is MemoryRecord
        if not can_return_inserted(connections[self.using]) or (is_memory and not fresh >= {each.id for each in given}):
            return []
        new, *more = batches(given, _AT_ONCE)
        if more:
            return []
        key = "natural_key" if is_memory else table.id
        keys = [table.values(record)[key] for record in new]
        # In one order, so that those who put the same keys at once don't lock each other out.
        rows = [table.row(record) for _, record in sorted(zip(keys, new, strict=True), key=itemgetter(0))]
        write = partial(self._upserted, update_fields=_content(table), key=key)
        with unless_unseen(), self._savepoint():
            found = {table.values(record)[key]: record for record in table.fetch(rows, write)}
        return [found[each] for each in keys]

    def _upserted(
        self, new: Sequence[Model], columns: Sequence[str], update_fields: list[str], key: str
    ) -> Iterator[tuple[Any, ...]]:
        """Insert rows, or update what has their key; what columns of them hold."""
        model, connection = type(new[0]), connections[self.using]
        rows: QuerySet[Any] = model._default_manager.using(self.using)
        fields = model._meta.concrete_fields
        if len(new) > FEW:
            statement = upserting(rows, columns, new, update_fields, key)
            return fetch_statement(connection, *statement, cursor_of=prepared_cursor)

        def build() -> Built:
            numbers = count()
            placed = [model(**{field.attname: Place(next(numbers), field) for field in fields}) for _ in new]
            return upserting(rows, columns, placed, update_fields, key)

        values = [getattr(row, field.attname) for row in new for field in fields]
        return fetch_kept(connection, ("put", model, len(new)), values, build)

    def _put_memories(self, given: Sequence[Any], fresh: Set[str]) -> list[Any]:
        named = {record.id for record in given}.difference(fresh)
        if len(named) > 1:
            found = self._named(self._rows(MEMORY), "pk", named)
            keys = dict(pair for rows in found for pair in rows.values_list("pk", "natural_key"))
            # What stays under its key is written with what is new, in one statement.
            named = {record.id for record in given if natural_key(record) != keys.get(record.id, natural_key(record))}
        new = [record for record in given if record.id not in named or not self._moved(record)]
        # In one order, so that those who put the same keys at once don't lock each other out.
        new.sort(key=natural_key)
        with unless_unseen():  # another writer may have stored one of these ids in between, under another key
            self._upsert(MEMORY, new, _MEMORY_CONTENT, "natural_key")
        return self._as_stored(MEMORY, given, "natural_key")

    def _upsert(self, table: Table[Any], given: Iterable[Any], update_fields: list[str], key: str) -> None:
        for rows in (list(map(table.row, batch)) for batch in batches(given)):
            self._rows(table).bulk_create(
                rows, update_conflicts=True, update_fields=update_fields, **self._conflict_target(key)
            )

    def _as_stored(self, table: Table[Any], given: Iterable[Any], key: str) -> list[Any]:
        """The records of these keys as they are stored by now."""
        keys = [table.values(record)[key] for record in given]
        stored = {
            table.values(record)[key]: record
            for rows in self._named(self._rows(table), key, keys)
            for record in table.fetch(current(rows))
        }
        if len(stored) < len(keys):  # on MariaDB and MySQL, where an id was another key's, whose row has then changed
            raise Unseen
        return [stored[each] for each in keys]

    def _moved(self, record: MemoryRecord) -> bool:
        """Whether the id was stored already, and its row now has these values, be it under another key."""
        values = MEMORY.values(record)
        del values["created_at"], values["id"]
        try:
            with self._savepoint():
                return self._rows(MEMORY).filter(pk=record.id).update(**values) > 0
        except IntegrityError as error:
            raise Refused(Reason.TAKEN, MemoryRecord, record.id) from error

    def patch(self, record: type[R], id: str, patch: Patch, fence: int | None = None) -> R:
        table: Table[R] = TABLES[record]
        patch = replace(patch, values=table.columns_of(patch.values))
        if (fence is None or record is Session) and (changed := self._patched_at_once(table, id, patch, fence)):
            return changed
        row = self._patched(table, id)
        writable, changes = _writable(row, patch, fence), _changes(patch)
        with self._atomic():
            if fence is not None and record is not Session:
                for session_id in row.values_list("session_id", flat=True):
                    self._require_fence(session_id, fence)
            if patch.merge is None:
                count = writable.update(**changes)
            else:
                count = merge_metadata(writable, patch.merge, **changes)
            stored = self._one(table, current(row))  # which the update may have left as it was, and unseen
            if stored is None:
                self._refuse_unseen(table, id)
                raise Refused(Reason.MISSING, record, id)
            if not count:
                if record is Session:
                    refuse_stale(row, fence)
                if any(getattr(stored, name) not in ("", value) for name, value in patch.once.items()):
                    raise Refused(Reason.CONDITION, record, id, stored)
                raise Unseen
            stored.check_size()  # which the changes may have made too large
        return stored

    def _patched(self, table: Table[Any], id: Any) -> QuerySet[Any]:
        """The row that a patch is of."""
        row = self._rows(table).filter(pk=id)
        return row.filter(deleted_at=None) if table.record is Session else row

    def _patched_at_once(self, table: Table[R], id: str, patch: Patch, fence: int | None) -> R | None:
        """The record, changed in one statement; None where the database can't, there is none or it may be too large."""
        connection = connections[self.using]
        if not can_return_updated(connection) or (patch.merge is not None and not can_merge(self.using)):
            return None
        parts = measured(table.record)
        if len(parts) == 1 and patch.merge is None:
            parts = ()  # which was measured as it was given
        sizes = [codec.bytes_of(codec.encode(patch.values[name])) for name in parts if name in patch.values]
        named = [patch.values, patch.forward, patch.first, patch.once]
        others = [each for each in (patch.merge, fence) if each is not None]
        values = [id, *(value for each in named for value in each.values()), *others, *sizes]

        def build(columns: Sequence[str]) -> Built:
            numbers, meta = count(), table.model._meta

            def place(field: Any) -> Place:
                return Place(next(numbers), field)

            row = self._patched(table, place(meta.pk))
            places: list[Any] = [{name: place(meta.get_field(name)) for name in each} for each in named]
            merge: Any = None if patch.merge is None else place(MetadataField())
            token: Any = None if fence is None else place(BigIntegerField())
            of_places = Patch(**dict(zip(("values", "forward", "first", "once"), places, strict=True)), merge=merge)
            changes, row = _changes(of_places), _writable(row, of_places, token)
            if merge is not None:
                changes["metadata"], row = merged(merge), row.filter(IsObject("metadata"))
            if parts:
                total = sum((_bytes(name, changes, of_places, place) for name in parts), Value(0))
                row = row.filter(LessThanOrEqual(total, codec.MAX_JSON_BYTES))
            return updating(row, columns, changes)

        shape = ("patch", table.model, *map(tuple, named), patch.merge is None, fence is None)

        def write(rows: None, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
            return fetch_kept(connection, shape, values, partial(build, columns))

        found = table.fetch(None, write, self.using)
        return found[0] if found else None


def _writable(row: QuerySet[Any], patch: Patch, fence: int | None) -> QuerySet[Any]:
    """The row of a patch, where its writer may write it and what is set once is not set to something else."""
    row = open_to(row, fence) if row.model is SESSIONS.model else row
    return row.filter(**{f"{name}__in": ("", value) for name, value in patch.once.items()})


def _changes(patch: Patch) -> dict[str, Any]:
    """What the columns of a patched row become, but for what is merged."""
    return {
        **patch.values,
        **patch.once,
        **{name: Greatest(F(name), _value(value)) for name, value in patch.forward.items()},
        **{name: Coalesce(F(name), _value(value)) for name, value in patch.first.items()},
    }


def _value(value: Any) -> Any:
    return value if hasattr(value, "resolve_expression") else Value(value)


def _content(table: Table[Any]) -> list[str]:
    """What is written over what was under a key."""
    if table.record is MemoryRecord:
        return _MEMORY_CONTENT
    return [column for column in table.columns if column not in (table.id, "created_at")]


def _bytes(name: str, changes: Mapping[str, Any], patch: Patch, place: Callable[[Any], Any]) -> Any:
    """How many bytes the text of a field has after the changes, at most.

    Args:
        place: stands for those of what the patch sets, which are known.
    """
    return place(BigIntegerField()) if name in patch.values else _Bytes(changes.get(name, F(name)))


class _Bytes(Func):
    """The length of a column's text."""

    template = "OCTET_LENGTH(CAST(%(expressions)s AS text))"
    output_field: Field[Any, Any] = BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS blob))", **context)
