from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ... import codec
from ...chains.hashing import time_text
from ...records import Fence, Session
from ...refusals import Reason, Refused
from .base import DocumentBase
from .driver import Document, Driver, Key
from .unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class _Held:
    """Who acquired a session last, as it is kept.

    Attributes:
        expires_at: as text; None for no time.
        ttl: for how long it was acquired or renewed, in microseconds; None for no time.
        key: what a repeated acquire finds its own by.
    """

    token: int = 0
    holder: str = ""
    expires_at: str | None = None
    ttl: int | None = None
    key: str = ""

    def until(self, ttl: timedelta | None, driver: Driver) -> _Held:
        """The same, for so long from now on by the store's clock."""
        if not ttl:
            return replace(self, expires_at=None)
        return replace(self, expires_at=time_text(driver.now() + ttl), ttl=ttl // timedelta(microseconds=1))

    def record(self, session_id: str) -> Fence:
        expires_at = None if self.expires_at is None else datetime.fromisoformat(self.expires_at)
        return Fence(session_id=session_id, holder=self.holder, token=self.token, expires_at=expires_at)


class FenceMethods(DocumentBase):
    def acquire(self, session_id: str, holder: str, ttl: timedelta | None, force: bool, key: str) -> Fence:
        with self.work() as work:
            work.require_open(session_id)
            last = _held(work, session_id)
            if last.key == key:
                return last.record(session_id)
            known = last.record(session_id)
            if last.holder != holder and not force and known.expires_at and known.expires_at > self.driver.now():
                raise Refused(Reason.HELD, Session, session_id, known)
            held = _Held(last.token + 1, holder, key=key).until(ttl, self.driver)
            _hold(work, session_id, held)
            work.set_guard(session_id, token=held.token)
        return held.record(session_id)

    def renew(self, session_id: str, token: int, ttl: timedelta | None) -> Fence:
        with self.work() as work:
            held = _last_of(work, session_id, token)
            before = None if held.ttl is None else timedelta(microseconds=held.ttl)
            held = held.until(before if ttl is None else ttl, self.driver)
            _hold(work, session_id, held)
        return held.record(session_id)

    def fence(self, session_id: str) -> Fence | None:
        held = _of(self.read_one(_key(session_id)))
        return held.record(session_id) if held.holder else None


def forget_holder(work: UnitOfWork, session_id: str, *, whole: bool) -> None:
    """Keep no more of a session that is removed than its last token, above which another of its id goes on.

    Args:
        whole: whether not even that is kept.
    """
    if whole:
        work.remove(_key(session_id))
    elif work.document(_key(session_id)) is not None:
        _hold(work, session_id, _Held(_held(work, session_id).token))


def _key(session_id: str) -> Key:
    return "fence", session_id


def _of(document: Document | None) -> _Held:
    return _Held() if document is None else _Held(*codec.loads(document.body))


def _held(work: UnitOfWork, session_id: str) -> _Held:
    return _of(work.document(_key(session_id)))


def _last_of(work: UnitOfWork, session_id: str, token: int) -> _Held:
    """What is kept of a session's fence, for who has this token.

    Raises:
        Refused: MISSING, DELETED or STALE.
    """
    work.require_open(session_id)
    work.require_fences([session_id], token)
    return _held(work, session_id)


def _hold(work: UnitOfWork, session_id: str, held: _Held) -> None:
    body = codec.dumps([held.token, held.holder, held.expires_at, held.ttl, held.key])
    work.write(Document(_key(session_id), body))
