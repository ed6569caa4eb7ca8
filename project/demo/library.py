"""The agent's tools that keep what it has read, and find again what is like a question."""

from __future__ import annotations

from typing import Any

from chronos_storage import vector_store
from chronos_storage.records import Embedding

from .embedding import DIMENSION, embed
from .tools import ToolError, docstrings

COLLECTION = "django-docstrings"


def index_docstrings(package: str) -> dict[str, int]:
    """Read all docstrings of a package or module and keep their embeddings, over those of the time before.

    Returns ``read``, their number.
    """
    embeddings = [
        Embedding(id=found.name, vector=vector, content=found.text, metadata={"package": package, "line": found.line})
        for found in docstrings(package)
        if (vector := embed(f"{found.name.rpartition('.')[2].replace('_', ' ')}\n{found.text}"))
    ]
    vector_store.create_collection(COLLECTION, DIMENSION, metric="cosine")
    vector_store.upsert(COLLECTION, embeddings)
    return {"read": len(embeddings)}


def find_docstrings(about: str, package: str, top_k: int = 3) -> list[dict[str, Any]]:
    """The docstrings, among those that were read of a package, that are most like a text, best first.

    Each has its ``name``, and ``score``, the cosine of the angle between the two embeddings.
    """
    wanted = embed(about)
    if wanted is None:
        raise ToolError(f"{about!r} has no words to search for")
    hits = vector_store.search(COLLECTION, wanted, top_k, filter={"package": package})
    return [{"name": hit.id, "score": round(hit.score, 4)} for hit in hits]
