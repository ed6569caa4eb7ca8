"""Aliases of vector stores."""

from __future__ import annotations

from .. import conf
from ..backends.handler import DEFAULT_ALIAS, AliasHandler
from ..compat.connections import alias_proxy
from .base import VectorStore

vector_stores: AliasHandler[VectorStore] = AliasHandler("VECTOR_STORES", conf.VECTOR_BACKEND)
#: The vector store with the alias "default".
vector_store: VectorStore = alias_proxy(vector_stores, DEFAULT_ALIAS)
