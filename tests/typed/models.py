"""The models, the factories and the signals as a host's own code uses them; see `calls`."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from django.db.models import QuerySet
from django.dispatch import receiver

from chronos_storage import records, signals
from chronos_storage.models import Event, Head, Message, Session
from chronos_storage.testing.factories import SessionFactory


def fields(event: Event, message: Message, session: Session, head: Head) -> None:
    assert_type(session.id, str)
    assert_type(session.created_at, datetime)
    assert_type(session.deleted_at, datetime | None)
    assert_type(event.session, Session)
    assert_type(event.session_id, str)
    assert_type(event.seq_num, int)
    assert_type(message.total_tokens, int | None)
    assert_type(head.closed, bool)
    session.title = "another"


def querysets() -> None:
    assert_type(Session.objects.using("other").filter(agent_id="a").first(), Session | None)
    assert_type(Event.objects.get(event_id="e"), Event)
    assert_type([message.role for message in Message.objects.order_by("seq_num")], list[str])
    _rows: QuerySet[Event] = Event.objects.filter(session__user_id="u")


def factories() -> None:
    made = SessionFactory.build(title="a title")  # pyright: ignore[reportUnknownMemberType]  (factory_boy's)
    assert_type(made, records.Session)


@receiver(signals.records_written, sender=records.Message)
def count(sender: type[records.Message], records: list[records.Message], **kwargs: object) -> None:
    print(len(records))
