"""One step of the soak of copies, in a process of its own: ``python -m tests.soak.moving FOLDER STEP FROM TO PAUSE``.

STEP is ``fill`` (FROM is the number of sessions), ``export``, ``import`` or ``copy``. At its progress of the number
PAUSE it prints ``here`` and waits to be killed; 0 is for never. At its end it prints its report as JSON, with the most
memory it had, in bytes.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.conf import settings

if TYPE_CHECKING:
    from chronos_storage import Storage


def main(folder: str, step: str, source: str, target: str, pause: str) -> None:
    settings.configure(INSTALLED_APPS=["chronos_storage"], USE_TZ=True, MEDIA_ROOT=folder)
    django.setup()
    from chronos_storage import connect
    from chronos_storage.operations.copying import copy
    from chronos_storage.operations.exporting import export
    from chronos_storage.operations.importing import load_export
    from chronos_storage.operations.places import place_of

    left = int(pause)

    def progress(report: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            print("here", flush=True)
            signal.pause()

    report: object
    if step == "fill":
        report = fill(connect(target, migrate=True), int(source))
    elif step == "export":
        report = export(connect(source), Path(target), progress=progress)
    elif step == "import":
        report = load_export(connect(target, migrate=True), Path(source), progress=progress)
    else:
        report = copy(place_of(source), place_of(target, make=True), progress=progress)
    status = Path("/proc/self/status").read_text()  # what getrusage says is the parent's, where that had more
    memory = 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]
    print(json.dumps({"report": str(report), "problem": getattr(report, "problem", ""), "memory": memory}), flush=True)


def fill(storage: Storage, sessions: int) -> str:
    """Store so many sessions, with fifty records each."""
    from chronos_storage.records import (
        Artifact,
        AuditLog,
        Checkpoint,
        Event,
        MemoryRecord,
        Message,
        Session,
        Trace,
    )

    for number in range(sessions):
        id, owner = f"s{number:06}", {"agent_id": f"a{number % 7}", "user_id": f"u{number % 100}"}
        storage.create_session(Session(id=id, metadata={"number": number}, **owner))
        text = "What an agent or a user says is a sentence or two. " * (1 + number % 5)
        storage.add_messages([Message(session_id=id, role="user", content=f"{n} {text} é😀") for n in range(24)])
        storage.append_events([Event(session_id=id, payload={"n": n, "at": 1.5e300}) for n in range(20)])
        for n in range(2):
            storage.save_checkpoint(Checkpoint(session_id=id, state={"messages": [*range(n * 10)]}))
        storage.append_audit_log(AuditLog(session_id=id, action="opened", **owner))
        storage.insert_traces([Trace(session_id=id, name="model", output=text)])
        storage.put_memory(MemoryRecord(session_id=id, key="k", value=number, **owner))
        storage.put_artifact(Artifact(session_id=id, name="file"), b"x" * (number % 50))
    return f"{sessions:,} sessions"


if __name__ == "__main__":
    main(*sys.argv[1:])
