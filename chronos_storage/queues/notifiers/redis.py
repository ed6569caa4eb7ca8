from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from django.db import transaction

from ...exceptions import ConfigurationError
from .base import Listen, Notifier, Numbers, StopEvent

_CHANNEL = "chronos_queue"
#: Seconds after which the thread sees that it is to stop.
_TURN = 0.5


#: Gives a client of redis-py, for a block.
Connect = Callable[[], AbstractContextManager[Any]]


class RedisNotifier(Notifier):
    """Redis' publish and subscribe: told on commit, so that a process killed just then leaves it to the next look.

    Args:
        client: of the server.
        channel: where to listen, and to tell.
    """

    interval: float = 5.0

    def __init__(self, numbers: Numbers, client: Connect, channel: str = _CHANNEL) -> None:
        self._client, self._channel = client, channel
        super().__init__(numbers)

    def announce(self, using: str, topics: Iterable[str]) -> None:
        def publish() -> None:
            with self._client() as client:
                pipeline = client.pipeline(transaction=False)
                for topic in topics:
                    pipeline.publish(self._channel, topic)
                pipeline.execute()

        transaction.on_commit(publish, using=using, robust=True)

    @contextmanager
    def listening(self, stop: StopEvent) -> Iterator[Listen]:
        with self._client() as client, client.pubsub() as subscription:
            subscription.subscribe(self._channel)
            while (answer := subscription.get_message(timeout=_TURN)) is None or answer["type"] != "subscribe":
                if stop.is_set:
                    break

            def listen(seconds: float) -> Iterable[str]:
                until = time.monotonic() + seconds
                message = None
                while message is None and not stop.is_set and (left := until - time.monotonic()) > 0:
                    message = subscription.get_message(ignore_subscribe_messages=True, timeout=min(left, _TURN))
                heard = set()
                while message is not None:
                    heard.add(_text(message["data"]))
                    message = subscription.get_message(ignore_subscribe_messages=True)
                return heard

            yield listen


def of_cache(cache: str) -> Connect:
    """The client of a cache that django-redis keeps."""
    try:
        from django_redis import get_redis_connection
    except ImportError:
        raise ConfigurationError("REDIS_CACHE needs django-redis: install chronos-storage[redis]") from None
    try:
        client = get_redis_connection(cache)
    except Exception as error:
        raise ConfigurationError(f"REDIS_CACHE: django-redis keeps no cache {cache!r}: {error}") from error
    return partial(nullcontext, client)


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, bytes) else str(data)
