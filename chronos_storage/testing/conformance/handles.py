"""Handles of sessions and spans: what an agent's own code keeps through them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ...exceptions import AlreadyExists, FenceHeld, InvalidRecord, StaleWriter
from ...facade import Storage
from ...records import Session, TokenUsage, Trace
from .asynchronous import run
from .helpers import PATIENCE, column, open_session
from .steps import Speechless


def spans(storage: Storage, session_id: str = "s") -> dict[str, Trace]:
    """A session's spans by name."""
    return {trace.name: trace for trace in storage.list_traces(session_id)}


class HandleContract:
    def test_a_session_is_made_where_it_is_not_there(self, storage: Storage) -> None:
        with storage.session("s", agent_id="agent", user_id="user") as session:
            assert (session.id, session.session.agent_id, session.fence) == ("s", "agent", None)
        with storage.session("s", title="another") as session:
            assert (session.session.user_id, session.session.title) == ("user", "")
        with storage.session(agent_id="agent") as session:
            assert storage.get_session(session.id) == session.session
        open_session(storage, "deleted")
        storage.delete_session("deleted")
        for entered in (storage.session("s", user_id="other"), storage.session("deleted")):
            with pytest.raises(AlreadyExists), entered:
                raise AssertionError
        with pytest.raises(InvalidRecord, match=r"^ttl"):
            storage.session("s", ttl=0)

    def test_what_is_written_by_it_is_the_session_s(self, storage: Storage) -> None:
        with storage.session("s", agent_id="agent", user_id="user") as session:
            said = session.say("assistant", "hello", id="m", model="m1", usage=TokenUsage(total_tokens=3))
            event = session.event("node_executed", {"n": 1}, id="e", expected_seq=0)
            saved = session.checkpoint({"n": 1}, id="c", namespace="sub", node_id="plan")
            fact = session.remember("likes", ["tea"])
            last = session.remember("last", 1, kind="short_term")
            everyone = session.remember("greeting", "hi", user_id="")
        assert storage.list_messages("s") == [said]
        assert storage.list_events("s") == [event]
        assert storage.get_latest_checkpoint("s", namespace="sub") == saved
        assert storage.get_memory("agent", "likes", user_id="user") == fact
        assert column([fact, last, everyone], "session_id") == ["", "s", ""]
        assert column([fact, last, everyone], "user_id") == ["user", "user", ""]

    def test_what_a_model_said_is_never_refused(self, storage: Storage) -> None:
        with storage.session("s") as session:
            assert session.say("assistant", "a\x00b", metadata={"of": 1}).content == "a\N{REPLACEMENT CHARACTER}b"
            assert session.say("assistant", {"score": float("nan")}).content == {"score": "NaN"}
        first, second = storage.list_messages("s")
        assert (first.metadata["of"], list(first.metadata["changed"])) == (1, [""])
        assert list(second.metadata["changed"]) == ["score"]

    def test_a_holder_keeps_others_out_until_the_block_ends(self, storage: Storage) -> None:
        with storage.session("s", holder="one") as session:
            assert session.fence == storage.get_fence("s")
            with pytest.raises(FenceHeld), storage.session("s", holder="two"):
                raise AssertionError
            session.say("user", "hello")
        with storage.session("s", holder="two") as session:
            assert session.fence is not None
            assert session.fence.token == 2

    def test_a_holder_who_was_overtaken_writes_nothing_more(self, storage: Storage) -> None:
        with storage.session("s", agent_id="a", holder="one") as session:
            storage.patch_session("s", require_fence=True, fence=session.fence)
            session.say("user", "hello")
            newer = storage.acquire("s", "two", ttl=PATIENCE, force=True)
            for write in (
                lambda: session.say("user", "again"),
                lambda: session.event("t"),
                lambda: session.checkpoint({}),
                lambda: session.remember("k", 1, kind="short_term"),
            ):
                with pytest.raises(StaleWriter):
                    write()
            session.remember("k", 1)
        assert storage.get_fence("s") == newer
        assert storage.count_messages("s") == 1

    def test_a_holder_who_goes_on_writing_keeps_the_session(self, storage: Storage) -> None:
        with storage.session("s", holder="one", ttl=0.02) as session:
            fence = session.fence
            deadline = time.monotonic() + PATIENCE
            while session.fence == fence:
                session.event("tick")
                time.sleep(0.005)
                assert time.monotonic() < deadline
            assert fence is not None
            assert session.fence is not None
            assert session.fence.token == fence.token

    def test_a_handle_for_asynchronous_callers(self, storage: Storage) -> None:
        async def work() -> None:
            async with storage.session("s", agent_id="a", holder="one") as session:
                await session.asay("user", "hello")
                await session.aevent("t")
                await session.acheckpoint({"n": 1})
                await session.aremember("k", 1)
                with pytest.raises(FenceHeld):
                    async with storage.session("s", holder="two"):
                        raise AssertionError

        run(work)
        assert storage.count_messages("s") == storage.count_events("s") == len(storage.list_checkpoints("s")) == 1
        assert storage.get_memory("a", "k") is not None
        assert storage.acquire("s", "two").token == 2


class SpanContract:
    def test_spans_nest(self, storage: Storage) -> None:
        with storage.session("s") as session:
            with session.span("run", "graph", input={"q": 1}) as outer:
                with session.span("plan") as first:
                    pass
                with session.span("search", "tool_call") as second, session.span("fetch"):
                    second.output = ["found"]
            with session.span("another"):
                pass
        found = spans(storage)
        assert found["run"].input == {"q": 1}
        assert found["run"].parent_id == found["another"].parent_id == ""
        assert found["plan"].parent_id == found["search"].parent_id == outer.id
        assert found["fetch"].parent_id == second.id
        assert {found[name].trace_id for name in ("run", "plan", "search", "fetch")} == {outer.trace_id}
        assert found["another"].trace_id != outer.trace_id
        assert found["search"].output == ["found"]
        assert (first.id, all(span.ended_at for span in found.values())) == (found["plan"].id, True)
        assert {span.status for span in found.values()} == {"unset"}

    def test_what_a_span_tells(self, storage: Storage) -> None:
        usage = TokenUsage(prompt_tokens=3, completion_tokens=4)
        with storage.session("s") as session, session.span("ask", "model_call", attributes={"a": 1}) as span:
            span.output, span.model, span.usage, span.cost = "yes", "m1", usage, Decimal("0.002")
            span.attributes["b"] = 2
            span.events.append({"name": "first token"})
        stored = storage.get_trace(span.id)
        assert stored is not None
        assert (stored.output, stored.model, stored.usage, stored.cost) == ("yes", "m1", usage, Decimal("0.002"))
        assert (stored.attributes, stored.events) == ({"a": 1, "b": 2}, [{"name": "first token"}])

    def test_an_error_is_recorded_and_goes_on(self, storage: Storage) -> None:
        with storage.session("s") as session:
            with pytest.raises(ZeroDivisionError), session.span("run"), session.span("plan", output="half"):
                raise ZeroDivisionError("no\x00thing")
            with session.span("told") as span:
                span.error = "the model refused"
        found = spans(storage)
        assert found["run"].error == found["plan"].error == "ZeroDivisionError: no\N{REPLACEMENT CHARACTER}thing"
        assert found["plan"].output == "half"
        assert found["told"].error == "the model refused"
        assert {span.status for span in found.values()} == {"error"}
        assert all(span.ended_at for span in found.values())

    def test_an_error_may_be_told_as_an_exception_and_have_no_text(self, storage: Storage) -> None:
        with storage.session("s") as session:
            with session.span("told") as span:
                span.error = ZeroDivisionError("no\x00thing")
            with pytest.raises(Speechless), session.span("raised"):
                raise Speechless
        found = spans(storage)
        assert found["told"].error == "ZeroDivisionError: no\N{REPLACEMENT CHARACTER}thing"
        assert found["raised"].error == "Speechless"
        assert all(span.ended_at for span in found.values())

    def test_a_span_is_one_block_s(self, storage: Storage) -> None:
        with storage.session("s") as session, session.span("run") as span:
            with pytest.raises(RuntimeError, match="one block's"), span:
                pass
            with session.span("inner"):
                pass
        found = spans(storage)
        assert found.keys() == {"run", "inner"}
        assert found["inner"].parent_id == span.id

    def test_a_span_ends_whatever_it_was_given(self, storage: Storage) -> None:
        with storage.session("s") as session:
            with session.span("odd", input=("\x00", 1)) as span:
                span.output = {1: b"bytes", "nan": float("nan")}
                span.attributes["large"] = 1e300
            with pytest.raises(InvalidRecord, match=r"^usage"), session.span("wrong") as span:
                span.usage = {"tokens": 3}  # type: ignore[assignment]
        found = spans(storage)
        assert found["odd"].input == ["\N{REPLACEMENT CHARACTER}", 1]
        assert found["odd"].output["nan"] == "NaN"
        assert all(span.ended_at for span in found.values())
        assert found["wrong"].error.startswith("usage: ")

    def test_the_store_s_failure_hides_no_error_of_the_block(self, storage: Storage) -> None:
        with storage.session("s") as session:
            with pytest.raises(ZeroDivisionError) as caught, session.span("gone") as span:
                raise ZeroDivisionError(storage.delete_session("s", hard=True))
            assert "could not be ended" in caught.value.__notes__[0]
            assert storage.get_trace(span.id) is None

    def test_a_span_in_a_generator_does_not_stay_around_what_comes_after(self, storage: Storage) -> None:
        def numbers() -> Iterator[int]:
            with session.span("generator"):
                yield from (1, 2)

        with storage.session("s") as session:
            walk = numbers()
            next(walk)
            with session.span("while it is open"):
                list(walk)
                with session.span("inner"):
                    pass
            with session.span("after"):
                pass
        found = spans(storage)
        assert found["inner"].parent_id == found["while it is open"].id
        assert found["after"].parent_id == ""

    def test_threads_begin_with_the_span_that_is_named(self, storage_committed: Storage) -> None:
        storage = storage_committed

        def work(**options: Any) -> None:
            with session.span(f"{sorted(options)}", **options):
                pass
            storage.close()

        with storage.session("s") as session, session.span("run") as outer:
            for options in ({}, {"parent": outer}):
                thread = threading.Thread(target=work, kwargs=options)
                thread.start()
                thread.join()
        found = spans(storage)
        assert found["[]"].parent_id == ""
        assert (found["['parent']"].parent_id, found["['parent']"].trace_id) == (outer.id, outer.trace_id)

    def test_tasks_nest_in_the_span_that_they_were_made_in(self, storage: Storage) -> None:
        is_at_it: Any = None

        async def step(number: int) -> None:
            async with session.span(f"step {number}"), session.span(f"part {number}"):
                await asyncio.sleep(0)
                if number == 3:
                    is_at_it.set()
                    await asyncio.sleep(PATIENCE)

        async def work() -> None:
            nonlocal is_at_it
            is_at_it = asyncio.Event()
            async with session.span("run"):
                await asyncio.gather(step(1), step(2))
            task = asyncio.create_task(step(3))
            await is_at_it.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        with storage.session("s") as session:
            run(work)
        found = spans(storage)
        for number in (1, 2):
            assert found[f"step {number}"].parent_id == found["run"].id
            assert found[f"part {number}"].parent_id == found[f"step {number}"].id
        assert found["step 3"].error.startswith("CancelledError")
        assert all(span.ended_at for span in found.values())

    def test_a_span_of_another_session_is_part_of_the_run(self, storage: Storage) -> None:
        """As that of an agent that another one asks."""
        open_session(storage, "other")
        with (
            storage.session("s") as session,
            storage.session("other") as other,
            session.span("ask") as outer,
            other.span("answer"),
        ):
            pass
        [answer] = storage.list_traces("other")
        assert (answer.parent_id, answer.trace_id) == (outer.id, outer.trace_id)
        assert storage.get_session("other") == Session.of(other.session, "session")
