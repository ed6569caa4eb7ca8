"""``chronos_queue_cleanup``: removes what the queue keeps no longer; to be run every hour or so."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from ... import queue
from ...exceptions import ChronosError
from ..terminal import one_line


class Command(BaseCommand):
    help = "Removes the queue's entries that are older than 24 hours, or 48 where a consumer still needs them."

    def handle(self, **options: Any) -> None:
        try:
            removed = queue.cleanup()
        except (ChronosError, DatabaseError) as error:
            raise CommandError(one_line(str(error))) from error
        self.stdout.write(f"Entries: {removed:,} removed.")
