"""States of checkpoints, kept by their skeletons: what a skeleton says of a state's items is true of no other state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from ... import codec
from ...checkpoints.outlines import outline
from ...checkpoints.skeletons import Skeleton, is_of, is_skeleton
from ...records import Checkpoint
from ..base import Condition, Query
from .cache import Cache, key

_Series: TypeAlias = tuple[str, str]


def filled(
    found: list[Checkpoint], select: Callable[[Query[Checkpoint]], list[Checkpoint]], cache: Cache
) -> list[Checkpoint] | None:
    """Checkpoints that were read as they are kept, with their states; None where one of them was removed meanwhile.

    Args:
        select: reads what the cache has not.
    """
    keys = {number: place for number, record in enumerate(found) if (place := place_of(record))}
    texts = cache.get(keys.values()) if keys else {}
    missing = []
    for number, place in keys.items():
        state = _loaded(texts.get(place))
        if state is None:
            missing.append(number)
        else:
            found[number].state = state
    if not missing:
        return found
    read = _read([found[number] for number in missing], select)
    new = {}
    for number in missing:
        record, skeleton = read.get(_name(found[number])), cast("Skeleton", found[number].state)
        # What is there by now may be another one, of the same id.
        if record is not None and is_of(skeleton, outline(record.state)):
            new[keys[number]] = codec.encode(record.state)
    cache.set(new)
    if any(_name(found[number]) not in read for number in missing):
        return None
    return [read.get(_name(record), record) for record in found]


def place_of(record: Checkpoint) -> str:
    """The key under which the state of a checkpoint that was read as it is kept is; empty where it needs none."""
    if not is_skeleton(record.state):
        return ""
    return key("state", record.session_id, codec.encode(record.state))


def _loaded(text: str | None) -> dict[str, Any] | None:
    try:
        state = None if text is None else codec.loads(text)
    except ValueError:  # what somebody else has put there
        return None
    return state if isinstance(state, dict) else None


def _name(record: Checkpoint) -> tuple[str, str]:
    return record.session_id, record.id


def _read(
    wanted: list[Checkpoint], select: Callable[[Query[Checkpoint]], list[Checkpoint]]
) -> dict[tuple[str, str], Checkpoint]:
    ids: dict[_Series, list[str]] = defaultdict(list)
    for record in wanted:
        ids[record.session_id, record.namespace].append(record.id)
    queries = (
        Query(
            record=Checkpoint,
            where=(
                Condition("session_id", "=", session_id),
                Condition("namespace", "=", namespace),
                Condition("id", "in", of_series),
            ),
        )
        for (session_id, namespace), of_series in ids.items()
    )
    return {_name(record): record for query in queries for record in select(query)}
