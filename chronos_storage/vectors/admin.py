"""Collections and embeddings in the admin, to look at: they are written through a vector store."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models.query import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import codec
from ..admin.access import require
from ..admin.addresses import address
from ..admin.base import ReadOnlyAdmin, plain
from ..exceptions import ChronosError
from ..text import visible
from .handler import vector_stores
from .models import Collection, Embedding

if TYPE_CHECKING:
    from .orm import OrmVectorStore

#: How many embeddings a search shows.
_RESULTS = 20
#: The parameter of the list that chooses a collection.
_COLLECTION = "collection__id__exact"


@cache
def _store(using: str) -> OrmVectorStore:
    from .stores import database_store  # which needs NumPy; that it is missing is for the checks to say

    # Kept, for the vectors it may hold in memory between searches.
    return database_store(using=using)


class SearchForm(forms.Form):
    """What to look for in a collection: what is similar to an embedding, has words, or has metadata."""

    similar = forms.CharField(
        label=gettext_lazy("similar to the embedding (id)"),
        required=False,
        strip=False,
        max_length=codec.MAX_INDEXED,
    )
    words = forms.CharField(label=gettext_lazy("words of the content"), required=False)
    metadata = forms.CharField(
        label=gettext_lazy("metadata, as field=value, field>=value or a filter in JSON"), required=False
    )

    def clean_metadata(self) -> dict[str, Any] | None:
        return parse_filter(self.cleaned_data["metadata"])

    @property
    def asks(self) -> bool:
        """Whether there is something to look for."""
        return self.is_valid() and any(self.cleaned_data.values())


#: How comparisons are written, the longer ones first, and what the filter grammar calls them.
_OPERATORS = {">=": "$gte", "<=": "$lte", "!=": "$ne", "=": "$eq", ">": "$gt", "<": "$lt"}


def parse_filter(text: str) -> dict[str, Any] | None:
    """The filter that a person typed: JSON, or one comparison; None if nothing was typed.

    Raises:
        ValidationError: it is neither.
    """
    text = text.strip()
    if not text:
        return None
    if text.startswith("{"):
        try:
            found: dict[str, Any] = codec.loads(text)
        except (ValueError, RecursionError):
            raise forms.ValidationError(_("This is no JSON.")) from None
        return found
    places = [(text.index(sign), -len(sign), sign) for sign in _OPERATORS if sign in text]
    if not places:
        raise forms.ValidationError(_("Write field=value, or a filter in JSON."))
    at, _length, sign = min(places)
    return {text[:at].strip(): {_OPERATORS[sign]: _value(text[at + len(sign) :].strip())}}


def _value(text: str) -> Any:
    try:
        return codec.loads(text)
    except (ValueError, RecursionError):
        return text


class _Rows(ReadOnlyAdmin):
    stores = vector_stores


@admin.register(Collection)
class CollectionAdmin(_Rows):
    list_display = ("name", "dimension", "metric")
    lookups = ("name",)
    ordering = ("name",)
    search_fields = ("name__exact",)
    change_form_template = "admin/chronos_storage/collection.html"

    def get_urls(self) -> list[URLPattern]:
        return [self.page("<path:object_id>/stats/", "stats", self.stats_view), *super().get_urls()]

    def stats_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How large a collection and its index are, as text: it has to be counted, so only who asks waits."""
        row = self.found(request, object_id)
        require(request, "view", Embedding)
        stats = _store(self.alias).stats(row.name)
        lines = [
            (_("embeddings"), f"{stats.count:,}"),
            (_("bytes of the vectors"), f"{stats.size:,}"),
            (_("index"), stats.index),
            (_("bytes of the index"), f"{stats.index_size:,}"),
            *stats.parameters.items(),
        ]
        text = "\n".join(f"{name}: {value}" for name, value in lines)
        return plain(text)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        row = context.get("original")
        if row is not None and request.user.has_perm("chronos_vectors.view_embedding"):
            form = SearchForm(request.GET)
            context |= {"search_form": form, "stats_address": address(row, "stats")}
            if form.asks:
                try:
                    context["results"] = self._search(row, **form.cleaned_data)
                except ChronosError as error:
                    form.add_error(None, visible(str(error)))
        return super().render_change_form(request, context, *args, **kwargs)

    def _search(self, row: Any, similar: str, words: str, metadata: Any) -> list[tuple[Any, str]]:
        """The embeddings found, each with its address: the best first, or by id, where a filter alone finds them."""
        store = _store(self.alias)
        like = store.get(row.name, similar) if similar else None
        if similar and like is None:
            raise ChronosError(_("There is no embedding %(id)s.") % {"id": similar})
        found: list[Any]
        if like is None and not words:
            found = store.list(row.name, filter=metadata, limit=_RESULTS)
        else:
            found = store.search(row.name, like and like.vector, _RESULTS, filter=metadata, text=words or None)
        rows = Embedding.objects.using(self.alias).filter(collection=row.pk, embedding_id__in=[one.id for one in found])
        by_id = {each.embedding_id: each for each in rows.only("embedding_id")}
        return [(one, address(by_id[one.id], "change")) for one in found if one.id in by_id]


@admin.register(Embedding)
class EmbeddingAdmin(_Rows):
    list_display = ("embedding_id", "collection_name", "user_id")
    list_filter = ("collection",)
    search_fields = ("embedding_id__exact",)

    @admin.display(description=gettext_lazy("collection"))
    def collection_name(self, row: Embedding) -> Any:
        """The collection, as a link."""
        return format_html('<a href="{}">{}</a>', address(row.collection, "change"), str(row.collection))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("vector").select_related("collection")

    def get_ordering(self, request: HttpRequest) -> Any:
        return ("embedding_id",) if _COLLECTION in request.GET else ("-id",)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if search_term and _COLLECTION not in request.GET:
            messages.warning(request, _("Choose a collection: ids are looked up within one."))
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["collection_name", *(self._column(name) for name in ("embedding_id", "user_id", "metadata", "content"))]
