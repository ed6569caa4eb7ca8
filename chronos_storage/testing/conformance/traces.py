"""Traces: spans that come and end in any order, and the trees they make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ...exceptions import AlreadyExists, InvalidRecord, NotFound
from ...facade import Storage
from ...records import Trace, TraceNode
from .helpers import column, everything, exactly, open_session
from .samples import NAIVE, at


def span(storage: Storage, id: str, parent_id: str = "", started: int = 0, **fields: Any) -> Trace:
    return storage.insert_trace(Trace(id=id, session_id="s", parent_id=parent_id, started_at=at(started), **fields))


def outline(nodes: list[TraceNode]) -> list[Any]:
    return [(node.trace.id, outline(node.children)) if node.children else node.trace.id for node in nodes]


class TraceContract:
    def test_a_span_begins_and_ends(self, storage: Storage) -> None:
        """Against: a span that never gets its end."""
        begun = storage.insert_trace(Trace(session_id="s", name="step", input=[1.0]))
        assert begun.ended_at is None
        ended = storage.end_trace(begun.id, output={"b": 1, "a": -0.0}, error="it failed", ended_at=at(10**9))
        assert storage.get_trace(begun.id) == ended
        assert exactly(ended.output) == exactly({"b": 1, "a": -0.0})
        assert (ended.error, ended.ended_at) == ("it failed", at(10**9))
        assert (ended.name, ended.input, ended.started_at) == (begun.name, begun.input, begun.started_at)

    def test_it_ends_now_unless_told_when(self, storage: Storage) -> None:
        """Against: a span that never gets its end."""
        begun = storage.insert_trace(Trace(session_id="s"))
        ended = storage.end_trace(begun.id).ended_at
        assert begun.started_at is not None
        assert ended is not None
        assert begun.started_at <= ended <= datetime.now(UTC) + timedelta(minutes=1)

    def test_ending_it_again_keeps_the_time_of_the_first_end(self, storage: Storage) -> None:
        span(storage, "t")
        storage.end_trace("t", ended_at=at(5))
        for again in (at(4), at(6), None):
            assert storage.end_trace("t", output="later", ended_at=again).ended_at == at(5)
        assert storage.get_trace("t").ended_at == at(5)

    def test_an_end_leaves_what_it_does_not_name(self, storage: Storage) -> None:
        span(storage, "t", output={"n": 1}, error="it failed", ended_at=at(5))
        before = storage.get_trace("t")
        assert storage.end_trace("t") == before
        assert storage.end_trace("t", error="again").output == {"n": 1}
        assert storage.end_trace("t", output=2).error == "again"
        cleared = storage.end_trace("t", output=None, error="")
        assert (cleared.output, cleared.error, cleared.ended_at) == (None, "", at(5))
        assert storage.get_trace("t") == cleared

    def test_ending_what_is_not_there(self, storage: Storage) -> None:
        """Against: an update of a missing row that reports success."""
        with pytest.raises(NotFound):
            storage.end_trace("t", output=1)
        assert storage.get_trace("t") is None

    @pytest.mark.parametrize(
        ("end", "field"),
        [
            ({"output": float("nan")}, "output"),
            ({"error": "a\x00"}, "error"),
            ({"ended_at": NAIVE}, "ended_at"),
        ],
    )
    def test_an_end_that_is_refused_leaves_it_running(self, storage: Storage, end: dict[str, Any], field: str) -> None:
        begun = span(storage, "t")
        with pytest.raises(InvalidRecord) as caught:
            storage.end_trace("t", **end)
        assert caught.value.field == field
        assert storage.get_trace("t") == begun

    def test_a_span_may_come_finished_before_its_parent_and_without_its_session(self, storage: Storage) -> None:
        child = span(storage, "child", "parent", started=2, ended_at=at(3), output="done")
        assert (child.ended_at, child.output) == (at(3), "done")
        span(storage, "parent", started=1)
        assert outline(storage.trace_tree("s")) == [("parent", ["child"])]
        assert storage.get_session("s") is None

    def test_several_come_at_once(self, storage: Storage) -> None:
        given = [Trace(id=f"{n % 5}", session_id="s", name="n", started_at=at(n % 5)) for n in range(7)]
        stored = storage.insert_traces(given)
        assert column(stored, "id") == ["0", "1", "2", "3", "4", "0", "1"]
        assert storage.list_traces("s") == stored[:5]
        assert storage.insert_traces([]) == []

    def test_an_id_is_taken_in_every_session(self, storage: Storage) -> None:
        span(storage, "t")
        before = everything(storage)
        with pytest.raises(AlreadyExists):
            storage.insert_trace(Trace(id="t", session_id="another", started_at=at(0)))
        assert everything(storage) == before

    def test_spans_in_the_order_they_started(self, storage: Storage) -> None:
        for id, started in (("b", 2), ("c", 1), ("\u00e9", 1), ("a", 2), ("Z", 2)):
            span(storage, id, started=started, kind="node" if id in "ab" else "tool_call")
        storage.insert_trace(Trace(id="another session's", session_id="another", started_at=at(1)))
        assert column(storage.list_traces("s"), "id") == ["c", "\u00e9", "Z", "a", "b"]
        assert column(storage.list_traces("s", kind="node"), "id") == ["a", "b"]
        assert column(storage.iter_traces("s", kind="tool_call"), "id") == ["c", "\u00e9", "Z"]

    def test_spans_that_failed(self, storage: Storage) -> None:
        for number, error in enumerate(["", "it failed", " ", "", "\U0001f642"]):
            span(storage, f"{number}", started=number, error=error, kind="node" if number < 3 else "")
        assert column(storage.list_traces("s", failed=True), "id") == ["1", "2", "4"]
        assert column(storage.list_traces("s", failed=False), "id") == ["0", "3"]
        assert column(storage.iter_traces("s", kind="node", failed=True), "id") == ["1", "2"]

    def test_spans_are_not_listed_whosever_they_are(self, storage: Storage) -> None:
        span(storage, "t")
        for listed in (storage.list_traces, lambda **filters: list(storage.iter_traces(**filters))):
            with pytest.raises(InvalidRecord) as caught:
                listed(kind="node")
            assert caught.value.field == "session_id"

    def test_the_tree(self, storage: Storage) -> None:
        open_session(storage)
        for started, (id, parent_id) in enumerate(
            [("a", ""), ("b", ""), ("a1", "a"), ("b1", "b"), ("a2", "a"), ("a1x", "a1"), ("orphan", "gone")]
        ):
            span(storage, id, parent_id, started)
        storage.insert_trace(Trace(id="elsewhere", session_id="another", parent_id="a"))
        assert outline(storage.trace_tree("s")) == [("a", [("a1", ["a1x"]), "a2"]), ("b", ["b1"]), "orphan"]
        assert storage.trace_tree("s")[0].trace == storage.get_trace("a")
        assert storage.trace_tree("unknown") == []

    def test_a_ring_of_parents_begins_with_its_earliest(self, storage: Storage) -> None:
        for started, (id, parent_id) in enumerate(
            [("b", "a"), ("c", "b"), ("a", "c"), ("leaf", "a"), ("self", "self"), ("under", "self")]
        ):
            span(storage, id, parent_id, started)
        assert outline(storage.trace_tree("s")) == [("b", [("c", [("a", ["leaf"])])]), ("self", ["under"])]

    def test_a_long_chain_of_spans_is_no_deep_recursion(self, storage: Storage) -> None:
        storage.load(
            Trace(id=f"{number:04}", session_id="s", parent_id=f"{number - 1:04}", started_at=at(number))
            for number in range(2_000)
        )
        [node] = storage.trace_tree("s")
        depth = 1
        while node.children:
            [node] = node.children
            depth += 1
        assert depth == 2_000
