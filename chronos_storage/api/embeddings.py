"""What vector collections, their embeddings and a search among them look like as JSON."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from .. import codec
from .fields import CountField, FlagField, ObjectField, StringField, VectorField
from .serializers import RecordSerializer, batch_of


class CollectionSerializer(RecordSerializer):
    name: Final = StringField(required=True, allow_blank=False)
    dimension: Final = CountField(required=True, help_text="How many numbers each vector has.")
    metric: Final = serializers.ChoiceField(["cosine", "l2", "inner_product"], required=False)

    staff_only: ClassVar[tuple[str, ...]] = ()


@extend_schema_serializer(many=False)  # the action is named list, and would be taken for one
class CollectionsSerializer(serializers.Serializer[Any]):
    results: Final = CollectionSerializer(many=True)


class EmbeddingSerializer(RecordSerializer):
    id: Final = StringField()
    vector: Final = VectorField()
    content: Final = StringField(max_length=codec.MAX_TEXT)
    metadata: Final = ObjectField()
    user_id: Final = StringField()

    staff_only: ClassVar[tuple[str, ...]] = ()


class EmbeddingBatchSerializer(RecordSerializer):
    embeddings: Final = batch_of(EmbeddingSerializer)

    staff_only: ClassVar[tuple[str, ...]] = ()


class SearchSerializer(RecordSerializer):
    vector: Final = VectorField(
        required=False, allow_null=True, help_text="What to find the nearest to; none to search by words alone."
    )
    top_k: Final = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    offset: Final = serializers.IntegerField(
        min_value=0, max_value=10_000, required=False, help_text="How many of the best to leave out."
    )
    filter: Final = ObjectField(help_text="Which embeddings count, by their metadata.")
    text: Final = StringField(max_length=codec.MAX_TEXT, help_text="Search the contents for these words too.")
    group_by: Final = StringField(help_text="A field of the metadata, of each of whose values only the best counts.")
    include_vectors: Final = FlagField(help_text="Whether the results carry their vectors; otherwise those are empty.")

    staff_only: ClassVar[tuple[str, ...]] = ()


class SearchResultSerializer(EmbeddingSerializer):
    score: Final = serializers.FloatField(help_text="The similarity, higher is better.")


class SearchResultsSerializer(serializers.Serializer[Any]):
    results: Final = SearchResultSerializer(many=True)
