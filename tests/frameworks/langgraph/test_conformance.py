"""LangGraph's own suite for checkpointers, as its package ships it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from importlib.metadata import version

from asgiref.sync import async_to_sync
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from chronos_storage import Storage
from chronos_storage.integrations.langgraph import ChronosSaver

#: The suite that is pinned, and how many tests it has; a newer one has at least as many.
PINNED, COUNT = "0.0.2", 81


def test_every_capability_holds(storage: Storage) -> None:
    @checkpointer_test(name="ChronosSaver")
    async def saver() -> AsyncGenerator[ChronosSaver]:
        yield ChronosSaver(storage)

    report = async_to_sync(validate)(saver)

    assert [failure for result in report.results.values() for failure in result.failures] == []
    assert {name for name, result in report.results.items() if result.passed} == {each.value for each in Capability}
    passed = sum(result.tests_passed for result in report.results.values())
    assert passed == COUNT if version("langgraph-checkpoint-conformance") == PINNED else passed >= COUNT
