"""Storages whose calls are told to who watches them: OpenTelemetry, and a log of refused and slow writes.

Who watches is told a method's name, the backend's, counts and durations, and the class of an error; never what was
written or read, nor an id. A storage that nobody watches stays as it was made, and costs nothing.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Protocol, TypeVar

from .. import conf
from ..exceptions import ChronosError
from .storage import Storage

S = TypeVar("S", bound=Storage)

_logger = logging.getLogger("chronos_storage.calls")

#: What the names of methods begin with that only read, of those that write, and of those that are not watched: they go
#: on while their caller does other things, or work with no records.
READS: tuple[str, ...] = (
    *("container_exists", "context", "count_", "find_", "get_", "image_exists", "last_", "list_", "open_"),
    *("token_", "trace_", "usage", "verify_"),
)
WRITES: tuple[str, ...] = (
    *("acquire", "add_", "append_", "create_", "delete_", "end_", "ensure_", "erase", "fork_", "insert_", "load"),
    *("patch_", "prune", "put_", "release", "renew", "restore_", "save_", "set_", "sweep_", "truncate_", "update_"),
)
UNWATCHED: tuple[str, ...] = (
    *(
        "atomic",
        "chain_heads",
        "close",
        "health",
        "iter_",
        "migrate",
        "purge_permit",
        "reading",
        "scan",
        "session",
        "verify_all",
    ),
)

_here = threading.local()


@dataclass(slots=True)
class Call:
    """A call of a storage's method.

    Attributes:
        backend: the name of its class.
        alias: of the Django database; empty where it is none.
        seconds: how long it took.
        records: how many records came back; None where that says nothing.
        error: what it raised.
    """

    method: str
    backend: str
    alias: str
    is_write: bool
    seconds: float = 0.0
    records: int | None = None
    error: BaseException | None = None

    @property
    def outcome(self) -> str:
        """``ok``, ``refused`` by the storage, or ``error``."""
        if self.error is None:
            return "ok"
        return "refused" if isinstance(self.error, ChronosError) else "error"

    @property
    def error_type(self) -> str:
        """The name of the error's class; empty where there was none."""
        return "" if self.error is None else type(self.error).__name__


class Watcher(Protocol):
    """Who is told of calls."""

    def around(self, call: Call) -> AbstractContextManager[object]:
        """What a call is made in; when that ends, all of `call` is known."""


class Log:
    """Logs writes that were refused, and those that took long.

    Args:
        refused: whether those are logged too.
        slow: milliseconds from which on a write is slow; None for never.
    """

    def __init__(self, refused: bool, slow: int | None) -> None:
        self._refused = refused
        self._slow = slow

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        try:
            yield
        finally:
            if call.is_write:
                self._tell(call)

    def _tell(self, call: Call) -> None:
        milliseconds = round(call.seconds * 1000, 3)
        extra = {
            "chronos_method": call.method,
            "chronos_backend": call.backend,
            "chronos_alias": call.alias,
            "chronos_outcome": call.outcome,
            "chronos_error": call.error_type,
            "chronos_records": call.records,
            "chronos_milliseconds": milliseconds,
        }
        if self._refused and call.outcome == "refused":
            _logger.warning("%s was refused: %s", call.method, call.error_type, extra=extra)
        if self._slow is not None and milliseconds >= self._slow:
            _logger.warning("%s took %.0f ms", call.method, milliseconds, extra=extra)


def observed(storage: S) -> S:
    """The storage, whose calls are told to who watches, as the settings say.

    Raises:
        ConfigurationError: OpenTelemetry is to watch, and is not installed.
    """
    options = conf.section("OBSERVE")
    watchers: list[Watcher] = []
    if options.get("OPENTELEMETRY"):
        from .telemetry import Telemetry

        watchers.append(Telemetry())
    if options.get("REFUSED_WRITES") or options.get("SLOW_WRITES"):
        watchers.append(Log(bool(options.get("REFUSED_WRITES")), options.get("SLOW_WRITES")))
    if watchers and not isinstance(storage, _Observed):
        plain: Any = type(storage)
        storage.__class__ = _observed_class(plain)
        storage.__dict__["_watchers"] = watchers
    return storage


class _Observed:
    """What tells an observed storage's class from others."""


@cache
def _observed_class(plain: type[Storage]) -> Any:
    """A class like `plain` whose methods tell the watchers."""
    methods = {name: _watched(name, method) for name, method in watched_methods(plain)}
    return type(
        plain.__name__, (_Observed, plain), {"__module__": plain.__module__, "__doc__": plain.__doc__, **methods}
    )


def watched_methods(plain: type[Storage]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods that do their work before they return; the asynchronous variants call these."""
    for name, method in inspect.getmembers(plain, inspect.isfunction):
        is_asynchronous = inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
        if not (name.startswith(("_", *UNWATCHED)) or is_asynchronous):
            yield name, method


def _watched(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    is_write = name.startswith(WRITES)

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_here, "inside", False):  # a call's own calls are part of it
            return method(self, *args, **kwargs)
        told = Call(name, type(self.backend).__name__, self.backend.using or "", is_write)
        with ExitStack() as stack:
            for watcher in self._watchers:
                stack.enter_context(watcher.around(told))
            _here.inside = True
            begun = time.perf_counter()
            try:
                result = method(self, *args, **kwargs)
                told.records = len(result) if isinstance(result, list) else None
            except BaseException as error:
                told.error = error
                raise
            finally:
                told.seconds = time.perf_counter() - begun
                _here.inside = False
        return result

    return call
