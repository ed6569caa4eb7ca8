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


class Throttle(ScopedRateThrottle):
    """By the scopes ``chronos_read``, ``chronos_write``, ``chronos_export``, ``chronos_search`` and ``chronos_stream``.

    Users are counted each by themselves.
    """

    num_requests: int
    duration: int

    def get_rate(self) -> str | None:
        return _rate_of(self.scope)

    def count(self, more: int) -> None:
        """Count the request that was allowed as so many more, which may use the rate up."""
        if self.rate is not None:
            self.history = [*[self.now] * min(more, self.num_requests), *self.history][: self.num_requests]
            self.cache.set(self.key, self.history, self.duration)


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
    if "Authorization" not in request.headers:
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
