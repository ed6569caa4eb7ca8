"""Collections and embeddings, the same on every database but for the column of the vector."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..extras import require_app
from ..fields import IdField, MetadataField
from ..text import name as shown
from .fields import ContentField, VectorField

require_app("chronos_storage.vectors")


class Collection(models.Model):
    """A named set of embeddings of one dimension, compared by one metric."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    name: IdField = IdField(unique=True, blank=False)
    dimension: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    metric: IdField = IdField()
    #: Another with every change of the embeddings, and never one that was there before: a copy elsewhere that has the
    #: same version is up to date, even when a transaction was rolled back in between.
    version: IdField = IdField(editable=False)
    #: What the HNSW index is built with, and how many candidates a search of it looks at.
    m: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(default=16)
    ef_construction: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(default=64)
    ef_search: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(default=64)

    #: Whether the words of its contents are kept, on PostgreSQL: 0 no, 1 those that are written, 2 all of
    #: them as they were kept before, 3 all.
    worded: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(
        default=0, db_default=0, editable=False
    )

    class Meta:
        db_table = "chronos_vectors_collection"
        verbose_name: ClassVar[Any] = _("collection")
        verbose_name_plural: ClassVar[Any] = _("collections")

    def __str__(self) -> str:
        return shown(self.name)


class Embedding(models.Model):
    """A vector, its content, and the metadata it is filtered by."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    #: Without a constraint, whose check would take as long as the row: who writes locks the collection instead.
    collection: models.ForeignKey[Collection, Collection] = models.ForeignKey(
        Collection, on_delete=models.CASCADE, related_name="embeddings", db_index=False, db_constraint=False
    )
    collection_id: int
    embedding_id: IdField = IdField()
    vector: VectorField = VectorField()
    content: ContentField = ContentField(default="", blank=True)
    metadata: MetadataField = MetadataField()
    user_id: IdField = IdField()

    class Meta:
        db_table = "chronos_vectors_embedding"
        verbose_name: ClassVar[Any] = _("embedding")
        verbose_name_plural: ClassVar[Any] = _("embeddings")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["collection", "embedding_id"], name="chronos_vectors_embedding_id"),
        )

    def __str__(self) -> str:
        return shown(self.embedding_id)
