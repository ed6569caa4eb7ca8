"""A crowd of users of one worker process, who ask for all that is large and take none of it, or ask again and again."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos_storage.api.json_media import encode
from tests.api.serving import SECONDS, Site

#: What the documentation says that a process takes, at most: with long strings, and with what takes most in Python.
MAX_MEMORY = 1024 * 1024 * 1024
MAX_MEMORY_OF_OBJECTS = 3 * MAX_MEMORY // 2
#: What a user may have at once unless the settings say otherwise.
EXPORTS, STREAMS = 4, 50
#: The largest value of a record, nearly, and the largest batch: the most items in a body of the largest size, nearly.
VALUE, ITEMS, ITEM = 4_000_000, 1000, 8_000

#: Makes users, each with a session of theirs that has so many messages and events of a value; prints their cookies.
_FILL = """
import json
import sys
import django
django.setup()
from django.contrib.auth.models import User
from django.test import Client
from chronos_storage import storage
from chronos_storage.records import Event, Message, Session
users, count, value = json.load(sys.stdin)
keys = {}
for name in users:
    user = User.objects.create_user(name)
    client = Client()
    client.force_login(user)
    keys[name] = client.cookies["sessionid"].value
    storage.create_session(Session(id=name, user_id=str(user.pk)))
    for _ in range(0 if name.startswith(("batch", "other")) else count):
        storage.add_message(Message(session_id=name, role="user", content=value))
        storage.append_event(Event(session_id=name, type="large", payload=value))
    if name == "other":
        storage.add_messages([Message(session_id=name, role="user", content="small") for _ in range(100)])
print(json.dumps(keys))
"""


def strings(size: int) -> str:
    """One long string of so many bytes as JSON."""
    return "x" * size


def objects(size: int) -> list[dict[str, Any]]:
    """What takes most in Python of so many bytes as JSON."""
    return [{}] * (size // 3)


@dataclass
class Crowd:
    """How many there are of each kind.

    Attributes:
        exports, streams, pages: who ask for an export, a stream and a large page, and read nothing.
        readers: who read large pages, one after the other.
        writers: who post the largest batch, each as often as the demo's rates allow.
        large: gives a value of so many bytes.
    """

    large: Callable[[int], Any]
    exports: int = 12
    streams: int = 300
    pages: int = 12
    readers: int = 4
    writers: int = 4
    rows: int = 3
    statuses: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    def users(self) -> list[str]:
        """The names of those it is made of, and of the one who is none of them."""
        return [
            *(f"export{number}" for number in range(-(-self.exports // EXPORTS))),
            *(f"stream{number}" for number in range(-(-self.streams // STREAMS))),
            *(f"page{number}" for number in range(self.readers)),
            *(f"batch{number}" for number in range(self.writers)),
            "other",
        ]

    def fill(self, site: Site) -> dict[str, str]:
        """Make the users with what they ask for; returns their cookies."""
        value = self.large(VALUE)
        found: dict[str, str] = json.loads(site.python("-c", _FILL, given=json.dumps([self.users(), self.rows, value])))
        return found

    @contextmanager
    def asking(self, site: Site, keys: dict[str, str]) -> Iterator[None]:
        """Within the block, all of them are there."""
        over = threading.Event()
        batch = _batch(self.large(ITEM))
        with ExitStack() as stack:
            stack.callback(over.set)
            for number in range(self.exports):
                name = f"export{number // EXPORTS}"
                stack.enter_context(stalled(site, keys[name], f"sessions/{name}/export"))
            for number in range(self.streams):
                name = f"stream{number // STREAMS}"
                stack.enter_context(stalled(site, keys[name], f"sessions/{name}/events/stream?after=0"))
            for number in range(self.pages):
                name = f"page{number % self.readers}"
                stack.enter_context(stalled(site, keys[name], f"sessions/{name}/messages"))
            works: list[Callable[[], None]] = []
            for name, key in keys.items():
                if name.startswith("page"):
                    works.append(lambda name=name, key=key: self._read(site, key, name, over))  # type: ignore[misc]
                elif name.startswith("batch"):
                    works.append(lambda name=name, key=key: self._write(site, key, name, batch, over))  # type: ignore[misc]
            threads = [threading.Thread(target=work, daemon=True) for work in works]
            for thread in threads:
                thread.start()
            yield
            over.set()
            for thread in threads:
                thread.join(SECONDS)

    def _read(self, site: Site, key: str, name: str, over: threading.Event) -> None:
        while not over.is_set():
            for kind in ("messages", "events"):
                self._count("page", *asked(site, key, "GET", f"sessions/{name}/{kind}?page_size=500"))

    def _write(self, site: Site, key: str, name: str, batch: bytes, over: threading.Event) -> None:
        while not over.is_set():
            self._count("batch", *asked(site, key, "POST", f"sessions/{name}/events/batch", batch))
            over.wait(10)  # which the demo's rate asks for

    def _count(self, what: str, status: int, content: bytes, wait: str | None) -> None:
        self.statuses[f"{what} {status}"] += 1
        if status >= 400 and not (status in (429, 503) and wait):
            self.refused.append(f"{what} {status} {content[:300]!r}")


def _batch(item: Any) -> bytes:
    return encode({"events": [{"type": "large", "payload": item}] * ITEMS}).encode()


@contextmanager
def stalled(site: Site, key: str, path: str) -> Iterator[None]:
    """Within the block, somebody has asked for an address, and reads nothing of the answer."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(SECONDS)
        reader.connect(("127.0.0.1", site.port))
        headers = f"Host: localhost\r\nAccept: application/json\r\nCookie: sessionid={key}\r\n"
        reader.sendall(f"GET /api/{path} HTTP/1.1\r\n{headers}\r\n".encode())
        yield


def asked(site: Site, key: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, str | None]:
    """The status, the content and the Retry-After of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS)) as connection:
        token = "x" * 32
        headers = {"Cookie": f"sessionid={key}; csrftoken={token}", "X-CSRFToken": token, "Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        connection.request(method, f"/api/{path}", body or None, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers["Retry-After"]


def ordinary(site: Site, key: str, seconds: float, least: int = 5) -> list[float]:
    """Read one message, a page of them and append one, again and again; how many seconds each request took."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    status, content, _ = asked(site, key, "GET", "sessions/other/messages?page_size=1")
    assert status == 200, content
    id = json.loads(content)["results"][0]["id"]
    body = json.dumps({"role": "user", "content": "small"}).encode()
    while time.monotonic() < until or len(taken) < least:
        for method, path, sent in (("GET", f"/{id}", b""), ("GET", "", b""), ("POST", "", body)):
            start = time.perf_counter()
            status, content, _ = asked(site, key, method, f"sessions/other/messages{path}", sent)
            taken.append(time.perf_counter() - start)
            assert status in (200, 201), (status, content)
    return taken


class Memory:
    """What a process has of the machine's memory, in bytes."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def now(self) -> int:
        return self._read("VmRSS")

    def peak(self) -> int:
        """The most it had since it began."""
        return self._read("VmHWM")

    def _read(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise KeyError(name)
