"""The log of items that states of checkpoints are made of, in tables: what it takes, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connections
from django.db.models import Sum, TextField
from django.db.models.functions import Cast, Length
from django.test.utils import CaptureQueriesContext

from chronos_storage.exceptions import StoreFailure
from chronos_storage.facade import Storage
from chronos_storage.ledger.mapping import CHECKPOINTS
from chronos_storage.ledger.pages import LITTLE, fetch_page
from chronos_storage.models import Checkpoint as Row
from chronos_storage.models import CheckpointItems, Head
from chronos_storage.records import Checkpoint, Session, now
from chronos_storage.testing.conformance.helpers import together
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, STRICTEST

ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
STRICT = pytest.mark.parametrize("alias", STRICTEST, indirect=True)


def items(storage: Storage) -> Any:
    return CheckpointItems.objects.using(storage.backend.using)


def checkpoints(storage: Storage) -> Any:
    return Row.objects.using(storage.backend.using)


def grow(storage: Storage, turns: int, length: int = 500, **fields: Any) -> list[Checkpoint]:
    """The checkpoints of a conversation, two messages a turn."""
    messages: list[Any] = []
    saved = []
    for turn in range(turns):
        messages += [{"role": role, "content": f"{turn} {role} {length * 'x'}"} for role in ("user", "assistant")]
        state = {"step": turn, "messages": messages}
        saved.append(storage.save_checkpoint(Checkpoint(session_id="s", state=state, **fields)))
    return saved


def test_a_state_that_grows_costs_what_is_new(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    grow(storage, 60)
    length = Length(Cast("state", TextField()))
    kept = checkpoints(storage).aggregate(total=Sum(length))["total"]
    kept += items(storage).aggregate(total=Sum(Length("items")))["total"]
    whole = len(json.dumps(storage.get_latest_checkpoint("s").state))
    assert kept < 1.3 * whole
    assert checkpoints(storage).order_by("-seq_num").values_list("state_size", flat=True).first() > 0.9 * whole


@ONCE
def test_a_short_state_is_whole_and_costs_no_statement_more(storage: Storage, alias: str) -> None:
    storage.create_session(Session(id="s"))
    storage.save_checkpoint(Checkpoint(session_id="s", state={"n": 0}))
    with CaptureQueriesContext(connections[alias]) as queries:
        storage.save_checkpoint(Checkpoint(session_id="s", state={"n": 1, "text": 1_900 * "x"}))
    assert not any("checkpoint_items" in query["sql"] for query in queries)
    assert not items(storage).exists()
    with CaptureQueriesContext(connections[alias]) as queries:
        storage.list_checkpoints("s")
    assert len(queries) == 1


@STRICT
def test_on_postgresql_a_checkpoint_is_one_statement_after_a_look_at_its_base(storage: Storage, alias: str) -> None:
    storage.create_session(Session(id="s"))
    for state in ({"n": 0}, {"n": 1}):
        with CaptureQueriesContext(connections[alias]) as queries:
            storage.save_checkpoint(Checkpoint(session_id="s", state=state))
        assert len(queries) == 1
    messages = [f"{number}" + 600 * "x" for number in range(20)]
    for more, statements in (("a", 2), ("b", 2), ("edited", 3)):
        messages = [*messages, more] if more != "edited" else [more, *messages[1:]]
        with CaptureQueriesContext(connections[alias]) as queries:
            storage.save_checkpoint(Checkpoint(session_id="s", state={"messages": messages}))
        assert len(queries) == statements
    assert items(storage).count() == 3
    assert [found.state for found in storage.list_checkpoints("s", limit=1)] == [{"messages": messages}]


@STRICT
@pytest.mark.parametrize("what", ["the base goes", "all goes", "the log goes on"])
def test_what_others_do_between_the_look_and_the_statement_changes_no_state(
    storage: Storage, alias: str, what: str
) -> None:
    storage.create_session(Session(id="s"))
    *_, base = grow(storage, 5)
    left = [found for found in storage.list_checkpoints("s")[::-1] if what == "the log goes on"]

    def meddle(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "chronos_storage_checkpoint_append" in sql and not done:
            done.append(what)
            if what == "the log goes on":
                left.append(storage.save_checkpoint(Checkpoint(session_id="s", state={"other": 3_000 * "y"})))
            else:
                storage.delete_checkpoints("s", keep_last=0)
            if what == "the base goes":  # and what is not like it takes its place in the log
                left.append(storage.save_checkpoint(Checkpoint(session_id="s", state={"other": 9_000 * "y"})))
        return execute(sql, params, many, context)

    done: list[str] = []
    state = {**base.state, "messages": [*base.state["messages"], "and so on"]}
    with connections[alias].execute_wrapper(meddle):
        saved = storage.save_checkpoint(Checkpoint(session_id="s", state=state))
    assert done
    found = storage.list_checkpoints("s")[::-1]
    assert [each.state for each in found] == [*(each.state for each in left), state]
    assert saved.seq_num == found[-1].seq_num == 6 + len(left) - 5 * (what == "the log goes on")


@STRICT
def test_a_base_that_is_made_again_between_the_look_and_the_statement_is_another(storage: Storage, alias: str) -> None:
    """Under its id, and the log goes on where it did: yet there are none of the items that were seen."""

    def begin(letter: str) -> list[str]:
        storage.create_session(Session(id="s"))
        messages = [f"{number}{600 * letter}" for number in range(10)]
        storage.save_checkpoint(Checkpoint(id="base", session_id="s", state={"messages": messages}))
        return messages

    def meddle(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "chronos_storage_checkpoint_append" in sql and not done:
            done.append(True)
            storage.delete_session("s", hard=True)
            begin("y")
        return execute(sql, params, many, context)

    done: list[bool] = []
    state = {"messages": [*begin("x"), "and so on"]}
    with connections[alias].execute_wrapper(meddle):
        storage.save_checkpoint(Checkpoint(id="next", session_id="s", parent_id="base", state=state))
    assert done
    assert storage.get_checkpoint("next").state == state


@STRICT
def test_what_is_near_to_the_base_and_removed_before_the_statement_is_stored_again(
    storage_committed: Storage, alias: str
) -> None:
    """Items between the base's own in the log may be those of others alone, which go while the base stays."""
    storage = storage_committed
    storage.create_session(Session(id="s"))
    first, other, last = ([f"{number}{600 * letter}" for number in range(5)] for letter in "xyz")
    for id, messages in {"first": first, "gone": first + other, "base": first + last}.items():
        storage.save_checkpoint(Checkpoint(id=id, session_id="s", state={"messages": messages}))

    def meddle(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "chronos_storage_checkpoint_append" in sql and not done:
            done.append(storage.delete_checkpoint("gone", session_id="s"))
            assert items(storage).count() == 2
        return execute(sql, params, many, context)

    done: list[bool] = []
    state = {"messages": first + other + last}
    with connections[alias].execute_wrapper(meddle):
        storage.save_checkpoint(Checkpoint(id="next", session_id="s", state=state))
    assert done
    assert storage.get_checkpoint("next").state == state


@ONCE
def test_the_latest_of_many_is_two_statements(storage: Storage, alias: str) -> None:
    storage.create_session(Session(id="s"))
    grow(storage, 20)
    with CaptureQueriesContext(connections[alias]) as queries:
        storage.get_latest_checkpoint("s")
    assert len(queries) == 2
    with CaptureQueriesContext(connections[alias]) as queries:
        assert len(storage.list_checkpoints("s")) == 20
    assert len(queries) == 2


@ONCE
def test_states_from_before_the_log_are_read_and_gone_on_from(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    old = {"messages": [f"{number}" + 600 * "x" for number in range(20)]}
    checkpoints(storage).create(session_id="s", checkpoint_id="old", seq_num=1, state=old)
    new = {"messages": [*old["messages"], "new"]}
    storage.save_checkpoint(Checkpoint(session_id="s", seq_num=2, state=new))
    assert [found.state for found in storage.list_checkpoints("s")] == [new, old]


@ONCE
def test_what_nobody_uses_is_removed(storage_committed: Storage) -> None:
    storage = storage_committed
    storage.create_session(Session(id="s"))
    *_, last = grow(storage, 20)
    every = items(storage).count()
    storage.save_checkpoint(Checkpoint(session_id="s", state={"other": 3_000 * "y"}))
    assert storage.delete_checkpoints("s", keep_last=2) == 19
    assert items(storage).count() == every + 1  # the last state is made of all that came before it
    assert storage.delete_checkpoint(last.id)
    assert items(storage).count() == 1
    end = Head.objects.using(storage.backend.using).get(kind="checkpoint").log_end
    assert end == 41
    grow(storage, 2, 3_000)
    assert min(items(storage).values_list("start", flat=True)) == 40  # no position is given again
    storage.delete_session("s", hard=True)
    assert not items(storage).exists()


@STRICT
def test_what_is_saved_while_the_log_is_looked_through_stays_whole(storage_committed: Storage, alias: str) -> None:
    storage = storage_committed
    storage.create_session(Session(id="s"))
    *_, last = grow(storage, 20)
    state = {**last.state, "new": 3_000 * "y"}
    saved: list[Checkpoint] = []
    sent = [""]

    def save() -> Checkpoint:
        new = storage.save_checkpoint(Checkpoint(session_id="s", state=state))
        # A key below those that are there, as of a sequence that has each connection give out a stock of its own.
        checkpoints(storage).filter(checkpoint_id=new.id).update(id=0)
        return new

    def save_before(execute: Any, sql: str, *arguments: Any) -> Any:
        if "FOR NO KEY UPDATE" in sql and '"state"' in sent[-1]:
            saved.extend(together(storage, save))
        sent.append(sql)
        return execute(sql, *arguments)

    with connections[alias].execute_wrapper(save_before):
        assert storage.delete_checkpoints("s", keep_last=1) == 19
    assert [found.state for found in storage.list_checkpoints("s")] == [state, last.state]
    assert len(saved) == 1
    assert storage.delete_checkpoints("s", keep_last=0) == 2
    assert not items(storage).exists()


@ONCE
def test_removing_one_of_many_puts_the_look_through_the_log_off(storage_committed: Storage, alias: str) -> None:
    """It reads all that are kept, so to remove them one by one would take the square of their number."""
    storage = storage_committed
    storage.create_session(Session(id="s"))
    given = []
    for number in range(1, 206):
        state = {"only here": f"{number}" + 40_000 * "x"}
        given.append(Checkpoint(id=f"{number}", session_id="s", seq_num=number, state=state, created_at=now()))
    storage.load(given)
    assert items(storage).count() == 205
    assert storage.delete_checkpoint("1")
    assert storage.delete_checkpoint("2")
    assert items(storage).count() == 205
    assert storage.delete_checkpoint("3")
    assert items(storage).count() == 202


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_a_state_that_goes_is_not_read(storage: Storage, alias: str) -> None:
    storage.create_session(Session(id="s"))
    for number in range(3):
        storage.save_checkpoint(Checkpoint(id=f"{number}", session_id="s", state={"text": "x" * 5000, "n": number}))
    with CaptureQueriesContext(connections[alias]) as queries:
        assert storage.delete_checkpoint("1")
    assert [each["sql"] for each in queries if "digests, items" in each["sql"]] == []


@pytest.mark.parametrize("alias", SQLITE_AND_POSTGRES, indirect=True)
def test_a_page_is_bounded_by_the_states_that_its_records_have(storage: Storage, alias: str) -> None:
    """The rows of the table are short."""
    storage.create_session(Session(id="s"))
    grow(storage, 4, LITTLE // 4)
    page, more = fetch_page(CHECKPOINTS, checkpoints(storage), ["seq_num"], 10, LITTLE)
    assert ([found.seq_num for found in page], more) == ([1, 2], True)


@ONCE
def test_items_that_are_gone_for_good_are_told(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    grow(storage, 4)
    items(storage).order_by("start").first().delete()
    with pytest.raises(StoreFailure, match="not there"):
        storage.get_latest_checkpoint("s")
    checkpoints(storage).update(state=["something else"])
    with pytest.raises(StoreFailure, match="can't read"):
        storage.get_latest_checkpoint("s")
