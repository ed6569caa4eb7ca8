"""One owner's past conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from ...facade import Storage
from ...records import Message, Session
from .bounds import Unknown, bounded, shown

#: How much a search looks through: sessions, and messages of them all.
_SESSIONS, _MESSAGES = 200, 5_000
#: Characters that a match is shown with on either side.
_AROUND = 150

#: Within the class `list` is a method.
Matches: TypeAlias = list[dict[str, Any]]


class Conversations:
    def __init__(self, storage: Storage, agent_id: str, user_id: str) -> None:
        self._storage, self._agent_id, self._user_id = storage, agent_id, user_id

    async def list(self, limit: int, offset: int) -> dict[str, Any]:
        return {"conversations": [_about(session) for session in await self._sessions(limit, offset)]}

    async def read(self, id: str, limit: int, before: int | None) -> dict[str, Any]:
        """The latest messages of a conversation, in their order, and whether there are older ones."""
        session = await self._storage.aget_session(id)
        # Of what is another's nobody learns that it is there.
        if session is None or session.user_id != self._user_id or self._agent_id not in ("", session.agent_id):
            raise Unknown(f"there is no conversation {id!r}")
        end = None if before is None else Message(id="before", session_id=id, role="user", seq_num=before)
        found = await self._storage.alist_messages(id, order="desc", limit=limit + 1, after=end)
        messages = [{"number": each.seq_num, "role": each.role, "text": _text(each)} for each in found[:limit][::-1]]
        return {**_about(session), "messages": bounded(messages, "text"), "has_older": len(found) > limit}

    async def search(self, words: str, limit: int) -> dict[str, Any]:
        """Messages that contain a text, and whether all conversations were looked through."""
        wanted, seen = words.casefold(), 0
        matches: Matches = []
        async for session, message in self._messages():
            seen += 1
            text = _text(message)
            place = _place(text, wanted)
            if place is not None:
                excerpt = text[max(0, place - _AROUND) : place + len(words) + _AROUND]
                matches.append({"id": session.id, "number": message.seq_num, "role": message.role, "text": excerpt})
            if len(matches) == limit or seen == _MESSAGES:
                return {"matches": bounded(matches, "text"), "is_complete": False}
        return {"matches": bounded(matches, "text"), "is_complete": True}

    async def _messages(self) -> AsyncIterator[tuple[Session, Message]]:
        """The latest messages of the latest sessions."""
        for session in await self._sessions(_SESSIONS, 0):
            async for message in self._storage.aiter_messages(session.id, order="desc"):
                yield session, message

    async def _sessions(self, limit: int, offset: int) -> Sequence[Session]:
        found: Sequence[Session] = await self._storage.alist_sessions(
            self._agent_id or None, user_id=self._user_id, order="-last_activity_at", limit=limit, offset=offset
        )
        return found


def _about(session: Session) -> dict[str, Any]:
    return {"id": session.id, "title": shown(session.title, 255), "last_activity_at": str(session.last_activity_at)}


def _text(message: Message) -> str:
    """What a message says and calls."""
    parts = [part for part in (message.content, message.tool_calls) if part]
    return "\n".join(shown(part, 1_000_000) for part in parts)


def _place(text: str, wanted: str) -> int | None:
    """Where a text has another, which is case-folded already; None where it has not."""
    folded = text.casefold()
    place = folded.find(wanted)
    if place < 0:
        return None
    if len(folded) == len(text):
        return place
    # Of some characters, as ß, folding makes several.
    return next(index for index, end in enumerate(accumulate(len(each.casefold()) for each in text)) if end > place)
