"""Spans as trees, whatever their parents say."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_storage.records import Trace
from chronos_storage.spans import span_tree


@st.composite
def graphs(draw):
    """Spans whose parents are any of them (itself included), one that isn't there, or none."""
    names = [f"span-{number}" for number in range(draw(st.integers(0, 12)))]
    parents = st.sampled_from([*names, "", "elsewhere"])
    return [Trace(id=name, parent_id=draw(parents)) for name in draw(st.permutations(names))]


def walk(nodes):
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def in_ring(trace, by_id):
    seen, at = set(), trace.parent_id
    while at in by_id and at not in seen:
        if at == trace.id:
            return True
        seen.add(at)
        at = by_id[at].parent_id
    return False


@given(graphs())
def test_every_span_is_there_once(traces):
    assert sorted(node.trace.id for node in walk(span_tree(traces))) == sorted(trace.id for trace in traces)


@given(graphs())
def test_every_child_is_under_the_parent_it_names(traces):
    for node in walk(span_tree(traces)):
        assert all(child.trace.parent_id == node.trace.id for child in node.children)


@given(graphs())
def test_the_order_given_is_the_order_of_roots_and_of_siblings(traces):
    position = {trace.id: number for number, trace in enumerate(traces)}
    tree = span_tree(traces)
    for siblings in [tree, *(node.children for node in walk(tree))]:
        places = [position[node.trace.id] for node in siblings]
        assert places == sorted(places)


@given(graphs())
def test_a_root_has_no_parent_there_or_is_the_earliest_of_a_ring(traces):
    by_id = {trace.id: trace for trace in traces}
    position = {trace.id: number for number, trace in enumerate(traces)}
    for root in span_tree(traces):
        if root.trace.parent_id not in by_id:
            continue
        assert in_ring(root.trace, by_id)
        at = by_id[root.trace.parent_id]
        while at is not root.trace:
            assert position[root.trace.id] < position[at.id]
            at = by_id[at.parent_id]


def test_a_generator_is_taken():
    assert [node.trace.id for node in span_tree(Trace(id=name) for name in "ab")] == ["a", "b"]


@pytest.mark.parametrize("ring", [False, True], ids=["chain", "ring"])
@pytest.mark.parametrize("backwards", [False, True], ids=["parents first", "children first"])
def test_many_spans_in_a_row_take_no_quadratic_time(ring, backwards):
    count = 25_000
    traces = [Trace(id=str(number), parent_id=str(number - 1)) for number in range(count)]
    if ring:
        traces[0].parent_id = str(count - 1)
    if backwards:
        traces.reverse()
    started = time.process_time()
    tree = span_tree(traces)
    assert time.process_time() - started < 2  # quadratic, it would be many times that
    assert len(tree) == 1
    assert sum(1 for _ in walk(tree)) == count
