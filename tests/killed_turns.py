"""Writers of a conversation that are killed at each step of a turn; whatever they leave, every provider accepts it.

Called as ``python -m tests.killed_turns FOLDER``, with an empty folder to work in: prints how many were killed. Each
resumes what the one before it left, as an agent does that is started again. Needs no database of Django's, and forks,
so it has no threads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import django
from django.conf import settings

from chronos_storage import Storage, connect
from chronos_storage.records import Message, Session
from tests.histories import require_accepted
from tests.killed import killed_at


def turn(address: str, tell: Callable[[], object]) -> None:
    """A question, two calls at once, one more, and the answer, each a write of its own."""
    storage = connect(address)

    def call(*ids: str) -> Message:
        calls = [{"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id in ids]
        return Message(session_id="s", role="assistant", tool_calls=calls)

    def result(id: str) -> Message:
        return Message(session_id="s", role="tool", tool_call_id=id, content="found")

    for message in (
        Message(session_id="s", role="user", content="Where?"),
        *(call("a", "b"), result("a"), result("b"), call("c"), result("c")),
        Message(session_id="s", role="assistant", content="There."),
    ):
        storage.add_message(message)
    tell()
    storage.close()


def require_whole(storage: Storage) -> int:
    """See that every provider accepts what is there; returns how many messages that is."""
    for provider in ("openai", "anthropic", "gemini"):
        require_accepted(provider, storage.context("s", provider=provider))
    return storage.count_messages("s")


def kill(folder: Path) -> int:
    address = folder.as_uri()
    storage = connect(address, migrate=True)
    storage.create_session(Session(id="s"))
    left = set()
    for step in count(0, 13):
        before = require_whole(storage)
        was_killed, _ = killed_at(step, lambda tell: turn(address, tell))
        left.add(require_whole(storage) - before)
        if before > 40:
            storage.delete_messages("s")
        if not was_killed:
            assert left == set(range(8)), left
            return step // 13
    raise AssertionError


if __name__ == "__main__":
    settings.configure(USE_TZ=True)
    django.setup()
    print(kill(Path(sys.argv[1])))
