from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from .. import codec
from ..async_variants import async_variant
from ..exceptions import InvalidRecord
from ..ids import new_id
from ..records import Fence
from .arguments import whole_fence
from .base import FacadeBase


class FenceMethods(FacadeBase):
    def acquire(
        self, session_id: str, holder: str, *, ttl: timedelta | float | None = None, force: bool = False
    ) -> Fence:
        """Make `holder` the session's writer: a fence with its next, higher token, to be given to each write.

        From then on a writer with an earlier token is refused, however long it has slept; who writes without a fence
        is not, unless the session's `require_fence` is true. The token decides, never a clock.

        Args:
            holder: who writes, such as a worker's name; the same one may acquire again at any time.
            ttl: for how long another holder is kept out, a timedelta or seconds, at most 366 days; None for not at all.
                The server's clock measures it; where it has none (memory, files), the host's.
            force: take the session from another holder whose time is not over.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            FenceHeld: another holder's time is not over; its `expires_at` says when it is.
        """
        session_id, holder = codec.string(session_id, "session_id"), codec.string(holder, "holder")
        if not holder:
            raise InvalidRecord("holder", "is empty; say who writes")
        time, force = _duration(ttl), codec.boolean(force, "force")
        key = new_id()  # by which a second attempt finds the first one's
        return self._run(partial(self.backend.acquire, session_id, holder, time, force, key))

    @async_variant(acquire)
    def aacquire(self) -> Any: ...

    def renew(self, fence: Fence, *, ttl: timedelta | float | None = None) -> Fence:
        """Keep other holders out for `ttl` from now on, or without one for as long as before; the token stays.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again.
        """
        held = whole_fence(fence)
        return self._run(partial(self.backend.renew, held.session_id, held.token, _duration(ttl)))

    @async_variant(renew)
    def arenew(self) -> Any: ...

    def release(self, fence: Fence) -> None:
        """Keep other holders out no longer; the token stays the session's until it is acquired again.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again.
        """
        held = whole_fence(fence)
        self._run(partial(self.backend.renew, held.session_id, held.token, timedelta(0)))

    @async_variant(release)
    def arelease(self) -> Any: ...

    def get_fence(self, session_id: str) -> Fence | None:
        """The fence that a session gave last, whether its time is over or not; None if it has given none."""
        return self._run(partial(self.backend.fence, codec.string(session_id, "session_id")))

    @async_variant(get_fence)
    def aget_fence(self) -> Any: ...


def _duration(ttl: timedelta | float | None) -> timedelta | None:
    return None if ttl is None else codec.duration(ttl, "ttl")
