"""What AgentX itself has written: told apart from ours, so that nobody finds it empty, or has tables made in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ..dsn import file_path
from ..exceptions import ConfigurationError

#: What every SQLite file begins with.
SQLITE = b"SQLite format 3\x00"

_OURS = "chronos_storage_"
#: The tables of its drivers, and those of its queue.
_ENTITIES, _QUEUE = {"kv_storage", "unstorage"}, {"queue_entries", "queue_consumers"}
#: The folders of its driver for files.
_FOLDERS = ("containers", "images", "sessions", "messages")

_IMPORT = (
    "which is not read here: have AgentX export its data to a JSON file, bring that in with "
    "`manage.py chronos_import backup.json --format agentx`, and give another path here"
)


def refuse_original(path: str | Path) -> None:
    """See that a path may be a store of ours: it isn't there, is empty, or is a SQLite file not made by AgentX.

    Raises:
        ConfigurationError: it is AgentX' own; the message says how its data is brought in.
    """
    path = file_path(str(path))
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder, such as AgentX' driver for files keeps its JSON in, {_IMPORT}")
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        if file.read(len(SQLITE)) != SQLITE:
            raise ConfigurationError(f"{path} is no SQLite file; if it is JSON of AgentX' own, {_IMPORT}")
    tables = _tables(path)
    if any(name.startswith(_OURS) for name in tables):
        return
    if tables & _ENTITIES:
        raise ConfigurationError(f"{path} is a database of AgentX' own, {_IMPORT}")
    if tables & _QUEUE:
        raise ConfigurationError(
            f"{path} is AgentX' own queue, whose entries, kept for a day, are not carried over: give another path here"
        )


def refuse_original_folder(folder: Path) -> None:
    """See that a folder for our files holds no store of AgentX' driver for files.

    Raises:
        ConfigurationError: it does; the message says how its data is brought in.
    """
    if any((folder / name).is_dir() for name in _FOLDERS):
        raise ConfigurationError(f"{folder} holds the JSON files of AgentX' own driver for files, {_IMPORT}")


def _tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as database:
        try:
            return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            raise ConfigurationError(f"{path} can't be read: {error}") from error
