"""The recorders: the events of an application are those of a session, in whose order they are its notifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)

from ...async_threads import from_any_thread
from ...backends.base import Condition, Query
from ...exceptions import NotSupported
from ...facade import Storage
from ...facade.base import in_our_words
from ...ids import new_id
from ...records import Event, MemoryRecord, Session
from .errors import translated
from .events import fields_of, notification, of_aggregate, to_events
from .subscriptions import ChronosSubscription, Listeners

P = ParamSpec("P")
T = TypeVar("T")

#: The kind of the memory records that say how far an application has followed another.
TRACKING = "eventsourcing_tracking"


class ChronosRecorder:
    """What the recorders share.

    Args:
        storage: where the events are kept.
        session_id: the session; it is made where it is not there yet.
    """

    def __init__(self, storage: Storage, session_id: str) -> None:
        self.storage, self.session_id = storage, session_id
        self._call(storage.ensure_session, Session(id=session_id, agent_id="eventsourcing", title=session_id))

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with translated():
            return from_any_thread(self.storage, function, *args, **kwargs)


class ChronosAggregateRecorder(ChronosRecorder, AggregateRecorder):
    """Events by aggregate and version: no two have the same, whoever inserts them."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self._insert(stored_events, **kwargs)
        return None

    def _insert(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> list[int]:
        """Append the events, all or none; returns their numbers."""
        return self._call(self._append, list(stored_events), new_id())

    def _append(self, stored: list[StoredEvent], attempt: str) -> list[int]:
        events = self.storage.append_events(to_events(stored, self.session_id, attempt))
        return [event.seq_num for event in events]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self._call(self._select, originator_id, gt, lte, desc, limit)

    def _select(
        self, originator_id: UUID | str, gt: int | None, lte: int | None, desc: bool, limit: int | None
    ) -> list[StoredEvent]:
        query = Query(
            record=Event,
            where=(Condition("session_id", "=", self.session_id), *of_aggregate(originator_id, gt, lte)),
            order=("-id" if desc else "id",),
            limit=limit,
        )
        found = in_our_words(self.storage.backend.run, lambda: self.storage.backend.select(query))
        return [StoredEvent(**fields_of(event)) for event in found]


class ChronosApplicationRecorder(ChronosAggregateRecorder, ApplicationRecorder):
    """Events as notifications too: their numbers are the session's, without gap, in the order of commits."""

    def __init__(self, storage: Storage, session_id: str) -> None:
        super().__init__(storage, session_id)
        self.listeners = Listeners()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        numbers = self._insert(stored_events, **kwargs)
        self.listeners.wake()
        return numbers

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = max((start or 0) - (1 if inclusive_of_start else 0), 0)
        if stop is not None and not topics:
            limit = max(min(limit, stop - after), 0)
        found = self._call(self.storage.list_events, self.session_id, after, types=list(topics) or None, limit=limit)
        return [notification(event) for event in found if stop is None or event.seq_num <= stop]

    def max_notification_id(self) -> int | None:
        return self._call(self.storage.last_seq, self.session_id) or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return ChronosSubscription(self, gt, topics)


class ChronosTrackingRecorder(ChronosRecorder, TrackingRecorder):
    """How far an application has followed others: a memory record for each.

    Raises:
        NotSupportedError: the storage is no database of Django's, whose transactions say what was processed.
    """

    def __init__(self, storage: Storage, session_id: str) -> None:
        with translated():
            if storage.backend.using is None:
                raise NotSupported(
                    f"{storage!r} has no transactions, in which events and how far others were followed are written"
                    " together: keep an application that follows others in a database of Django's"
                )
        super().__init__(storage, session_id)

    def insert_tracking(self, tracking: Tracking) -> None:
        attempt = new_id()
        self._call(self._alone, lambda: self._track(tracking, attempt))

    def max_tracking_id(self, application_name: str) -> int | None:
        found = self._call(self._tracked, application_name)
        return found["notification_id"] if found else None

    def _tracked(self, application_name: str) -> Any:
        found = self.storage.get_memory(
            self.session_id, application_name, kind=TRACKING, user_id="", session_id=self.session_id
        )
        return found and found.value

    def _alone(self, call: Callable[[], T]) -> T:
        """What a function returns that is called in a transaction, while nobody else tracks for this application."""
        exclusively = self.storage.backend.exclusively
        return in_our_words(exclusively, Session, [], call, session_id=self.session_id)

    def _track(self, tracking: Tracking, attempt: str) -> None:
        name, number = tracking.application_name, tracking.notification_id
        found = self._tracked(name)
        if found and found["attempt"] == attempt:  # which was committed, and the answer lost
            return
        if found and number <= found["notification_id"]:
            raise IntegrityError(
                f"{name!r} was followed up to {found['notification_id']} already, and {number} is not after it"
            )
        value = {"notification_id": number, "attempt": attempt}
        id = self.session_id
        self.storage.put_memory(MemoryRecord(agent_id=id, session_id=id, kind=TRACKING, key=name, value=value))


class ChronosProcessRecorder(ChronosTrackingRecorder, ChronosApplicationRecorder, ProcessRecorder):
    """Events, and how far others were followed as they came about, in one transaction."""

    def _insert(
        self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None, **kwargs: Any
    ) -> list[int]:
        if tracking is None:
            return super()._insert(stored_events)
        stored, attempt = list(stored_events), new_id()

        def insert() -> list[int]:
            self._track(tracking, attempt)
            return self._append(stored, attempt)

        return self._call(self._alone, insert)
