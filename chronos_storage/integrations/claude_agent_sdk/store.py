from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from claude_agent_sdk import (
    SessionKey,
    SessionListSubkeysKey,
    SessionStore,
    SessionStoreEntry,
    SessionStoreListEntry,
    SessionSummaryEntry,
    fold_session_summary,
)

from ... import storage as default_storage
from ...async_variants import hop
from ...codec import storable
from ...exceptions import AlreadyExists, NotFound
from ...facade import Storage
from ...ids import composite_id
from ...records import Message, Session
from ..session_users import is_owned
from .entries import FORMAT, messages_of

#: The key in the metadata of a session under which stands what the SDK calls it, and its summary.
_KEY = "claude_agent_sdk"


class ChronosSessionStore(SessionStore):
    """The transcripts of the SDK's sessions, each a session of this storage with a message for each entry.

    An entry stands in `Message.raw` as the SDK gave it, beside the role, the content, the tool calls and the usage that
    the admin, the API and other frameworks read. The session's id is `composite_id` of the project's key, the SDK's
    session id and, of a subagent's transcript, its subpath; its container is the project's, or the session that the
    subagent works for.

    What is deleted is soft-deleted, and stays so: an entry that comes late is refused.

    Args:
        storage: where it is kept; `chronos_storage.storage` unless given.
        session_fields: further fields of sessions that are new, such as ``user_id="ada"``. Where a user is given,
            those of others are not listed, and refused with `AlreadyExists`.
    """

    def __init__(self, *, storage: Storage | None = None, **session_fields: Any) -> None:
        self._storage: Storage = storage or default_storage
        self._fields = session_fields

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        """Append entries, all or none; those whose uuid is there already are left out."""
        if entries:
            await hop(self._storage, self._append, key, entries)

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        """The entries in their order; None where none was ever appended, or the session is deleted."""
        return await hop(self._storage, self._load, key)

    async def list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        """The sessions of a project, without those of subagents."""
        return [
            {"session_id": _said(session)["session_id"], "mtime": _milliseconds(session.last_activity_at)}
            for session in await self._inside(composite_id(project_key))
        ]

    async def list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        """The summaries that the SDK has made of a project's sessions."""
        found = [_said(session).get("summary") for session in await self._inside(composite_id(project_key))]
        return [summary["entry"] for summary in found if summary]

    async def delete(self, key: SessionKey) -> None:
        """Soft-delete a session with those of its subagents, or, given a subpath, that one."""
        await hop(self._storage, self._delete, key)

    async def list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        """The subpaths of a session's subagents."""
        return [_said(session)["subpath"] for session in await self._inside(_id_of(key))]

    async def _inside(self, container_id: str) -> list[Session]:
        found = await self._storage.alist_sessions(container_id=container_id, limit=None)
        owner = self._fields.get("user_id")
        return [session for session in found if not owner or session.user_id in ("", owner)]

    def _append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        session = self._session(key)
        is_owned(self._storage, session)
        messages = messages_of(entries, session.id)
        try:
            added = self._add(messages)
        except NotFound:
            # Refused where it is soft-deleted.
            self._storage.ensure_session(session)
            added = self._add(messages)
        if added and not key.get("subpath"):
            self._summarize(key, added)

    def _add(self, messages: list[Message]) -> list[Message]:
        """Append the messages; returns those that were not there yet."""
        try:
            stored = self._storage.add_messages(messages)
        except AlreadyExists:  # a uuid whose entry had something else
            ids = [message.id for message in messages if message.id]
            there = {message.id for message in self._storage.get_messages(messages[0].session_id, ids)}
            stored = self._storage.add_messages(message for message in messages if message.id not in there)
        new = set(stored.new)
        return [message for message in stored if message.id in new]

    def _session(self, key: SessionKey) -> Session:
        said = {name: value for name, value in key.items() if value}
        project = composite_id(key["project_key"])
        container = composite_id(key["project_key"], key["session_id"]) if key.get("subpath") else project
        fields = {"metadata": {}} | self._fields
        return Session(
            **{**fields, "id": _id_of(key), "container_id": container, "metadata": fields["metadata"] | {_KEY: said}}
        )

    def _summarize(self, key: SessionKey, added: list[Message]) -> None:
        """Bring the summary up to date with the messages so far.

        It says which number it reaches, so that whoever appends at the same time neither leaves out an entry nor takes
        one twice. Where it was overtaken, its time is older than the session's: the SDK then reads the entries.
        """
        session = self._storage.get_session(added[0].session_id)
        if session is None:  # deleted meanwhile
            return
        said = _said(session)
        before = said.get("summary") or {"seq_num": 0, "entry": None}
        if before["seq_num"] != added[0].seq_num - 1:
            added = [message for message in self._entries(session.id) if message.seq_num > before["seq_num"]]
        if not added:
            return
        entry = fold_session_summary(before["entry"], key, [message.raw for message in added])
        entry["mtime"] = _milliseconds(max(message.created_at for message in added if message.created_at))
        summary = storable({"seq_num": added[-1].seq_num, "entry": entry}, filterable=True).value
        self._storage.patch_session_metadata(session.id, {_KEY: {**said, "summary": summary}})

    def _load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        id = _id_of(key)
        is_owned(self._storage, self._session(key))
        if self._storage.get_session(id) is None:
            return None
        return [message.raw for message in self._entries(id)]

    def _entries(self, id: str) -> list[Message]:
        """The messages that are entries; another framework's or the API's are none that the SDK could read."""
        return [message for message in self._storage.list_messages(id) if message.format == FORMAT]

    def _delete(self, key: SessionKey) -> None:
        id = _id_of(key)
        is_owned(self._storage, self._session(key))
        for session in self._storage.list_sessions(container_id=id, limit=None):
            self._storage.delete_session(session.id)
        self._storage.delete_session(id)


def _id_of(key: SessionKey | SessionListSubkeysKey) -> str:
    subpath = cast("SessionKey", key).get("subpath")
    return composite_id(key["project_key"], key["session_id"], *([subpath] if subpath else []))


def _said(session: Session) -> dict[str, Any]:
    said: dict[str, Any] = session.metadata[_KEY]
    return said


def _milliseconds(time: datetime | None) -> int:
    return int(time.timestamp() * 1000) if time else 0
