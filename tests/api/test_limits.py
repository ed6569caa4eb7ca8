"""The limits that the table of docs/api.md names hold on the routes where it names them."""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.cache import cache
from django.db import connections, transaction

from chronos_storage.api.ids import MAX_NAMES
from chronos_storage.api.pagination import PAGE_SIZE
from chronos_storage.api.problems import MAX_ERRORS
from chronos_storage.api.streaming import HEARTBEAT
from chronos_storage.api.traces import MAX_TREE
from chronos_storage.ledger.pages import MAX_PAGE
from chronos_storage.sending import STALL_TIMEOUT
from chronos_storage.testing.conformance.helpers import case, cases
from tests.api.conftest import Api, body_of, connections_kept
from tests.api.routes import MOST, PAGE, RATES, ROUTES, Route, check_declared
from tests.api.test_streams import ask
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)


def limited(limit: str) -> list[Route]:
    """The routes on which a limit holds, and staff can come up to it."""
    return cases(route for route in ROUTES if limit in route.limits and route.staff < 300)


def test_every_limit_is_one_of_those_that_are_explained() -> None:
    for route in ROUTES:
        assert len(route.limits & RATES) == 1, route.name
        assert route.limits <= RATES | set(MOST), route.name
        if route.operation:
            names = {parameter["name"] for parameter in route.operation.get("parameters", ())}
            assert ("page" in route.limits) == ("page_size" in names), route.name
            assert ("entries" in route.limits) == ("limit" in names), route.name
            assert ("body" in route.limits) == ("requestBody" in route.operation), route.name


def test_the_text_has_the_numbers_of_the_code() -> None:
    text = " ".join(PAGE.split())
    for said in (
        f"reads up to {MAX_NAMES} by their ids",
        f"`errors`, the first {MAX_ERRORS} of them",
        f"({PAGE_SIZE} unless `PAGE_SIZE` says otherwise)",
        f"they come to about {MAX_PAGE // 2**20} MiB",
        f"`STALL_TIMEOUT` seconds ({STALL_TIMEOUT})",
        f"A tree of more than {MAX_TREE:,} spans",
        f"Every {HEARTBEAT} seconds",
    ):
        assert said in text, said


def test_a_request_counts_by_its_rate(alias: str, staff: Api, cursor: str, settings: Any) -> None:
    """And by no other: none of those lets a single one through."""
    for rate, route in cases((rate, route) for rate in RATES for route in ROUTES if rate in route.limits):
        rates = {f"chronos_{each}": "1/hour" if each == rate else "0/hour" for each in RATES}
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
        cache.clear()
        with case(route.name), transaction.atomic(using=alias):
            allowed = staff.ask(route.method, route.path(), route.body(cursor), **route.headers)
            assert allowed.status_code == route.without_asgi(route.staff)
            body_of(allowed)
            refused = staff.ask(route.method, route.path(), route.body(cursor), **route.headers)
            assert refused.status_code == 429
            check_declared(route, refused)
            transaction.set_rollback(True, using=alias)


def test_bodies(staff: Api, cursor: str, settings: Any) -> None:
    for size, status in ((MOST["body"], 400), (MOST["body"] + 1, 413)):
        assert staff.ask("POST", "sessions", raw=b" " * size).status_code == status
    settings.CHRONOS_STORAGE = {"API": {"MAX_BODY": 1}}
    form = "application/x-www-form-urlencoded"
    for route in limited("body"):
        body = json.dumps(route.body(cursor)).encode()
        with case(route.name):
            chunked = {"Transfer-Encoding": "chunked"}
            for answer, status in (
                (staff.ask(route.method, route.path(), raw=body), 413),
                (staff.ask(route.method, route.path(), **chunked), 411),
                (staff.client.generic(route.method, f"/api/{route.path()}", body, content_type=form), 415),
            ):
                assert answer.status_code == status
                check_declared(route, answer)


def test_pages(staff: Api, cursor: str) -> None:
    for limit, parameter in (("page", "page_size"), ("entries", "limit")):
        for route in limited(limit):
            with case(route.name):
                path = f"{route.path()}{'&' if '?' in route.path() else '?'}{parameter}="
                staff.get(f"{path}{MOST[limit]}")
                problem = staff.get(f"{path}{MOST[limit] + 1}", 400)
                assert [each["field"] for each in problem["errors"]] == [parameter]


def test_batches(alias: str, staff: Api, cursor: str) -> None:
    for route in limited("batch"):
        body = route.body(cursor)
        [name] = (name for name, value in body.items() if isinstance(value, list))
        item = {field: value for field, value in body[name][0].items() if field != "id"}
        with case(route.name), transaction.atomic(using=alias):
            for count, status in ((MOST["batch"] + 1, 400), (MOST["batch"], 201)):
                staff.post(route.path(), {**body, name: [item] * count}, status)
            transaction.set_rollback(True, using=alias)


def test_exports_at_once(staff: Api, cursor: str) -> None:
    routes = limited("exports")
    under_way = [staff.ask("GET", routes[n % len(routes)].path()) for n in range(MOST["exports"])]
    for route in routes:
        refused = staff.ask("GET", route.path())
        assert refused.status_code == 429
        check_declared(route, refused)
    assert {export.status_code for export in under_way} == {200}
    for export in under_way:
        body_of(export)


def test_streams_at_once(staff: Api, cursor: str, site: Any) -> None:
    routes = limited("streams")

    async def follow() -> None:
        under_way = [await ask(staff, routes[n % len(routes)].path()) for n in range(MOST["streams"])]
        refused = [await ask(staff, route.path()) for route in routes]
        with connections_kept():
            for stream in under_way:
                await sync_to_async(stream.close)()
        assert {stream.status_code for stream in under_way} == {200}
        for route, answer in zip(routes, refused, strict=True):
            assert answer.status_code == 429
            check_declared(route, answer)

    async_to_sync(follow)()


def test_a_store_that_can_only_be_read_is_said(ada: Api, alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
        try:
            answer = ada.ask("POST", "sessions", {"title": "one"})
        finally:
            cursor.execute("PRAGMA query_only = OFF")
    assert answer.status_code == 503, answer.content
    assert answer.json()["type"] == "urn:chronos-storage:problem:store-failure"
    assert "Retry-After" not in answer
