"""Filters as conditions on a ``jsonb`` column of PostgreSQL.

A condition is never NULL, so that NOT turns it around. Equality with a scalar is a containment, which an index on the
column (``jsonb_path_ops``) answers.
"""

from __future__ import annotations

from typing import Any

from . import codec
from .filters import And, Compares, Contains, Equals, Exists, In, Node, Not, Or, Prefix

_SQL_OPERATORS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}

#: So many values are each looked for in the index; more are a table to look each row's value up in.
_FEW_VALUES = 100

#: A condition and the parameters of its placeholders.
Condition = tuple[str, list[Any]]


def condition(node: Node, column: str) -> Condition:
    """The condition that is true of the rows which `node` matches.

    Args:
        column: the column's name as it stands in the statement.
    """
    match node:
        case And():
            return _joined(node.parts, " AND ", "TRUE", column)
        case Or():
            return _joined(node.parts, " OR ", "FALSE", column)
        case Not():
            sql, parameters = condition(node.part, column)
            return f"NOT {sql}", parameters
        case Equals():
            return _equals(node, column)
        case In():
            return _in(node, column)
        case Compares():
            return _compares(node, column)
        case Contains():
            return _contains(node, column)
        case Prefix():
            value, parameters = _value(node.path, column)
            text = f"{value} #>> '{{}}'"
            return (
                f"coalesce(jsonb_typeof({value}) = 'string' AND starts_with({text}, %s), FALSE)",
                [*parameters, *parameters, node.value],
            )
        case Exists():
            value, parameters = _value(node.path, column)
            return f"({value} IS NOT NULL)", parameters
    raise TypeError(f"{node!r} is no part of a filter")


def _joined(parts: tuple[Node, ...], joint: str, without: str, column: str) -> Condition:
    if not parts:
        return without, []
    conditions = [condition(part, column) for part in parts]
    return f"({joint.join(sql for sql, _ in conditions)})", [value for _, values in conditions for value in values]


def _value(path: tuple[str, ...], column: str) -> Condition:
    # One step at a time with text keys: the path operators would take "0" for a place in a list.
    return f"({column}{' -> %s::text' * len(path)})", list(path)


def _equals(node: Equals, column: str) -> Condition:
    if not isinstance(node.value, dict | list):
        return _has(node.path, node.value, column)
    value, parameters = _value(node.path, column)
    return f"coalesce({value} = %s::jsonb, FALSE)", [*parameters, codec.dumps(node.value)]


def _has(path: tuple[str, ...], wanted: Any, column: str) -> Condition:
    """Whether a value contains the wanted one: of a scalar, is it; of a list of scalars, is a list with all of them."""
    for key in reversed(path):
        wanted = {key: wanted}
    return f"({column} @> %s::jsonb)", [codec.dumps(wanted)]


def _contains(node: Contains, column: str) -> Condition:
    values = sorted(node.values)
    wanted = [codec.loads(value) for value in values]
    if len(values) <= _FEW_VALUES and not any(isinstance(value, dict | list) for value in wanted):
        if node.every:
            return _has(node.path, wanted, column)
        conditions = [_has(node.path, [value], column) for value in wanted]
        return f"({' OR '.join(sql for sql, _ in conditions) or 'FALSE'})", [
            each for _, given in conditions for each in given
        ]
    # To a containment an object inside a list is what has some of its keys.
    value, parameters = _value(node.path, column)
    items = f"SELECT jsonb_array_elements(CASE jsonb_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END)"
    given = "SELECT jsonb_array_elements(%s::jsonb)"
    text = f"[{','.join(values)}]"
    if not node.every:
        return f"EXISTS ({items} INTERSECT {given})", [*parameters, *parameters, text]
    return f"NOT EXISTS ({given} EXCEPT {items})", [text, *parameters, *parameters]


def _in(node: In, column: str) -> Condition:
    values = sorted(node.values)
    if len(values) <= _FEW_VALUES:
        return _joined(tuple(Equals(node.path, codec.loads(value)) for value in values), " OR ", "FALSE", column)
    value, parameters = _value(node.path, column)
    return f"coalesce({value} IN (SELECT jsonb_array_elements(%s::jsonb)), FALSE)", [
        *parameters,
        f"[{','.join(values)}]",
    ]


def _compares(node: Compares, column: str) -> Condition:
    value, parameters = _value(node.path, column)
    comparison = _SQL_OPERATORS[node.operator]
    if isinstance(node.value, str):
        # jsonb compares strings by the database's collation.
        kind, compared, wanted = "string", f"({value} #>> '{{}}') COLLATE \"C\" {comparison} %s", node.value
    else:
        kind, compared, wanted = "number", f"{value} {comparison} %s::jsonb", codec.dumps(node.value)
    return f"coalesce(jsonb_typeof({value}) = '{kind}' AND {compared}, FALSE)", [*parameters, *parameters, wanted]
