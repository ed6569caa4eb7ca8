"""A lock that processes share: a file that one of them has at a time. It is free once its holder is dead."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....forks import PerProcess
from ..driver import Unavailable

if sys.platform == "win32":
    import msvcrt

    def _try(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _free(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _free(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


#: Seconds that another holder is waited for, and between two looks at the lock: the shortest, and the longest.
_PATIENCE, _SHORTEST, _LONGEST = 30, 0.0001, 0.003


class FileLock(PerProcess):
    """One holder at a time, a thread of one of the processes that share the file; it may hold it several times over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        super().__init__()

    def begin(self) -> None:
        self._threads = threading.Lock()
        self._holder: int | None = None
        if self._file is not None:  # a fork's copy, which would keep the lock after its holder's death
            os.close(self._file)
            self._file = None

    @contextmanager
    def held(self, patience: float = _PATIENCE) -> Iterator[None]:
        """The block in which the lock is held; its file is made where it isn't there.

        Args:
            patience: seconds that it is waited for.

        Raises:
            Unavailable: another holder kept it for so long.
        """
        if self._holder == threading.get_ident():
            yield
            return
        threads, deadline = self._threads, time.monotonic() + patience
        if not threads.acquire(timeout=patience):
            raise _kept(self.path, patience)
        try:
            self._take(deadline, patience)
            self._holder = threading.get_ident()
            try:
                yield
            finally:
                self._holder = None
                self._let_go()
        finally:
            threads.release()

    def _take(self, deadline: float, patience: float) -> None:
        pause = _SHORTEST
        while True:
            if self._file is None:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _try(self._file)
            except OSError:
                if time.monotonic() > deadline:
                    self._close()
                    raise _kept(self.path, patience) from None
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
                pause = min(2 * pause, _LONGEST)
                continue
            if self._is_there():
                return
            self._let_go()  # the file was removed meanwhile, and others may hold another of its name

    def _is_there(self) -> bool:
        assert self._file is not None
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False

    def _let_go(self) -> None:
        if self._file is not None:
            _free(self._file)
            self._close()

    def _close(self) -> None:
        assert self._file is not None
        os.close(self._file)
        self._file = None


def _kept(path: Path, seconds: float) -> Unavailable:
    return Unavailable(f"another process has kept {path} locked for {seconds:.0f} seconds")
