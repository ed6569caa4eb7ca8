"""``manage.py chronos_vectors recall | reindex | stats``: the care of a vector store's indexes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ....backends.handler import DEFAULT_ALIAS
from ....exceptions import ChronosError
from ....management.terminal import Progress, stoppable
from ...base import VectorStore
from ...handler import vector_stores

_PARAMETERS = ("m", "ef_construction", "ef_search")


class Command(BaseCommand):
    help = "Measures, rebuilds and describes the indexes of a vector store."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--store", default=DEFAULT_ALIAS, help="alias in VECTOR_STORES (default: default)")
        actions = parser.add_subparsers(dest="action", required=True)
        recall = actions.add_parser("recall", help="compare searches by the index with exact ones")
        recall.add_argument("collection")
        recall.add_argument("--sample", type=int, default=100, help="how many searches (default: 100)")
        recall.add_argument("--top-k", type=int, default=10, help="how many results each (default: 10)")
        recall.add_argument("--at-least", type=float, default=0.0, help="fail if the recall is lower, 0.0 to 1.0")
        reindex = actions.add_parser("reindex", help="build the index anew, while others read and write")
        reindex.add_argument("collection")
        for name in _PARAMETERS:
            reindex.add_argument(f"--{name.replace('_', '-')}", type=int, help="kept for the next time")
        stats = actions.add_parser("stats", help="describe one collection, or all")
        stats.add_argument("collection", nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(vector_stores[options["store"]], options)
        except ChronosError as error:
            raise CommandError(str(error)) from error

    def _recall(self, store: VectorStore, options: dict[str, Any]) -> None:
        found = store.recall(options["collection"], top_k=options["top_k"], sample=options["sample"])
        self.stdout.write(f"recall@{options['top_k']}: {found:.4f}")
        if found < options["at_least"]:
            raise CommandError(f"that is less than {options['at_least']}")

    def _reindex(self, store: VectorStore, options: dict[str, Any]) -> None:
        given = {name: options[name] for name in _PARAMETERS if options[name] is not None}
        progress = Progress(self.stderr)
        with stoppable(progress, "The index is as it was before."):
            store.reindex(
                options["collection"], progress=lambda phase, done: progress.show(f"{phase}: {done:.0%}"), **given
            )
        self._stats(store, options)

    def _stats(self, store: VectorStore, options: dict[str, Any]) -> None:
        named = options["collection"]
        for name in [named] if named is not None else [each.name for each in store.list_collections()]:
            found = store.stats(name)
            parameters = "".join(f", {key} {value}" for key, value in found.parameters.items())
            self.stdout.write(
                f"{found.name}: {found.count:,} embeddings of {found.dimension} dimensions, {found.metric},"
                f" {found.size / 1e6:,.1f} MB; index {found.index}, {found.index_size / 1e6:,.1f} MB{parameters}"
            )
