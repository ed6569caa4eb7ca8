"""What a step was given and what it gave, out of attributes that hold it as JSON, as text or piece by piece."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ... import codec
from .conventions import TYPED


class Content:
    """A span's attributes, out of which is taken what has a field of its own.

    Args:
        attributes: the span's.
        told: those of its events, where older conventions put what the model was given.
    """

    def __init__(self, attributes: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> None:
        self._attributes, self._told = attributes, told
        self._taken: set[str] = set()

    def take(self, names: Sequence[str]) -> Any:
        """What the first of these names that is there says; None where none is."""
        for name in names:
            if name in self._attributes:
                self._taken.add(name)
                return _read(name, self._attributes)
            if pieces := [key for key in self._attributes if key.startswith(f"{name}.")]:
                self._taken.update(pieces)
                return _joined({key.removeprefix(f"{name}."): self._attributes[key] for key in pieces})
        for name in names:
            for attributes in self._told:
                if name in attributes:
                    return _read(name, attributes)
        return None

    def rest(self) -> dict[str, Any]:
        """The attributes of which nothing was taken."""
        return {name: value for name, value in self._attributes.items() if name not in self._taken}


def _read(name: str, attributes: Mapping[str, Any]) -> Any:
    value = attributes[name]
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    if name in TYPED and attributes.get(TYPED[name]) != "application/json":
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # cut, perhaps: the SDK can be told to keep no long attributes


def _joined(pieces: Mapping[str, Any]) -> Any:
    """What ``0.message.role`` and the like say together: lists where all keys are numbers, else objects."""
    joined: dict[str, Any] = {}
    for path, value in pieces.items():
        *parents, last = path.split(".", codec.MAX_DEPTH)
        inner = joined
        for part in parents:
            further = inner.setdefault(part, {})
            if not isinstance(further, dict):  # a value and a branch of one name
                further = inner[part] = {"": further}
            inner = further
        inner[last] = value
    return _listed(joined)


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _listed(item) for key, item in value.items()}
    if items and all(key.isdecimal() and key.isascii() for key in items):
        return [items[key] for key in sorted(items, key=lambda key: (len(key), key))]
    return items
