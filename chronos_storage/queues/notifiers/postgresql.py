from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from django.db import connections

from ...compat.connections import unwrapped_connection
from .base import Listen, Notifier, Numbers, StopEvent

_CHANNEL = "chronos_queue"
#: So that a connection whose other end is gone without a word is found out within a minute.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class PostgresNotifier(Notifier):
    """PostgreSQL's LISTEN and NOTIFY: a transaction that publishes tells of it as it commits.

    Args:
        using: the alias to listen on. It needs a connection of its own: through one that PgBouncer shares out nothing
            is heard, and the topics are looked at instead.
        poll_interval: seconds between two looks there.
    """

    channel: str | None = _CHANNEL

    def __init__(self, numbers: Numbers, using: str, poll_interval: float) -> None:
        self._using, self._poll_interval = using, poll_interval
        super().__init__(numbers)

    def announce(self, using: str, topics: Iterable[str]) -> None:
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, topic) FROM unnest(%s::text[]) AS topic", [_CHANNEL, list(topics)])

    @contextmanager
    def listening(self, stop: StopEvent) -> Iterator[Listen]:
        # Django's own settings, but neither its wrapper nor its pool, which are for connections that come and go.
        with closing(unwrapped_connection(self._using, **_KEEPALIVE)) as connection:
            session = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
            # Where another session answers than the one that greeted us, a pooler is in between.
            is_own = session == connection.info.backend_pid
            self.interval = type(self).interval if is_own else self._poll_interval
            connection.execute(f"LISTEN {_CHANNEL}")

            def listen(seconds: float) -> Iterable[str]:
                stop.wait(seconds, connection)
                return {notice.payload for notice in connection.notifies(timeout=0)}

            yield listen
