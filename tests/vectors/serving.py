"""Servers that answer as an engine's does, where the engine itself can't be had here.

They know no requests but those that the engine's published description has, as far as a store makes them: any other is
a fault of the store's, whatever it would have got.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs


@dataclass(frozen=True)
class Operation:
    """What an engine's description says of a request.

    Attributes:
        path: with a name in braces for each part that varies.
        answer: is given those parts, the query and the body, by their names there; returns the status and the body.
        body: the JSON schema of the body; None where there is none.
        query: the parameters that are known, and whether each must be there.
    """

    method: str
    path: str
    answer: Callable[..., tuple[int, Any]]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, bool] = field(default_factory=dict)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))

    @cached_property
    def _body(self) -> Any:
        return jsonschema_rs.validator_for(dict(self.body or {}))

    def parts(self, method: str, path: str) -> dict[str, str] | None:
        """The parts of a path that vary; None for another operation's."""
        found = self._pattern.fullmatch(path) if method == self.method else None
        return found.groupdict() if found else None

    def check(self, query: Mapping[str, Any], body: Any) -> None:
        """See that a query and a body are as they are described."""
        required = {name for name, is_required in self.query.items() if is_required}
        assert required <= query.keys() <= self.query.keys(), f"the query is {query}"
        if self.body is None:
            assert body is None, "there is a body"
        else:
            self._body.validate(body)


@dataclass
class Served:
    """A server while it runs.

    Attributes:
        operations: what it knows.
        forget: removes all that it keeps.
        headers: that every request must have.
        faults: what it was asked for in another way than the description has it.
    """

    operations: list[Operation]
    forget: Callable[[], object]
    headers: Mapping[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    url: str = ""
    _lock: Lock = field(default_factory=Lock)

    def begin_anew(self) -> None:
        """Forget everything; there must have been no request that is not described."""
        self.forget()
        faults, self.faults = self.faults, []
        assert faults == []

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """The status and the body for a request."""
        place = urlsplit(target)
        try:
            given = json.loads(body) if body else None
            query = parse_qs(place.query, keep_blank_values=True, strict_parsing=bool(place.query))
            for name, value in self.headers.items():
                assert headers.get(name) == value, f"the header {name} is {headers.get(name)!r}"
            for operation in self.operations:
                if (parts := operation.parts(method, place.path)) is not None:
                    operation.check(query, given)
                    break
            else:
                raise AssertionError("there is no such operation")
            with self._lock:
                return operation.answer(**parts, query=query, body=given)
        except Exception as error:
            self.faults.append(f"{method} {target} {body[:500]!r}: {error}")
            return 400, {"error": "no such request"}


@contextmanager
def serving(served: Served, host: str = "127.0.0.1") -> Iterator[Served]:
    """A server that answers until the end of the block, when it must have had no request that is not described."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = served.answer(self.command, self.path, self.headers, body)
            sent = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        server.daemon_threads = True
        served.url = f"http://{host}:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
    assert served.faults == []


def record(required: Mapping[str, Any] | None = None, **optional: Any) -> dict[str, Any]:
    """The JSON schema of an object that has these fields and no others."""
    required = required or {}
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": [*required],
        "additionalProperties": False,
    }


def several(item: Any, **limits: int) -> dict[str, Any]:
    """The JSON schema of a list."""
    return {"type": "array", "items": item, **limits}


def one_of(*values: Any) -> dict[str, Any]:
    """The JSON schema of one of these values."""
    return {"enum": [*values]}


TEXT, NUMBER, INTEGER, BOOLEAN = ({"type": name} for name in ("string", "number", "integer", "boolean"))
OBJECT: dict[str, Any] = {"type": "object"}
