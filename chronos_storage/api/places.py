"""How many responses of a kind each user is being sent at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from rest_framework.exceptions import APIException

from .. import conf
from ..forks import PerProcess

#: Seconds after which it may be tried again.
_RETRY_AFTER = 5


class TooManyAtOnce(APIException):
    status_code = 429
    default_code = "too-many-at-once"
    wait = _RETRY_AFTER


class Places(PerProcess):
    """How many responses of a kind each user is being sent at once by this process.

    Args:
        what: their name.
        option: the option of ``CHRONOS_STORAGE["API"]`` that says how many they may be, if not `default`.
    """

    def __init__(self, what: str, option: str, default: int) -> None:
        self._what, self._option, self._default = what, option, default
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, user_id: str) -> Callable[[], None]:
        """Take a place for a user; returns what gives it back, once, however often it is called.

        Raises:
            TooManyAtOnce: there is none.
        """
        limit: int = conf.section("API").get(self._option, self._default)
        with self._lock:
            if self._taken[user_id] >= limit:
                raise TooManyAtOnce(f"{limit} {self._what} are on their way to you already, which is the most at once")
            self._taken[user_id] += 1
        taken = [user_id]

        def give_back() -> None:
            with self._lock:
                while taken:
                    self._taken -= Counter([taken.pop()])  # which drops what is 0 by then

        return give_back
