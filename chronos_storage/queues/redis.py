"""The queue over Redis' streams: a topic is a stream, whose entries have its numbers for ids."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from .. import codec, records
from ..backends.document import Unavailable
from ..backends.document.redis import RedisBackend, RedisDriver
from ..chains.hashing import time_text
from ..ids import new_id
from ..records import QueueEntry
from . import entries
from .cursors import cursor_of, number_of
from .entries import KeptTopic, NewEntry, named, new_entry
from .notifiers.redis import RedisNotifier
from .paged import PagedQueue

T = TypeVar("T")

#: Entries that are removed at once, and bytes of a page of them.
_MANY, _SIZE = 500, 4 * 1024 * 1024
#: Seconds before each further attempt where the server was away or busy, on average.
_DELAYS = (0.02, 0.1, 0.5)

# Of each topic there is a stream, a hash with its last number and the last that was removed, a hash of the entries'
# numbers by key, and one of the consumers. KEYS: how their names begin. The streams' entries have their keys with them.

#: ARGV: topic, channel, key, event, user, time. Gives the number, and what is under the key if that is not new.
_PUBLISH = r"""
local base, topic, channel, key = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local known = redis.call('HGET', base .. 'k:' .. topic, key)
if known then return redis.call('XRANGE', base .. 's:' .. topic, known, known)[1] end
local number = redis.call('HINCRBY', base .. 't:' .. topic, 'last', 1)
redis.call('XADD', base .. 's:' .. topic, string.format('%.0f-0', number),
  'event', ARGV[4], 'user', ARGV[5], 'time', ARGV[6], 'key', key)
redis.call('HSET', base .. 'k:' .. topic, key, string.format('%.0f-0', number))
redis.call('SADD', base .. 'topics', topic)
redis.call('PUBLISH', channel, topic)
return number
"""

#: ARGV: topic, the last number that is not wanted, how many, of how many bytes.
_SOME = r"""
local stream, after, left, size = KEYS[1] .. 's:' .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local found = {}
while left > 0 and size > 0 do
  local page = redis.call('XRANGE', stream, '(' .. after .. '-0', '+', 'COUNT', math.min(left, 10))
  if #page == 0 then return found end
  for _, entry in ipairs(page) do
    found[#found + 1] = entry
    after, left, size = string.match(entry[1], '%d+'), left - 1, size - #entry[2][2]
    if size <= 0 then return found end
  end
end
return found
"""

#: ARGV: topic, consumer, number, time.
_ACK = r"""
local consumers = KEYS[1] .. 'c:' .. ARGV[1]
local number, seen = ARGV[3], ARGV[4]
local known = redis.call('HGET', consumers, ARGV[2])
if known then
  local before, last = string.match(known, '(%x+) (.*)')
  if before > number then number = before end
  if last > seen then seen = last end
end
redis.call('HSET', consumers, ARGV[2], number .. ' ' .. seen)
"""

#: ARGV: topic, the last number that goes, how many at most.
_REMOVE = r"""
local stream, topic = KEYS[1] .. 's:' .. ARGV[1], KEYS[1] .. 't:' .. ARGV[1]
local gone = redis.call('XRANGE', stream, '-', ARGV[2] .. '-0', 'COUNT', ARGV[3])
for _, entry in ipairs(gone) do
  redis.call('HDEL', KEYS[1] .. 'k:' .. ARGV[1], entry[2][8])
  redis.call('XDEL', stream, entry[1])
  redis.call('HSET', topic, 'base', string.match(entry[1], '%d+'))
end
return #gone
"""

#: ARGV: topic, channel, the last number that is gone, and of each entry number, event, user, time and key.
_LOAD = r"""
local stream, topic, keys = KEYS[1] .. 's:' .. ARGV[1], KEYS[1] .. 't:' .. ARGV[1], KEYS[1] .. 'k:' .. ARGV[1]
local last = redis.call('HGET', topic, 'last') or '0'
if tonumber(ARGV[3]) > tonumber(last) then
  redis.call('DEL', stream, keys)
  redis.call('HSET', topic, 'last', ARGV[3], 'base', ARGV[3])
end
redis.call('SADD', KEYS[1] .. 'topics', ARGV[1])
for at = 4, #ARGV, 5 do
  local id, key = ARGV[at] .. '-0', ARGV[at + 4]
  redis.call('XADD', stream, id, 'event', ARGV[at + 1], 'user', ARGV[at + 2], 'time', ARGV[at + 3], 'key', key)
  redis.call('HSET', keys, key, id)
  redis.call('HSET', topic, 'last', ARGV[at])
end
redis.call('PUBLISH', ARGV[2], ARGV[1])
"""


#: ARGV: topic, user, how the new keys begin. A stream takes no change: it is made anew, which none sees half done.
_ERASE_USER = r"""
local stream, found, count = KEYS[1] .. 's:' .. ARGV[1], nil, 0
found = redis.call('XRANGE', stream, '-', '+')
for _, entry in ipairs(found) do
  local fields = entry[2]
  if fields[4] == ARGV[2] then
    redis.call('HDEL', KEYS[1] .. 'k:' .. ARGV[1], fields[8])
    count = count + 1
    fields[2], fields[4], fields[8] = 'null', '', ARGV[3] .. count
  end
end
if count > 0 then
  redis.call('DEL', stream)
  for _, entry in ipairs(found) do redis.call('XADD', stream, entry[1], unpack(entry[2])) end
end
return count
"""

#: ARGV: topic.
_ERASE_TOPIC = r"""
local count = redis.call('XLEN', KEYS[1] .. 's:' .. ARGV[1])
for _, what in ipairs({'s:', 't:', 'k:', 'c:'}) do redis.call('DEL', KEYS[1] .. what .. ARGV[1]) end
redis.call('SREM', KEYS[1] .. 'topics', ARGV[1])
return count
"""


class RedisQueue(PagedQueue):
    """`EventQueue` over Redis' streams, which tells those who wait, in all processes, by publish and subscribe.

    It joins no transaction: what is published is there at once, and as durable as the server is set up to be.

    Args:
        backend: beside whose records it is; without it the other arguments say where, as for `RedisBackend`.
    """

    def __init__(
        self,
        address: str = "localhost:6379",
        password: str = "",
        database: int = 0,
        *,
        backend: RedisBackend | None = None,
        **options: Any,
    ) -> None:
        driver = (backend or RedisBackend(address, password, database, **options)).driver
        assert isinstance(driver, RedisDriver)
        self._server = driver.server
        self._base = f"{driver.prefix}q:"
        self._channel = f"{self._base}news"
        super().__init__(RedisNotifier(self._last_numbers, self._server.client, self._channel))

    def _attempt(self, call: Callable[[], T]) -> T:
        for delay in _DELAYS:
            try:
                return call()
            except Unavailable:
                time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
        return call()

    def _run(self, script: str, *arguments: Any) -> Any:
        return self._server.run(script, self._base, list(arguments))

    def publish(self, topic: str, event: Any, *, user_id: str = "", key: str | None = None) -> str:
        entry = new_entry(topic, event, user_id, new_id() if key is None else key)
        arguments = (
            entry.topic,
            self._channel,
            entry.key,
            entries.document(entry),
            entry.user_id,
            time_text(records.now()),
        )
        found = self._attempt(partial(self._run, _PUBLISH, *arguments))
        return cursor_of(found) if isinstance(found, int) else entries.cursor_of_repeat(entry, _entry(topic, found))

    def _head(self, topic: str) -> tuple[int, int]:
        last, base = self._server.ask(lambda client: client.hmget(f"{self._base}t:{topic}", "last", "base"))
        return int(last or 0), int(base or 0)

    def _last_numbers(self, topics: list[str]) -> dict[str, int]:
        return {topic: self._head(topic)[0] for topic in topics}

    def _some(self, topic: str, after: int, limit: int) -> list[QueueEntry]:
        return [QueueEntry.of(entry, "entry") for entry in self._keyed(topic, after, limit)]

    # Copying

    def _keyed(self, topic: str, after: int, limit: int) -> list[NewEntry]:
        return [_entry(topic, found) for found in self._run(_SOME, topic, after, limit, _SIZE)]

    def _load(self, kept: KeptTopic, base: int) -> int:
        new = kept.after(max(base, self._head(kept.topic)[0]))
        arguments: list[Any] = []
        for entry in new:
            assert entry.created_at is not None
            number, key = number_of(entry.cursor, "cursor"), entry.key or new_id()
            arguments += number, entries.document(entry), entry.user_id, time_text(entry.created_at), key
        self._run(_LOAD, kept.topic, self._channel, base, *arguments)
        return len(new)

    # Consumers

    def ack(self, consumer: str, topic: str, cursor: str) -> None:
        consumer, topic = named(consumer, "consumer"), entries.topic_name(topic)
        self._attempt(partial(self._ack, consumer, topic, number_of(cursor, "cursor"), records.now()))

    def _ack(self, consumer: str, topic: str, number: int, now: datetime) -> None:
        self._require_given(topic, number, "cursor")
        self._acknowledge(consumer, topic, number, now)

    def _acknowledge(self, consumer: str, topic: str, number: int, now: datetime) -> None:
        self._run(_ACK, topic, consumer, cursor_of(number), time_text(now))

    def _acknowledged(self, consumer: str, topic: str) -> int | None:
        found = self._server.ask(lambda client: client.hget(f"{self._base}c:{topic}", consumer))
        return None if found is None else _consumer(found)[0]

    # Care

    def _topics(self) -> Iterable[str]:
        found: set[bytes] = self._server.ask(lambda client: client.smembers(f"{self._base}topics"))
        return sorted(topic.decode() for topic in found)

    def _consumers(self, topic: str) -> Iterable[tuple[str, int, datetime]]:
        found: dict[bytes, bytes] = self._server.ask(lambda client: client.hgetall(f"{self._base}c:{topic}"))
        return [(name.decode(), *_consumer(value)) for name, value in found.items()]

    def _remove(self, topic: str, through: int) -> int:
        removed: int = self._run(_REMOVE, topic, through, _MANY)
        return removed

    def erase_user(self, user_id: str, *, but: Collection[str] = ()) -> int:
        user_id, count = named(user_id, "user_id"), 0
        for topic in self._attempt(lambda: [each for each in self._topics() if each not in but]):
            count += self._attempt(partial(self._run, _ERASE_USER, topic, user_id, f"{new_id()}-"))
        return count

    def erase_topic(self, topic: str) -> int:
        removed: int = self._attempt(partial(self._run, _ERASE_TOPIC, entries.topic_name(topic)))
        return removed

    def close(self) -> None:
        super().close()
        self._server.close()


def _entry(topic: str, found: Any) -> NewEntry:
    id, (_, event, _, user_id, _, created_at, _, key) = found
    return NewEntry(
        cursor=cursor_of(int(id.partition(b"-")[0])),
        topic=topic,
        event=codec.loads(event.decode()),
        user_id=user_id.decode(),
        created_at=datetime.fromisoformat(created_at.decode()),
        key=key.decode(),
    )


def _consumer(found: bytes) -> tuple[int, datetime]:
    """What a consumer has acknowledged, and when it was last heard of."""
    cursor, _, seen = found.decode().partition(" ")
    return number_of(cursor, "cursor"), datetime.fromisoformat(seen)
