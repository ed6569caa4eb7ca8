"""``chronos_mcp``: offers one owner's memory and conversations to a client of the Model Context Protocol."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from ... import storages
from ...exceptions import ChronosError
from ...vectors.handler import vector_stores
from ..report import ExampleCommand, add_using
from ..terminal import one_line


class Command(ExampleCommand):
    help = (
        "Speaks the Model Context Protocol on standard input and output, for one user, until the input ends. Whose"
        " memory and conversations it offers is said here alone; no client can ask for another's."
    )
    examples = ("chronos_mcp --user ada", "chronos_mcp --user ada --agent support --collection handbook")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, metavar="ID", help="whose memory and conversations are offered")
        parser.add_argument(
            "--agent", default="", metavar="ID", help="the agent whose memory it is, and whose conversations alone"
        )
        parser.add_argument("--collection", default="", metavar="NAME", help="documents to search, of a vector store")
        parser.add_argument(
            "--vectors", default="default", metavar="ALIAS", help="which vector store; default: %(default)s"
        )
        parser.add_argument(
            "--embed", metavar="PATH", help="dotted path of a function that gives the vector of a text, for documents"
        )
        add_using(parser)

    def handle(self, **options: Any) -> None:
        try:
            from ...integrations.mcp import server
        except ImportError as error:
            raise CommandError("the library is not installed: pip install 'chronos-storage[mcp]'") from error
        try:
            made = server(
                user_id=options["user"],
                agent_id=options["agent"],
                storage=storages[options["storage"]],
                vectors=vector_stores[options["vectors"]] if options["collection"] else None,
                collection=options["collection"],
                embed=import_string(options["embed"]) if options["embed"] else None,
            )
        except (ChronosError, ImportError) as error:
            raise CommandError(one_line(str(error))) from error
        made.run()
