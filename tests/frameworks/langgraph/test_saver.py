"""What users of the checkpointer rely on beside LangGraph's suite."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.db import transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command

from chronos_storage import Storage
from chronos_storage.exceptions import AlreadyExists, ConfigurationError, InvalidRecord, NotFound, StaleWriter
from chronos_storage.integrations.langgraph import ChronosSaver
from chronos_storage.records import Session
from chronos_storage.testing.conformance.helpers import failing
from tests.frameworks.langgraph.graphs import STEP, agent, checkpoint, config

MODELS = list(apps.get_app_config("chronos_langgraph").get_models())


@pytest.fixture
def saver(storage: Storage) -> ChronosSaver:
    return ChronosSaver(storage, agent_id="echo")


def put(saver: ChronosSaver, values: dict[str, Any], given: Any = None, version: int = 1, **metadata: Any) -> Any:
    state = checkpoint(values, version)
    told: Any = {**STEP, **metadata}
    return saver.put(given or config(), state, told, dict.fromkeys(values, version))


def values(saver: ChronosSaver, given: Any = None) -> dict[str, Any]:
    found = saver.get_tuple(given or config())
    assert found is not None
    return found.checkpoint["channel_values"]


def rows(saver: ChronosSaver) -> int:
    return sum(model._default_manager.using(saver.alias).count() for model in MODELS)


def test_a_run_is_interrupted_and_resumed_by_another_worker_and_has_a_session(storage: Storage) -> None:
    graph = agent(asks=True)
    given = {"configurable": {"thread_id": "t", "user_id": "ada"}}

    async def begin() -> Any:
        return await graph.compile(ChronosSaver(storage, agent_id="echo")).ainvoke(
            {"messages": [HumanMessage("hello", id="1")]}, given
        )

    async def resume() -> Any:
        return await graph.compile(ChronosSaver(storage)).ainvoke(Command(resume="yes"), given)

    assert async_to_sync(begin)()["__interrupt__"][0].value == "May I?"
    assert [each.content for each in async_to_sync(resume)()["messages"]] == ["hello", "You said: hello"]
    session = storage.get_session("t")
    assert session is not None
    assert (session.agent_id, session.user_id, session.metadata) == ("echo", "ada", {"framework": "langgraph"})


@pytest.mark.parametrize("seed", range(3))
def test_a_list_that_grows_and_is_edited_reads_back_as_it_was_each_time(saver: ChronosSaver, seed: int) -> None:
    random, messages, written = Random(seed), [HumanMessage("x" * 300, id=str(number)) for number in range(5)], []
    given = config()
    for step in range(25):
        match random.randrange(6):
            case 0:
                messages = [each for each in messages if random.random() < 0.7]
            case 1:
                random.shuffle(messages)
            case 2 if messages:
                messages[random.randrange(len(messages))] = HumanMessage("edited " * 60, id=f"e{step}")
            case 3:
                given = written[random.randrange(len(written))][0] if written else given  # a fork
            case _:
                messages += [HumanMessage("new " * 100, id=f"n{step}")]
        state = {
            "messages": list(messages),
            "files": {str(n): ["y" * 90] for n in range(step)},
            "n": step,
            "raw": b"\0",
        }
        given = put(saver, state, given, step + 1)
        written.append((given, state))

    for each, state in written:
        assert values(ChronosSaver(saver.storage), each) == state
    listed = {found.config["configurable"]["checkpoint_id"]: found for found in saver.list(config())}
    assert [listed[each["configurable"]["checkpoint_id"]].checkpoint["channel_values"] for each, _ in written] == [
        state for _, state in written
    ]


def test_four_hundred_turns_take_little_more_than_what_was_said(saver: ChronosSaver) -> None:
    messages, given = [], config()
    for turn in range(60):
        messages.append(HumanMessage(f"{turn} " * 1000, id=str(turn)))
        given = put(saver, {"messages": list(messages)}, given, turn + 1)

    said = sum(len(each.content) for each in messages)
    kept = apps.get_model("chronos_langgraph", "GraphItems").objects.using(saver.alias).values_list("items", flat=True)
    places = apps.get_model("chronos_langgraph", "GraphCheckpoint").objects.using(saver.alias)
    assert sum(map(len, kept)) < 1.2 * said
    assert max(map(len, places.values_list("places", flat=True))) < 60


def test_a_channel_of_420_long_messages_is_kept(saver: ChronosSaver) -> None:
    messages = [HumanMessage(f"{number} " + "z" * 10_000, id=str(number)) for number in range(420)]
    given = put(saver, {"messages": messages})
    put(saver, {"messages": [*messages, HumanMessage("more", id="more")]}, given, 2)

    assert values(ChronosSaver(saver.storage))["messages"][-2:] == [messages[-1], HumanMessage("more", id="more")]


def test_long_names_and_what_no_database_keeps_as_text(saver: ChronosSaver) -> None:
    name, thread_id = "node:" + "|sub:1" * 100, "thread " * 100
    given = config(thread_id, checkpoint_ns=name)
    stored = put(saver, {"x": "a\0b", "y": "\0" * 600}, given, deep={"list": ["a\0b"]}, run_id="r" * 300)
    saver.put_writes(stored, [("x", "\0")], "task", "path")

    found = saver.get_tuple(stored)
    assert found is not None
    assert found.config == stored
    assert found.checkpoint["channel_values"] == {"x": "a\0b", "y": "\0" * 600}
    assert found.metadata["deep"] == {"list": ["a\N{REPLACEMENT CHARACTER}b"]}  # type: ignore[typeddict-item]
    assert found.pending_writes == [("task", "x", "\0")]
    assert [each.config for each in saver.list(config(thread_id, checkpoint_ns=name))] == [stored]
    saver.delete_for_runs(["r" * 300])
    assert saver.get_tuple(stored) is None


def test_what_no_name_may_be_is_refused_before_a_database_sees_it(saver: ChronosSaver) -> None:
    stored = put(saver, {"x": 1})

    for wrong in ("a\0", "\ud800"):
        for call in (saver.get_tuple, saver.list):
            with pytest.raises(InvalidRecord, match="checkpoint_id"):
                call(config(checkpoint_id=wrong))
        with pytest.raises(InvalidRecord, match="checkpoint_id"):
            saver.list(config(), before=config(checkpoint_id=wrong))
        with pytest.raises(InvalidRecord, match="channel"):
            saver.put_writes(stored, [(wrong, 1)], "task")
    with pytest.raises(InvalidRecord, match="thread_id"):
        put(saver, {"x": 1}, config(""))
    assert saver.get_tuple(config(checkpoint_id="no such")) is None
    unnamed = config(checkpoint_id="")  # which names none, as LangGraph has it
    assert [each.config for each in saver.list(unnamed, before=unnamed)] == [stored]


def test_what_comes_late_does_not_revive_a_deleted_thread(saver: ChronosSaver) -> None:
    before = put(saver, {"x": "y" * 1000})
    saver.delete_thread("t")

    for late in (saver, ChronosSaver(saver.storage)):
        with pytest.raises(NotFound):
            put(late, {"x": 2}, before)
        with pytest.raises(NotFound):
            late.put_writes(before, [("x", 2)], "task")
        assert late.get_tuple(config()) is None
    assert rows(saver) == 1  # which says that it was deleted

    put(saver, {"x": 3})  # a run that begins anew
    assert values(saver) == {"x": 3}
    assert saver.storage.get_session("t") is not None


def test_a_hidden_session_s_thread_takes_nothing_until_it_is_restored(saver: ChronosSaver) -> None:
    put(saver, {"x": 1})
    saver.storage.delete_session("t")

    with pytest.raises(NotFound):
        put(saver, {"x": 2})
    saver.storage.restore_session("t")
    put(saver, {"x": 2}, version=2)
    assert values(saver) == {"x": 2}


@pytest.mark.parametrize("erased", [False, True])
def test_nothing_of_a_thread_stays_when_its_session_is_removed(saver: ChronosSaver, erased: bool) -> None:
    stored = put(saver, {"x": "y" * 1000})
    put(saver, {"x": 1}, config(checkpoint_ns="sub:1"))
    saver.put_writes(stored, [("x", 2)], "task")
    if erased:
        saver.storage.erase_session("t")
    else:
        saver.storage.delete_session("t", hard=True)

    assert rows(saver) == 0
    with pytest.raises(NotFound):  # of a run that is still under way
        saver.put_writes(stored, [("x", 2)], "task")
    with pytest.raises(NotFound):
        put(saver, {"x": 2}, stored)
    assert rows(saver) == 0


def test_a_writer_with_an_old_fence_is_refused(saver: ChronosSaver) -> None:
    saver.storage.create_session(Session(id="t", require_fence=True))
    old = saver.storage.acquire("t", "one")
    stored = put(saver, {"x": 1}, config(fence=old))
    new = saver.storage.acquire("t", "two")

    for fence in ({"fence": old}, {}):
        given = config(checkpoint_id=stored["configurable"]["checkpoint_id"], **fence)
        with pytest.raises(StaleWriter):
            put(saver, {"x": 2}, given)
        with pytest.raises(StaleWriter):
            saver.put_writes(given, [("x", 2)], "task")
    put(saver, {"x": 3}, config(fence=new.token), 2)
    found = saver.get_tuple(config())
    assert found is not None
    assert found.checkpoint["channel_values"] == {"x": 3}
    assert "fence" not in found.metadata


def test_a_thread_is_another_user_s(saver: ChronosSaver) -> None:
    saver.storage.create_session(Session(id="t", user_id="ada"))

    with pytest.raises(AlreadyExists):
        put(saver, {"x": 1}, config(user_id="bob"))


@pytest.mark.parametrize("user_id", [7, UUID(int=7)])
def test_a_user_is_named_by_a_primary_key(saver: ChronosSaver, user_id: Any) -> None:
    put(saver, {"x": 1}, config(user_id=user_id))

    assert [session.id for session in saver.storage.list_sessions(user_id=str(user_id))] == ["t"]
    with pytest.raises(InvalidRecord, match="user_id"):
        put(saver, {"x": 1}, config("other", user_id={"id": 7}))


def test_nothing_is_pickled(storage: Storage) -> None:
    with pytest.raises(ConfigurationError):
        ChronosSaver(storage, serde=JsonPlusSerializer(pickle_fallback=True))


def test_what_was_rolled_back_is_not_built_upon(saver: ChronosSaver) -> None:
    """A saver knows what it wrote last; others may have written something else in its place since."""
    said = [HumanMessage("said " * 200, id="1")]
    given = put(saver, {"messages": said})
    with failing(transaction.atomic(using=saver.alias)):
        put(saver, {"messages": [*said, HumanMessage("undone " * 200, id="2")]}, given, 2)
    put(ChronosSaver(saver.storage), {"messages": [*said, HumanMessage("other " * 200, id="3")]}, given, 2)
    state = {"messages": [*said, HumanMessage("undone " * 200, id="2"), HumanMessage("more " * 200, id="4")]}

    assert values(ChronosSaver(saver.storage), put(saver, state, given, 3)) == state


def test_the_migrations_are_what_the_models_say() -> None:
    loader = MigrationLoader(None)
    changes = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(graph=loader.graph)
    assert "chronos_langgraph" not in changes
