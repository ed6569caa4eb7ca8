"""What a search by `PgVectorStore` has found: its rows, ranked in float64."""

from __future__ import annotations

from array import array
from typing import Any

from .. import codec, records
from . import wire
from .metrics import beyond, scores
from .questions import Question


class Found:
    """The rows that answer a question, see `statements.search`; with some more than it asks for, and roughly in order.

    Attributes:
        matched: how many rows were found to match the filter, where the statement tells.
    """

    def __init__(self, question: Question, rows: list[Any]) -> None:
        self.rows = rows
        self.matched: int = rows[0][5] if rows and len(rows[0]) > 5 else len(rows)
        self._question = question
        self._scores: list[float]
        if question.text is not None:
            self._scores = [row[6] for row in rows]
            self._order = [*range(len(rows))]
        elif rows:
            self._vectors: Any = wire.unpack([row[1] for row in rows])
            self._scores = scores(question.metric, question.vector, self._vectors)
            ranked = sorted(
                (-score, row[0], place) for place, (score, row) in enumerate(zip(self._scores, rows, strict=True))
            )
            self._order = [place for _, _, place in ranked]

    def ends_clearly(self) -> bool:
        """Whether the last are so far off that none which is missing can be among the nearest."""
        last: float = self._scores[self._order[self._question.top_k - 1]]
        return beyond(self._question.metric, self._question.vector, self._vectors, self._scores) < last

    def results(self) -> list[records.SearchResult]:
        """The nearest, best first, ties by id."""
        if not self.rows:
            return []
        return [
            records.SearchResult(
                id=row[0],
                vector=wire.unpack_one(row[1]) if self._question.include_vectors else array("f"),
                content=row[2],
                metadata=codec.loads(row[3]),
                user_id=row[4],
                score=self._scores[place],
            )
            for place in self._order[: self._question.top_k]
            for row in (self.rows[place],)
        ]
