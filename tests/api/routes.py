"""The tables of docs/api.md: what is documented of each route and each limit, which the tests ask the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from tests.api.serving import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
#: The OpenAPI document, which `test_schema` compares with the one that is served.
DOCUMENT: Any = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
#: The id that the document's examples name.
ID = "019b2f5e-7c1a-7000-8a52-3f0c6d1e9b74"
#: A session that is soft-deleted.
GONE = "gone"
#: A topic that is no session's.
TOPIC = "news"


def rows(*header: str) -> Iterator[list[str]]:
    """The cells of each row of the tables with this header."""
    start = re.escape(f"| {' | '.join(header)} |\n") + r"(?:\| --- )+\|\n"
    tables = re.findall(rf"^{start}((?:\|.*\|\n)+)", PAGE, re.MULTILINE)
    assert tables, header
    for table in tables:
        for line in table.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == len(header), line
            yield cells


def _several(cell: str) -> list[str]:
    return cell.split(", ") if cell else []


@dataclass(frozen=True)
class Route:
    """A row of the table of routes.

    Attributes:
        name: the method and the path, as they stand there.
        owner, other, staff: the status that each is answered.
        needs: each permission that staff need, as verb and data type.
        also: what else may be answered.
        limits: which hold.
    """

    name: str
    owner: int
    other: int
    staff: int
    needs: tuple[tuple[str, str], ...]
    also: frozenset[int]
    limits: frozenset[str]

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def pattern(self) -> str:
        """The path as the URL conf has it."""
        return self.name.partition(" ")[2].partition("?")[0].replace("session:{id}", "{topic}")

    @property
    def operation(self) -> Any:
        """What the OpenAPI document says of it; None of the front page, and of the document itself."""
        return DOCUMENT["paths"].get(f"/{self.pattern}", {}).get(self.method.lower())

    def path(self, id: str = ID) -> str:
        """The address, with this id for all that have one."""
        if self.pattern.endswith("/restore"):
            id = GONE
        return self.name.partition(" ")[2].format(id=id, session_id=id, collection=id, topic=TOPIC)

    @property
    def headers(self) -> dict[str, str]:
        """Those that it needs, as the document's examples have them."""
        parameters = (self.operation or {}).get("parameters", ())
        needed = [each for each in parameters if each["in"] == "header" and each.get("required")]
        return {each["name"]: str(each["schema"]["example"]) for each in needed}

    def body(self, cursor: str) -> Any:
        """The document's example; None where nothing is sent.

        Args:
            cursor: what a consumer acknowledges: no example knows the database's.
        """
        if "requestBody" not in (self.operation or {}):
            return None
        *_, content = self.operation["requestBody"]["content"].values()  # of a file the bytes, after the form
        example = content["examples"]["example"]["value"]
        return {"cursor": cursor} if "cursor" in example else example

    def without_asgi(self, status: int) -> int:
        """What is answered where this is, to a request that comes by WSGI."""
        return 501 if status == 200 and 501 in self.also else status


def _routes() -> Iterator[Route]:
    for route, owner, other, staff, needs, also, limits in rows(
        "Route", "Owner", "Others", "Staff", "Needs", "Also", "Limits"
    ):
        yield Route(
            route.strip("`"),
            *(int(status) for status in (owner, other, staff)),
            tuple((verb, what) for verb, _, what in (each.partition(" ") for each in _several(needs))),
            frozenset(map(int, _several(also))),
            frozenset(_several(limits)),
        )


ROUTES = list(_routes())

#: What each limit allows at most, where the table says it.
MOST = {
    name: int(most.replace(",", ""))
    for names, _, most in rows("Limit", "Of what", "At most")
    for name in names.replace("`", "").split()
    if most != "as set"
}
#: The rates, as limits name them.
RATES = frozenset(
    name
    for names, _, most in rows("Limit", "Of what", "At most")
    for name in names.replace("`", "").split()
    if most == "as set"
)
#: Where each status is answered.
ANSWERS = {int(status): where for status, _, where in rows("Status", "When", "Where")}


def _followed(what: Any) -> Any:
    """What a part of the document says, or the one that it refers to."""
    if "$ref" not in what:
        return what
    _, *names = what["$ref"].split("/")
    return reduce(dict.__getitem__, names, DOCUMENT)


#: The headers of answers that the document knows of.
_HEADERS = {
    name
    for operations in DOCUMENT["paths"].values()
    for operation in operations.values()
    for response in operation["responses"].values()
    for name in _followed(response).get("headers", ())
}


def check_declared(route: Route, response: Any) -> None:
    """The OpenAPI document has this answer, and of the headers that it knows of at all those that are sent."""
    if route.operation is None:
        return
    declared = _followed(route.operation["responses"][str(response.status_code)])["headers"]
    missing = {name for name, header in declared.items() if _followed(header).get("required") and name not in response}
    assert not missing
    assert {name for name in _HEADERS if name in response} <= set(declared)
