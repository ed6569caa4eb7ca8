"""The sessions of spans that name none, as those of databases and of HTTP, which instrumentations of their own make."""

from __future__ import annotations

from collections.abc import Mapping

from ...records import Trace


def give_sessions(traces: Mapping[str, Trace]) -> None:
    """Give spans without a session that of the nearest span around them, or else the only one that their run has.

    Args:
        traces: by id.
    """
    of_runs: dict[str, set[str]] = {}
    for trace in traces.values():
        if trace.session_id:
            of_runs.setdefault(trace.trace_id, set()).add(trace.session_id)
    for trace in traces.values():
        if not trace.session_id and (sessions := of_runs.get(trace.trace_id)):
            trace.session_id = _around(trace, traces) or (next(iter(sessions)) if len(sessions) == 1 else "")


def _around(trace: Trace, traces: Mapping[str, Trace]) -> str:
    passed = {trace.id}  # ids that somebody made up may go round in a ring
    while (parent := traces.get(trace.parent_id)) and parent.id not in passed:
        if parent.session_id:
            return parent.session_id
        passed.add(parent.id)
        trace = parent
    return ""
