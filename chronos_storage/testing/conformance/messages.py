"""Messages: numbered per session, listed by number, counted and summed."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from ...exceptions import AmbiguousId, InvalidRecord, NotFound, SequenceConflict
from ...facade import Storage
from ...records import Event, Message, TokenUsage
from .helpers import case, column, everything, open_session, say
from .samples import at

USAGE = [field.name for field in dataclasses.fields(TokenUsage)]


def reply(storage: Storage, **usage: int | None) -> None:
    storage.add_message(Message(session_id="s", role="assistant", usage=TokenUsage(**usage)))


#: Roles and kinds as they are given, and the kinds that come of them.
KEPT = [
    *[(role, "", role) for role in ("user", "assistant", "system", "error", "developer")],
    ("tool", "", "tool-result"),
    ("assistant", "tool-call", "tool-call"),
    ("assistant", "tool_call", "tool-call"),
]


class MessageContract:
    def test_messages_are_numbered_per_session(self, storage: Storage) -> None:
        open_session(storage, "s1")
        open_session(storage, "s2")
        assert column(say(storage, "a", "b", session_id="s1"), "seq_num") == [1, 2]
        assert column(say(storage, "c", session_id="s2"), "seq_num") == [1]
        assert column(say(storage, "d", session_id="s1"), "seq_num") == [3]

    def test_messages_of_several_sessions_at_once(self, storage: Storage) -> None:
        open_session(storage, "s1", last_activity_at=at(0))
        open_session(storage, "s2", last_activity_at=at(0))
        places = [("s2", 5), ("s1", 9), ("s2", 7), ("s1", 8), ("s2", 6)]
        stored = storage.add_messages(
            Message(session_id=session_id, role="user", created_at=at(timestamp)) for session_id, timestamp in places
        )
        assert [(message.session_id, message.created_at) for message in stored] == [(s, at(m)) for s, m in places]
        assert column(stored, "seq_num") == [1, 1, 2, 2, 3]
        assert column(storage.list_messages("s2"), "created_at") == [at(5), at(7), at(6)]
        assert storage.get_session("s1").last_activity_at == at(9)
        assert storage.get_session("s2").last_activity_at == at(7)

    def test_nothing_to_add_adds_nothing(self, storage: Storage) -> None:
        assert storage.add_messages([]) == []

    def test_the_number_is_the_order_not_the_clock(self, storage: Storage) -> None:
        """Against: messages reordered when a clock goes back."""
        open_session(storage)
        for timestamp in (9, 3, 6):
            storage.add_message(Message(session_id="s", role="user", created_at=at(timestamp)))
        assert column(storage.list_messages("s"), "created_at") == [at(9), at(3), at(6)]
        assert column(storage.list_messages("s", order="desc"), "created_at") == [at(6), at(3), at(9)]

    def test_the_last_activity_never_goes_back(self, storage: Storage) -> None:
        """Against: last activity going backwards."""
        open_session(storage, last_activity_at=at(50))
        for timestamp, newest in ((40, 50), (60, 60), (55, 60)):
            storage.add_message(Message(session_id="s", role="user", created_at=at(timestamp)))
            assert storage.get_session("s").last_activity_at == at(newest)

    def test_of_an_unknown_session_nothing_is_added(self, storage: Storage) -> None:
        open_session(storage)
        before = everything(storage)
        for unknown in ("nowhere", ""):
            with case(unknown):
                with pytest.raises((NotFound, InvalidRecord)):
                    storage.add_message(Message(session_id=unknown, role="user"))
                with pytest.raises((NotFound, InvalidRecord)):
                    storage.add_messages([Message(session_id=id, role="user") for id in ("s", unknown, "s")])
                assert everything(storage) == before

    def test_the_last_number_may_be_expected(self, storage: Storage) -> None:
        """Against: messages reordered under a reader, when several writers share a session."""
        open_session(storage)
        stored = storage.add_messages([Message(id=id, session_id="s", role="user") for id in "ab"], expected_seq=0)
        storage.delete_message("b")
        before = everything(storage)
        for expected in (0, 1, 3):
            for add in (storage.add_message, lambda message, **seq: storage.add_messages([message], **seq)):
                with pytest.raises(SequenceConflict) as caught:
                    add(Message(session_id="s", role="user"), expected_seq=expected)
                assert (caught.value.expected, caught.value.actual) == (expected, 2)
        assert everything(storage) == before
        for expected in (0, 2, 9):  # a repeat is always safe
            assert storage.add_message(Message(id="a", session_id="s", role="user"), expected_seq=expected) == stored[0]
        assert storage.add_message(Message(session_id="s", role="user"), expected_seq=2).seq_num == 3

    def test_of_several_sessions_that_take_none_one_is_named(self, storage: Storage) -> None:
        """Against: an error that differs between backends."""
        for id in ("a", "s"):
            open_session(storage, id)
        storage.delete_session("a")
        for ids, named in (("sdcba", "'b'"), ("sa", "'a' is deleted")):
            with case(ids), pytest.raises(NotFound, match=named):
                storage.add_messages([Message(session_id=id, role="user") for id in ids])

    def test_an_expected_number_is_one_session_s(self, storage: Storage) -> None:
        for id in ("s1", "s2"):
            open_session(storage, id)
        with pytest.raises(InvalidRecord) as caught:
            storage.add_messages([Message(session_id=id, role="user") for id in ("s1", "s2")], expected_seq=0)
        assert caught.value.field == "expected_seq"
        assert list(storage.scan("message")) == []

    def test_one_wrong_message_keeps_all_out(self, storage: Storage) -> None:
        open_session(storage)
        before = everything(storage)
        given = [Message(session_id="s", role="user", content=content) for content in ("right", float("nan"), "right")]
        with pytest.raises(InvalidRecord):
            storage.add_messages(given)
        assert everything(storage) == before

    def test_a_number_of_its_own_is_the_next_one(self, storage: Storage) -> None:
        open_session(storage)
        assert storage.add_message(Message(session_id="s", role="user", seq_num=1)).seq_num == 1
        for wrong in (1, 3):
            with pytest.raises(SequenceConflict) as caught:
                storage.add_message(Message(session_id="s", role="user", seq_num=wrong))
            assert (caught.value.expected, caught.value.actual) == (wrong - 1, 1)
        assert storage.count_messages("s") == 1

    def test_the_kind_of_a_message(self, storage: Storage) -> None:
        open_session(storage)
        for role, kind, kept in KEPT:
            with case(role, kind, kept):
                storage.add_message(Message(session_id="s", role=role, kind=kind))
                [message] = storage.list_messages("s", order="desc", limit=1)
                assert (message.role, message.kind) == (role, kept)

    def test_no_ledger_event_comes_of_a_message(self, storage: Storage) -> None:
        open_session(storage)
        say(storage, "a", "b")
        assert storage.count_events("s") == 0

    def test_the_latest_few(self, storage: Storage) -> None:
        open_session(storage)
        say(storage, *"abcdef")
        assert column(storage.list_messages("s", order="desc", limit=2), "id") == ["f", "e"]
        assert column(storage.list_messages("s", order="desc", offset=4), "id") == ["b", "a"]
        assert column(storage.list_messages("s", limit=2, offset=3), "id") == ["d", "e"]

    def test_an_unknown_order_of_messages_is_refused(self, storage: Storage) -> None:
        with pytest.raises(ValueError, match="order"):
            storage.list_messages("s", order="random")

    def test_since_and_until_are_inclusive(self, storage: Storage) -> None:
        open_session(storage)
        tick = timedelta(microseconds=1)
        for timestamp in (at(1), at(1) + tick, at(2) - tick, at(2)):
            storage.add_message(Message(session_id="s", role="user", created_at=timestamp))
        numbers = {
            (at(1), at(2)): [1, 2, 3, 4],
            (at(1) + tick, at(2) - tick): [2, 3],
            (None, at(1)): [1],
            (at(2), None): [4],
            (at(2), at(1)): [],
        }
        for (since, until), found in numbers.items():
            assert column(storage.list_messages("s", since=since, until=until), "seq_num") == found

    def test_the_number_of_a_deleted_message_is_not_given_again(self, storage: Storage) -> None:
        """Against: sequence numbers computed as a count."""
        open_session(storage)
        say(storage, "a", "b", "c")
        before = storage.get_session("s")
        assert storage.delete_message("c") is True
        assert storage.delete_message("a", session_id="s") is True
        assert storage.delete_message("a") is False
        assert storage.delete_message("b", session_id="other") is False
        assert storage.get_message("a") is None
        assert storage.get_session("s").last_activity_at == before.last_activity_at
        say(storage, "d")
        assert [(message.id, message.seq_num) for message in storage.list_messages("s")] == [("b", 2), ("d", 4)]

    def test_numbers_go_on_after_all_messages_are_deleted(self, storage: Storage) -> None:
        """Against: a run that restarts at 0."""
        open_session(storage, "s")
        open_session(storage, "other")
        say(storage, "a", "b")
        say(storage, "a", session_id="other")
        assert storage.delete_messages("s") == 2
        assert storage.delete_messages("s") == 0
        assert storage.delete_messages("unknown") == 0
        assert column(storage.list_messages("other"), "id") == ["a"]
        assert say(storage, "c")[0].seq_num == 3

    def test_an_id_of_several_sessions_is_not_deleted_by_guess(self, storage: Storage) -> None:
        for session_id in ("s1", "s2"):
            open_session(storage, session_id)
            say(storage, "same", session_id=session_id)
        with pytest.raises(AmbiguousId):
            storage.delete_message("same")
        assert storage.delete_message("same", session_id="s1") is True
        assert storage.get_message("same").session_id == "s2"

    def test_truncating_removes_what_has_a_higher_number(self, storage: Storage) -> None:
        open_session(storage, "s")
        open_session(storage, "other")
        for id, timestamp in (("a", 4), ("b", 3), ("c", 2), ("d", 1)):
            storage.add_message(Message(id=id, session_id="s", role="user", created_at=at(timestamp)))
        say(storage, "a", "x", session_id="other")
        assert storage.truncate_messages("s", "b") == 2
        assert storage.truncate_messages("s", "b") == 0
        assert column(storage.list_messages("s"), "id") == ["a", "b"]
        assert column(storage.list_messages("other"), "id") == ["a", "x"]
        assert say(storage, "e")[0].seq_num == 5

    def test_truncating_after_what_is_not_there(self, storage: Storage) -> None:
        """Against: an update of a missing row that reports success."""
        open_session(storage, "s")
        open_session(storage, "other")
        say(storage, "a", "b")
        say(storage, "x", session_id="other")
        for session_id, id in (("s", "nothing"), ("s", "x"), ("unknown", "a")):
            with case(session_id, id):
                with pytest.raises(NotFound):
                    storage.truncate_messages(session_id, id)
                assert storage.count_messages("s") == 2

    def test_counting(self, storage: Storage) -> None:
        open_session(storage)
        assert storage.count_messages("s") == storage.count_messages("unknown") == 0
        say(storage, "a", "b", "c")
        storage.delete_message("a")
        assert storage.count_messages("s") == 2

    def test_those_of_a_session_by_their_ids(self, storage: Storage) -> None:
        for id in ("s", "other"):
            open_session(storage, id)
        a, b, c = say(storage, "a", "b", "c")
        say(storage, "b", "d", session_id="other")
        assert storage.get_messages("s", ["c", "b", "d", "c", "unheard of"]) == [b, c]
        assert storage.get_messages("s", []) == storage.get_messages("unknown", ["a"]) == []
        storage.delete_session("s")
        assert storage.get_messages("s", ["a"]) == [a]

    def test_the_last_number_stays_when_messages_go(self, storage: Storage) -> None:
        open_session(storage)
        assert storage.last_message_seq("s") == storage.last_message_seq("unknown") == 0
        say(storage, "a", "b", "c")
        storage.append_event(Event(session_id="s"))
        storage.delete_messages("s")
        assert storage.last_message_seq("s") == 3

    def test_messages_are_found_by_their_ids_in_whatever_session(self, storage: Storage) -> None:
        """The newest of a live session, or else of a deleted one."""
        for session_id, timestamps in {"a": {"m": 3, "n": 1}, "b": {"m": 2, "n": 2}, "c": {"m": 1, "o": 1}}.items():
            open_session(storage, session_id)
            storage.add_messages(
                Message(id=id, session_id=session_id, role="user", content=session_id, created_at=at(timestamp))
                for id, timestamp in timestamps.items()
            )
        assert self.sessions_of(storage, "m", "n", "o", "m", "unheard of") == {"m": "a", "n": "b", "o": "c"}
        assert list(storage.find_messages(["o", "m", "n", "m"])) == ["o", "m", "n"]
        storage.delete_session("a")
        assert self.sessions_of(storage, "m", "n") == {"m": "b", "n": "b"}
        storage.delete_session("b")
        assert self.sessions_of(storage, "m", "n") == {"m": "c", "n": "b"}
        storage.delete_session("c")
        assert self.sessions_of(storage, "m") == {"m": "a"}
        assert storage.find_messages(["m"])["m"] == storage.get_message("m", session_id="a")
        assert storage.find_messages([]) == {}
        with pytest.raises(InvalidRecord) as refused:
            storage.find_messages("m")
        assert refused.value.field == "ids"

    def sessions_of(self, storage: Storage, *ids: str) -> dict[str, str]:
        return {id: message.session_id for id, message in storage.find_messages(ids).items()}


class TokenUsageContract:
    def test_without_messages_nothing_was_used(self, storage: Storage) -> None:
        open_session(storage)
        for session_id in ("s", "unknown"):
            with case(session_id):
                assert storage.token_usage(session_id) == TokenUsage(
                    prompt_tokens=0, completion_tokens=0, total_tokens=0
                )

    def test_usage_is_summed(self, storage: Storage) -> None:
        open_session(storage, "other")
        storage.add_message(Message(session_id="other", role="user", usage=TokenUsage(prompt_tokens=999)))
        open_session(storage)
        say(storage, "without usage")
        reply(storage, prompt_tokens=10, completion_tokens=20, total_tokens=31)
        reply(storage, prompt_tokens=1, completion_tokens=2, total_tokens=3)
        assert storage.token_usage("s") == TokenUsage(prompt_tokens=11, completion_tokens=22, total_tokens=34)

    def test_a_total_that_was_not_reported_is_the_sum(self, storage: Storage) -> None:
        open_session(storage)
        reply(storage, prompt_tokens=10, completion_tokens=20)
        reply(storage, prompt_tokens=1, completion_tokens=2, total_tokens=5)
        assert storage.token_usage("s").total_tokens == 35

    def test_a_cache_that_was_not_reported_is_not_zero(self, storage: Storage) -> None:
        open_session(storage)
        reply(storage, prompt_tokens=1, cache_read_tokens=0)
        reply(storage, prompt_tokens=1)
        used = storage.token_usage("s")
        assert (used.cache_read_tokens, used.cache_creation_tokens) == (0, None)
        reply(storage, cache_read_tokens=5, cache_creation_tokens=7)
        used = storage.token_usage("s")
        assert (used.cache_read_tokens, used.cache_creation_tokens) == (5, 7)

    def test_sums_may_be_large(self, storage: Storage) -> None:
        open_session(storage)
        for _ in range(3):
            reply(storage, **dict.fromkeys(USAGE, 10**12))
        assert storage.token_usage("s") == TokenUsage(**dict.fromkeys(USAGE, 3 * 10**12))

    def test_a_deleted_message_does_not_count(self, storage: Storage) -> None:
        open_session(storage)
        reply(storage, prompt_tokens=5)
        storage.delete_messages("s")
        assert storage.token_usage("s").prompt_tokens == 0

    def test_usage_over_a_period_by_agent_and_user(self, storage: Storage) -> None:
        for id, agent_id, user_id in (("1", "a", "u"), ("2", "a", "v"), ("3", "b", "u")):
            open_session(storage, id, agent_id=agent_id, user_id=user_id)
            for day in (0, 1):
                usage = TokenUsage(prompt_tokens=10 ** (2 * int(id) + day))
                timestamp = at(86_400 * day)
                storage.add_message(Message(session_id=id, role="user", usage=usage, created_at=timestamp))
        storage.delete_session("2")
        for asked, total in (
            ({}, 11_111_100),
            ({"agent_id": "a"}, 111_100),
            ({"user_id": "u"}, 11_001_100),
            ({"agent_id": "a", "user_id": "u"}, 1_100),
            ({"agent_id": "b", "user_id": "v"}, 0),
            ({"since": at(1)}, 10_101_000),
            ({"since": at(0), "until": at(0)}, 1_010_100),
            ({"user_id": "u", "until": at(86_399)}, 1_000_100),
        ):
            with case(asked):
                expected = TokenUsage(prompt_tokens=total, completion_tokens=0, total_tokens=total)
                assert storage.usage(**asked) == expected
        storage.delete_session("2", hard=True)
        assert storage.usage(agent_id="a").total_tokens == 1_100
