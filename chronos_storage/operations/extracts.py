"""What names a person, and can't be imported as it stands in others' chains and sessions, a queue or a vector store."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from ..chains.hashing import time_text
from ..facade import Storage
from ..queues.base import EventQueue
from ..records import Artifact, Embedding, Image, MemoryRecord
from ..vectors.base import VectorStore
from .chosen import outside
from .exported import PIECE, Notes, line_of_record
from .further import beside

#: Embeddings that are read at once.
_PAGE = 500


def extracts(
    storage: Storage, user_id: str, notes: Notes, vector_stores: Iterable[VectorStore], queues: Iterable[EventQueue]
) -> Iterator[dict[str, Any]]:
    """What the lines of an export say that are for reading alone: objects with one key, the kind.

    Args:
        notes: has the sessions and images that the file has.
    """
    for record in outside(storage, user_id, lambda id: notes.has("session", id)):
        if isinstance(record, MemoryRecord | Artifact) and not record.session_id:
            continue  # which the file has as it is
        if isinstance(record, Image) and notes.has("image", record.id):
            continue
        if isinstance(record, Artifact):
            yield from _bytes(storage, record)
        yield json.loads(line_of_record(record))
    for store in vector_stores:
        for collection, page in pages(store, user_id):
            for each in page:
                value = {"collection": collection, **asdict(each), "vector": list(each.vector)}
                yield {"embedding": value}
    for queue in queues:
        for entry in queue.list_user_entries(user_id):
            at = entry.created_at and time_text(entry.created_at)
            yield {"queue_entry": {**asdict(entry), "created_at": at}}
    for kept, using in beside(storage):
        for _, value in kept.of_user(using, user_id):
            yield {kept.kind: value}


def _bytes(storage: Storage, artifact: Artifact) -> Iterator[dict[str, Any]]:
    with storage.open_artifact(artifact.id) as file:
        place = 0
        while piece := file.read(PIECE):
            yield {"bytes": [artifact.sha256, place, base64.b64encode(piece).decode()]}
            place += len(piece)


def pages(store: VectorStore, user_id: str) -> Iterator[tuple[str, list[Embedding]]]:
    """The embeddings of a vector store that name a user, some at a time, each time with their collection."""
    for collection in store.list_collections():
        after = None
        while page := store.list(collection.name, after=after, limit=_PAGE):
            after = page[-1].id
            if mine := [each for each in page if each.user_id == user_id]:
                yield collection.name, mine
