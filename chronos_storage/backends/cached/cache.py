"""A cache of Django's that may be away: then nothing is found in it, and nobody waits for it again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import TypeVar

from django.conf import settings
from django.core.cache import caches

from ...exceptions import ConfigurationError

T = TypeVar("T")

logger = logging.getLogger("chronos_storage")

#: Longest text that is kept, in characters: what is longer, a store gives about as fast.
_LONGEST = 8 * 1024 * 1024
#: Seconds for which a cache that failed is left alone, so that its time-outs are not waited for with every call.
_REST = 5.0


def key(*parts: object) -> str:
    """A key that any cache takes, of parts that may be of any length."""
    return f"chronos_storage:{blake2b(repr(parts).encode(), digest_size=24).hexdigest()}"


class Cache:
    """Texts under keys.

    Args:
        alias: of the host's ``CACHES``.

    Raises:
        ConfigurationError: there is no such alias.
    """

    def __init__(self, alias: str) -> None:
        if alias not in settings.CACHES:
            raise ConfigurationError(f"CACHES has no {alias!r}: name one of {', '.join(map(repr, settings.CACHES))}")
        self.alias = alias
        self._rests_until = 0.0

    def get(self, keys: Iterable[str]) -> dict[str, str]:
        """Those of the texts that are there."""
        found: dict[str, object] = self._attempt(lambda: caches[self.alias].get_many(list(keys)), {})
        return {key: text for key, text in found.items() if isinstance(text, str)}

    def set(self, texts: Mapping[str, str], seconds: int | None = None) -> None:
        """Keep texts, but very long ones, for so long or as long as the cache's own settings say."""
        texts = {key: text for key, text in texts.items() if len(text) <= _LONGEST}
        if not texts:
            return
        options = {} if seconds is None else {"timeout": seconds}
        self._attempt(lambda: caches[self.alias].set_many(texts, **options), None)

    def remove(self, keys: Iterable[str]) -> None:
        """Keep nothing any more under these keys."""
        self._attempt(lambda: caches[self.alias].delete_many(list(keys)), None)

    def _attempt(self, call: Callable[[], T], otherwise: T) -> T:
        if time.monotonic() < self._rests_until:
            return otherwise
        try:
            return call()
        except Exception:  # each kind of cache has its own, and none of them may stop who has a store to read from
            self._rests_until = time.monotonic() + _REST
            logger.warning(
                "The cache %r failed; for %g seconds the store is read without it.", self.alias, _REST, exc_info=True
            )
            return otherwise
