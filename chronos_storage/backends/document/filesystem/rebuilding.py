"""Bringing the index up to files that others have added, edited or removed: by hand, or by version control."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .... import codec
from ....exceptions import StoreFailure
from ....records import MemoryRecord
from ..driver import Key
from ..indexes import memory_place
from ..serialization import decode
from ..unit_of_work import Guard, guard_key
from . import disk
from .index import Index, key_of, text_of
from .layout import SUFFIX, TOP, found_in


def take_in_one(index: Index, root: Path, key: str) -> None:
    """Bring the index up to the file of the document under a key.

    Raises:
        StoreFailure: what stands in it can't be a document; the file is named.
    """
    row = index.row(key)
    if row is None or row.path is None:
        return
    with index.transaction():
        index.remove(row)
        _follow(index, root, {key, *_take_in(index, root, row.path)})


def take_in_all(index: Index, root: Path) -> None:
    """Bring the index up to all files; those that are as it says are not opened.

    Raises:
        StoreFailure: what stands in one can't be a document, or two of them are the same; they are named.
    """
    files = disk.files_in(root, TOP, SUFFIX)
    followed = set()

    def note(key: str) -> None:
        if key_of(key)[0] in _FOLLOWED:
            followed.add(key)

    with index.transaction():
        with index.compared_with(files) as (otherwise, unknown):
            for key in otherwise:
                if row := index.row(key):
                    index.remove(row)
                    note(key)
            for path in unknown:
                for key in _take_in(index, root, path):
                    note(key)
        _follow(index, root, followed)


def _take_in(index: Index, root: Path, path: str) -> Iterable[str]:
    """Have the index know of the file at a path, if there is one; gives its document's key."""
    try:
        file = disk.read(f"{root}/{path}")
    except UnicodeDecodeError as error:
        raise StoreFailure(f"the file {path} is no text in UTF-8") from error
    if file is None:
        return
    found = found_in(path, file[0])
    key = text_of(found.key)
    if (other := index.row(key)) is not None and other.path is not None:
        raise StoreFailure(f"the files {other.path} and {path} are both of {' '.join(found.key)}: remove one of them")
    index.put(key, index.next_version(), text_of(found.entries), path=path, stamp=file[1], was=other)
    yield key


#: The kinds of documents from which others without a file follow.
_FOLLOWED = {"session", "fence", "memory"}


def _follow(index: Index, root: Path, keys: Iterable[str]) -> None:
    """See to the documents without a file that follow from those under these keys."""
    for key in keys:
        match key_of(key):
            case ("session" | "fence", id):
                _see_to_guard(index, root, id)
            case ("memory", id):
                _see_to_place(index, root, id)


def _see_to_guard(index: Index, root: Path, session_id: str) -> None:
    session = _value(index, root, ("session", session_id))
    if session is None:
        _remove(index, guard_key(session_id))
        return
    fence = _value(index, root, ("fence", session_id))
    guard = Guard(
        is_open=session["deleted_at"] is None,
        require_fence=session["require_fence"],
        token=0 if fence is None else fence[0],
        legal_hold=session.get("legal_hold", False),  # which files of the version before don't have
    )
    _put(index, guard_key(session_id), guard.body())


def _see_to_place(index: Index, root: Path, id: str) -> None:
    body = codec.dumps(id)
    for key in index.keys_with(body):
        if key[0] == "place":
            _remove(index, key)
    memory = _value(index, root, ("memory", id))
    if memory is not None:
        place = memory_place(decode(MemoryRecord, codec.encode(memory)))
        if index.row(text_of(place)) is None:
            _put(index, place, body)


def _value(index: Index, root: Path, key: Key) -> Any:
    """The value of the document under a key, or None."""
    row = index.row(text_of(key))
    file = None if row is None or row.path is None else disk.read(f"{root}/{row.path}")
    return None if row is None or row.path is None or file is None else codec.loads(found_in(row.path, file[0]).body)


def _put(index: Index, key: Key, body: str) -> None:
    was = index.row(text_of(key))
    if was is None or was.body != body:
        index.put(text_of(key), index.next_version(), "[]", path=None, body=body, was=was)


def _remove(index: Index, key: Key) -> None:
    if (row := index.row(text_of(key))) is not None:
        index.remove(row)
