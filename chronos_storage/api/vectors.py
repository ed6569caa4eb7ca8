"""Vector collections, their embeddings, and search: staff's, as collections belong to no user."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from .. import records
from ..exceptions import NotFound
from ..vectors.handler import vector_store
from ..vectors.models import Collection, Embedding
from .access import Verb
from .embeddings import (
    CollectionSerializer,
    CollectionsSerializer,
    EmbeddingBatchSerializer,
    EmbeddingSerializer,
    SearchResultsSerializer,
    SearchSerializer,
)
from .schema import documented
from .views import ApiMixin


class CollectionViewSet(ApiMixin, GenericViewSet[Any]):
    """Collections of the vector store "default". They are few: a list has them all."""

    serializer_class: Any = CollectionSerializer
    named_by = "name"
    verbs: ClassVar[dict[str, tuple[Verb, Any]]] = {
        "list": ("view", Collection),
        "retrieve": ("view", Collection),
        "create": ("add", Collection),
        "destroy": ("delete", Collection),
        "search": ("view", Embedding),
    }

    def needed(self) -> list[tuple[Verb, Any]]:
        return [self.verbs.get(self.action or "list", ("view", Collection))]

    @property
    def throttle_scope(self) -> str:
        return "chronos_search" if self.action == "search" else super().throttle_scope

    @documented(responses=CollectionsSerializer)
    def list(self, request: Request, **kwargs: Any) -> Response:
        return Response(CollectionsSerializer({"results": vector_store.list_collections()}).data)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        for collection in vector_store.list_collections():
            if collection.name == self.kwargs["id"]:
                return self.answer(collection)
        raise NotFound(f"there is no collection {self.kwargs['id']!r}")

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Make a collection; if it is there with the same shape, nothing changes."""
        return self.answer(vector_store.create_collection(**self.validated()), 201)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Remove a collection and all its embeddings."""
        if not vector_store.drop_collection(self.kwargs["id"]):
            raise NotFound
        return Response(status=204)

    @documented(request=SearchSerializer, responses=SearchResultsSerializer)
    @action(["post"], detail=True)
    def search(self, request: Request, **kwargs: Any) -> Response:
        """The embeddings nearest to a vector, or whose contents have words, best first."""
        asked = self.validated(SearchSerializer)
        found = vector_store.search(self.kwargs["id"], asked.pop("vector", None), **asked)
        return Response(SearchResultsSerializer({"results": found}).data)


class EmbeddingViewSet(ApiMixin, GenericViewSet[Any]):
    """The embeddings of a collection."""

    serializer_class: Any = EmbeddingSerializer
    verbs: ClassVar[dict[str, tuple[Verb, ...]]] = {
        "retrieve": ("view",),
        "create": ("add", "change"),
        "destroy": ("delete",),
    }

    def needed(self) -> list[tuple[Verb, Any]]:
        return [(verb, Embedding) for verb in self.verbs.get(self.action or "", ("view",))]

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        found = vector_store.get(self.kwargs["collection"], self.kwargs["id"])
        if found is None:
            raise NotFound(f"there is no embedding {self.kwargs['id']!r}")
        return self.answer(found)

    @documented(request=EmbeddingBatchSerializer, responses={201: EmbeddingBatchSerializer})
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Store embeddings, all or none, each over what its id had."""
        given = [records.Embedding(**fields) for fields in self.validated(EmbeddingBatchSerializer)["embeddings"]]
        self.throttle.count(len(given) - 1)
        stored = vector_store.upsert(self.kwargs["collection"], given)
        return Response(EmbeddingBatchSerializer({"embeddings": stored}).data, status=201)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        if not vector_store.delete(self.kwargs["collection"], [self.kwargs["id"]]):
            raise NotFound
        return Response(status=204)
