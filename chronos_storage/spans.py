"""Spans as trees."""

from __future__ import annotations

from collections.abc import Iterable

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
