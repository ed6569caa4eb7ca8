"""Processes that append events until they are done or killed; each writes down what was acknowledged to it.

Called as ``python -m tests.appenders ALIAS SESSION FOLDER EVENTS…``, with the count of events for each process: prints
the processes' ids, and when all have ended, what they ended with. Each has a file of its own in the folder, a line an
event: its number and its id.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django


def append(alias: str, session_id: str, path: Path, events: int) -> None:
    from chronos_storage.backends.orm import OrmBackend
    from chronos_storage.facade import Storage
    from chronos_storage.records import Event

    storage = Storage(OrmBackend(using=alias))
    with path.open("w", buffering=1) as acknowledged:
        for number in range(events):
            event = storage.append_event(Event(session_id=session_id, type=path.name, payload={"number": number}))
            acknowledged.write(f"{event.seq_num} {event.id}\n")


def main(alias: str, session_id: str, folder: str, *counts: str) -> None:
    django.setup()
    children = []
    for number, events in enumerate(counts):
        child = os.fork()
        if not child:
            status = 1
            try:
                append(alias, session_id, Path(folder, str(number)), int(events))
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    print(*children, flush=True)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
