"""Steps that are done once, whoever resumes, and whose outcome may be unknown."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from ...exceptions import (
    AlreadyExists,
    FenceHeld,
    InvalidRecord,
    NotFound,
    OutcomeUnknown,
    ResultNotKept,
    StaleWriter,
    TransactionOpen,
)
from ...facade import Storage
from .asynchronous import run
from .helpers import PATIENCE, case, needs_transactions, together, writers


class CutOff(BaseException):
    """What ends a function as an interrupt does."""


def cut_off() -> None:
    raise CutOff


class Speechless(Exception):
    """An error whose own text can't be had."""

    def __str__(self) -> str:
        raise ValueError("an error in the error")


class Deed:
    """Something done, and how often."""

    def __init__(self, *, fails: int = 0) -> None:
        self.count: int = 0
        self._fails = fails

    def __call__(self, result: Any = "done") -> Any:
        self.count += 1
        if self.count <= self._fails:
            raise ZeroDivisionError(f"number {self.count}")
        return result

    async def later(self, result: Any = "done") -> Any:
        await asyncio.sleep(0)
        return self(result)


def leave_unknown(storage: Storage, key: str = "charge") -> None:
    """Begin a step in a handle that is gone, and leave it without an outcome."""
    with storage.session("s") as session, pytest.raises(CutOff):
        session.once(key, cut_off)


class StepContract:
    def test_a_result_is_given_back_instead_of_doing_it_again(self, storage: Storage) -> None:
        charge = Deed()
        for amount in (7, 8):
            with storage.session("s") as session:
                for _ in range(2):
                    assert session.once("charge", charge, {"paid": 7 if amount == 7 else amount}) == {"paid": 7}
        assert charge.count == 1
        begun, done = storage.list_events("s")
        assert (begun.type, done.type) == ("step_begun", "step_done")
        assert (done.payload["key"], done.payload["result"]) == ("charge", {"paid": 7})
        assert storage.verify_events("s").intact

    def test_arguments_go_to_the_function(self, storage: Storage) -> None:
        def charge(amount: int, *, key: str, function: str = "") -> list[Any]:
            return [amount, key, function]

        with storage.session("s") as session:
            assert session.once("charge", charge, 7, key="k", function="f") == [7, "k", "f"]

    def test_the_key_says_what_the_act_is(self, storage: Storage) -> None:
        deed = Deed()
        keys = ["a", "A", "a ", "\u00e9", "e\u0301", "1:a", "x" * 255]
        for session_id in ("s", "other"):
            with storage.session(session_id) as session:
                for key in keys:
                    with case(key):
                        assert session.once(key, deed, key) == session.once(key, deed) == key
        assert deed.count == 2 * len(keys)
        with storage.session("s") as session:
            for bad in ("", "x" * 256, "\x00", None):
                with case(bad), pytest.raises(InvalidRecord, match=r"^key"):
                    session.once(bad, deed)

    def test_nothing_is_a_result_too(self, storage: Storage) -> None:
        deed = Deed()
        with storage.session("s") as session:
            assert session.once("k", deed, None) is None
            assert session.once("k", deed, 1) is None

    def test_a_result_is_never_lost_to_what_a_store_refuses(self, storage: Storage) -> None:
        deed = Deed()
        with storage.session("s") as session:
            first = session.once("k", deed, {"id": (1, "\x00"), "when": {2}, "nan": float("nan")})
            assert first == {"id": [1, "\N{REPLACEMENT CHARACTER}"], "when": [2], "nan": "NaN"}
            assert session.once("k", deed) == first
        assert deed.count == 1
        assert storage.list_events("s")[1].payload["changed"].keys() == {"id", "id[1]", "when", "nan"}

    def test_what_fails_is_done_again(self, storage: Storage) -> None:
        charge = Deed(fails=5)
        with storage.session("s") as session:
            for number in range(1, 6):
                with pytest.raises(ZeroDivisionError, match=f"number {number}"):
                    session.once("charge", charge)
            assert session.once("charge", charge) == session.once("charge", charge) == "done"
        assert charge.count == 6
        assert [event.payload["attempt"] for event in storage.list_events("s", types=["step_failed"])] == [*range(1, 6)]

    def test_a_failure_without_a_text_is_one_too(self, storage: Storage) -> None:
        def fail() -> None:
            raise Speechless

        with storage.session("s") as session:
            with pytest.raises(Speechless):
                session.once("charge", fail)
            assert session.once("charge", Deed()) == "done"

    def test_what_was_cut_off_is_for_the_caller_to_settle(self, storage: Storage) -> None:
        deed = Deed()
        leave_unknown(storage, "happened")
        leave_unknown(storage, "did not")
        with storage.session("s") as session:
            for key in ("happened", "did not"):
                for _ in range(2):
                    with pytest.raises(OutcomeUnknown) as caught:
                        session.once(key, deed)
                    assert (caught.value.session_id, caught.value.key) == ("s", key)
                    assert caught.value.begun_at is not None
                    assert caught.value.holder
            session.settle("happened", happened=True, result={"found": 1})
            session.settle("did not", happened=False)
            assert session.once("happened", deed) == {"found": 1}
            assert deed.count == 0
            assert session.once("did not", deed) == "done"
        assert deed.count == 1

    def test_there_must_be_something_to_settle(self, storage: Storage) -> None:
        leave_unknown(storage)
        with storage.session("s") as session:
            session.once("done", Deed())
            with pytest.raises(NotFound):
                session.settle("never begun", happened=True)
            with pytest.raises(AlreadyExists):
                session.settle("done", happened=False)
            with pytest.raises(InvalidRecord, match=r"^result"):
                session.settle("charge", happened=False, result=1)
            with pytest.raises(InvalidRecord, match=r"^happened"):
                session.settle("charge", happened="yes")
            session.settle("charge", happened=False)
            with pytest.raises(NotFound):
                session.settle("charge", happened=False)

    def test_a_function_that_can_t_tell_leaves_it_unknown(self, storage: Storage) -> None:
        def timed_out() -> None:
            raise OutcomeUnknown

        with storage.session("s") as session:
            for _ in range(2):
                with pytest.raises(OutcomeUnknown, match="'charge'"):
                    session.once("charge", timed_out)

    def test_of_workers_at_once_one_does_it(self, storage_committed: Storage) -> None:
        storage, deed = storage_committed, Deed()

        def work(number: int) -> str:
            try:
                with storage.session("s") as session:
                    return str(session.once("charge", deed))
            except (FenceHeld, OutcomeUnknown, StaleWriter) as error:
                return type(error).__name__

        with storage.session("s"):
            said = together(storage, *writers(work))
        assert deed.count == 1
        assert "done" in said
        assert storage.verify_events("s").intact

    def test_of_threads_with_one_handle_one_does_it(self, storage_committed: Storage) -> None:
        storage, deeds = storage_committed, [Deed() for _ in range(3)]
        with storage.session("s") as session:

            def work(number: int) -> str:
                try:
                    return str(session.once(f"{number % 3}", deeds[number % 3]))
                except OutcomeUnknown:
                    return "unknown"

            said = together(storage, *writers(work))
            assert session.fence is not None
            assert session.fence.token == 1
        assert [deed.count for deed in deeds] == [1, 1, 1]
        assert set(said) <= {"done", "unknown"}

    def test_who_was_overtaken_does_nothing(self, storage: Storage) -> None:
        deed = Deed()
        with storage.session("s", holder="one") as session:
            storage.acquire("s", "two", force=True)
            with pytest.raises(StaleWriter):
                session.once("charge", deed)
        assert deed.count == 0
        assert storage.count_events("s") == 0

    def test_who_is_overtaken_meanwhile_keeps_the_result(self, storage: Storage) -> None:
        def overtaken() -> str:
            storage.acquire("s", "two", force=True)
            with storage.session("s", holder="two") as other, pytest.raises(OutcomeUnknown):
                other.once("charge", cut_off)
            return "paid"

        with storage.session("s", holder="one") as session:
            storage.patch_session("s", require_fence=True, fence=session.fence)
            assert session.once("charge", overtaken) == "paid"
            with pytest.raises(StaleWriter):
                session.event("more")
        with storage.session("s", holder="two") as other:
            assert other.once("charge", cut_off) == "paid"

    def test_who_says_first_what_came_of_it_has_said_it(self, storage: Storage) -> None:
        def settled_meanwhile() -> str:
            storage.acquire("s", "two", force=True)
            with storage.session("s", holder="two") as other:
                other.settle("charge", happened=False)
            return "paid"

        with storage.session("s", holder="one") as session:
            with pytest.raises(ResultNotKept) as caught:
                session.once("charge", settled_meanwhile)
            assert (caught.value.key, caught.value.result) == ("charge", "paid")
            assert isinstance(caught.value.__cause__, AlreadyExists)

    def test_a_result_of_a_session_that_is_gone_comes_with_the_error(self, storage: Storage) -> None:
        def deleted_meanwhile() -> str:
            storage.delete_session("s")
            return "paid"

        with storage.session("s", holder="worker") as session, pytest.raises(ResultNotKept) as caught:
            session.once("charge", deleted_meanwhile)
        assert caught.value.result == "paid"
        storage.restore_session("s")
        with storage.session("s", holder="worker") as session:
            session.settle("charge", happened=True, result=caught.value.result)
            assert session.once("charge", cut_off) == "paid"

    def test_a_step_in_a_session_that_requires_a_fence(self, storage: Storage) -> None:
        with storage.session("s", require_fence=True) as session:
            assert session.once("charge", Deed()) == "done"
            session.say("user", "with the fence that it took")

    def test_a_transaction_could_take_it_back(self, storage: Storage) -> None:
        needs_transactions(storage)
        deed = Deed()
        with storage.session("s") as session:
            with pytest.raises(TransactionOpen), storage.atomic():
                session.once("charge", deed)
            leave_unknown(storage, "cut off")
            with pytest.raises(TransactionOpen), storage.atomic():
                session.settle("cut off", happened=True)
            assert deed.count == 0
            assert session.once("charge", deed) == "done"

    def test_what_would_do_nothing_when_it_is_called(self, storage: Storage) -> None:
        async def later() -> None: ...

        def walk() -> Any:
            yield

        async def walk_later() -> Any:
            yield

        before: list[Callable[..., Any]] = [later, walk, walk_later]
        with storage.session("s") as session:
            for lazy in before:
                with case(lazy), pytest.raises(TypeError, match="does nothing"):
                    session.once("lazy", lazy)
            assert storage.count_events("s") == 0
            for lazy in before:
                with case(lazy), pytest.raises(TypeError, match="has done nothing yet"):
                    session.once("lazy", functools.partial(lambda make: make(), lazy))
            assert session.once("lazy", Deed()) == "done"

    # Asynchronous

    def test_steps_of_asynchronous_callers(self, storage: Storage) -> None:
        charge, fails = Deed(), Deed(fails=1)

        async def work() -> None:
            async with storage.session("s") as session:
                assert await session.aonce("charge", charge.later, {"paid": 7}) == {"paid": 7}
                assert await session.aonce("charge", charge.later) == {"paid": 7}
                with pytest.raises(ZeroDivisionError):
                    await session.aonce("fails", fails.later)
                assert await session.aonce("fails", fails.later) == "done"
                steps = [session.aonce(f"{number}", Deed().later, number) for number in range(5)]
                assert await asyncio.gather(*steps) == list(range(5))

        run(work)
        assert (charge.count, fails.count) == (1, 2)

    def test_what_is_done_already_when_it_should_be_awaited_is_not_done_again(self, storage: Storage) -> None:
        charge: Any = Deed()

        async def work() -> None:
            async with storage.session("s") as session:
                assert await session.aonce("charge", charge) == "done"
                assert await session.aonce("charge", charge) == "done"

        run(work)
        assert charge.count == 1

    def test_a_task_that_is_cancelled_at_it_leaves_it_unknown(self, storage: Storage) -> None:
        has_begun: Any = None

        async def endless() -> int:
            has_begun.set()
            return await asyncio.sleep(PATIENCE, 0)

        async def work() -> None:
            nonlocal has_begun
            has_begun = asyncio.Event()
            async with storage.session("s") as session:
                task = asyncio.create_task(session.aonce("charge", endless))
                await has_begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                with pytest.raises(OutcomeUnknown):
                    await session.aonce("charge", endless)
                await session.asettle("charge", happened=True, result=1)
                assert await session.aonce("charge", endless) == 1

        run(work)

    def test_a_task_that_is_cancelled_before_or_after_it_loses_nothing(self, storage: Storage) -> None:
        task: Any = None

        async def paid() -> str:
            task.cancel()
            return "paid"

        async def work() -> None:
            nonlocal task
            async with storage.session("s") as session:
                task = asyncio.create_task(session.aonce("after", paid))
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await session.aonce("after", paid) == "paid"
                task = asyncio.create_task(session.aonce("before", paid))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await session.aonce("before", Deed().later) == "done"

        run(work)
