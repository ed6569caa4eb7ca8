from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Greatest
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import records
from ..models import Consumer, QueueEntry, Topic
from ..queues.base import SILENCE
from ..queues.handler import queue_handler
from .access import may
from .base import ReadOnlyAdmin

#: How many of a topic's consumers its page shows.
_SHOWN = 100


def _with_lag(consumers: QuerySet[Any]) -> QuerySet[Any]:
    """Consumers with the number of entries that are kept and not acknowledged."""
    topics = Topic.objects.using(consumers.db).filter(name=OuterRef("topic"))
    last, base = Subquery(topics.values("seq_num")), Subquery(topics.values("base_seq"))
    found: QuerySet[Any] = consumers.annotate(lag=last - Greatest(F("seq_num"), base))
    return found


def _state(consumer: Any) -> Any:
    if consumer.seen_at > records.now() - SILENCE:
        return _("live")
    return format_html('<strong class="chronos-bad">{}</strong>', _("silent: it holds no entries back"))


@admin.register(Topic)
class TopicAdmin(ReadOnlyAdmin):
    stores = queue_handler
    list_display = ("name", "seq_num", "base_seq", "kept")
    lookups = ("name",)
    ordering = ("name",)
    search_fields = ("name__exact",)
    change_form_template = "admin/chronos_storage/topic.html"

    @admin.display(description=gettext_lazy("entries kept"))
    def kept(self, row: Topic) -> int:
        """How many entries there are: their numbers have no gap."""
        return row.seq_num - row.base_seq

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (topic := context.get("original")) is not None and may(request, "view", Consumer):
            consumers = Consumer.objects.using(self.storage.alias).filter(topic=topic.pk).order_by("name")
            context["consumers"] = [(each, _state(each)) for each in _with_lag(consumers)[:_SHOWN]]
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(Consumer)
class ConsumerAdmin(ReadOnlyAdmin):
    stores = queue_handler
    list_display = ("name", "topic", "seq_num", "lag", "seen_at", "heard_of")
    lookups = ("topic",)
    ordering = ("topic",)
    search_fields = ("topic__exact",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return _with_lag(super().get_queryset(request))

    @admin.display(description=gettext_lazy("lag"))
    def lag(self, row: Any) -> int | None:
        """How many entries it has not acknowledged."""
        lag: int | None = row.lag
        return lag

    @admin.display(description=gettext_lazy("consumer"))
    def heard_of(self, row: Any) -> Any:
        """Whether it was heard of lately."""
        return _state(row)


@admin.register(QueueEntry)
class QueueEntryAdmin(ReadOnlyAdmin):
    stores = queue_handler
    list_display = ("id", "topic", "seq_num", "user_id", "created_at")
    lookups = ("topic",)
    timestamp = "created_at"
    ordering = ("-id",)
    search_fields = ("topic__exact",)
