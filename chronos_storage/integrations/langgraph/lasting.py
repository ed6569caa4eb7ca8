"""Whose the items of the store are, and which have expired: for erasure, exports and pruning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connections, transaction

from ... import conf
from ...chains.hashing import time_text
from ...operations.places import configured_vector_stores
from ...records import now
from . import items
from .models import StoredItem

#: The collection of a store's embeddings, unless it is given another.
COLLECTION = "langgraph"


def user_of(namespace: Sequence[str]) -> str:
    """Whose the items of a namespace are, as far as the settings say which label names the user; else empty."""
    place = conf.section("LANGGRAPH").get("USER_LABEL", 0)
    return namespace[place - 1] if 0 < place <= len(namespace) else ""


class StoredItems:
    """The items of LangGraph's store."""

    kind = "store_item"

    def of_user(self, using: str, user_id: str) -> Iterator[tuple[str, Any]]:
        """The items below the label that names the user, expired ones too."""
        after = ""
        while page := list(self._rows(using).filter(namespace__contains=user_id, place__gt=after)[: items.BATCH]):
            after = page[-1].place
            for row in page:
                namespace = row.namespace.split(".")
                if user_of(namespace) == user_id:
                    times = {"created_at": time_text(row.created_at), "updated_at": time_text(row.updated_at)}
                    yield row.place, {"namespace": namespace, "key": row.key, "value": row.value, **times}

    def remove(self, using: str, keys: Sequence[str]) -> None:
        """Remove the items at these places, with their embeddings in the collection "langgraph"."""
        with transaction.atomic(using=using):
            items.remove(using, keys)
            for store in configured_vector_stores():
                if getattr(store, "alias", using) != using:
                    continue  # another database's, with items of its own
                if any(each.name == COLLECTION for each in store.list_collections()):
                    store.delete_where(COLLECTION, {"place": {"$in": list(keys)}})

    def unknown(self, using: str) -> str:
        """That there are items, where the settings don't say which label names the user."""
        if "USER_LABEL" in conf.section("LANGGRAPH") or not self._rows(using).exists():
            return ""
        return (
            f'items of LangGraph\'s store, of which {conf.NAME}["LANGGRAPH"]["USER_LABEL"] does not say whose they are'
        )

    def expired(self, using: str) -> int:
        """How many items have expired."""
        count: int = self._rows(using).filter(expires_at__lte=now()).count()
        return count

    def sweep(self, using: str) -> int:
        """Remove a batch of items that have expired."""
        places = items.expired(using, now()) if _has_table(using) else []
        if places:
            self.remove(using, places)
        return len(places)

    def _rows(self, using: str) -> Any:
        rows = StoredItem.objects.using(using).order_by("place")
        return rows if _has_table(using) else rows.none()


def _has_table(using: str) -> bool:
    with connections[using].cursor() as cursor:
        return StoredItem._meta.db_table in connections[using].introspection.table_names(cursor)
