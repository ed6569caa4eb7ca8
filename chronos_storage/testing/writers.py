"""By which method of `Storage` a record is stored anew."""

from __future__ import annotations

from functools import cache
from typing import Any

from ..facade import Storage
from ..records import KINDS, Artifact

#: How the methods' names begin; for a kind that has several, the first stores what is not there.
_WAYS = ("create", "add", "append", "insert", "put", "save")

#: What artifacts are written with.
DATA = b"%PDF-1.7"


def write(storage: Storage, record: Any) -> Any:
    """Store a new record by the method for its type."""
    if isinstance(record, Artifact):
        return storage.put_artifact(record, DATA)
    known: Any = type(record)
    return getattr(storage, _writer(known))(record)


@cache
def _writer(record: Any) -> str:
    kind = next(kind for kind, known in KINDS.items() if known is record)
    return next(name for way in _WAYS if hasattr(Storage, name := f"{way}_{kind}"))
