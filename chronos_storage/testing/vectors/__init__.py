"""What every vector store must do, as test classes: one file a group, all of them in `VectorStoreConformance`."""

from __future__ import annotations

from .bad_input import BadVectorContract, BadVectorQuestionContract
from .capabilities import CapabilityContract
from .collections import CollectionContract
from .concurrency import ConcurrentVectorContract
from .embeddings import EmbeddingContract
from .filters import FilterContract
from .searches import HybridContract, SearchContract


class VectorStoreConformance(
    CollectionContract,
    EmbeddingContract,
    SearchContract,
    HybridContract,
    FilterContract,
    BadVectorContract,
    BadVectorQuestionContract,
    ConcurrentVectorContract,
    CapabilityContract,
):
    """The whole contract. Subclass it with the fixtures that `chronos_storage.testing` names."""
