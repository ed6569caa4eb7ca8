"""``chronos_config``: what a YAML file says of where agents store, and whether they can."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from ... import Storage, storages
from ...backends.handler import DEFAULT_ALIAS
from ...config import Place, read
from ...exceptions import ChronosError
from ...facade.stores import over
from ..terminal import Progress, one_line, stoppable


class Command(BaseCommand):
    help = (
        "check FILE says of each agent in a YAML file what it would store in, and whether that can be reached and used."
        " The exit status is 1 if the file is wrong or one can't."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="check")
        check = actions.add_parser("check", help="say what each agent would use, and whether it can be reached")
        check.add_argument("file", metavar="FILE", type=Path)

    def handle(self, **options: Any) -> None:
        try:
            found = read(options["file"])
        except ChronosError as error:
            raise CommandError(one_line(str(error))) from error
        verdicts: dict[Place | None, str] = {}
        broken = False
        with stoppable(progress := Progress(self.stderr), "Nothing was changed."):
            for name, place in (("default", found.default), *found.agents.items()):
                used = place or found.default
                progress.show(f"Looking at what {one_line(name)} would use …")
                if used not in verdicts:
                    verdicts[used] = "; ".join(_problems(used))
                shown = "the settings' default storage" if used is None else used.shown
                self.stdout.write(one_line(f"{name}: {shown}: {verdicts[used] or 'ready'}", limit=2000))
                broken |= bool(verdicts[used])
        if broken:
            raise CommandError("Not every storage can be used.")


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
