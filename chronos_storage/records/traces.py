from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from .. import codec
from ..exceptions import InvalidRecord
from . import fields
from .base import Record
from .usage import TokenUsage, usage_or_none

#: What a span says of how it went.
SPAN_STATUSES = ("unset", "ok", "error")


def _status(value: Any, field: str) -> str:
    status = codec.string(value, field)
    if status and status not in SPAN_STATUSES:
        raise InvalidRecord(field, f"must be one of {', '.join(map(repr, SPAN_STATUSES))}, not {status!r}")
    return status


@dataclass(slots=True, kw_only=True)
class Trace(Record):
    """A span: one timed step of a run. An empty `started_at` is now; None in `ended_at` is "still running".

    Known kinds: ``node``, ``tool_call``, ``model_call``, ``approval``, ``graph``.

    Attributes:
        trace_id: the run it is part of, as OpenTelemetry has it; where it is left empty, its stored parent's, or
            without a parent its own id.
        status: ``unset``, ``ok`` or ``error``; where it is left empty, ``error`` if an error is given, else ``unset``.
        cost: at most 999,999 and with at most nine decimal places, in the currency the host says.
        attributes: what the span says of itself, to filter by.
        resource: what says it: service, host, version and the like, to filter by.
        events: what happened during it, a list of any JSON.
        links: other spans it has to do with, a list of any JSON.
    """

    id: str = fields.string()
    trace_id: str = fields.string()
    session_id: str = fields.string()
    parent_id: str = fields.string()
    name: str = fields.string()
    kind: str = fields.string()
    input: Any = fields.json_value()
    output: Any = fields.json_value()
    error: str = fields.string(codec.MAX_TEXT)
    # What a span that has no status yet says is nothing that it could be compared by.
    status: str = fields.field(_status, empty=("", "unset"), default="")
    model: str = fields.string()
    usage: TokenUsage | None = fields.field(usage_or_none, default=None)
    cost: Decimal | None = fields.optional(codec.cost)
    attributes: dict[str, Any] = fields.filterable()
    resource: dict[str, Any] = fields.filterable()
    events: list[Any] = fields.json_list()
    links: list[Any] = fields.json_list()
    started_at: datetime | None = fields.timestamp()
    ended_at: datetime | None = fields.timestamp()

    def complete(self, *, touch: bool = False) -> None:
        Record.complete(self, touch=touch)
        self.status = self.status or ("error" if self.error else "unset")


@dataclass(slots=True, kw_only=True)
class TraceNode:
    """A span and the spans inside it, in the order they started."""

    trace: Trace
    children: list[TraceNode] = dataclasses.field(default_factory=list)
