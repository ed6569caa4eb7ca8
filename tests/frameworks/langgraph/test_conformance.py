"""LangGraph's own suite for checkpointers, as its package ships it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from asgiref.sync import async_to_sync
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from chronos_storage import Storage
from chronos_storage.integrations.langgraph import ChronosSaver


def test_every_capability_holds(storage: Storage) -> None:
    @checkpointer_test(name="ChronosSaver")
    async def saver() -> AsyncGenerator[ChronosSaver]:
        yield ChronosSaver(storage)

    report = async_to_sync(validate)(saver)

    assert [failure for result in report.results.values() for failure in result.failures] == []
    assert {name for name, result in report.results.items() if result.passed} == {each.value for each in Capability}
    assert sum(result.tests_passed for result in report.results.values()) >= 74
