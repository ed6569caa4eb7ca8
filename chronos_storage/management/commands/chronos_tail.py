"""``chronos_tail``: follows a session's events, or a topic of the queue."""

from __future__ import annotations

import json
import os
import signal
import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, reset_queries

from ... import Storage, queue, storages
from ...exceptions import ChronosError
from ...queues import outbox
from ...records import Event, QueueEntry
from ..report import ExampleCommand, add_using
from ..terminal import on_interrupt, one_line

#: Seconds between two looks.
_INTERVAL = 0.2
_PAGE = 500


class Command(ExampleCommand):
    help = (
        "Prints the events of a session, or the entries of a topic of the queue, as they come, until Ctrl-C: on a"
        " terminal a readable line each, elsewhere a line of JSON."
    )
    examples = ("chronos_tail 01968e2a --after 0", "chronos_tail --topic orders --json")
    _stopped = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("session", nargs="?", metavar="SESSION", help="the id of the session")
        what.add_argument("--topic", metavar="TOPIC", help="follow a topic of the queue instead")
        parser.add_argument(
            "--after",
            metavar="PLACE",
            help="begin after this number of the session (0: with its first event), or after this cursor of the"
            " topic; default: only what is new",
        )
        parser.add_argument("--json", action="store_true", help="print lines of JSON on a terminal too")
        add_using(parser)

    def handle(self, **options: Any) -> None:
        self._is_read = self.stdout.isatty() and not options["json"]
        try:
            with on_interrupt(self._stop):
                if options["session"] is not None:
                    self._follow_session(storages[options["storage"]], options["session"], options["after"])
                else:
                    self._follow_topic(options["topic"], options["after"])
        except (ChronosError, DatabaseError) as error:
            raise CommandError(one_line(str(error))) from error
        except BrokenPipeError:
            # Nobody reads any more, as with `head`. What is still buffered has to go somewhere when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
        if self._stopped:
            raise SystemExit(128 + signal.SIGINT)

    def _stop(self) -> None:
        self._stopped = True

    def _follow_session(self, storage: Storage, session_id: str, after: str | None) -> None:
        if storage.get_session(session_id, include_deleted=True) is None:
            raise CommandError(one_line(f"There is no session {session_id!r}."))
        if after is not None and not (after.isascii() and after.isdigit()):
            raise CommandError(one_line(f"--after must be a number of the session's, not {after!r}."))
        self._follow(
            partial(storage.list_events, session_id, limit=_PAGE),
            storage.last_seq(session_id) if after is None else int(after),
            lambda event: event.seq_num,
            _event_line if self._is_read else _event_json,
        )

    def _follow_topic(self, topic: str, after: str | None) -> None:
        self._follow(
            partial(queue.recover, topic, limit=_PAGE),
            queue.last_cursor(topic) if after is None else after,
            lambda entry: entry.cursor,
            _entry_line if self._is_read else _entry_json,
        )

    def _follow(
        self, read: Callable[[Any], list[Any]], after: Any, place: Callable[[Any], Any], text: Callable[[Any], str]
    ) -> None:
        while not self._stopped:
            page = read(after)
            for each in page:
                self.stdout.write(text(each))
                after = place(each)
            self.stdout.flush()
            reset_queries()  # which Django keeps under DEBUG
            if not page:
                time.sleep(_INTERVAL)


def _event_json(event: Event) -> str:
    return json.dumps(outbox.as_json(event))


def _event_line(event: Event) -> str:
    return one_line(f"{event.created_at:%H:%M:%S} {event.seq_num} {event.type} {_shown(event.payload)}")


def _entry_json(entry: QueueEntry) -> str:
    created_at = entry.created_at.isoformat() if entry.created_at else None
    return json.dumps(
        {
            "cursor": entry.cursor,
            "topic": entry.topic,
            "event": entry.event,
            "user_id": entry.user_id,
            "created_at": created_at,
        }
    )


def _entry_line(entry: QueueEntry) -> str:
    return one_line(f"{entry.created_at:%H:%M:%S} {entry.cursor} {entry.user_id} {_shown(entry.event)}")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
