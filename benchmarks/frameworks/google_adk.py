"""ADK's sessions beside its own database service, by SQLAlchemy and asyncpg, on the same PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import urlsplit

from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions import BaseSessionService
from google.adk.sessions.database_session_service import DatabaseSessionService
from google.genai import types

from chronos_storage.integrations.google_adk import ChronosSessionService

from .. import samples
from ..databases import Vendor
from ..measure import Figure, Side, rate
from ..postgres import Postgres

_OWN = "DatabaseSessionService"
_ADA: dict[str, Any] = {"app_name": "app", "user_id": "ada"}


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this section, one by one."""
    if not isinstance(vendor, Postgres):
        return
    rounds, count = (3, 40) if quick else (7, 200)
    with vendor.database() as database, asyncio.Runner() as runner:
        url = urlsplit(database.url)._replace(scheme="postgresql+asyncpg").geturl()
        theirs, ours = DatabaseSessionService(url), ChronosSessionService(database.storage)
        for name, delta in (("append_event", {}), ("append_event that changes the state", {"a": 1, "user:b": 2})):
            yield rate(
                name,
                count,
                _appending(runner, ours, count, delta),
                _appending(runner, theirs, count, delta),
                rounds=rounds,
                against=_OWN,
                at_least=vendor.bar(2),
            )
        yield rate(
            f"get_session, {count} events",
            1,
            _getting(runner, ours, count),
            _getting(runner, theirs, count),
            rounds=rounds,
            against=_OWN,
            at_least=vendor.bar(2),
        )
        runner.run(theirs.close())


def _appending(runner: asyncio.Runner, service: BaseSessionService, count: int, delta: dict[str, Any]) -> Side:
    def ready() -> Callable[[], object]:
        session = runner.run(service.create_session(**_ADA))
        events = _events(count, delta)

        async def work() -> None:
            for event in events:
                await service.append_event(session, event)

        return _running(runner, work)

    return ready


def _getting(runner: asyncio.Runner, service: BaseSessionService, count: int) -> Side:
    async def filled() -> str:
        session = await service.create_session(**_ADA)
        for event in _events(count, {}):
            await service.append_event(session, event)
        return session.id

    id = runner.run(filled())

    async def work() -> None:
        found = await service.get_session(**_ADA, session_id=id)
        assert found
        assert len(found.events) == count

    return lambda: _running(runner, work)


def _running(runner: asyncio.Runner, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], object]:
    return lambda: runner.run(work())


def _events(count: int, delta: dict[str, Any]) -> list[Event]:
    texts = [str(each.content) for each in samples.messages("session", count)]
    return [
        Event(
            author="user",
            content=types.Content(role="user", parts=[types.Part(text=text)]),
            actions=EventActions(state_delta=dict(delta)),
        )
        for text in texts
    ]
