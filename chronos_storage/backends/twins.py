"""The asynchronous twin of a synchronous method, made once for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

_CHUNK = 200


def twin(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Awaitable[T]]:
    """`method` for asynchronous callers, in the thread that Django keeps for their synchronous calls."""
    name = method.__name__

    @wraps(method)
    async def call(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await sync_to_async(getattr(self, name))(*args, **kwargs)
        return result

    named: Callable[Concatenate[S, P], Awaitable[T]] = _named(call, name)
    return named


def iterator_twin(
    method: Callable[Concatenate[S, P], Iterator[T]],
) -> Callable[Concatenate[S, P], AsyncIterator[T]]:
    """`method`, an iterator, for asynchronous callers: one hop to the thread for every 200 items."""
    name = method.__name__

    @wraps(method)
    async def call(self: S, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        items = iter(getattr(self, name)(*args, **kwargs))
        while chunk := await sync_to_async(_take)(items):
            for item in chunk:
                yield item

    named: Callable[Concatenate[S, P], AsyncIterator[T]] = _named(call, name)
    return named


def _take(items: Iterator[T]) -> list[T]:
    return list(islice(items, _CHUNK))


def _named(call: Any, name: str) -> Any:
    call.__name__ = f"a{name}"
    call.__qualname__ = call.__qualname__.replace(f".{name}", f".a{name}")
    call.__doc__ = f"The asynchronous twin of `{name}`."
    del call.__wrapped__  # it isn't a coroutine function: inspect would look through to it
    call.__isabstractmethod__ = False
    return call
