from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.sessions import BaseSessionService, Session
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse

from ... import records
from ... import storage as default_storage
from ...async_variants import hop
from ...exceptions import AlreadyExists, NotFound, SequenceConflict
from ...facade import Storage
from ...facade.base import at_once, in_our_words
from ...ids import composite_id, new_id
from ..own_items import own_items
from .compat import StaleSessionError, note_revision, revision
from .events import FORMAT, moment, to_event, to_message
from .states import Scopes, states_of

T = TypeVar("T")

#: In the metadata of ADK's sessions, whose other parts are their agent and their user.
MARK = "google_adk_session"
_STALE = "The session has been modified in storage since it was loaded: get it again before appending more events."


class ChronosSessionService(BaseSessionService):
    """ADK's sessions, with their events as messages.

    A session's id is made of the app's name, the user's id and the session's; its `agent_id` is the app. An event that
    is appended to a session which others have written to since it was loaded raises `StaleSessionError`, and nothing is
    written. In a database of Django's an event and the state that it changes are one transaction.

    Args:
        storage: where they are kept; `chronos_storage.storage` unless given.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage: Storage = storage or default_storage

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        return await hop(self._storage, self._create, app_name, user_id, _stripped(session_id) or new_id(), state or {})

    def _create(self, app_name: str, user_id: str, session_id: str, state: dict[str, Any]) -> Session:
        scopes = Scopes.of(app_name, user_id, session_id)
        made = records.Session(
            id=scopes.session, agent_id=app_name, user_id=user_id, title=session_id, metadata={MARK: session_id}
        )

        def begin() -> records.Session | None:
            stored = self._begin(made)
            self._storage.put_memories(scopes.records(state))
            return stored

        if stored := self._at_once(begin):
            return self._session(stored, states_of(self._storage, scopes[:3]), [], 0)
        found = self._get(scopes, None)
        if found is None:  # deleted meanwhile
            raise SessionNotFoundError(f"Session {session_id} not found.")
        return found

    def _begin(self, session: records.Session) -> records.Session | None:
        """Store a session, or take over one that is none of ADK's yet; that it does return nothing says."""
        try:
            return self._storage.create_session(session)
        except AlreadyExists:
            found = self._storage.get_session(session.id)
            if found is None or MARK in found.metadata or found.user_id not in ("", session.user_id):
                raise AlreadyExistsError(f"Session with id {session.metadata[MARK]} already exists.") from None
            # An artifact that came before its session has made it, or another framework began it.
            self._storage.patch_session(session.id, agent_id=session.agent_id, user_id=session.user_id)
            self._storage.patch_session_metadata(session.id, session.metadata)
            return None

    def _at_once(self, write: Callable[[], T]) -> T:
        """What a function returns that makes several calls, in one transaction where the storage has them."""

        def attempt() -> T:
            with at_once(self._storage):
                return write()

        return in_our_words(self._storage.backend.run, attempt)

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session | None:
        return await hop(self._storage, self._get, Scopes.of(app_name, user_id, _stripped(session_id)), config)

    def _get(self, scopes: Scopes, config: GetSessionConfig | None) -> Session | None:
        config = config or GetSessionConfig()
        # Before the events: whoever appends in between makes this one stale, and not one that lacks an event.
        last = self._storage.last_message_seq(scopes.session)
        stored = self._storage.get_session(scopes.session)
        if stored is None or MARK not in stored.metadata:
            return None
        since = moment(config.after_timestamp) if config.after_timestamp else None
        limit = config.num_recent_events
        events = own_items(self._storage, scopes.session, FORMAT, Event.model_validate, since=since, limit=limit)
        if events is None:
            found = self._storage.list_messages(scopes.session, since=since, order="desc", limit=limit)
            events = [(message.seq_num, to_event(message)) for message in found]
        known = [event for number, event in reversed(events) if number <= last]
        return self._session(stored, states_of(self._storage, scopes[:3]), known, last)

    def _session(
        self, stored: records.Session, states: dict[str, dict[str, Any]], events: list[Event], last: int | None
    ) -> Session:
        scopes = Scopes.of(stored.agent_id, stored.user_id, stored.metadata[MARK])
        assert stored.last_activity_at
        session = Session(
            app_name=stored.agent_id,
            user_id=stored.user_id,
            id=stored.metadata[MARK],
            state=scopes.merged(states),
            events=events,
            last_update_time=stored.last_activity_at.timestamp(),
        )
        if last is not None:
            note_revision(session, last)
        return session

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        return ListSessionsResponse(sessions=await hop(self._storage, self._list, app_name, user_id))

    def _list(self, app_name: str, user_id: str | None) -> list[Session]:
        newest = self._storage.iter_sessions(app_name, user_id=user_id, order="-last_activity_at")
        found = [session for session in newest if MARK in session.metadata][::-1]
        scopes = [Scopes.of(app_name, session.user_id, session.metadata[MARK]) for session in found]
        states = states_of(self._storage, [id for each in scopes for id in each[:3]])
        return [self._session(session, states, [], None) for session in found]

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        id = composite_id(app_name, user_id, _stripped(session_id))
        await self._storage.adelete_session(id, hard=True)

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        scope = composite_id(app_name, user_id)
        return (await hop(self._storage, states_of, self._storage, [scope])).get(scope, {})

    async def append_event(self, session: Session, event: Event) -> Event:
        if event.partial:
            return event
        self._apply_temp_state(session, event)
        event = self._trim_temp_delta_state(event)
        scopes = Scopes.of(session.app_name, session.user_id, session.id)
        number = await hop(self._storage, self._append, session, scopes, event)
        session.last_update_time = max(session.last_update_time, moment(event.timestamp).timestamp())
        note_revision(session, number)
        return self._commit_event_to_session(session, event)

    def _append(self, session: Session, scopes: Scopes, event: Event) -> int:
        message = to_message(event, scopes.session)
        state = scopes.records(event.actions.state_delta or {})
        expected = self._expected(session, scopes.session)

        def write() -> int:
            stored = self._storage.add_messages([message], expected_seq=expected)
            # One that is there already has changed the state, in one transaction; others may have changed it since.
            if stored.new or not self._storage.supports_transactions:
                self._storage.put_memories(state)
            return stored[0].seq_num

        try:
            return self._at_once(write) if state else write()
        except SequenceConflict:
            raise StaleSessionError(_STALE) from None
        except NotFound:
            raise SessionNotFoundError(f"Session {session.id} not found.") from None

    def _expected(self, session: Session, id: str) -> int:
        """The number of the last event that a session was loaded with."""
        if (known := revision(session)) is not None:
            return known
        # One that was made by hand, or went through JSON: it is current if it has the last event.
        newest = self._storage.list_messages(id, order="desc", limit=1)
        if not newest:
            return self._storage.last_message_seq(id)
        last = newest[0]
        assert last.created_at
        is_known = session.events and to_event(last).id == session.events[-1].id
        if not is_known and last.created_at.timestamp() > session.last_update_time:
            raise StaleSessionError(_STALE)
        return last.seq_num


def _stripped(session_id: str | None) -> str:
    """ADK takes an id with spaces around it for the one without."""
    return (session_id or "").strip()
