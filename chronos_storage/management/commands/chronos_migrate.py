"""``chronos_migrate``: makes, or brings up to date, what every store of the settings keeps its records in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError

from ... import storages
from ...exceptions import ChronosError
from ...reach import in_databases
from ..report import ReportCommand


@dataclass
class Migrated:
    """What became of each store, named as the settings do: empty where it is ready, else what is wrong."""

    stores: dict[str, str] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Whether one could not be migrated."""
        return "Not every store could be migrated." if any(self.stores.values()) else ""

    def as_dict(self) -> dict[str, Any]:
        """The same."""
        return asdict(self)

    def __str__(self) -> str:
        ready = sum(not problem for problem in self.stores.values())
        return f"Stores: {ready:,} ready, {len(self.stores) - ready:,} not."


class Command(ReportCommand):
    help = (
        "Makes the tables of every store that the settings name, storages, queue and vector stores, or brings them"
        " up to date; again, no change. The exit status is 1 if one could not be."
    )
    examples = ("chronos_migrate", "chronos_migrate --json")
    advice = "What was migrated stays so; run it again for the rest."

    def work(self, **options: Any) -> Migrated:
        report = Migrated()
        for where, migrate in _stores():
            try:
                migrate()
            except (ChronosError, CommandError, DatabaseError) as error:
                report.stores[where] = str(error)
            else:
                report.stores[where] = ""
            self.tell(f"{where}: {report.stores[where] or 'ready'}")
            self.show(report)
        return report


def _stores() -> Iterator[tuple[str, Callable[[], object]]]:
    """The stores of the settings: where each is configured, and what migrates it."""
    for alias in storages:
        yield storages.where(alias), lambda alias=alias: storages[alias].migrate()  # type: ignore[misc]
    for handler, alias, database, app_label in in_databases():
        if handler is not storages:
            migrate = partial(call_command, "migrate", app_label, database=database, interactive=False, verbosity=0)
            yield handler.where(alias), migrate
