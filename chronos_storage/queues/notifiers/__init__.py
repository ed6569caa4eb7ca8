"""How those who wait for a topic hear that there is something new on it, in whichever process it was published."""

from __future__ import annotations

from django.db import connections

from .base import Notifier, Numbers, Wake
from .polling import PollingNotifier

__all__ = ["Notifier", "Numbers", "PollingNotifier", "Wake", "notifier_for"]


def notifier_for(
    using: str, numbers: Numbers, *, poll_interval: float, redis_cache: str | None, listen_using: str | None
) -> Notifier:
    """The notifier that suits a queue: Redis where it is configured, else what its database has."""
    if redis_cache is not None:
        from .redis import RedisNotifier, of_cache

        return RedisNotifier(numbers, of_cache(redis_cache))
    if connections[using].vendor == "postgresql":
        from .postgresql import PostgresNotifier

        return PostgresNotifier(numbers, listen_using or using, poll_interval)
    return PollingNotifier(numbers, poll_interval)
