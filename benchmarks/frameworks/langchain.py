"""LangChain's chat history beside the one that langchain-community keeps by SQLAlchemy, on the same PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from langchain_community.chat_message_histories import SQLChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from sqlalchemy import create_engine

from chronos_storage.ids import new_id
from chronos_storage.integrations.langchain import ChronosChatMessageHistory

from .. import samples
from ..databases import Vendor
from ..measure import Figure, Side, rate
from ..postgres import Postgres

_OWN = "SQLChatMessageHistory"


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this section, one by one."""
    if not isinstance(vendor, Postgres):
        return
    rounds, turns = (3, 40) if quick else (7, 200)
    with vendor.database() as database:
        engine = create_engine(urlsplit(database.url)._replace(scheme="postgresql+psycopg").geturl())
        SQLChatMessageHistory("first", connection=engine)  # which makes the table

        def ours(session_id: str) -> Any:
            return ChronosChatMessageHistory(session_id, storage=database.storage)

        def theirs(session_id: str) -> Any:
            return SQLChatMessageHistory(session_id, connection=engine)

        yield rate(
            "add_messages of a question and its answer",
            turns,
            _adding(ours, turns),
            _adding(theirs, turns),
            rounds=rounds,
            against=_OWN,
            at_least=vendor.bar(2),
        )
        yield rate(
            f"messages, {2 * turns} of them",
            2 * turns,
            _reading(ours, turns),
            _reading(theirs, turns),
            rounds=rounds,
            against=_OWN,
        )
        engine.dispose()


def _adding(make: Any, turns: int) -> Side:
    given = _turns(turns)

    def ready() -> Any:
        history = make(new_id())

        def work() -> None:
            for turn in given:
                history.add_messages(turn)

        return work

    return ready


def _reading(make: Any, turns: int) -> Side:
    history = make(new_id())
    for turn in _turns(turns):
        history.add_messages(turn)
    return lambda: lambda: _read(history, 2 * turns)


def _read(history: Any, count: int) -> None:
    assert len(history.messages) == count


def _turns(count: int) -> list[list[BaseMessage]]:
    texts = [str(each.content) for each in samples.messages("session", 2 * count)]
    return [[HumanMessage(asked), AIMessage(said)] for asked, said in zip(texts[::2], texts[1::2], strict=True)]
