"""Aliases of vector stores."""

from __future__ import annotations

from .. import compat, conf
from ..backends.handler import DEFAULT_ALIAS, AliasHandler
from .base import VectorStore

vector_stores: AliasHandler[VectorStore] = AliasHandler("VECTOR_STORES", conf.VECTOR_BACKEND)
#: The vector store with the alias "default".
vector_store: VectorStore = compat.alias_proxy(vector_stores, DEFAULT_ALIAS)
