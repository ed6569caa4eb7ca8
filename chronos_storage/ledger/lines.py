"""Rows as lines of JSON, such as `serialization.encode_any` gives of their records, in a third of the time.

Nothing is decoded that would be encoded again: what a column holds is quoted, or is JSON already, a column at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, TextField
from django.db.models.functions import Cast

from .. import codec
from ..chains.hashing import time_text
from ..compat.queries import Fetch, fetch_values
from ..exceptions import StoreFailure
from ..fields import CostField, ExactTimestampField, JSONTextField, MetadataField, TimestampField
from ..records import TokenUsage
from .mapping import Table

_USAGE = tuple(TokenUsage.__dataclass_fields__)
_JSON = (JSONTextField, MetadataField)


#: A row: what it is ordered by, and last the line, with its end.
Line = tuple[Any, ...]


class Lines:
    """A source of the lines of a table's rows, for `pages.fetch_page`.

    Args:
        kind: the key under which a line has its record.
        order: the columns that rows are ordered by.
    """

    def __init__(self, table: Table[Any], kind: str, order: Sequence[str]) -> None:
        self.model = table.model
        self.order = order
        fields = {field.attname: field for field in table.model._meta.concrete_fields}
        further = [name for name in order if name not in table.columns]
        self.columns: tuple[Any, ...] = (*(_column(name, fields[name]) for name in table.columns), *further)
        self._places = [[*table.columns, *further].index(name) for name in order]
        #: Which columns are a value of the line, most often one, with what gives its text for all rows.
        self._parts: list[tuple[Callable[..., Iterable[Any]], slice]] = [
            (_erased if name == "erased" else _CONVERT.get(type(fields[name]), _plain), slice(at, at + 1))
            for at, name in enumerate(table.columns)
        ]
        if counts := [at for at, name in enumerate(table.columns) if name in _USAGE]:
            whole = slice(counts[0], counts[-1] + 1)
            self._parts[whole] = [(_usages, whole)]
        texts = ",".join(f'"{name}":%s' for name in table.names).replace(',"erased":%s', "%s")
        self._template = f'{{"{kind}":{{{texts}}}}}\n'

    def fetch(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[Line]:
        found = list(zip(*fetch(rows, self.columns), strict=True))
        if not found:
            return []
        texts, columns = [], []
        for convert, part in self._parts:
            values = found[part]
            # Most columns of most pages hold one value, or nothing, in all rows: that is a part of the template.
            if all(1 < len(column) == column.count(column[0]) for column in values):
                [text] = convert(*(column[:1] for column in values))
                texts.append(str(text).replace("%", "%%"))
            else:
                texts.append("%s")
                columns.append(convert(*values))
        lines = map((self._template % tuple(texts)).__mod__, zip(*columns, strict=True))
        return list(zip(*(found[place] for place in self._places), lines, strict=True))

    def values(self, found: Line) -> Mapping[str, Any]:
        return dict(zip(self.order, found, strict=False))


def _column(name: str, field: Any) -> Any:
    is_raw = isinstance(field, (*_JSON, TimestampField))
    return Cast(F(name), TextField()) if is_raw else name


def _plain(values: Sequence[Any]) -> Iterable[Any]:
    """Strings quoted, numbers, truths and nothing as JSON has them."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return map(codec.quoted, values)
    return values if kinds == {int} else map(codec.encode, values)


def _erased(values: Iterable[str]) -> list[str]:
    """The digests of rows that were emptied, with their key: others don't have it."""
    return [f',"erased":{codec.quoted(value)}' if value else "" for value in values]


def _json(values: Sequence[str | None]) -> list[str]:
    """JSON on one line, which can be read."""
    try:
        return ["null" if text is None else _on_one_line(text, codec.loads(text)) for text in values]
    except (ValueError, RecursionError) as error:
        raise StoreFailure(f"a row holds what can't be read as JSON: {error}") from error


def _on_one_line(text: str, value: Any) -> str:
    return codec.encode(value) if "\n" in text else text


def _times(values: Sequence[str | None]) -> list[str]:
    """Times as the databases write them: PostgreSQL with an offset, and without zeros at the end of the second."""
    return [
        f'"{text[:10]}T{text[11:26]}+00:00"'
        if text and text[20:26].isdecimal() and (len(text) == 26 or text[26:] == "+00")
        else _time(text)
        for text in values
    ]


def _time(text: str | None) -> str:
    if text is None:
        return "null"
    time = datetime.fromisoformat(text)
    return f'"{time_text(time if time.tzinfo else time.replace(tzinfo=UTC))}"'


def _costs(values: Iterable[Any]) -> list[str]:
    return ["null" if value is None else f'"{value:f}"' for value in values]


def _usages(*counts: Sequence[int | None]) -> Iterable[str]:
    return map(_usage, zip(*counts, strict=True))


def _usage(counts: tuple[int | None, ...]) -> str:
    return "null" if counts == _NOTHING else codec.encode(dict(zip(_USAGE, counts, strict=True)))


_NOTHING = (None,) * len(_USAGE)
_CONVERT: dict[type[Any], Callable[[Sequence[Any]], Iterable[Any]]] = {
    JSONTextField: _json,
    MetadataField: _json,
    TimestampField: _times,
    ExactTimestampField: _times,
    CostField: _costs,
}
