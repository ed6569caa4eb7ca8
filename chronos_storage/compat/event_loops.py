"""Of asgiref: between synchronous callers and coroutines."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync, _restore_context

T = TypeVar("T")

#: Where `async_to_sync` keeps who waits, in each context; to have it say that there is nobody takes ten times as long.
_waiting: Any = getattr(getattr(AsyncToSync.executors, "_storage", None), "_data", None)


def waiting_thread() -> threading.Thread | None:
    """The thread of the synchronous caller, if there is one, that waits in `async_to_sync` for what runs here."""
    is_nobody = isinstance(_waiting, ContextVar) and _waiting.get(None) is None
    executor: Any = None if is_nobody else getattr(AsyncToSync.executors, "current", None)
    if executor is None and SyncToAsync.thread_sensitive_context.get(None) is None:
        executor = AsyncToSync.loop_thread_executors.get(asyncio.get_running_loop())
    while executor is not None and executor._broken:  # it waits no more, but perhaps the one further out
        executor = getattr(executor, "_old_executor", None)
    thread: threading.Thread | None = None if executor is None else executor._work_thread
    return thread


def call_in(context: Context, loop: asyncio.AbstractEventLoop, call: Callable[[], T]) -> T:
    """What `call` returns in a coroutine's context, here in a thread of ours, as `sync_to_async` would do it.

    What an `asgiref.local.Local` holds comes along, and `async_to_sync` goes back to the coroutine's loop.
    """
    SyncToAsync.threadlocal.main_event_loop = loop
    SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()
    return context.run(_call_in, context, call)


def _call_in(context: Context, call: Callable[[], T]) -> T:
    _restore_context(context)
    return call()
