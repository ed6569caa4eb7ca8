"""LangChain's chat histories, vector stores and byte stores over this package's; `docs/langchain.md` is the guide."""

from .byte_store import ChronosByteStore
from .history import ChronosChatMessageHistory
from .vector_store import ChronosVectorStore

__all__ = ["ChronosByteStore", "ChronosChatMessageHistory", "ChronosVectorStore"]
