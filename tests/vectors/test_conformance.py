"""The vector stores over Django's models keep the contract, on every database."""

from __future__ import annotations

from chronos_storage.testing import VectorStoreConformance


class TestOrmVectorStores(VectorStoreConformance):
    pass
