"""A command that does something with a storage, shows how far it is, and ends with a report."""

from __future__ import annotations

import json
from abc import abstractmethod
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any, ClassVar, Protocol

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter
from django.db import DatabaseError, reset_queries

from ..exceptions import ChronosError
from .terminal import Progress, interruptible, one_line, stoppable


class Report(Protocol):
    """What a piece of work came to; its text is a line of counts, which is also how far the work is."""

    @property
    def problem(self) -> str:
        """Why the command fails, a sentence; empty if it doesn't."""

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON's types."""


class Counts:
    """A report of numbers alone.

    Args:
        things: what is counted, as a sentence begins with it.
        counts: how many of them are, or were, what the argument's name says.
    """

    problem = ""

    def __init__(self, things: str, **counts: int) -> None:
        self._things = things
        self._counts = counts

    def as_dict(self) -> dict[str, Any]:
        return self._counts

    def __str__(self) -> str:
        parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in self._counts.items()]
        return f"{self._things}: {', '.join(parts)}."


class _Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """As Django's, with the examples' lines as they are."""


class ExampleCommand(BaseCommand):
    """A command whose ``--help`` shows how it is called."""

    #: Command lines that ``--help`` shows, without ``python manage.py``.
    examples: ClassVar[tuple[str, ...]]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """Django's parser, which shows the examples."""
        lines = [f"  python manage.py {example}" for example in self.examples]
        epilog = "\n".join(["examples:", *lines])
        return super().create_parser(prog_name, subcommand, epilog=epilog, formatter_class=_Formatter, **kwargs)


class ReportCommand(ExampleCommand):
    """A command whose work is a function that a task queue can call too.

    It exits with 0, with 1 where the work failed or its report names a problem, with 2 after wrong arguments, and with
    130 after Ctrl-C.
    """

    #: What is said after Ctrl-C: what became of what was done.
    advice: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, **options: Any) -> None:
        self.is_json = options["json"]
        self.progress = Progress(self.stderr)
        try:
            with stoppable(self.progress, self.advice):
                report = self.work(**options)
            self.stdout.write(json.dumps(report.as_dict()) if self.is_json else str(report))
        except (ChronosError, DatabaseError, OSError, OverflowError) as error:
            raise CommandError(one_line(str(error))) from error
        if report.problem:
            raise CommandError(report.problem)

    @abstractmethod
    def work(self, **options: Any) -> Report:
        """Do it, with `show` after each step."""

    def show(self, report: Report) -> None:
        """Show how far the work is.

        Raises:
            KeyboardInterrupt: it is to end.
        """
        reset_queries()  # which Django keeps under DEBUG
        self.progress.show(str(report))

    def tell(self, text: str) -> None:
        """Print a line that the report has too, where that is not printed as JSON."""
        if not self.is_json:
            self.progress.clear()
            self.stdout.write(one_line(text, limit=2000))

    def confirm(self, consequence: str, word: str, is_asked: bool) -> None:
        """Have somebody type a word before something that can't be taken back.

        Args:
            consequence: what is about to happen, a sentence.
            is_asked: whether to ask at all.

        Raises:
            CommandError: another word was typed, or nobody is there to type one.
        """
        if not is_asked:
            return
        self.progress.clear()
        self.stderr.write(one_line(f"{consequence} Type {word!r} to go on: "), str, ending="")
        self.stderr.flush()
        try:
            with interruptible():
                typed = input()
        except EOFError:
            raise CommandError("Nobody is there to confirm it. Give --no-input to go on without.") from None
        if word not in (typed, typed.strip()):
            raise CommandError("Not confirmed. Nothing was changed.")


def add_confirmation(parser: ArgumentParser) -> None:
    """Have the command take that nobody is asked."""
    parser.add_argument(
        "--no-input", "--noinput", action="store_false", dest="interactive", help="do it without asking"
    )


def add_using(parser: ArgumentParser) -> None:
    """Have the command take the alias of a storage."""
    parser.add_argument(
        "--using",
        "--storage",
        dest="storage",
        default="default",
        metavar="ALIAS",
        help="which of the settings' storages; default: %(default)s",
    )
