"""Workers that charge a card once, and are killed before and after it; who resumes charges it only where nobody has.

Called as ``python -m tests.charging ALIAS FOLDER``, with an empty folder; prints what became of each, as JSON. A charge
is a line in a file of the folder, which is named as the session.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django

WORKERS = 4


class Worker:
    """A worker for the session of a file."""

    def __init__(self, alias: str, file: Path, place: str = "") -> None:
        self.alias, self.file, self.place = alias, file, place

    def work(self, holder: str = "worker") -> Any:
        with self.session(holder) as session:
            result = session.once("charge the card", self.charge, 7)
            self.pass_by("after")
            return result

    def session(self, holder: str) -> Any:
        from chronos_storage.backends.orm import OrmBackend
        from chronos_storage.facade import Storage

        return Storage(OrmBackend(using=self.alias)).session(self.file.name, holder=holder)

    def charge(self, amount: int) -> dict[str, int]:
        self.pass_by("before")
        opened = os.open(self.file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(opened, b"charged\n")
        os.close(opened)
        self.pass_by("between")
        return {"paid": amount}

    def pass_by(self, place: str) -> None:
        if place == self.place:
            os.kill(os.getpid(), signal.SIGKILL)

    def resume(self) -> list[Any]:
        """What the worker's next process finds, and what the card was charged in the end."""
        from chronos_storage.exceptions import OutcomeUnknown

        self.place = ""
        before = self.charges()
        try:
            result, found = self.work(), "known"
        except OutcomeUnknown:
            found = "unknown"
            with self.session("worker") as session:
                session.settle("charge the card", happened=bool(before), result={"paid": 7} if before else None)
            result = self.work()
        return [found, before, self.charges(), result]

    def charges(self) -> int:
        return self.file.read_bytes().count(b"\n") if self.file.exists() else 0


def in_child(function: Callable[[], Any]) -> Any:
    """What a function returns in a process of its own: this one has no connection that a child could spoil."""
    told, tell = os.pipe()
    if not os.fork():
        status = 1
        try:
            os.write(tell, json.dumps(function()).encode())
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(tell)
    with os.fdopen(told) as answer:
        return json.loads(answer.read())


def killed(alias: str, folder: Path) -> Iterator[list[Any]]:
    """Where each was killed, and what `resume` found."""
    for place in ("before", "between", "after"):
        worker = Worker(alias, folder / place, place)
        child = os.fork()
        if not child:
            worker.work()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        yield [place, *in_child(worker.resume)]


def at_once(alias: str, folder: Path) -> Iterator[str]:
    """What each of some workers heard who want to charge the same card."""
    from chronos_storage.exceptions import ChronosError

    begin, file = os.pipe(), folder / "at once"

    def work(number: int) -> str:
        os.close(begin[1])
        os.read(begin[0], 1)  # until the last one that could write is closed
        try:
            Worker(alias, file).work(f"worker {number}")
        except ChronosError as error:
            return type(error).__name__
        return "charged"

    answers = []
    for number in range(WORKERS):
        told, tell = os.pipe()
        if not os.fork():
            os.write(tell, work(number).encode())
            os._exit(0)
        os.close(tell)
        answers.append(os.fdopen(told))
    os.close(begin[1])
    for answer in answers:
        with answer:
            yield answer.read()


def main(alias: str, folder: str) -> None:
    django.setup()
    found = {"killed": list(killed(alias, Path(folder))), "at once": list(at_once(alias, Path(folder)))}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
