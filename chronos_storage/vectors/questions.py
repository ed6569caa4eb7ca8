"""What is asked of a vector store: the arguments of a search, checked, and the best hit of each group."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from typing import Any

from .. import codec, filters, float32
from ..exceptions import InvalidRecord
from ..filters import And, Exists, In, Not
from ..records import Embedding, SearchResult
from .metrics import as_row

#: More results than any collection has.
_ALL = 2**40
#: A word as the databases that split most count them.
_WORD = re.compile(r"[^\W_]+")
#: Hits that are looked at for each group that is still missing.
_HITS_PER_GROUP = 4


class Question:
    """A search's arguments, checked.

    Attributes:
        vector: the query as an array of float32; None where words alone are asked for.
        top_k: how many of the best are needed, those included that the page leaves out.
        group_by: the path of the field of each of whose values only the best counts.
    """

    def __init__(
        self,
        dimension: int,
        metric: str,
        query: Any,
        top_k: int,
        filter: Any = None,  # noqa: A002  (the field's own word)
        text: str | None = None,
        *,
        offset: int = 0,
        group_by: str | None = None,
        include_vectors: bool = False,
    ) -> None:
        self.metric: str = metric
        self.vector: Any = None
        if query is not None:
            self.vector = as_row(float32.vector(query, "query"), dimension, metric, "query")
        elif text is None:
            raise InvalidRecord("query", "must be a vector, or None for a search by text alone")
        wanted = codec.integer(top_k, "top_k")
        self.offset: int = min(codec.integer(offset, "offset"), _ALL)
        self.top_k: int = wanted and min(self.offset + wanted, _ALL)
        self.filter: And = filters.parse(filter)
        self.text: str | None = None if text is None else codec.string(text, "text", codec.MAX_TEXT)
        if self.text is not None and (words := len(_WORD.findall(self.text))) > codec.MAX_WORDS:
            raise InvalidRecord("text", f"has {words:,} words; at most {codec.MAX_WORDS:,} are looked for")
        self.group_by: tuple[str, ...] | None = None
        if group_by is not None:
            self.group_by = filters.path_of(codec.string(group_by, "group_by", codec.MAX_TEXT), "group_by")
        self.include_vectors: bool = codec.boolean(include_vectors, "include_vectors")

    def answer(self, search: Callable[[Question], list[SearchResult]]) -> list[SearchResult]:
        """The page that is asked for.

        Args:
            search: gives the `top_k` best, whatever their groups.
        """
        if not self.top_k:
            return []
        found = search(self) if self.group_by is None else self._best_of_each(self.group_by, search)
        return found[self.offset : self.top_k]

    def _best_of_each(
        self, path: tuple[str, ...], search: Callable[[Question], list[SearchResult]]
    ) -> list[SearchResult]:
        best: dict[str, SearchResult] = {}
        asked = copy(self)
        asked.top_k = min(_HITS_PER_GROUP * self.top_k, _ALL)
        others = (*self.filter.parts, Exists(path))
        asked.filter = And(others)
        while True:
            hits = search(asked)
            if self.text is not None:
                best = {}  # looked at more deeply, ranks are fused anew
            for hit in hits:
                best.setdefault(filters.value_text(hit.metadata, path), hit)
            if len(hits) < asked.top_k or len(best) >= self.top_k:
                return [*best.values()]
            if self.text is not None:
                asked.top_k = min(_HITS_PER_GROUP * asked.top_k, _ALL)
            else:
                # However many hits a group has, it is not looked at again.
                asked.filter = And((*others, Not(In(path, frozenset(best)))))


def last_id(after: Any) -> str:
    """The id that a page begins after, given as the last embedding of the page before, or its id; "" for none."""
    if after is None:
        return ""
    if isinstance(after, Embedding):
        after = after.id
    return codec.string(after, "after")


def conditions(filter: Any) -> And:  # noqa: A002  (the field's own word)
    """The tree of a filter that must be given.

    Raises:
        InvalidRecord: it is None, or not in the grammar.
    """
    if filter is None:
        raise InvalidRecord("filter", "must be an object; {} matches everything")
    return filters.parse(filter)
