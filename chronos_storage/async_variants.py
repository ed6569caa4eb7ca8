"""The asynchronous variant of a synchronous method, made once for all of them.

A variant is written as a declaration without a body, so that type checkers and readers find its name, and takes its
parameters and its result from its method::

    @async_variant(get_session)
    def aget_session(self) -> Any: ...

What a coroutine yields to the event loop is nobody's business: it is typed as None and not as Any, with which mypy
would take the result of `asyncio.gather` for Any.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from asgiref.sync import sync_to_async

from .async_threads import make, threads_for

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

Declaration: TypeAlias = Callable[[Any], Any]

_CHUNK = 200

_in_callers_thread: Any = sync_to_async(make)


async def hop(store: object, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a synchronous function that works on a store in the thread that `async_threads` says.

    A call that is cancelled before a thread has begun with it is not made; one that has begun goes on to its end, and
    nobody hears what came of it.
    """
    if threads := threads_for(store):
        return await threads.call(function, args, kwargs)
    result: T = await _in_callers_thread(function, args, kwargs)
    return result


async def unbroken(call: Awaitable[T]) -> T:
    """What a call returns, which goes on to its end where its caller is cancelled meanwhile; that is raised then."""
    task = asyncio.ensure_future(call)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # or it is reported that nobody has asked for it
    raise cancelled


def async_variant(
    method: Callable[Concatenate[S, P], T],
) -> Callable[[Declaration], Callable[Concatenate[S, P], Coroutine[None, None, T]]]:
    """`method` for asynchronous callers."""
    name = method.__name__

    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await hop(self, getattr(self, name), *args, **kwargs)
        return result

    return _as_declared(call, name)


def async_iterator(
    method: Callable[Concatenate[S, P], Iterator[T]],
) -> Callable[[Declaration], Callable[Concatenate[S, P], AsyncGenerator[T, None]]]:
    """`method`, an iterator, for asynchronous callers: one hop to the thread for every 200 items."""
    name = method.__name__

    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        items = iter(getattr(self, name)(*args, **kwargs))
        while chunk := await hop(self, _take, items):
            for item in chunk:
                yield item

    return _as_declared(call, name)


def _take(items: Iterator[T]) -> list[T]:
    return list(islice(items, _CHUNK))


C = TypeVar("C", bound=Callable[..., Any])


def _as_declared(call: C, name: str) -> Callable[[Declaration], C]:
    def named(declaration: Declaration) -> C:
        for attribute in ("__module__", "__name__", "__qualname__"):
            setattr(call, attribute, getattr(declaration, attribute))
        call.__doc__ = f"The asynchronous variant of `{name}`."
        return call

    return named
