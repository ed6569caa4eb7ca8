from __future__ import annotations

from datetime import timedelta

from django.db.models.query import QuerySet

from ... import records
from ...ledger import clock
from ...ledger.heads import require_fence
from ...models import Fence, Session
from ...refusals import Reason, Refused
from ...snapshots import current, unless_unseen
from .base import OrmBase


class FenceMethods(OrmBase):
    def acquire(self, session_id: str, holder: str, ttl: timedelta | None, force: bool, key: str) -> records.Fence:
        with unless_unseen(), self._atomic():
            self._lock_open(session_id)
            last = current(self._fences(session_id)).first()
            if last is not None and last.key == key:
                return _record(last)
            now = clock.now(self.using)
            if last is not None and last.holder != holder and not force and last.expires_at and last.expires_at > now:
                raise Refused(Reason.HELD, records.Session, session_id, _record(last))
            fence = Fence(
                session_id=session_id,
                token=1 if last is None else last.token + 1,
                holder=holder,
                expires_at=None if ttl is None else now + ttl,
                ttl=ttl,
                key=key,
            )
            fence.save(using=self.using, force_insert=last is None, force_update=last is not None)
            Session.objects.using(self.using).filter(pk=session_id).update(fence_token=fence.token)
        return _record(fence)

    def renew(self, session_id: str, token: int, ttl: timedelta | None) -> records.Fence:
        with self._atomic():
            fence = self._held(session_id, token)
            wanted = fence.ttl if ttl is None else ttl
            fence.ttl = ttl or fence.ttl
            fence.expires_at = clock.now(self.using) + wanted if wanted else None
            fence.save(using=self.using, update_fields=["ttl", "expires_at"])
        return _record(fence)

    def fence(self, session_id: str) -> records.Fence | None:
        fence = self._fences(session_id).exclude(holder="").first()
        return None if fence is None else _record(fence)

    def _fences(self, session_id: str) -> QuerySet[Fence]:
        return Fence.objects.using(self.using).filter(pk=session_id)

    def _held(self, session_id: str, token: int) -> Fence:
        """A session's fence, locked, for who has this token.

        Raises:
            Refused: MISSING, DELETED or STALE.
        """
        require_fence(self._lock_open(session_id), token)
        return current(self._fences(session_id)).get()


def _record(fence: Fence) -> records.Fence:
    return records.Fence(
        session_id=fence.session_id, holder=fence.holder, token=fence.token, expires_at=fence.expires_at
    )
