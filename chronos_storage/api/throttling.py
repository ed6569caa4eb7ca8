"""How often may be asked, and how often signing in may fail. Rates stand in DRF's ``DEFAULT_THROTTLE_RATES``; a scope
that isn't there has no limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import ScopedRateThrottle, SimpleRateThrottle


def _rate_of(scope: str | None) -> str | None:
    rates: Mapping[str | None, str | None] = api_settings.DEFAULT_THROTTLE_RATES  # type: ignore[assignment]
    return rates.get(scope)


class _InSlices(SimpleRateThrottle):
    """Keeps how many requests came in each sixtieth of the rate's duration.

    DRF keeps the time of each, and with a rate of thousands reads and writes them all with every request.
    """

    num_requests: int
    duration: int
    #: The number of each slice, the oldest first, and how many requests came in it.
    slices: dict[int, int]

    def allow_request(self, request: Request, view: Any) -> bool:
        self.key = None if self.rate is None else self.get_cache_key(request, view)
        if self.key is None:
            return True
        self.now = self.timer()
        kept: dict[int, int] = self.cache.get(self.key, {})
        self.slices = {number: count for number, count in kept.items() if self._seconds_left(number) > 0}
        if sum(self.slices.values()) >= self.num_requests:
            return False
        self.count(1)
        return True

    def count(self, more: int) -> None:
        """Count the request that was allowed as so many more, which may use the rate up."""
        if self.key is not None and more > 0:  # an empty batch is a request, too
            number = int(self.now // self._slice)
            self.slices[number] = self.slices.get(number, 0) + more
            self.cache.set(self.key, self.slices, self.duration + self._slice)

    def wait(self) -> float:
        """The seconds until there is room for one."""
        left = sum(self.slices.values())
        for number, count in self.slices.items():
            left -= count
            if left < self.num_requests:
                return self._seconds_left(number)
        return float(self.duration)

    @property
    def _slice(self) -> float:
        return self.duration / 60

    def _seconds_left(self, number: int) -> float:
        """For how many seconds a slice still counts: all that came in it is older then than the duration."""
        return (number + 1) * self._slice + self.duration - self.now


class Throttle(ScopedRateThrottle, _InSlices):
    """By the scopes ``chronos_read``, ``chronos_write``, ``chronos_export``, ``chronos_search`` and ``chronos_stream``.

    Users are counted each by themselves.
    """

    def get_rate(self) -> str | None:
        return _rate_of(self.scope)


class FailedSignIns(SimpleRateThrottle):
    """By the scope ``chronos_auth`` and the client's address: only what fails counts."""

    scope = "chronos_auth"

    def get_rate(self) -> str | None:
        return _rate_of(self.scope)

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}

    def get_ident(self, request: Request) -> str:
        # Without a number of proxies DRF would take the client's word for its address.
        of_server: str = request.META.get("REMOTE_ADDR", "")
        return of_server if api_settings.NUM_PROXIES is None else super().get_ident(request) or ""

    def throttle_success(self) -> bool:
        return True

    def count(self) -> None:
        """Count the request, which was allowed."""
        if self.rate is not None:
            self.history = self.cache.get(self.key, [])  # others may have failed meanwhile
            super().throttle_success()


@contextmanager
def failures_counted(request: Request, view: Any) -> Iterator[None]:
    """Within the block the user signs in, unless too much was wrong already that came from the same address.

    Raises:
        Throttled: it was; the credentials are not looked at, as else the right ones could still be guessed.
    """
    if "HTTP_AUTHORIZATION" not in request.META or _rate_of(FailedSignIns.scope) is None:
        yield
        return
    failed = FailedSignIns()
    if not failed.allow_request(request, view):
        request.user, request.auth = AnonymousUser(), None  # else whoever asks for them would have them looked at
        raise Throttled(failed.wait())
    try:
        yield
    except AuthenticationFailed:
        failed.count()
        raise
