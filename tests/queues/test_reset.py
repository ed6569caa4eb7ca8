"""A topic that begins anew, as after a restored backup, under those who follow it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from django.db import connections

from chronos_storage import models
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.testing.queues.helpers import PATIENCE, Collector, events, publish, take

from .test_notifiers import elsewhere


@pytest.mark.parametrize("alias", [pytest.param("default", marks=pytest.mark.django_db(databases=["default"]))])
def test_a_subscription_and_a_stream_go_on_when_their_topic_begins_anew(event_queue_committed: OrmQueue) -> None:
    queue, handler = event_queue_committed, Collector()
    queue.subscribe("t", handler)

    async def follow() -> None:
        async with aclosing(queue.stream("t")) as stream:
            await asyncio.to_thread(elsewhere, lambda: publish(queue, "t", 3))
            assert events(await take(stream, 3)) == [0, 1, 2]
            await asyncio.to_thread(handler.wait, 3)
            await asyncio.to_thread(elsewhere, begin_anew)
            assert events(await take(stream, 1)) == ["anew"]

    def begin_anew() -> None:
        models.QueueEntry.objects.using(queue.alias).all().delete()
        models.Topic.objects.using(queue.alias).all().delete()
        queue.publish("t", "anew")

    connections.close_all()
    asyncio.run(asyncio.wait_for(follow(), PATIENCE))
    assert handler.wait(4)[3] == "anew"
