"""Engines that are asked over HTTP, in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..exceptions import ConfigurationError, StoreFailure
from ..extras import require
from .clients import SharedClient

require("a vector store over HTTP", "httpx")

import httpx  # noqa: E402  (that it is installed is seen to first)


class NotThere(Exception):
    """The engine answers 404."""


class JsonApi:
    """Requests to one engine, over connections that threads share.

    Args:
        engine: its name, for errors.
        headers: that are sent with every request; what is secret in them is not shown.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, engine: str, headers: Mapping[str, str], timeout: float) -> None:
        self._engine = engine
        self._shared = SharedClient(lambda: httpx.Client(headers=headers, timeout=timeout))

    def ask(self, method: str, url: str, *, body: Any = None, query: Sequence[tuple[str, str]] = ()) -> Any:
        """What the engine answers; None where it says nothing.

        Raises:
            NotThere: that there is no such thing.
            ConfigurationError: that it lets us not in.
            StoreFailure: anything else, or nothing.
        """
        try:
            with self._shared.use() as client:
                answer = client.request(method, url, json=body, params=list(query))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreFailure(f"{self._engine} can't be reached: {error}") from None
        if answer.status_code == 404:
            raise NotThere
        if answer.status_code in (401, 403):
            raise ConfigurationError(f"{self._engine} does not let us in: {answer.text[:500]!r}")
        if not answer.is_success:
            raise StoreFailure(f"{self._engine} answers {answer.status_code}: {answer.text[:500]!r}")
        return answer.json() if answer.content else None

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._shared.close()
