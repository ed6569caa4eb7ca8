"""States of checkpoints come back exactly, however they change, are pruned, forked, copied, and written at once."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from ... import codec
from ...exceptions import InvalidRecord
from ...facade import Storage
from ...records import Checkpoint, Session
from ..states import changed, seeded, some_json
from .checkpoints import save
from .helpers import case, exactly, open_session, together

_SEED = 20
#: Longer than what is kept whole.
_LONG = 3_000 * "x"


class CheckpointStateContract:
    def test_every_historic_state_is_exact(self, storage: Storage) -> None:
        """With edits and removals, from parents near and far, and with prunes and forks in between."""
        chance = seeded(_SEED)
        open_session(storage)
        expected: dict[tuple[str, str], str] = {}
        state: dict[str, Any] = {f"k{number}": some_json(chance, 1) for number in range(12)}
        for number in range(40):
            for _ in range(chance.choice([0, 1, 1, 3])):
                new = changed(chance, state)
                state = new if isinstance(new, dict) else {"state": new}
            session_id, parent_id = chance.choice(list(expected)) if expected and number % 3 else ("s", "unheard of")
            saved = save(
                storage,
                f"{number}",
                chance.choice(["", "", "sub"]),
                session_id=session_id,
                parent_id=parent_id,
                run_id=f"{number % 3}",
                state=state,
            )
            assert exactly(saved.state) == exactly(state)
            expected[session_id, saved.id] = exactly(state)
            self._thin_out(storage, chance, expected)
            if chance.random() < 0.1:
                session_id, id = chance.choice(list(expected))
                fork = storage.fork_session(id, session_id=session_id)
                [first] = (found for found in storage.scan("checkpoint") if found.session_id == fork.id)
                expected[fork.id, first.id] = expected[session_id, id]
        assert len(expected) > 10
        assert {(found.session_id, found.id): exactly(found.state) for found in storage.scan("checkpoint")} == expected
        for (session_id, id), text in expected.items():
            found = storage.get_checkpoint(id, session_id=session_id)
            listed = storage.list_checkpoints(session_id, namespace=found.namespace)
            assert listed == list(storage.iter_checkpoints(session_id, namespace=found.namespace))
            assert listed[0] == storage.get_latest_checkpoint(session_id, namespace=found.namespace)
            with case(session_id, id):
                assert exactly(found.state) == text
                assert found in listed

    def _thin_out(self, storage: Storage, chance: random.Random, expected: dict[tuple[str, str], str]) -> None:
        match chance.randrange(12):
            case 0:
                session_id, id = chance.choice(list(expected))
                assert storage.delete_checkpoint(id, session_id=session_id)
            case 1:
                storage.delete_checkpoints(chance.choice(list(expected))[0], keep_last=6)
            case 2:
                storage.delete_checkpoints(chance.choice(list(expected))[0], keep_last=2, run_ids=["1"])
            case _:
                return
        left = {(found.session_id, found.id) for found in storage.scan("checkpoint")}
        for gone in expected.keys() - left:
            del expected[gone]

    def test_a_copy_has_the_same_states(self, storage: Storage) -> None:
        """Loaded into a session of the same id that begins anew, after the old one was removed."""
        chance = seeded(_SEED)
        open_session(storage)
        state: Any = {f"k{number}": some_json(chance, 1) for number in range(12)}
        for number in range(12):
            state = changed(chance, state)
            save(storage, f"{number}", ("", "sub")[number % 2], state={"n": number, "s": state, "long": [_LONG] * 3})
        before = list(storage.scan("checkpoint"))
        storage.delete_session("s", hard=True)
        assert list(storage.scan("checkpoint")) == []
        open_session(storage)
        save(storage, "first", state={"other": [f"{number}{_LONG}" for number in range(5)]})
        storage.delete_checkpoint("first")
        assert storage.load(before) == len(before)
        assert storage.load(before) == 0
        assert [exactly(found.state) for found in storage.scan("checkpoint")] == [exactly(one.state) for one in before]

    def test_writing_again_compares_the_states(self, storage: Storage) -> None:
        open_session(storage)
        messages = [f"{number}{_LONG}" for number in range(5)]
        saved = save(storage, "c", state={"messages": messages})
        assert save(storage, "c", state={"messages": messages}) == saved
        assert saved.state == {"messages": messages}

    def test_what_is_returned_is_the_caller_s(self, storage: Storage) -> None:
        """Who changes a state that was read changes no other, and none that is stored."""
        open_session(storage)
        messages = [{"text": f"{number}{_LONG}"} for number in range(5)]
        for id in ("a", "b"):
            save(storage, id, state={"messages": messages})
        before = exactly({"messages": messages})
        storage.list_checkpoints("s")[0].state["messages"][0]["text"] = "changed"
        one, other = storage.list_checkpoints("s")
        one.state["messages"][0]["text"] = "changed"
        assert exactly(other.state) == exactly(storage.get_checkpoint("a").state) == before

    def test_a_state_is_limited_item_by_item(self, storage: Storage) -> None:
        open_session(storage)
        largest = (codec.MAX_JSON_BYTES - 2) * "x"
        saved = save(storage, "large", state={"a": largest, "list": [largest, {"b": largest[5:]}]})
        assert storage.get_checkpoint("large") == saved
        for state in ({"a": largest + "x"}, {"list": [{"b": largest + "x"}]}):
            with pytest.raises(InvalidRecord) as caught:
                save(storage, state=state)
            assert caught.value.field == "state"
            with pytest.raises(InvalidRecord):
                storage.load([Checkpoint(id="l", session_id="s", seq_num=5, state=state)])
        assert storage.get_latest_checkpoint("s").id == "large"

    def test_prunes_beside_savers_and_readers(self, storage_committed: Storage) -> None:
        """Nobody reads a state of which a part is gone, or another's."""
        storage = storage_committed
        open_session(storage)
        save(storage, "first", state=_checked(0, ["x"]))

        def write(writer: int) -> int:
            chance, texts, parent = seeded(writer), [f"{writer}{_LONG}"], "first"
            for number in range(20):
                texts.append(f"{writer} {number}{_LONG}")
                if number % 5 == 4:
                    texts[chance.randrange(len(texts))] = f"edited {number}"
                    texts.pop(0)
                parent = save(storage, parent_id=parent, state=_checked(number, texts)).id
            return 20

        def prune() -> int:
            return sum(storage.delete_checkpoints("s", keep_last=2) for _ in range(15))

        def read() -> int:
            for _ in range(15):
                for found in [storage.get_latest_checkpoint("s"), *storage.list_checkpoints("s")]:
                    assert _is_whole(found.state)
            return 0

        wrote, also_wrote, pruned, _ = together(storage, lambda: write(1), lambda: write(2), prune, read)
        left = list(storage.scan("checkpoint"))
        assert len(left) == 1 + wrote + also_wrote - pruned
        assert all(_is_whole(found.state) for found in left)
        storage.delete_checkpoints("s", keep_last=0)
        assert save(storage).seq_num == 42

    def test_readers_beside_a_session_that_is_made_anew(self, storage_committed: Storage) -> None:
        """Its items are at the places of those of the session before it."""
        storage = storage_committed

        def make_anew() -> None:
            for turn in range(12):
                storage.create_session(Session(id="s"))
                save(storage, "c", state=_checked(turn, [f"{turn} {number}{_LONG}" for number in range(4)]))
                if turn < 11:
                    storage.delete_session("s", hard=True)

        def read() -> None:
            for _ in range(40):
                found = storage.get_latest_checkpoint("s")
                assert found is None or _is_whole(found.state)

        together(storage, make_anew, read)
        assert storage.get_latest_checkpoint("s").state["n"] == 11


def _checked(number: int, texts: list[str]) -> dict[str, Any]:
    """A state that says whether it is whole."""
    return {"n": number, "texts": texts, "check": zlib.crc32("".join(texts).encode())}


def _is_whole(state: dict[str, Any]) -> bool:
    return zlib.crc32("".join(state["texts"]).encode()) == state["check"]
