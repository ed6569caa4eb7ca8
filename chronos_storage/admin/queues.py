from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Min, Q
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import records
from ..chains.numbering import owner_of, session_topic
from ..models import Consumer, QueueEntry, Session, Topic
from ..queues.base import SILENCE
from ..queues.handler import queue_handler
from ..templatetags.chronos_storage import duration, grouped
from ..text import visible
from .access import may
from .addresses import session_address
from .base import ReadOnlyAdmin

#: How many of a topic's consumers its page shows.
_SHOWN = 100
#: From when on an entry that waits for its acknowledgement is pointed at.
LATE = timedelta(minutes=15)


def _with_lag(consumers: Iterable[Any]) -> list[Any]:
    """Consumers with the number of entries that are kept and not acknowledged, and the time of the oldest of those."""
    found = list(consumers)
    using = found[0]._state.db if found else ""
    names = {each.topic for each in found}
    rows = Topic.objects.using(using).filter(owner__in=map(owner_of, names), name__in=names) if found else ()
    topics = {topic.name: topic for topic in rows}
    waiting = {
        each.pk: (each.topic, max(each.seq_num, topics[each.topic].base_seq) + 1)
        for each in found
        if each.topic in topics
    }
    times = _times(using, waiting.values())
    for each in found:
        topic = topics.get(each.topic)
        each.lag = None if topic is None else topic.seq_num - max(each.seq_num, topic.base_seq)
        each.oldest = times.get(waiting.get(each.pk))
    return found


def _with_furthest(topics: Iterable[Any]) -> list[Any]:
    """Topics with the last number that the consumer which is furthest behind has acknowledged, and the time of the next
    entry; None where there is no consumer, or no such entry.
    """
    found = list(topics)
    using = found[0]._state.db if found else ""
    last: dict[str, int] = {}
    if found:
        of_page = Consumer.objects.using(using).filter(topic__in=[each.name for each in found]).order_by()
        last = dict(of_page.values_list("topic").annotate(Min("seq_num")))
    waiting = {each.name: (each.name, max(last[each.name], each.base_seq) + 1) for each in found if each.name in last}
    times = _times(using, waiting.values())
    for each in found:
        each.furthest = last.get(each.name)
        each.oldest = times.get(waiting.get(each.name))
    return found


def _times(using: str, places: Iterable[tuple[str, int]]) -> dict[Any, datetime]:
    """When entries were published, by their topics and numbers: the numbers of a topic's entries have no gap."""
    numbers: dict[str, set[int]] = {}
    for topic, number in places:
        numbers.setdefault(topic, set()).add(number)
    wanted = Q()
    for topic, some in numbers.items():
        wanted |= Q(owner=owner_of(topic), topic=topic, seq_num__in=some)
    if not wanted:
        return {}
    rows = QueueEntry.objects.using(using).filter(wanted).values_list("topic", "seq_num", "created_at")
    return {(topic, number): at for topic, number, at in rows}


def _state(consumer: Any) -> Any:
    if consumer.seen_at > records.now() - SILENCE:
        return _("live")
    return format_html('<strong class="chronos-bad">{}</strong>', _("silent: it holds no entries back"))


def _behind(lag: int | None, oldest: datetime | None) -> Any:
    """How far behind a consumer is, in entries and in time; of none it is to be seen that nothing is missing."""
    if not lag:
        return _("all acknowledged")
    text = ngettext("%(count)s entry not acknowledged", "%(count)s entries not acknowledged", lag) % {
        "count": grouped(lag)
    }
    if oldest is None:
        return text
    waiting = records.now() - oldest
    said = format_html("{}, {}", text, _("for %(time)s") % {"time": duration(waiting)})
    return format_html('<strong class="chronos-warning">{}</strong>', said) if waiting > LATE else said


def _rows(name: str, text: Any, **parameters: str) -> Any:
    """A link to a list of these rows."""
    address = f"{reverse(f'admin:chronos_storage_{name}_changelist')}?{urlencode(parameters)}"
    return format_html('<a href="{}">{}</a>', address, text)


class TopicFilter(admin.SimpleListFilter):
    """Each session whose events are published has a topic: these are left out unless they are asked for.

    Attributes:
        column: what is filtered by.
    """

    column = "name"
    title = gettext_lazy("topics")
    parameter_name = "topics"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (("sessions", gettext_lazy("those of sessions")), ("all", gettext_lazy("all")))

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            # Django calls the first "All".
            yield choice if choice["query_string"] != "?" else choice | {"display": _("but those of sessions")}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = session_topic("")
        end = first[:-1] + chr(ord(first[-1]) + 1)
        if self.value() == "sessions":
            return queryset.filter(name__gte=first, name__lt=end)
        if self.value() == "all" or request.GET.get("name") or request.GET.get("q"):
            return queryset
        return queryset.filter(Q(name__lt=first) | Q(name__gte=end))


@admin.register(Topic)
class TopicAdmin(ReadOnlyAdmin):
    stores = queue_handler
    list_display = ("name", "seq_num", "kept", "behind")
    list_filter = (TopicFilter,)
    lookups = ("name",)
    ordering = ("name",)
    search_fields = ("name__exact",)
    change_form_template = "admin/chronos_storage/topic.html"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        page.result_list = _with_furthest(page.result_list)
        return page

    @admin.display(description=gettext_lazy("entries kept"))
    def kept(self, row: Topic) -> Any:
        """How many entries there are, as a link to them: their numbers have no gap."""
        count = grouped(row.seq_num - row.base_seq)
        return _rows("queueentry", count, topic=row.name)

    @admin.display(description=gettext_lazy("the consumer that is furthest behind"))
    def behind(self, row: Any) -> Any:
        """What the last of its consumers has not acknowledged."""
        row = row if hasattr(row, "furthest") else _with_furthest([row])[0]
        if row.furthest is None:
            return _("no consumer")
        return _behind(row.seq_num - max(row.furthest, row.base_seq), row.oldest)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (topic := context.get("original")) is not None:
            if may(request, "view", QueueEntry):
                context["entries"] = _rows("queueentry", _("Its entries"), topic=topic.pk)
            if may(request, "view", Session) and topic.pk.startswith(session_topic("")):
                id = topic.pk.removeprefix(session_topic(""))
                context["topic_session"] = format_html('<a href="{}">{}</a>', session_address(id), visible(id))
            if may(request, "view", Consumer):
                consumers = Consumer.objects.using(self.storage.alias).filter(topic=topic.pk).order_by("name")
                context["consumers"] = [
                    (each, _state(each), _behind(each.lag, each.oldest)) for each in _with_lag(consumers[:_SHOWN])
                ]
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(Consumer)
class ConsumerAdmin(ReadOnlyAdmin):
    stores = queue_handler
    list_display = ("name", "topic", "seq_num", "lag", "seen_at", "heard_of")
    lookups = ("topic",)
    ordering = ("topic",)
    search_fields = ("topic__exact",)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        page.result_list = _with_lag(page.result_list)
        return page

    @admin.display(description=gettext_lazy("lag"))
    def lag(self, row: Any) -> Any:
        """What it has not acknowledged."""
        row = row if hasattr(row, "lag") else _with_lag([row])[0]
        return _behind(row.lag, row.oldest)

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
