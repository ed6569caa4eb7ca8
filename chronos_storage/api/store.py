"""The storage that the API serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ..backends.handler import DEFAULT_ALIAS
from ..facade import Storage
from ..facade.base import in_our_words
from ..facade.stores import storages
from ..ledger.heads import heads_of
from ..models import Head
from ..records import Record

T = TypeVar("T")


def api_storage() -> Storage:
    """The storage with the alias "default"."""
    return storages[DEFAULT_ALIAS]


def exclusively(record: type[Record], ids: Sequence[str], call: Callable[[], T], session_id: str = "") -> T:
    """What `call` returns, which looks at records and then writes to them; see `Backend.exclusively`."""
    return in_our_words(api_storage().backend.exclusively, record, ids, call, session_id)


def ends_of_ledgers(session_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The number of each session's last event, and of the last that was purged."""
    storage = api_storage()
    if storage.backend.using is None:
        lasts = {id: storage.last_seq(id) for id in session_ids}
        return {id: (last, max(0, last - storage.count_events(id))) for id, last in lasts.items()}
    rows = heads_of(storage.alias, Head.Kind.EVENT, session_ids)
    known = {id: (last, base) for id, last, base in rows.values_list("series", "seq_num", "base_seq")}
    return {id: known.get(id, (0, 0)) for id in session_ids}
