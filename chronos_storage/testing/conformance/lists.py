"""What all lists have in common: limit, offset, a total order, filters, and iterators that go page by page."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest

from ...backends.document import MemoryBackend
from ...exceptions import InvalidRecord
from ...facade import Storage
from ...records import AuditLog, Event
from ..writers import write
from .helpers import Unasked, case, column, everything, open_session, prepared
from .samples import MISTAKEN, ODD_STRINGS, at, bare

#: By kind: the rest of the method's name, and what comes before its filters.
LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "session": ("sessions", ()),
    "message": ("messages", ("s",)),
    "memory": ("memory", ("agent",)),
    "audit_log": ("audit_logs", ()),
    "trace": ("traces", ("s",)),
    "event": ("events", ("s",)),
    "checkpoint": ("checkpoints", ("s",)),
    "container": ("containers", ()),
    "image": ("images", ()),
}
LIMITED = [kind for kind in LISTS if kind != "trace"]
WITH_OFFSET = ["session", "message", "memory", "audit_log", "container", "image"]
ITERATED = [kind for kind in LISTS if kind not in ("container", "image")]
MORE_THAN_A_PAGE = 520

#: By kind: each field that can be filtered by, and what the filter is called.
FILTERS = {
    "session": [(name, name) for name in ("agent_id", "user_id", "status", "container_id", "image_id")],
    "memory": [(name, name) for name in ("kind", "user_id", "session_id")],
    "audit_log": [(name, name) for name in ("session_id", "agent_id", "user_id", "actor", "action", "resource")],
    "trace": [("kind", "kind")],
    "image": [("name", "name"), ("container_id", "container_id")],
    "checkpoint": [("namespace", "namespace")],
    "message": [("role", "roles")],
    "event": [("type", "types")],
}


#: By kind: filters that are all asked for at once.
_TOGETHER = {
    "session": ["agent_id", "user_id", "status", "container_id", "image_id"],
    "audit_log": ["session_id", "agent_id", "user_id", "actor", "action", "resource"],
    "image": ["name", "container_id"],
    "memory": ["kind", "user_id", "session_id"],
}


def fill(storage: Storage, kind: str, count: int) -> None:
    """So many records of a kind in one list, whose times are in groups the same and whose ids are in no order."""
    prepared(storage, kind)
    places = [(number, f"{number * 7919 % count:05}", at(number * 3 // count)) for number in range(count)]
    if kind == "event":
        storage.append_events([Event(id=id, session_id="s", created_at=timestamp) for _, id, timestamp in places])
    elif kind == "audit_log":
        source = Storage(MemoryBackend())
        for _, id, timestamp in places:
            source.append_audit_log(AuditLog(id=id, agent_id="agent", created_at=timestamp))
        storage.load(source.scan("audit_log"))
    else:
        times = {
            "session": ("created_at", "updated_at", "last_activity_at"),
            "memory": ("created_at", "updated_at"),
            "trace": ("started_at",),
            "container": ("created_at", "updated_at"),
            "image": ("created_at", "updated_at"),
        }.get(kind, ("created_at",))
        numbered = kind in ("message", "checkpoint")
        storage.load(
            bare(
                kind,
                id=id,
                **dict.fromkeys(times, timestamp),
                **({"seq_num": number + 1} if numbered else {}),
                **({"kind": "user"} if kind == "message" else {}),
                **({"key": id} if kind == "memory" else {}),
            )
            for number, id, timestamp in places
        )


def listed(storage: Storage, kind: str, /, **page: Any) -> list[Any]:
    name, before = LISTS[kind]
    records: list[Any] = getattr(storage, f"list_{name}")(*before, **page)
    return records


def iterated(storage: Storage, kind: str, /, **filters: Any) -> Iterable[Any]:
    name, before = LISTS[kind]
    records: Iterable[Any] = getattr(storage, f"iter_{name}")(*before, **filters)
    return records


class ListContract(Unasked):
    def test_a_limit_of_none_is_all_and_of_zero_is_none(self, storage: Storage) -> None:
        for kind in LIMITED:
            with case(kind):
                fill(storage, kind, 7)
                whole = listed(storage, kind, limit=None)
                assert len(whole) == 7
                assert listed(storage, kind, limit=0) == []
                assert listed(storage, kind, limit=3) == whole[:3]
                assert listed(storage, kind, limit=8) == whole

    def test_a_negative_limit_or_offset_is_refused(self, storage_unasked: Storage) -> None:
        for name, kinds in {"limit": LIMITED, "offset": WITH_OFFSET}.items():
            for kind in kinds:
                with case(kind, name), pytest.raises(InvalidRecord) as caught:
                    listed(storage_unasked, kind, **{name: -1})
                assert caught.value.field == name

    def test_an_offset_needs_no_limit(self, storage: Storage) -> None:
        """Against: offset without limit failing."""
        for kind in WITH_OFFSET:
            with case(kind):
                fill(storage, kind, 7)
                whole = listed(storage, kind, limit=None)
                assert listed(storage, kind, limit=None, offset=5) == whole[5:]
                assert listed(storage, kind, limit=None, offset=7) == []
                assert listed(storage, kind, limit=0, offset=2) == []

    def test_pages_put_together_are_the_whole(self, storage: Storage) -> None:
        """Against: a result list that comes in random order."""
        for kind in WITH_OFFSET:
            with case(kind):
                fill(storage, kind, 20)
                pages = [listed(storage, kind, limit=3, offset=offset) for offset in range(0, 21, 3)]
                assert [record for page in pages for record in page] == listed(storage, kind, limit=None)

    @pytest.mark.parametrize("kind", WITH_OFFSET)
    def test_a_page_begins_behind_the_last_record_of_the_one_before(self, storage: Storage, kind: str) -> None:
        fill(storage, kind, 20)
        orders: dict[str, list[dict[str, Any]]] = {
            "session": [{"agent_id": ""}, {"order": "-last_activity_at"}],
            "message": [{"roles": ["user"]}, {"order": "desc"}],
        }
        for order in orders.get(kind, [{}]):
            whole = listed(storage, kind, limit=None, **order)
            assert len(whole) == 20
            found = listed(storage, kind, limit=3, **order)
            while page := listed(storage, kind, limit=3, after=found[-1], **order):
                found += page
            assert found == whole
            assert listed(storage, kind, limit=None, after=whole[5], **order) == whole[6:]
            assert listed(storage, kind, limit=0, after=whole[5], **order) == []

    def test_where_a_page_begins_is_said_once_and_by_what_was_listed(self, storage_unasked: Storage) -> None:
        timestamps = {"created_at": at(1), "updated_at": at(1), "last_activity_at": at(1)}
        for kind in WITH_OFFSET:
            last = bare(kind, id="a")
            with case(kind), pytest.raises(InvalidRecord) as caught:
                listed(storage_unasked, kind, after=last)
            assert caught.value.field == "after"
            for name in ("seq_num", *timestamps):
                if hasattr(last, name):
                    setattr(last, name, timestamps.get(name, 1))
            with case(kind), pytest.raises(InvalidRecord) as caught:
                listed(storage_unasked, kind, offset=1, after=last)
            assert caught.value.field == "offset"

    def test_a_hundred_come_unless_told_otherwise(self, storage: Storage) -> None:
        for kind in ("session", "audit_log"):
            with case(kind):
                fill(storage, kind, 101)
                assert listed(storage, kind) == listed(storage, kind, limit=None)[:100]

    def test_the_newest_comes_first(self, storage: Storage) -> None:
        for kind in ("session", "memory", "audit_log", "container", "image"):
            with case(kind):
                fill(storage, kind, 20)
                timestamps = column(listed(storage, kind, limit=None), "created_at")
                assert timestamps == sorted(timestamps, reverse=True)
                assert len(set(timestamps)) == 3

    @pytest.mark.parametrize("kind", ITERATED)
    def test_page_by_page_the_same_comes(self, storage: Storage, kind: str) -> None:
        fill(storage, kind, MORE_THAN_A_PAGE)
        whole = listed(storage, kind, **({"limit": None} if kind in LIMITED else {}))
        assert len(whole) == MORE_THAN_A_PAGE
        assert list(iterated(storage, kind)) == whole
        match kind:
            case "session":  # in their other order
                order = {"order": "-last_activity_at"}
                assert list(iterated(storage, kind, **order)) == listed(storage, kind, limit=None, **order)
            case "message":  # with every filter
                filters = {"roles": ["user"], "since": at(1), "until": at(2), "order": "desc"}
                whole = listed(storage, kind, **filters)
                assert MORE_THAN_A_PAGE // 2 < len(whole) < MORE_THAN_A_PAGE
                assert list(iterated(storage, kind, **filters)) == whole
            case "event":  # from a number on
                assert column(storage.iter_events("s", 7), "seq_num") == list(range(8, MORE_THAN_A_PAGE + 1))

    @pytest.mark.parametrize("kind", FILTERS)
    def test_a_filter_gives_what_is_bytewise_equal(self, storage: Storage, kind: str) -> None:
        source = Storage(MemoryBackend())
        if kind != "session":
            open_session(source)
        # each value in every field of a record, so that what looks at another field finds it a second time
        fields = [field for field, _ in FILTERS[kind]]
        for number in range(len(ODD_STRINGS)):
            key = {"key": str(number)} if kind == "memory" else {}
            turned = {field: ODD_STRINGS[number - place] for place, field in enumerate(fields)}
            write(source, bare(kind, **turned, **key))
        storage.load(chain(*everything(source).values()))
        for place, (field, name) in enumerate(FILTERS[kind]):
            # all in the first field, in the rest one of those that are taken for equal: either finds both
            for odd in MISTAKEN if place else ODD_STRINGS:
                value = [odd] if name in ("roles", "types") else odd
                with case(field, odd):
                    assert column(listed(storage, kind, **{name: value}), field) == [odd]
                    if kind in ITERATED and odd in MISTAKEN[place % 2 :: 2]:  # which has the list's own filters
                        assert column(iterated(storage, kind, **{name: value}), field) == [odd]

    def test_filters_narrow_each_other(self, storage: Storage) -> None:
        for kind, names in _TOGETHER.items():
            with case(kind):
                right = dict.fromkeys(names, "right")
                for fields in [right, *[right | {name: "wrong"} for name in names]]:
                    write(storage, bare(kind, **fields))
                assert len(listed(storage, kind, **right)) == 1
                assert len(listed(storage, kind)) == len(names) + 1

    def test_several_may_be_asked_for_or_none(self, storage: Storage) -> None:
        for kind, name in (("message", "roles"), ("event", "types")):
            with case(kind, name):
                prepared(storage, kind)
                field = {"roles": "role", "types": "type"}[name]
                for value in ("a", "b", "c"):
                    write(storage, bare(kind, **{field: value}))
                assert column(listed(storage, kind, **{name: ["c", "a"]}), field) == ["a", "c"]
                assert column(listed(storage, kind, **{name: ("b",)}), field) == ["b"]
                assert listed(storage, kind, **{name: []}) == []
                assert len(listed(storage, kind, **{name: None})) == 3

    def test_of_an_unknown_session_there_is_nothing(self, storage: Storage) -> None:
        for kind in ("message", "trace", "event", "checkpoint"):
            with case(kind):
                assert listed(storage, kind) == []
                assert list(iterated(storage, kind)) == []
