"""Traces: spans that come and end in any order, and the trees they make."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ...backends.base import Patch
from ...exceptions import AlreadyExists, InvalidRecord, NotFound
from ...facade import Storage
from ...records import TokenUsage, Trace, TraceNode
from ...refusals import Refused
from .helpers import case, column, everything, exactly, open_session
from .samples import NAIVE, at, full


def span(storage: Storage, id: str, parent_id: str = "", started: int = 0, **fields: Any) -> Trace:
    return storage.insert_trace(Trace(id=id, session_id="s", parent_id=parent_id, started_at=at(started), **fields))


def patched(storage: Storage, id: str, **once: str) -> Trace:
    return storage.backend.run(lambda: storage.backend.patch(Trace, id, Patch(once=once)))


def outline(nodes: list[TraceNode]) -> list[Any]:
    return [(node.trace.id, outline(node.children)) if node.children else node.trace.id for node in nodes]


#: Ends of spans that can't be kept, and the field that each is refused for.
_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"output": float("nan")}, "output"),
    ({"error": "a\x00"}, "error"),
    ({"ended_at": NAIVE}, "ended_at"),
    ({"status": "failed"}, "status"),
    ({"usage": TokenUsage(total_tokens=-1)}, "usage.total_tokens"),
    ({"cost": Decimal(-1)}, "cost"),
    ({"attributes": {"n": -0.0}}, "attributes.n"),
    ({"events": None}, "events"),
]


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
        storage.insert_trace(full("trace"))
        [id] = column(storage.list_traces("s"), "id")
        end: dict[str, Any] = {
            "output": {"b": 1.0, "a": -0.0},
            "error": "",
            "status": "error",
            "model": "another",
            "usage": TokenUsage(total_tokens=7),
            "cost": Decimal("0.5"),
            "attributes": {"b": 1},
            "events": [{"b": 1.0, "a": -0.0}],
        }
        expected = storage.get_trace(id)
        assert storage.end_trace(id) == expected
        for named in (*({name: value} for name, value in end.items()), {"output": None, "usage": None, "cost": None}):
            expected = dataclasses.replace(expected, **({"status": "unset"} if "error" in named else {}) | named)
            assert repr(storage.end_trace(id, **named)) == repr(expected)  # in which 1 is not 1.0, and -0.0 not 0.0
            assert repr(storage.get_trace(id)) == repr(expected)

    def test_an_error_sets_the_status_unless_that_is_named(self, storage: Storage) -> None:
        for position, (begun, end, status) in enumerate(
            [
                ({}, {}, "unset"),
                ({}, {"error": "it failed"}, "error"),
                ({"status": "ok"}, {"error": "it failed"}, "error"),
                ({}, {"error": "it failed", "status": "ok"}, "ok"),
                ({"error": "it failed"}, {"output": 1}, "error"),
                ({"error": "it failed"}, {"error": ""}, "unset"),
                ({"error": "it failed"}, {"status": "ok"}, "ok"),
                ({"error": "it failed", "status": "ok"}, {}, "ok"),
            ]
        ):
            with case(begun, end):
                span(storage, f"{position}", **begun)
                assert storage.end_trace(f"{position}", **end).status == status
                assert storage.get_trace(f"{position}").status == status

    def test_a_span_is_part_of_its_parents_run(self, storage: Storage) -> None:
        assert span(storage, "root").trace_id == "root"
        assert span(storage, "given", trace_id="run").trace_id == "run"
        assert span(storage, "child", "given").trace_id == "run"
        assert span(storage, "grandchild", "child").trace_id == "run"
        assert span(storage, "another's", "given", trace_id="another").trace_id == "another"
        assert span(storage, "early", "late").trace_id == "early"
        assert span(storage, "late", trace_id="run").trace_id == "run"
        assert storage.get_trace("early").trace_id == "early"
        assert span(storage, "early", "late").trace_id == "early"  # written again
        assert span(storage, "self", "self").trace_id == "self"

    def test_a_parent_may_come_in_the_same_batch(self, storage: Storage) -> None:
        span(storage, "stored", trace_id="run")
        given = [
            *(("c", "b"), ("b", "a"), ("a", ""), ("y", "x"), ("x", "stored"), ("w", "stored")),
            *(("lost", "nowhere"), ("under", "lost"), ("ring", "turn"), ("turn", "ring"), ("beside", "ring")),
        ]
        stored = storage.insert_traces([Trace(id=id, session_id="s", parent_id=parent) for id, parent in given])
        found = dict(zip(column(stored, "id"), column(stored, "trace_id"), strict=True))
        assert found == {
            **dict.fromkeys("abc", "a"),
            **dict.fromkeys("wxy", "run"),
            **dict.fromkeys(["lost", "under"], "lost"),
            **dict.fromkeys(["ring", "turn", "beside"], "turn"),
        }
        assert {trace.id: trace.trace_id for trace in storage.list_traces("s")} == found | {"stored": "run"}

    def test_the_spans_of_a_run(self, storage: Storage) -> None:
        for number, (session_id, trace_id) in enumerate([("s", "a"), ("t", "a"), ("s", "b"), ("s", "a"), ("", "a")]):
            storage.insert_trace(
                Trace(
                    id=f"{number}",
                    session_id=session_id,
                    trace_id=trace_id,
                    kind="node" if number else "graph",
                    error="it failed" if number == 1 else "",
                    started_at=at(9 - number // 2),
                )
            )
        assert column(storage.list_traces(trace_id="a"), "id") == ["4", "3", "0", "1"]
        assert column(storage.list_traces("s", trace_id="a"), "id") == ["3", "0"]
        assert column(storage.iter_traces(trace_id="a", kind="node"), "id") == ["4", "3", "1"]
        assert column(storage.list_traces(trace_id="a", failed=True), "id") == ["1"]
        assert storage.list_traces(trace_id="A") == []

    def test_ending_what_is_not_there(self, storage: Storage) -> None:
        """Against: an update of a missing row that reports success."""
        with pytest.raises(NotFound):
            storage.end_trace("t", output=1)
        assert storage.get_trace("t") is None

    def test_an_end_that_is_refused_leaves_it_running(self, storage: Storage) -> None:
        begun = span(storage, "t")
        for end, field in _REFUSED:
            with case(end, field):
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

    def test_a_span_without_a_session_is_given_one_once(self, storage: Storage) -> None:
        begun = storage.insert_trace(Trace(id="t", trace_id="run"))
        given = patched(storage, "t", session_id="s")
        assert given == dataclasses.replace(begun, session_id="s")
        assert storage.list_traces("s") == storage.list_traces(trace_id="run") == [given]
        with pytest.raises(Refused):
            patched(storage, "t", session_id="another")
        assert storage.list_traces("another") == storage.list_traces("") == []
        assert outline(storage.trace_tree("s")) == ["t"]

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
        span(storage, "5", started=5, status="error")
        span(storage, "6", started=6, error="it failed", status="ok")
        assert column(storage.list_traces("s", failed=True), "id") == ["1", "2", "4", "5"]
        assert column(storage.list_traces("s", failed=False), "id") == ["0", "3", "6"]
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
            for number in range(1_200)
        )
        [node] = storage.trace_tree("s")
        depth = 1
        while node.children:
            [node] = node.children
            depth += 1
        assert depth == 1_200
