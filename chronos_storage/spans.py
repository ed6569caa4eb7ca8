"""Spans as trees, and the runs they are part of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from .records import Trace, TraceNode


def span_tree(traces: Iterable[Trace]) -> list[TraceNode]:
    """The spans under their parents, in the order given. In a ring of parents the earliest span is a root."""
    nodes = {trace.id: TraceNode(trace=trace) for trace in traces}
    order = {id: position for position, id in enumerate(nodes)}
    roots = _roots(nodes, order)
    for id, node in nodes.items():
        if id not in roots:
            nodes[node.trace.parent_id].children.append(node)
    return [node for id, node in nodes.items() if id in roots]


def complete_trace_ids(new: Collection[Trace], stored: Callable[[set[str]], Mapping[str, str]]) -> None:
    """Give new spans that have no trace_id their parents', new ones' or stored ones', or else their own id.

    Args:
        new: as they will be stored, with ids.
        stored: gives the trace_id of those of these ids that are stored, by id.
    """
    without = {trace.id: trace for trace in new if not trace.trace_id}
    if not without:
        return
    found = {trace.id: trace.trace_id for trace in new if trace.trace_id}
    if elsewhere := {trace.parent_id for trace in without.values()} - {"", *found, *without}:
        found |= stored(elsewhere)
    for id in without:
        path: dict[str, None] = {}
        while id in without and id not in found and id not in path:
            path[id] = None
            id = without[id].parent_id
        # Where the walk ends without one, in a ring of parents too, the last span that it came through is the root.
        found |= dict.fromkeys(path, found.get(id) or next(reversed(path), id))
    for id, trace in without.items():
        trace.trace_id = found[id]


def _roots(nodes: dict[str, TraceNode], order: dict[str, int]) -> set[str]:
    roots: set[str] = set()
    settled: set[str] = set()
    for id in nodes:
        path: dict[str, None] = {}
        while id in nodes and id not in settled and id not in path:
            path[id] = None
            id = nodes[id].trace.parent_id
        if id in path:  # the walk came back to where it had been
            ring = list(path)[list(path).index(id) :]
            roots.add(min(ring, key=order.__getitem__))
        elif id not in nodes:
            roots.add(next(reversed(path)))
        settled.update(path)
    return roots
