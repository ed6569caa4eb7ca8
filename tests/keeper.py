"""Keeps one database server for the process that started this one, and clears up after it, however it ended.

Called as ``python keeper.py FOLDER USER SIGNAL COMMAND…``: runs the command in the folder. When standard input brings
a byte, or ends because that process is gone, stops the server by the signal and removes the folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


def keep(folder: str, user: str, signal: str, *command: str) -> int:
    log = Path(folder, "log")
    identity: dict[str, Any] = {"user": user, "group": log.parent.stat().st_gid, "extra_groups": []} if user else {}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **identity
        )
    asked = threading.Event()

    def stop_when_told() -> None:
        sys.stdin.buffer.read(1)
        asked.set()
        server.send_signal(int(signal))

    threading.Thread(target=stop_when_told, daemon=True).start()
    status = server.wait()
    if not asked.is_set():
        print(f"{command[0]} ended by itself, status {status}:\n{log.read_text(errors='replace')}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(keep(*sys.argv[1:]))
