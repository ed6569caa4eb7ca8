"""How those who wait for a topic hear that there is something new on it, in whichever process it was published."""

from __future__ import annotations

from django.db import connections

from .base import Numbers, Wake, Waker
from .polling import PollingWaker

__all__ = ["Numbers", "PollingWaker", "Wake", "Waker", "waker_for"]


def waker_for(
    using: str, numbers: Numbers, *, poll_interval: float, redis_cache: str | None, listen_using: str | None
) -> Waker:
    """The waker that suits a queue: Redis where it is configured, else what its database has."""
    if redis_cache is not None:
        from .redis import RedisWaker

        return RedisWaker(numbers, redis_cache)
    if connections[using].vendor == "postgresql":
        from .postgresql import PostgresWaker

        return PostgresWaker(numbers, listen_using or using, poll_interval)
    return PollingWaker(numbers, poll_interval)
