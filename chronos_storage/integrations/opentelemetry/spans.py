"""A span of OpenTelemetry's as a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

from ... import codec
from ...exceptions import InvalidRecord
from ...ids import composite_id
from ...records import TokenUsage, Trace
from . import conventions
from .content import Content
from .fitting import fit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {StatusCode.UNSET: "unset", StatusCode.OK: "ok", StatusCode.ERROR: "error"}


def trace_of(span: ReadableSpan) -> Trace:
    """The trace that a span is kept as: in its fields what the conventions have names for, else as the span has it.

    Its id is that of its run and its own, so a span that is exported again, by whomever, is the same trace.
    """
    attributes = dict(span.attributes or {})
    content = Content(attributes, [dict(event.attributes or {}) for event in span.events])
    given, gave = content.take(conventions.INPUT), content.take(conventions.OUTPUT)
    events = [
        {"name": event.name, "time": _text_of(_time(event.timestamp)), "attributes": dict(event.attributes or {})}
        for event in span.events
    ]
    links = [{**_named(link.context), "attributes": dict(link.attributes or {})} for link in span.links]
    error = _error(span, attributes)
    trace = Trace(
        id=_id(span.context),
        trace_id=f"{span.context.trace_id:032x}",
        session_id=_session(attributes),
        parent_id=_id(span.parent) if span.parent else "",
        name=_cut(span.name, codec.MAX_INDEXED),
        kind=_cut(_kind(span, attributes), codec.MAX_INDEXED),
        error=_cut(error, codec.MAX_TEXT),
        status=_STATUSES[span.status.status_code],
        model=_cut(str(_first(attributes, conventions.MODEL) or ""), codec.MAX_INDEXED),
        usage=_usage(attributes),
        cost=_cost(attributes),
        started_at=_time(span.start_time),
        ended_at=_time(span.end_time),
    )
    fit(
        trace,
        input=given,
        output=gave,
        attributes={**content.rest(), **_told_beside(span)},
        resource=dict(span.resource.attributes),
        events=events,
        links=links,
    )
    return trace


def _id(context: SpanContext) -> str:
    return f"{context.trace_id:032x}-{context.span_id:016x}"


def _named(context: SpanContext) -> dict[str, str]:
    return {"id": _id(context), "trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _first(attributes: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)


def _cut(text: str, length: int) -> str:
    plain: str = codec.scrub(text)
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"


def _session(attributes: Mapping[str, Any]) -> str:
    session = _first(attributes, conventions.SESSION)
    return "" if session is None else composite_id(str(session))


def _kind(span: ReadableSpan, attributes: Mapping[str, Any]) -> str:
    for name, kinds in conventions.KINDS.items():
        if kind := str(attributes.get(name) or "").lower():
            return kinds.get(kind, kind)
    return span.kind.name.lower()


def _error(span: ReadableSpan, attributes: Mapping[str, Any]) -> str:
    """What went wrong, where something did: as the status says, or the last exception."""
    if span.status.status_code is not StatusCode.ERROR:
        return ""
    if span.status.description:
        return span.status.description
    for event in reversed(span.events):
        if event.name == "exception":
            told = event.attributes or {}
            return ": ".join(str(told[name]) for name in ("exception.type", "exception.message") if told.get(name))
    return str(attributes.get("error.type") or "")


def _usage(attributes: Mapping[str, Any]) -> TokenUsage:
    return TokenUsage(**{name: _count(_first(attributes, names)) for name, names in conventions.USAGE.items()})


def _count(value: Any) -> int | None:
    """A count of tokens; None where it is none: the attribute that says so stays."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    with suppress(InvalidRecord):
        return None if value is None else codec.integer(value, "count", maximum=codec.MAX_TOKENS)
    return None


def _cost(attributes: Mapping[str, Any]) -> Decimal | None:
    value = _first(attributes, conventions.COST)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    with suppress(InvalidOperation, InvalidRecord):
        number = Decimal(repr(value) if isinstance(value, float) else value)
        return codec.cost(round(number, codec.COST_PLACES) if number.is_finite() else number, "cost")
    return None


def _time(nanoseconds: int | None) -> datetime | None:
    with suppress(OverflowError, InvalidRecord):
        if nanoseconds is not None:
            return codec.timestamp(_EPOCH + timedelta(microseconds=nanoseconds // 1000), "time")
    return None


def _text_of(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _told_beside(span: ReadableSpan) -> dict[str, Any]:
    """What is no attribute of the span's and has no field, under the names that OpenTelemetry has for it."""
    scope = span.instrumentation_scope
    told = {
        "otel.scope.name": scope.name if scope else None,
        "otel.scope.version": scope.version if scope else None,
        "otel.dropped_attributes_count": span.dropped_attributes,
        "otel.dropped_events_count": span.dropped_events,
        "otel.dropped_links_count": span.dropped_links,
        "span.kind": span.kind.name.lower(),
        "w3c.tracestate": span.context.trace_state.to_header(),
    }
    return {name: value for name, value in told.items() if value}
