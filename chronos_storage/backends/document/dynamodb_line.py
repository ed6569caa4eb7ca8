"""Turns at documents that several processes want to change: of those that are at it at once all but one have to begin
again, and whoever is nearest would always be first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Set
from contextlib import suppress
from uuid import uuid4

from .dynamodb_items import Address, Item
from .dynamodb_server import DynamoServer, NotFulfilled

#: Seconds between two looks at the line, for each who came earlier, and at most.
_LOOK, _LONGEST_LOOK = 0.01, 0.5
#: Seconds after which who is first, and doesn't leave, is dead: a turn is some requests.
DEAD_AFTER = 4.0
#: Seconds for which a line is kept, by the clock of who stood in it last.
_KEPT = 86_400


_STAND = "SET w = list_append(if_not_exists(w, :none), :me), x = :x"
_NONE: Item = {":none": {"L": []}}


class DynamoLine:
    """A place in the lines of who waits for some documents, first come, first served.

    The line of a document is an item, under ``l`` and the document's ``pk``, with a list of who waits (``w``). Who has
    his turn is noted in the document itself (``w``), where a commit finds it without another question, and which it
    ends, as what it writes has none.

    Args:
        documents: their addresses.
    """

    def __init__(self, server: DynamoServer, documents: list[Address]) -> None:
        self._server = server
        # In one order, so that no two wait for each other.
        self._documents = sorted(documents)
        self._stood: list[Address] = []
        self.token = uuid4().hex

    def wait(self, patience: float) -> None:
        """Wait, so many seconds at most, until all who came earlier for one of these documents are done."""
        deadline = time.monotonic() + patience
        for document in self._documents:
            line = Address(f"l{document.pk}")
            waiting = self._update(line, _STAND, {**_NONE, ":me": {"L": [{"S": self.token}]}, ":x": _expiry()})
            self._stood.append(line)
            self._wait_at(line, waiting, deadline)
            with suppress(NotFulfilled):
                self._update(document, "SET w = :w", self._mine, "attribute_exists(pk)")

    def leave(self, written: Set[Address]) -> None:
        """Leave the lines; the turn is over at what the commit that it was for has written, and ends at the rest."""
        for line in self._stood:
            self._remove(line, self.token)
        for document in self._documents[: len(self._stood)]:
            if document not in written:
                with suppress(NotFulfilled):
                    self._update(document, "REMOVE w", self._mine, "w = :w")

    @property
    def _mine(self) -> Item:
        return {":w": {"S": self.token}}

    def _wait_at(self, line: Address, waiting: list[str], deadline: float) -> None:
        first, since, look = "", 0.0, _LOOK
        while self.token in waiting and (before := waiting.index(self.token)) and (now := time.monotonic()) < deadline:
            if waiting[0] != first:
                first, since = waiting[0], now
            elif now - since > DEAD_AFTER:
                self._remove(line, first)
            # A turn is several requests; a server that takes its time for one has much to do.
            time.sleep(min(before * look, _LONGEST_LOOK) * random.uniform(0.5, 1.5))  # noqa: S311
            now = time.monotonic()
            waiting = self._waiting(line)
            look = max(_LOOK, 4 * (time.monotonic() - now))

    def _waiting(self, line: Address) -> list[str]:
        return _tokens(self._server.items([line]).get(line, {}))

    def _remove(self, line: Address, token: str) -> None:
        """Take somebody out of a line."""
        waiting = [token]
        while token in waiting:
            place = waiting.index(token)
            try:
                self._update(line, f"REMOVE w[{place}]", {":w": {"S": token}}, f"w[{place}] = :w")
            except NotFulfilled:
                waiting = self._waiting(line)
                continue
            return

    def _update(self, address: Address, update: str, values: Item, condition: str = "") -> list[str]:
        """Who is in the line after the update."""
        answer = self._server.ask(
            "update_item",
            Key=address.key,
            UpdateExpression=update,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW" if address.pk.startswith("l") else "NONE",
            **({"ConditionExpression": condition} if condition else {}),
        )
        return _tokens(answer.get("Attributes", {}))


def _expiry() -> Item:
    """When DynamoDB may remove a line, in which nobody stands then."""
    return {"N": str(int(time.time()) + _KEPT)}


def _tokens(item: Item) -> list[str]:
    return [each["S"] for each in item["w"]["L"]] if "w" in item else []
