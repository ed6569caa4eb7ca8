"""A worker that stops itself between two writes, as one does whose machine sleeps, and goes on when it is woken.

Called as ``python -m tests.stalled ALIAS SESSION``. It acquires the session, saves two checkpoints and stops; then it
tries one write after the other, and prints the name of what each raised.
"""

from __future__ import annotations

import os
import signal
import sys

import django


def main(alias: str, session_id: str) -> None:
    from chronos_storage.backends.orm import OrmBackend
    from chronos_storage.exceptions import ChronosError
    from chronos_storage.facade import Storage
    from chronos_storage.records import Checkpoint, Event, Message

    storage = Storage(OrmBackend(using=alias))
    fence = storage.acquire(session_id, "stalled")
    for number in (1, 2):
        storage.save_checkpoint(Checkpoint(session_id=session_id, state={"by": "stalled", "n": number}), fence=fence)
    os.kill(os.getpid(), signal.SIGSTOP)
    for write in (
        lambda: storage.save_checkpoint(Checkpoint(session_id=session_id, state={"by": "stalled"}), fence=fence),
        lambda: storage.append_event(Event(session_id=session_id), fence=fence),
        lambda: storage.append_events([Event(session_id=session_id)] * 2, fence=fence),
        lambda: storage.add_message(Message(session_id=session_id, role="user"), fence=fence),
        lambda: storage.patch_session(session_id, title="stalled", fence=fence),
        lambda: storage.delete_session(session_id, fence=fence),
        lambda: storage.renew(fence),
    ):
        try:
            write()
        except ChronosError as error:
            print(type(error).__name__)
        else:
            print("done")


if __name__ == "__main__":
    django.setup()
    main(*sys.argv[1:])
