"""Sessions: made, saved, updated, patched and listed. What deletion does is in `deletion`."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from ...exceptions import AlreadyExists, InvalidRecord, NotFound
from ...facade import Storage
from ...records import Message, Session
from .helpers import alike, case, column, everything, open_session
from .samples import ODD_JSON, UNFILTERABLE, at, full, nested


class SessionContract:
    def test_a_session_is_made_once(self, storage: Storage) -> None:
        made = open_session(storage)
        for title in ("", "other"):
            with case(title):
                with pytest.raises(AlreadyExists):
                    open_session(storage, title=title)
                assert storage.get_session("s") == made

    def test_ensuring_makes_a_session_or_leaves_what_is_there(self, storage: Storage) -> None:
        made = storage.ensure_session(Session(id="s", user_id="ada", title="first"))
        assert (made.title, storage.get_session("s")) == ("first", made)
        for user_id in ("", "ada"):
            assert storage.ensure_session(Session(id="s", user_id=user_id, title="second")) == made
        assert storage.get_session("s") == made
        assert storage.ensure_session(Session()).id

    def test_ensuring_does_not_give_away_what_is_deleted_or_anothers(self, storage: Storage) -> None:
        open_session(storage, user_id="ada")
        open_session(storage, "nobody's")
        assert storage.ensure_session(Session(id="nobody's", user_id="eve")).user_id == ""
        before = everything(storage)
        with pytest.raises(AlreadyExists, match="another user_id"):
            storage.ensure_session(Session(id="s", user_id="eve"))
        assert everything(storage) == before
        storage.delete_session("s")
        with pytest.raises(AlreadyExists, match="restore_session"):
            storage.ensure_session(Session(id="s", user_id="ada"))
        assert storage.get_session("s") is None

    def test_saving_makes_a_session_or_writes_over_it(self, storage: Storage) -> None:
        made = storage.save_session(full("session"))
        assert storage.get_session("s") == made
        saved = storage.save_session(Session(id="s", title="Another", metadata={"new": True}))
        assert storage.get_session("s") == saved
        assert (saved.title, saved.metadata, saved.author) == ("Another", {"new": True}, "")
        assert saved.updated_at > made.updated_at
        assert len(storage.list_sessions()) == 1

    def test_saving_keeps_when_it_was_made_and_its_newest_activity(self, storage: Storage) -> None:
        """Against: last activity going backwards."""
        open_session(storage, created_at=at(5), last_activity_at=at(50))
        saved = storage.save_session(Session(id="s", created_at=at(6), last_activity_at=at(49)))
        assert (saved.created_at, saved.last_activity_at) == (at(5), at(50))
        assert storage.save_session(Session(id="s", last_activity_at=at(51))).last_activity_at == at(51)
        assert storage.save_session(Session(id="s")).last_activity_at == at(51)

    def test_an_update_writes_the_whole_record(self, storage: Storage) -> None:
        made = storage.create_session(full("session"))
        made.title, made.status, made.author, made.metadata = "Another", "paused", "", {"only": "this"}
        before = copy.deepcopy(made)
        updated = storage.update_session(made)
        assert made == before
        assert updated.updated_at > made.updated_at
        made.updated_at = updated.updated_at
        assert updated == made
        assert storage.get_session("s") == updated

    def test_an_update_never_lowers_the_last_activity(self, storage: Storage) -> None:
        """Against: last activity going backwards."""
        open_session(storage, created_at=at(5), last_activity_at=at(50))
        for given, kept in ((at(49), at(50)), (None, at(50)), (at(51), at(51))):
            assert storage.update_session(Session(id="s", last_activity_at=given)).last_activity_at == kept
        assert storage.get_session("s").created_at == at(5)

    def test_changing_a_session_that_is_not_there(self, storage: Storage) -> None:
        """Against: an update of a missing row that reports success."""
        with pytest.raises(NotFound):
            storage.update_session(Session(id="s"))
        with pytest.raises(NotFound):
            storage.patch_session("s", title="x")
        with pytest.raises(NotFound):
            storage.patch_session_metadata("s", {"a": 1})
        assert not any(everything(storage).values())

    def test_a_patch_writes_only_what_it_names(self, storage: Storage) -> None:
        made = storage.create_session(full("session"))
        patched = storage.patch_session("s", title="Another", status="paused")
        assert storage.get_session("s") == patched
        assert (patched.title, patched.status) == ("Another", "paused")
        assert patched.updated_at > made.updated_at
        patched.title, patched.status, patched.updated_at = made.title, made.status, made.updated_at
        assert patched == made

    def test_two_writers_of_different_fields_both_win(self, storage: Storage) -> None:
        open_session(storage)
        first, second = storage.get_session("s"), storage.get_session("s")
        assert first == second is not None
        storage.patch_session("s", title="by the first")
        storage.patch_session("s", author="by the second")
        assert storage.patch_session("s", metadata={"by": "the third"}).title == "by the first"
        kept = storage.get_session("s")
        assert kept is not None
        assert (kept.title, kept.author, kept.metadata) == ("by the first", "by the second", {"by": "the third"})

    def test_a_patch_that_is_refused_changes_nothing(self, storage: Storage) -> None:
        made = open_session(storage, user_id="user")
        refused: list[tuple[dict[str, Any], str]] = [
            ({"id": "other"}, "id"),
            ({"created_at": at(0)}, "created_at"),
            ({"deleted_at": at(0)}, "deleted_at"),
            ({"deleted_at": None}, "deleted_at"),
            ({"user_id": "other"}, "user_id"),
            ({"user_id": ""}, "user_id"),
            ({"colour": "red"}, "colour"),
            ({"title": None}, "title"),
            ({"title": "a\x00"}, "title"),
            ({"status": "x" * 256}, "status"),
            ({"metadata": {"n": -0.0}}, "metadata.n"),
            ({"metadata": []}, "metadata"),
            ({"last_activity_at": at(0).replace(tzinfo=None)}, "last_activity_at"),
        ]
        for changes, field in refused:
            with case(changes), pytest.raises(InvalidRecord) as caught:
                storage.patch_session("s", **{"author": "never written"} | changes)
            assert caught.value.field == field
            assert storage.get_session("s") == made, changes

    def test_a_user_can_be_set_once(self, storage: Storage) -> None:
        """Against: a user id silently dropped."""
        open_session(storage)
        assert storage.patch_session("s", user_id="user").user_id == "user"
        assert column(storage.list_sessions(user_id="user"), "id") == ["s"]
        with pytest.raises(InvalidRecord):
            storage.patch_session("s", user_id="other")
        assert column(storage.list_sessions(user_id="user"), "id") == ["s"]

    def test_a_patch_never_lowers_the_last_activity(self, storage: Storage) -> None:
        """Against: last activity going backwards."""
        open_session(storage, last_activity_at=at(50))
        assert storage.patch_session("s", last_activity_at=at(49)).last_activity_at == at(50)
        assert storage.patch_session("s", last_activity_at=at(51)).last_activity_at == at(51)

    def test_metadata_is_merged_at_its_top_level(self, storage: Storage) -> None:
        made = open_session(storage, title="kept", metadata={"a": 1, "b": {"x": 1, "y": 2}, "c": None, "d": [1, 2]})
        changes = {"b": {"z": 3}, "c": 4, "d": [], "e": None, "a.b": "not a path", "": "no name"}
        before = copy.deepcopy(changes)
        merged = storage.patch_session_metadata("s", changes)
        assert changes == before
        assert merged.metadata == {"a": 1, **changes}
        assert storage.get_session("s") == merged
        assert (merged.title, merged.created_at) == ("kept", made.created_at)
        assert merged.updated_at > made.updated_at

    def test_a_null_merged_in_is_a_value(self, storage: Storage) -> None:
        open_session(storage, metadata={"a": 1, "b": {"c": 2}})
        merged = storage.patch_session_metadata("s", {"a": None, "b": {"c": None}})
        assert merged.metadata == {"a": None, "b": {"c": None}}

    def test_any_metadata_can_be_merged_in(self, storage: Storage) -> None:
        open_session(storage, metadata={"first": ODD_JSON["keys"]})
        for changes in (ODD_JSON, ODD_JSON["keys"], {word: word for word in ODD_JSON["words"]}, nested(100), {}):
            before = storage.get_session("s")
            assert before is not None
            merged = storage.patch_session_metadata("s", changes)
            assert alike(merged.metadata) == alike(before.metadata | changes)
            assert alike(storage.get_session("s").metadata) == alike(merged.metadata)

    def test_metadata_that_cannot_be_merged(self, storage: Storage) -> None:
        made = open_session(storage, metadata={"a": 1})
        for wrong in ({"n": -0.0}, {"n": UNFILTERABLE[0]}, {1: 2}, nested(101), [], None, "{}"):
            with case(wrong):
                with pytest.raises(InvalidRecord):
                    storage.patch_session_metadata("s", wrong)
                assert storage.get_session("s") == made

    def test_sessions_by_the_time_they_were_made(self, storage: Storage) -> None:
        for id, timestamp in (("first", 1), ("third", 3), ("second", 2)):
            open_session(storage, id, created_at=at(timestamp), last_activity_at=at(10 - timestamp))
        assert column(storage.list_sessions(), "id") == ["third", "second", "first"]
        assert column(storage.list_sessions(order="-last_activity_at"), "id") == ["first", "second", "third"]

    def test_a_message_brings_its_session_to_the_front(self, storage: Storage) -> None:
        """Against: stale index entries."""
        soon = open_session(storage, "a").created_at + timedelta(hours=1)
        open_session(storage, "b")
        for id in ("a", "b", "a"):
            soon += timedelta(seconds=1)
            storage.add_message(Message(session_id=id, role="user", created_at=soon))
            assert storage.list_sessions(order="-last_activity_at")[0].id == id
        assert storage.get_session("a").last_activity_at == soon

    def test_an_order_that_is_not_known_is_refused(self, storage: Storage) -> None:
        with pytest.raises(ValueError, match="order"):
            storage.list_sessions(order="title")

    def test_a_changed_session_is_listed_under_what_it_now_is(self, storage: Storage) -> None:
        """Against: stale index entries after a rename."""
        open_session(storage, agent_id="old", status="active", container_id="old", image_id="old")
        storage.patch_session("s", agent_id="new", status="ended", container_id="new", image_id="new")
        for name, old, new in (
            ("agent_id", "old", "new"),
            ("status", "active", "ended"),
            ("container_id", "old", "new"),
            ("image_id", "old", "new"),
        ):
            assert storage.list_sessions(**{name: old}) == []
            assert column(storage.list_sessions(**{name: new}), "id") == ["s"]
        assert storage.get_image_session("old") is None
