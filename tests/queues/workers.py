"""Processes that publish and consume one topic until they are done or killed; each writes down what it got through.

Called as ``python -m tests.queues.workers STORE FOLDER ROLE…``: the store is the alias of a database, or what `connect`
is given, as a JSON object; a role is ``publish:NAME:COUNT`` or ``consume:NAME``.
Prints the processes' ids. Each has a file of its own in the folder, a line an entry, which begins with its cursor. A
consumer goes on after the last whole line of its file, and ends at the event "end".
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import django

from tests.appenders import storage_of


def queue_beside(storage: Any) -> Any:
    from chronos_storage.queues import beside

    return beside.queue_beside(storage)


def publish(store: str, folder: Path, name: str, count: str) -> None:
    queue = queue_beside(storage_of(store))
    with (folder / name).open("a", buffering=1) as file:
        for number in range(int(count)):
            file.write(f"{queue.publish('t', [name, number])} {number}\n")


def consume(store: str, folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    path.write_text(f"{whole}\n" if whole else "")
    after = whole.rpartition("\n")[2].split()[0] if whole else None
    queue = queue_beside(storage_of(store))

    async def follow() -> None:
        with path.open("a", buffering=1) as file:
            async for entry in queue.stream("t", after):
                if entry.event == "end":
                    return
                publisher, number = entry.event
                file.write(f"{entry.cursor} {publisher} {number}\n")
                if number % 10 == 0:
                    await queue.aack(name, "t", entry.cursor)

    asyncio.run(follow())


def main(store: str, folder: str, *roles: str) -> None:
    django.setup()
    children = []
    for role in roles:
        kind, *arguments = role.split(":")
        child = os.fork()
        if not child:
            status = 1
            try:
                {"publish": publish, "consume": consume}[kind](store, Path(folder), *arguments)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    print(*children, flush=True)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
