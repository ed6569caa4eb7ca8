"""From the journal to the files, and what a dead process or a power cut left in between."""

from __future__ import annotations

from pathlib import Path

from . import disk
from .index import Index

#: So many files, or characters of them, are in the journal at most, before the disk is made to keep the files.
_MANY, _MUCH = 100, 4 * 1024 * 1024


def write_noted(index: Index, root: Path) -> None:
    """Have the files be what is noted."""
    if not (to_do := index.to_do()):
        return
    stamps = {path: _write(f"{root}/{path}", text) for path, _, text in to_do}
    disk.remove_empty(root, disk.folders_of(path for path, stamp in stamps.items() if stamp is None))
    with index.transaction(lasting=False):
        index.done(stamps)
    count, size = index.noted_size()
    if count > _MANY or size > _MUCH:
        make_last(index, root)


def make_last(index: Index, root: Path) -> None:
    """Have the disk keep the files, so that the journal needn't."""
    if not (noted := index.noted()):
        return
    disk.sync(root, [change.path for change in noted])
    with index.transaction(lasting=False):
        index.forget()
    index.shrink()


def restore(index: Index, root: Path) -> None:
    """Write again what a power cut may have taken: files in the journal that are missing, or older than they should be.

    What is newer was edited since.
    """
    stamps: dict[str, disk.Stamp | None] = {}
    for path, key, text in index.noted():
        row = index.row(key)
        if text is None:
            disk.remove(f"{root}/{path}")
        elif row is not None and row.path == path:
            found = _found(f"{root}/{path}")
            if found is None or (found[0] != text and found[1].mtime <= (row.mtime or 0)):
                stamps[path] = _write(f"{root}/{path}", text)
    with index.transaction(lasting=False):
        index.done(stamps)


def _found(path: str) -> tuple[str, disk.Stamp] | None:
    try:
        return disk.read(path)
    except UnicodeDecodeError:  # what was never written, on some file systems
        return None


def _write(path: str, text: str | None) -> disk.Stamp | None:
    if text is None:
        disk.remove(path)
        return None
    return disk.write(path, text)
