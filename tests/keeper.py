"""Clears up after the process that started this one, however that ended: stops its server and removes its folder.

Called as ``python keeper.py FOLDER [USER SIGNAL COMMAND…]``: runs the command in the folder, as the user if one is
given. When standard input brings a byte, or ends because that process is gone, the server gets the signal (for a "k"
it is killed), and the folder is removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from signal import SIGKILL
from typing import Any


def serve(folder: Path, user: str, signal: str, *command: str) -> None:
    """Run the server until it is over, and show its log if nobody asked for its end."""
    log = folder / "log"
    identity: dict[str, Any] = {"user": user, "group": folder.stat().st_gid, "extra_groups": []} if user else {}
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **identity
        )
    asked = threading.Event()

    def stop_when_told() -> None:
        told = wait()
        asked.set()
        server.send_signal(SIGKILL if told == b"k" else int(signal))

    threading.Thread(target=stop_when_told, daemon=True).start()
    status = server.wait()
    if not asked.is_set():
        print(f"{command[0]} ended by itself, status {status}:\n{log.read_text(errors='replace')}", file=sys.stderr)


def wait() -> bytes:
    """Return what we are told, or nothing if nobody is left who could."""
    return os.read(sys.stdin.fileno(), 1)  # not through a buffer, whose lock would be in the way of ending meanwhile


def main(folder: str, *server: str) -> None:
    if server:
        serve(Path(folder), *server)
    else:
        wait()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
