"""What checkpoints hold, as text for people: no class of anybody's is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ... import codec
from .channels import Missing, Serializer
from .keys import Where
from .models import GraphCheckpoint
from .reading import Logs, one


def state_text(using: str, row: GraphCheckpoint) -> str:
    """The values of a checkpoint's channels."""
    namespace = row.namespace
    found = one(using, Where(namespace.thread.thread_id, namespace.name), row.checkpoint_id)
    values: dict[str, Any] = {}
    if found is not None:
        short = _Plain().loads_typed((found.type, found.data))
        if isinstance(short, Mapping):
            values |= short.get("channel_values", {})
        logs = Logs(using, found)
        for channel, place in found.kept.items():
            with suppress(Missing):
                values[channel], _ = logs.items(found.namespace, channel, [place]).value(_Plain(), place)
    return _text(values)


def writes_text(using: str, row: GraphCheckpoint) -> str:
    """What tasks wrote to channels after a checkpoint, in order."""
    namespace = row.namespace
    found = one(using, Where(namespace.thread.thread_id, namespace.name), row.checkpoint_id)
    loads = _Plain().loads_typed
    return _text(
        [
            {"task": write.task_id, "channel": write.channel, "value": loads((write.type, write.data))}
            for write in (found.writes if found else ())
        ]
    )


class _Plain(Serializer):
    """Reads what LangGraph's own serializer wrote; an object is its fields."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        raise NotImplementedError

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        form, content = data
        if form == "null":
            return None
        if form != "msgpack":
            return f"{form}: {len(content):,} bytes"
        return _unpacked()(content)


def _unpacked() -> Callable[[bytes], Any]:
    import ormsgpack  # which comes with LangGraph

    def read(content: bytes) -> Any:
        return ormsgpack.unpackb(content, ext_hook=fields, option=ormsgpack.OPT_NON_STR_KEYS)

    def fields(code: int, content: bytes) -> Any:
        value = read(content)
        # A class's module and name, what it is made of, and perhaps by which method.
        is_object = isinstance(value, list) and len(value) > 2 and all(isinstance(part, str) for part in value[:2])
        return value[2] if is_object else value

    return read


def _text(value: Any) -> str:
    return json.dumps(codec.storable(value).value, ensure_ascii=False, indent=2)
