"""What a span says, made such that a store keeps it."""

from __future__ import annotations

from typing import Any

from ... import codec
from ...exceptions import InvalidRecord
from ...records import Trace

#: The attribute that says what was changed, so that nobody takes it for what the span said.
CHANGES = "chronos.changes"
_BESIDE = 64 * 1024
_FILTERABLE = ("attributes", "resource")


def fit(trace: Trace, **values: Any) -> None:
    """Set fields of a trace to what is nearest to these values; where something was changed, an attribute says what."""
    changes = _set(trace, values, codec.MAX_JSON_BYTES)
    try:
        trace.check_size()
    except InvalidRecord:  # each may be kept, but not all together
        trace.error = trace.error[:100_000]
        changes = _set(trace, values, codec.MAX_JSON_BYTES // 4)
    if changes:
        trace.attributes[CHANGES] = codec.storable(changes, limit=_BESIDE).value


def _set(trace: Trace, values: dict[str, Any], limit: int) -> dict[str, str]:
    changes: dict[str, str] = {}
    for name, value in values.items():
        kept = codec.storable(value, filterable=name in _FILTERABLE, limit=limit - 2 * _BESIDE)
        setattr(trace, name, kept.value)
        changes |= {f"{name}.{path}" if path else name: reason for path, reason in kept.changes.items()}
    return changes
