"""Collections and embeddings in the admin, to look at: they are written through a vector store."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from .models import Collection, Embedding


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Collection)
class CollectionAdmin(_ReadOnly):
    list_display = ("name", "dimension", "metric")
    search_fields = ("name",)


@admin.register(Embedding)
class EmbeddingAdmin(_ReadOnly):
    list_display = ("embedding_id", "collection", "user_id")
    list_filter = ("collection",)
    search_fields = ("embedding_id",)
    show_full_result_count = False
    exclude = ("vector",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("vector").select_related("collection")
