"""``chronos_export``: what a store keeps, in a file."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime

from ... import storages
from ...exceptions import InvalidRecord
from ...operations.agentx import export_agentx
from ...operations.chosen import Chosen
from ...operations.exporting import Exported, export
from ...operations.places import configured_vector_stores
from ...queues.handler import queue_handler
from ..report import ReportCommand, add_using


class Command(ReportCommand):
    help = (
        "Writes a store's records, or what belongs to the sessions that fulfil every condition given, into a file of"
        " JSON lines, packed by gzip or zstd where its name ends with .gz or .zst, for chronos_import --format chronos."
        " Until it is whole its name ends with .part; broken off, the same command goes on."
    )
    examples = (
        "chronos_export --all everything.jsonl.zst",
        "chronos_export --user 42 --since 2026-01-31 user.jsonl.gz --json",
        "chronos_export --agent support --using archive support.jsonl",
        "chronos_export --all --format agentx backup.json",
    )
    advice = "What is written stays; the same command again goes on from there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        parser.add_argument("out", metavar="OUT", type=Path, help="the file, which must not be there yet")
        parser.add_argument(
            "--format",
            choices=["chronos", "agentx"],
            default="chronos",
            help="agentx: the JSON that AgentX' own script writes, of containers, images, sessions and messages",
        )
        parser.add_argument("--all", action="store_true", help="everything")
        parser.add_argument("--session", metavar="ID", help="this session")
        parser.add_argument("--agent", metavar="ID", help="this agent's sessions")
        parser.add_argument("--user", metavar="ID", help="this user's sessions")
        parser.add_argument("--since", metavar="TIME", help="sessions in which something happened since (ISO 8601)")

    def work(self, **options: Any) -> Exported:
        given = {name: options[name] for name in ("session", "agent", "user") if options[name] is not None}
        chosen = Chosen(**given, since=_time(options["since"]))
        if options["all"] == bool(chosen.as_dict()):
            raise InvalidRecord("all", "give either --all, or what of it: --session, --agent, --user, --since")
        if options["format"] == "agentx":
            return export_agentx(storages[options["storage"]], options["out"], chosen, progress=self.show)
        return export(
            storages[options["storage"]],
            options["out"],
            chosen,
            vector_stores=configured_vector_stores() if chosen.user is not None else (),
            queues=[queue_handler.only] if chosen.user is not None else (),
            progress=self.show,
        )


def _time(text: str | None) -> datetime | None:
    """A time, or the beginning of a day; without a time zone in UTC."""
    if text is None:
        return None
    try:
        found = parse_datetime(text)
        if found is None and (day := parse_date(text)):
            found = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - its zone comes next
    except ValueError:
        found = None
    if found is None:
        raise InvalidRecord("since", f"is {text!r}; give a time such as 2026-01-31 or 2026-01-31T12:00:00Z")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
