"""SQLite files that `connect` opened: whole once the process has ended, with no change left in the log beside them.

SQLite moves the changes of a file's ``-wal`` into the file when its last connection is closed, and a process that just
ends closes none: a copy of the file alone would lack them. A process that is killed, by SIGTERM without a handler too,
or that calls `os._exit`, does nothing of this; whoever opens the file next, with its ``-wal``, still finds everything.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sqlite3
import threading
from contextlib import closing, suppress
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from .compat.connections import close_anywhere, is_in_memory, settings_of
from .threads import close_all

#: What the names of databases in memory have that all connections of the process share, with locks as on a file.
SHARED_MEMORY = "vfs=memdb"
#: Seconds that the end of the process waits for other processes that read or write a file.
_PATIENCE = 2

_aliases: set[str] = set()
_files: set[str] = set()
#: The connections with these files, and the threads that they belong to.
_connections: WeakKeyDictionary[BaseDatabaseWrapper, threading.Thread] = WeakKeyDictionary()
#: The process that opened them: a child after a fork has copies, which it must not touch.
_owner = 0


def in_memory(connection: BaseDatabaseWrapper) -> bool:
    """Whether a database is SQLite's, and no file."""
    if connection.vendor != "sqlite":
        return False
    return is_in_memory(connection) or SHARED_MEMORY in str(settings_of(connection)["NAME"])


def file_of(connection: BaseDatabaseWrapper) -> Path:
    """The path of the file of a database alias, whose name may be a URI."""
    name = str(settings_of(connection)["NAME"])
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def keep_whole(alias: str) -> None:
    """See to it that the file of this database alias is whole after the process, if it opens it at all."""
    _aliases.add(alias)
    connection_created.connect(_opened, dispatch_uid=__name__)


def _opened(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    global _owner
    if connection.alias not in _aliases:
        return
    if _owner != os.getpid():
        _owner = os.getpid()
        _files.clear()
        _connections.clear()
        # Here and not on import: a child of multiprocessing forgets what its parent registered.
        atexit.register(_finish)
        if multiprocessing.parent_process() is not None:  # it may end by os._exit, after its own finalizers
            Finalize(None, _finish, exitpriority=0)
    _files.add(str(settings_of(connection)["NAME"]))
    _connections[connection] = threading.current_thread()


def _finish() -> None:
    if _owner != os.getpid():
        return
    close_all()
    for connection, thread in list(_connections.items()):
        # What a thread that still runs is using can't be closed under it.
        if thread is threading.current_thread() or not thread.is_alive():
            close_anywhere(connection)
    for name in _files:
        _checkpoint(name)


def _checkpoint(name: str) -> None:
    """Move what is left in a file's log into the file, and empty the log."""
    if os.path.exists(f"{name}-wal"):  # noqa: PTH110 - nothing here needs an object
        with (
            suppress(sqlite3.Error),
            closing(sqlite3.connect(f"file:{quote(name)}?mode=rw", uri=True, timeout=_PATIENCE)) as database,
        ):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
