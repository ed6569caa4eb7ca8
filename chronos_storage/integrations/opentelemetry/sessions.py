"""The sessions of spans that name none, as those of databases and of HTTP, which instrumentations of their own make."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from ...backends.base import Condition, Patch, Query
from ...facade import Storage
from ...facade.base import in_our_words
from ...records import Trace
from ...refusals import Refused

_FIELDS = ("id", "trace_id", "parent_id", "session_id")


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


def give_stored_sessions(storage: Storage, traces: Mapping[str, Trace]) -> None:
    """Do so among new spans and those of their runs that are stored, of which some came before the spans around them.

    Args:
        traces: the new ones, by id.
    """
    runs = {
        trace.trace_id
        for trace in traces.values()
        if trace.session_id or (trace.parent_id and trace.parent_id not in traces)
    }
    stored: dict[str, Trace] = {}
    for run in sorted(runs):
        query = Query(
            record=Trace, where=(Condition("trace_id", "=", run),), order=("started_at", "id"), fields=_FIELDS
        )
        found = in_our_words(storage.backend.run, partial(storage.backend.select, query))
        stored |= {trace.id: trace for trace in found}
    without = [id for id, trace in stored.items() if not trace.session_id]
    together = {**stored, **traces}
    give_sessions(together)
    for id in without:
        if session_id := together[id].session_id:
            patch = Patch(once={"session_id": session_id})
            with suppress(Refused):  # it was removed meanwhile, or another process gave it one
                storage.backend.run(partial(storage.backend.patch, Trace, id, patch))


def _around(trace: Trace, traces: Mapping[str, Trace]) -> str:
    passed = {trace.id}  # ids that somebody made up may go round in a ring
    while (parent := traces.get(trace.parent_id)) and parent.id not in passed:
        if parent.session_id:
            return parent.session_id
        passed.add(parent.id)
        trace = parent
    return ""
