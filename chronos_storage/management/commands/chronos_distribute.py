"""``chronos_distribute``: spreads the tables over the workers of a Citus cluster."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from ...distributed.state import distributed, forget
from ...distributed.statements import BEGIN, statements
from ...ledger.delegation import delegations
from ..report import Counts, ReportCommand


class Command(ReportCommand):
    help = (
        "Spreads the tables over the workers of a Citus cluster, after migrate, with what is in them; again, what is"
        " missing, or nothing. Nobody may write meanwhile, and who has a connection must make a new one afterwards."
    )
    examples = ("chronos_distribute", "chronos_distribute --shards 64 --json", "chronos_distribute --print")
    advice = "Nothing was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="default: %(default)s")
        parser.add_argument(
            "--shards",
            type=int,
            default=32,
            metavar="COUNT",
            help="into how many parts the tables are cut, if they are not yet; default: %(default)s",
        )
        parser.add_argument(
            "--print", action="store_true", dest="only_print", help="print the statements, and do nothing"
        )

    def work(self, **options: Any) -> Counts:
        connection = connections[options["database"]]
        wanted = [*statements(connection, options["shards"]), *delegations(connection)]
        if options["only_print"]:
            for statement in ("BEGIN", *BEGIN, *wanted, "COMMIT") if wanted else ():
                self.tell(f"{statement};")
            return Counts("Statements", to_be_run=len(wanted))
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in (*BEGIN, *wanted):
                cursor.execute(statement)
        forget()
        return Counts("Tables", distributed=len(distributed(connection)))
