"""``manage.py chronos_vectors recall | reindex | stats``: the care of a vector store's indexes."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from typing import Any

from ....backends.handler import DEFAULT_ALIAS
from ....management.report import Report, ReportCommand
from ....records import CollectionStats
from ...base import VectorStore
from ...handler import vector_stores

_PARAMETERS = ("m", "ef_construction", "ef_search")


@dataclass
class Recall:
    """How much of what exact searches find is found by the index."""

    top_k: int
    recall: float
    at_least: float

    @property
    def problem(self) -> str:
        """Whether that is too little."""
        return f"that is less than {self.at_least}" if self.recall < self.at_least else ""

    def as_dict(self) -> dict[str, Any]:
        """The same."""
        return asdict(self)

    def __str__(self) -> str:
        return f"recall@{self.top_k}: {self.recall:.4f}"


class Described:
    """Collections and their indexes."""

    problem = ""

    def __init__(self, found: list[CollectionStats]) -> None:
        self._found = found

    def as_dict(self) -> dict[str, Any]:
        return {"collections": [asdict(each) for each in self._found]}

    def __str__(self) -> str:
        return "\n".join(map(_line, self._found))


class Built:
    """How far the building of an index is."""

    problem = ""

    def __init__(self, phase: str, done: float) -> None:
        self._phase = phase
        self._done = done

    def as_dict(self) -> dict[str, Any]:
        return {"phase": self._phase, "done": self._done}

    def __str__(self) -> str:
        return f"{self._phase}: {self._done:.0%}"


class Command(ReportCommand):
    help = "Measures, rebuilds and describes the indexes of a vector store."
    examples = (
        "chronos_vectors stats --json",
        "chronos_vectors recall documents --sample 200 --at-least 0.95",
        "chronos_vectors --using archive reindex documents --m 24",
    )
    advice = "An index that was being built is as it was before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--using",
            "--store",
            dest="store",
            default=DEFAULT_ALIAS,
            metavar="ALIAS",
            help="which of the settings' VECTOR_STORES; default: %(default)s",
        )
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
        for each in (recall, reindex, stats):
            super().add_arguments(each)

    def work(self, **options: Any) -> Report:
        found: Report = getattr(self, f"_{options['action']}")(vector_stores[options["store"]], options)
        return found

    def _recall(self, store: VectorStore, options: dict[str, Any]) -> Recall:
        found = store.recall(options["collection"], top_k=options["top_k"], sample=options["sample"])
        return Recall(options["top_k"], found, options["at_least"])

    def _reindex(self, store: VectorStore, options: dict[str, Any]) -> Described:
        given = {name: options[name] for name in _PARAMETERS if options[name] is not None}
        store.reindex(options["collection"], progress=lambda phase, done: self.show(Built(phase, done)), **given)
        return self._stats(store, options)

    def _stats(self, store: VectorStore, options: dict[str, Any]) -> Described:
        named = options["collection"]
        names = [named] if named is not None else [each.name for each in store.list_collections()]
        return Described([store.stats(name) for name in names])


def _line(found: CollectionStats) -> str:
    parameters = "".join(f", {key} {value}" for key, value in found.parameters.items())
    return (
        f"{found.name}: {found.count:,} embeddings of {found.dimension} dimensions, {found.metric},"
        f" {found.size / 1e6:,.1f} MB; index {found.index}, {found.index_size / 1e6:,.1f} MB{parameters}"
    )
