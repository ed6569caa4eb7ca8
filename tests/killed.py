"""Processes that are killed at every step of what they do with a folder of files; who comes next finds all or nothing.

Called as ``python -m tests.killed FOLDER``, with an empty folder to work in: prints how many were killed. A step is a
call of the system's, or of SQLite's, that may change something. Needs no Django, and forks, so it has no threads.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from chronos_storage.backends.document import Document, Entry, Write
from chronos_storage.backends.document.filesystem import FilesystemDriver, journal

#: So few, that it comes to every step of a commit which has the disk keep the files.
journal._MANY = 2

Bodies = dict[str, str]
BEFORE: Bodies = {"changed": '"old"', "removed": "1", "kept": "[]"}
AFTER: Bodies = {"changed": '"new"', "kept": "[]", "added": "{}", "added too": "null"}
PARTITION = ("all",)
#: What may change something: of `os`, of `fcntl` and of SQLite's connections.
STEPS = {"write", "replace", "unlink", "mkdir", "rmdir", "fsync", "flock", "execute", "executemany", "executescript"}


def write(driver: FilesystemDriver, bodies: Bodies) -> None:
    """Have these documents be all there is."""
    stored = {document.key[1]: document for _, document in driver.scan(PARTITION, limit=100, size=1_000_000)}
    writes = []
    for name in sorted({*stored, *bodies}):
        was = stored.get(name)
        key, places = ("kind", name), (Entry(PARTITION, name),)
        now = None if name not in bodies else Document(key, bodies[name], places)
        writes.append(Write(key, was, was if was and now and was.body == now.body else now))
    assert driver.commit(writes)


def read(driver: FilesystemDriver) -> Bodies:
    return {place: document.body for place, document in driver.scan(PARTITION, limit=100, size=1_000_000)}


def killed_at(step: int, work: Callable[[Callable[[], object]], object]) -> tuple[bool, bool]:
    """Have work done in a process of its own that is killed at a step.

    Args:
        work: is given what it calls once something was acknowledged.

    Returns:
        Whether it was killed, and whether something was acknowledged.
    """
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        steps = 0

        def profile(frame: object, event: str, called: Any) -> None:
            nonlocal steps
            if event == "c_call" and called.__name__ in STEPS:
                steps += 1
                if steps > step:
                    os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        sys.setprofile(profile)
        try:
            work(lambda: os.write(tell, b"."))
            status = 0
        finally:
            sys.setprofile(None)
            os._exit(status)
    os.close(tell)
    is_told = os.read(told, 1) == b"."
    os.close(told)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), "the process failed by itself"
    return code != 0, is_told


def change(folder: Path, tell: Callable[[], object]) -> None:
    driver = FilesystemDriver(folder)
    write(driver, AFTER)
    tell()
    driver.close()


def require_whole(folder: Path, found: Bodies) -> None:
    """See that the files are these documents', and no others."""
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "others").rglob("*") if path.is_file()]
    assert {text["document"][1]: json.dumps(text["value"]) for text in texts} == found


def kill_in_use(folder: Path) -> int:
    """Kill at each step of an opening with a commit; returns how many were killed."""
    with closing(FilesystemDriver(folder)) as beside:
        for step in count():
            write(beside, BEFORE)
            was_killed, is_told = killed_at(step, partial(change, folder))
            found = read(beside)
            assert found == AFTER if is_told else found in (BEFORE, AFTER), (step, found)
            with closing(FilesystemDriver(folder)) as next_one:
                assert read(next_one) == found
                next_one.prepare()
                require_whole(folder, found)
            if not was_killed:
                assert is_told
                return step
    raise AssertionError


def kill_at_first_use(folder: Path) -> int:
    """Kill at each third step of the making of a folder, up to its first commit."""
    for step in count(0, 3):
        new = folder / str(step)
        was_killed, is_told = killed_at(step, partial(change, new))
        with closing(FilesystemDriver(new)) as next_one:
            found = read(next_one)
            assert found == AFTER if is_told else found in ({}, AFTER), (step, found)
            write(next_one, BEFORE)
        require_whole(new, BEFORE)
        if not was_killed:
            return step
    raise AssertionError


if __name__ == "__main__":
    print(kill_in_use(Path(sys.argv[1], "used")), kill_at_first_use(Path(sys.argv[1], "new")))
