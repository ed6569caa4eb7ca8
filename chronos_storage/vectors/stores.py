"""The vector stores over Django's models, and which of them a database gets."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import connections, router

from ..aliases import known_alias
from ..exceptions import ConfigurationError
from .orm import OrmVectorStore

#: By vendor; imported when needed, as pgvector's needs its driver.
_STORES = {
    "postgresql": (".pgvector", "PgVectorStore"),
    "sqlite": (".exact", "ExactVectorStore"),
    "mysql": (".exact", "ExactVectorStore"),
}


def database_store(using: str | None = None, **options: Any) -> OrmVectorStore:
    """The store that suits a database: pgvector's index on PostgreSQL, exact search elsewhere.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
        options: the store's own, see `PgVectorStore` and `ExactVectorStore`.
    """
    from .models import Embedding

    vendor = connections[known_alias(using or router.db_for_write(Embedding))].vendor
    try:
        module, name = _STORES[vendor]
    except KeyError:
        raise ConfigurationError(f"no vector store knows the database {vendor}") from None
    store: OrmVectorStore = getattr(import_module(module, __package__), name)(using=using, **options)
    return store
