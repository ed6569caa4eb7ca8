"""Turns at documents that several processes want to change: transactions that are in each other's way are ended, none
waits, and whoever is nearest would always be first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from .mongodb_server import Found, MongoServer

#: Seconds between two looks at the line, for each who came earlier, and at most.
_LOOK, _LONGEST_LOOK = 0.004, 0.25
#: Milliseconds that a place is kept for who may be dead; and the seconds after which a place is renewed.
_KEPT, _RENEWED = 5_000, 2
_OF_LINE = {"$gte": "l", "$lt": "m"}
#: By the server's clock.
_SOON: Found = {"$add": ["$$NOW", _KEPT]}
_IS_OVER: Found = {"$lt": ["$until", "$$NOW"]}


class MongoLine:
    """A place in the line of who waits for some documents, first come, first served.

    A place is a document of the same collection, whose ``_id`` begins with ``l``. Who has his turn is noted in the
    documents themselves (``turn``), where a commit finds it without another question; of who died in his turn it is
    taken over by the next in line.

    Args:
        ids: the documents'.
    """

    def __init__(self, server: MongoServer, ids: Sequence[str]) -> None:
        self._server, self._ids = server, ids
        self.token = uuid4().hex

    def wait(self, patience: float) -> None:
        """Wait, so many seconds at most, until all who came earlier for one of these documents are done."""
        deadline = time.monotonic() + patience
        renewed = 0.0
        while (now := time.monotonic()) < deadline:
            if now - renewed > _RENEWED:
                self.stand()
                renewed = now
            if not (before := self._before()):
                break
            # A turn is several questions; a server that takes its time for one has much to do.
            turn = max(_LOOK, 4 * (time.monotonic() - now))
            time.sleep(min(before * turn, _LONGEST_LOOK) * random.uniform(0.5, 1.5))  # noqa: S311
        self._take()

    def leave(self) -> None:
        """Leave the line, or end the turn; the places of the dead go too."""
        with self._server.asked() as client:
            line = self._line(client)
            line.delete_many({"_id": _OF_LINE, "$or": [{"_id": self._place}, {"$expr": _IS_OVER}]})
            line.bulk_write([UpdateOne({"_id": id, "turn": self.token}, {"$unset": {"turn": 1}}) for id in self._ids])

    @property
    def _place(self) -> str:
        return f"l{self.token}"

    def _line(self, client: Any) -> Collection[Found]:
        # Nothing but fairness depends on it, so it need not last.
        return self._server.documents(client).with_options(
            read_concern=ReadConcern("local"), write_concern=WriteConcern(1)
        )

    def stand(self) -> None:
        """Stand in the line, or keep the place."""
        fields = {"ids": {"$literal": self._ids}, "since": {"$ifNull": ["$since", "$$NOW"]}, "until": _SOON}
        with self._server.asked() as client:
            self._line(client).update_one({"_id": self._place}, [{"$set": fields}], upsert=True)

    def _before(self) -> int:
        """How many came earlier."""
        with self._server.asked() as client:
            found = self._line(client).find(
                {"_id": _OF_LINE, "ids": {"$in": self._ids}, "$expr": {"$not": _IS_OVER}}, {"since": 1}
            )
            places = sorted((each["since"], each["_id"]) for each in found)
        return next((number for number, (_, id) in enumerate(places) if id == self._place), len(places))

    def _take(self) -> None:
        with self._server.asked() as client:
            self._line(client).bulk_write([UpdateOne({"_id": id}, {"$set": {"turn": self.token}}) for id in self._ids])
