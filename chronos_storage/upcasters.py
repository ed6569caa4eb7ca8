"""Reading in today's shape what was written in an older one.

`schema` and `schema_version` name the shape of an event's payload, a memory's value or a checkpoint's state. The host
registers a function for each step from one version to the next, at best in ``AppConfig.ready``; `Storage` runs them on
what it reads, up to the newest version that can be reached. What is stored stays as it is, and so do its hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from . import codec
from .exceptions import ConfigurationError, InvalidRecord
from .records import Checkpoint, Event, MemoryRecord, Record

R = TypeVar("R", bound=Record)

Upcaster = Callable[[Any], Any]

#: By schema and the version that a function begins with.
_steps: dict[tuple[str, int], Upcaster] = {}
#: The field with a schema, and what its values are.
_DATA: dict[type[Record], tuple[str, Callable[[Any, str], Any]]] = {
    MemoryRecord: ("value", codec.json_value),
    Event: ("payload", codec.json_value),
    Checkpoint: ("state", codec.json_object),
}


def register(schema: str, from_version: int, function: Upcaster) -> None:
    """Have data of this schema and version read as the next version's.

    Args:
        function: gets the JSON value that the version has, which it may change, and returns the next version's. It is
            called with each reading, so it should be quick, and give the same for the same.

    Raises:
        ConfigurationError: another function does this step already; the same one again is no change.
        InvalidRecord: a schema or version that no record can have, or no schema.
    """
    newest = codec.MAX_INTEGER - 1  # the last that has a next one
    step = codec.string(schema, "schema"), codec.integer(from_version, "from_version", maximum=newest)
    if not step[0]:
        raise InvalidRecord("schema", "is empty; name the shape that the function is for")
    if not callable(function):
        raise InvalidRecord("function", f"must be a function of one value, not {type(function).__name__}")
    if _steps.setdefault(step, function) != function:
        raise ConfigurationError(f"schema {schema!r} has another upcaster from version {from_version} already")


def newest(schema: str) -> int | None:
    """The version after the last step that is registered for a schema; None where none is."""
    return max((version + 1 for name, version in _steps if name == schema), default=None)


def reached(schema: str, version: int) -> int:
    """The version in which data of this version are read."""
    while (schema, version) in _steps:
        version += 1
    return version


def upcast(record: R) -> R:
    """The record as today's code reads it; itself, where nothing is registered for it.

    Raises:
        InvalidRecord: an upcaster returned what is no JSON, or no object for a state.
    """
    known: Any = record
    if (data := _DATA.get(type(record))) is None or (known.schema, known.schema_version) not in _steps:
        return record
    name, check = data
    value, version = getattr(known, name), known.schema_version
    while (function := _steps.get((known.schema, version))) is not None:
        try:
            value = check(function(value), name)
        except Exception as error:
            error.add_note(
                f"in the upcaster of schema {known.schema!r} from version {version}, of {type(record).__name__}"
                f" {known.id!r}" + (f" of session {known.session_id!r}" if known.session_id else "")
            )
            raise
        version += 1
    upcasted: R = replace(known, **{name: value, "schema_version": version})
    return upcasted


def upcast_all(found: list[R]) -> list[R]:
    """Each of the records as `upcast` gives it."""
    return list(map(upcast, found)) if _steps else found


def upcast_each(found: Iterable[R]) -> Iterator[R]:
    """The same, one by one as they are asked for."""
    return map(upcast, found) if _steps else iter(found)
