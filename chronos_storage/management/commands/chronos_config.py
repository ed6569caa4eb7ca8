"""``chronos_config``: what a YAML file says of where agents store, and whether they can."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string

from ... import Storage, storages
from ...backends.handler import DEFAULT_ALIAS
from ...config import Place, read
from ...exceptions import ChronosError
from ...facade.stores import over
from ..report import ReportCommand


@dataclass
class Checked:
    """What each agent would store in: empty where it can, else what is wrong."""

    agents: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Whether one can't."""
        return "Not every storage can be used." if any(each["problem"] for each in self.agents.values()) else ""

    def as_dict(self) -> dict[str, Any]:
        """The same."""
        return asdict(self)

    def __str__(self) -> str:
        ready = sum(not each["problem"] for each in self.agents.values())
        return f"Agents: {ready:,} ready, {len(self.agents) - ready:,} not."


class Command(ReportCommand):
    help = (
        "check FILE says of each agent in a YAML file what it would store in, and whether that can be reached and used."
        " The exit status is 1 if the file is wrong or one can't."
    )
    examples = ("chronos_config check agents.yaml", "chronos_config check agents.yaml --json")
    advice = "Nothing was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="check")
        check = actions.add_parser("check", help="say what each agent would use, and whether it can be reached")
        super().add_arguments(check)
        check.add_argument("file", metavar="FILE", type=Path)

    def work(self, **options: Any) -> Checked:
        found = read(options["file"])
        report = Checked()
        verdicts: dict[Place | None, str] = {}
        for name, place in (("default", found.default), *found.agents.items()):
            used = place or found.default
            if used not in verdicts:
                verdicts[used] = "; ".join(_problems(used))
            shown = "the settings' default storage" if used is None else used.shown
            report.agents[name] = {"store": shown, "problem": verdicts[used]}
            self.tell(f"{name}: {shown}: {verdicts[used] or 'ready'}")
            self.show(report)
        return report


def _problems(place: Place | None) -> Iterator[str]:
    """What keeps a storage from being used."""
    if place is not None and (path := place.missing_file):
        yield f"there is no file {path} yet; it is made by storage_for(…).migrate()"
        return
    try:
        storage = storages[DEFAULT_ALIAS] if place is None else _open(place)
        yield from storage.health().problems
        storage.close()
    except ChronosError as error:
        yield str(error)


def _open(place: Place) -> Storage:
    options = place.entry.get("OPTIONS", {})
    made = import_string(place.entry["BACKEND"])(**{name.lower(): options[name] for name in options})
    return over(made, place.backend)
