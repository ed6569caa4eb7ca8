"""Processes that append events, or checkpoints, until they are done or killed; each writes down what was acknowledged.

Called as ``python -m tests.appenders KIND STORE SESSION FOLDER COUNT…``, with the count for each process: prints the
processes' ids, and when all have ended, what they ended with. The store is the alias of a database, or what `connect`
is given, as a JSON object. Each has a file of its own in the folder, with a line for
each record: its number and its id, and of a checkpoint the digest of its state.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django


def append_events(storage: Any, session_id: str, name: str, count: int) -> Iterator[str]:
    from chronos_storage.records import Event

    for number in range(count):
        event = storage.append_event(Event(session_id=session_id, type=name, payload={"number": number}))
        yield f"{event.seq_num} {event.id}"


def save_checkpoints(storage: Any, session_id: str, name: str, count: int) -> Iterator[str]:
    """Of a conversation that grows, is edited and goes on from the checkpoint before; now and then it is pruned."""
    from chronos_storage.records import Checkpoint

    messages, parent = [f"{name} begins " + 500 * "x"], ""
    for number in range(count):
        messages.append(f"{name} {number} " + 500 * "x")
        if number % 4 == 3:
            messages[number % len(messages)] = f"edited {number}"
            storage.delete_checkpoints(session_id, keep_last=5, run_ids=[name])
        saved = storage.save_checkpoint(
            Checkpoint(session_id=session_id, run_id=name, parent_id=parent, state={"n": number, "messages": messages})
        )
        parent = saved.id
        yield f"{saved.seq_num} {saved.id} {digest_of(saved.state)}"


def digest_of(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def storage_of(store: str) -> Any:
    from chronos_storage import connect
    from chronos_storage.backends.orm import OrmBackend
    from chronos_storage.facade import Storage

    return connect(**json.loads(store)) if store.startswith("{") else Storage(OrmBackend(using=store))


def append(kind: str, store: str, session_id: str, path: Path, count: int) -> None:
    append_some = {"events": append_events, "checkpoints": save_checkpoints}[kind]
    with path.open("w", buffering=1) as acknowledged:
        for line in append_some(storage_of(store), session_id, path.name, count):
            acknowledged.write(f"{line}\n")


def main(kind: str, store: str, session_id: str, folder: str, *counts: str) -> None:
    django.setup()
    children = []
    for number, count in enumerate(counts):
        child = os.fork()
        if not child:
            status = 1
            try:
                append(kind, store, session_id, Path(folder, str(number)), int(count))
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    print(*children, flush=True)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
