"""Who may use which route, and what is answered: the table of docs/api.md, row by row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Permission
from django.db import transaction

from chronos_storage.api import urls
from chronos_storage.api.ids import OWN_NAMES
from chronos_storage.api.scopes import DATA_TYPES
from chronos_storage.facade import Storage
from chronos_storage.testing.conformance.helpers import case, cases
from tests.api.conftest import Api, body_of, connections_kept
from tests.api.routes import ANSWERS, DOCUMENT, PAGE, ROUTES, Route, check_declared
from tests.api.test_streams import ask
from tests.conftest import ONLY_SQLITE, STRICTEST, alias_of

alias = alias_of(ONLY_SQLITE)

#: What the table calls the rows of a model, by its label.
MODELS = {label: "embeddings" if label.endswith("embedding") else name for label, name in DATA_TYPES.items()}


def routes() -> Iterator[str]:
    for pattern in urls.urlpatterns:
        callback: Any = pattern.callback
        methods = getattr(callback, "actions", None) or [
            name for name in callback.cls.http_method_names if hasattr(callback.cls, name)
        ]
        path = re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        if path != "{rest}":
            yield from (f"{method.upper()} {path}" for method in methods if method != "head")


def test_every_route_is_in_the_table() -> None:
    assert {f"{route.method} {route.pattern}" for route in ROUTES} == set(routes())
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def test_the_names_of_routes_are_no_addresses_of_ids() -> None:
    paths = {str(pattern.pattern) for pattern in urls.urlpatterns}
    lists = {path.removesuffix("<str:id>") for path in paths if path.endswith("/<str:id>")}
    names = {path.removeprefix(each) for path in paths for each in lists if path.startswith(each)}
    assert {name for name in names if "<" not in name and "/" not in name} == OWN_NAMES
    assert f"({', '.join(f'`{name}`' for name in sorted(OWN_NAMES))})" in " ".join(PAGE.split())


@pytest.fixture
def askers(anonymous: Api, ada: Api, bob: Api, staff: Api, superuser: Api) -> dict[str, Api]:
    """Who asks about what is ada's, as the table calls them."""
    return {"anonymous": anonymous, "owner": ada, "other": bob, "staff": staff, "superuser": superuser}


def status_for(who: str, route: Route) -> int:
    """What the table says."""
    status: int = 401 if who == "anonymous" else getattr(route, "staff" if who == "superuser" else who)
    return status


class _Undone(Exception):
    pass


@contextmanager
def undone(site: Storage) -> Iterator[None]:
    """Nothing that is done to the storage in the block remains."""
    with suppress(_Undone), site.atomic():
        yield
        raise _Undone


def asked_by(*askers: str, where: Any) -> Any:
    return pytest.param(askers, *where.values, marks=where.marks, id=f"{'-'.join(askers)}-{where.id}")


@pytest.mark.parametrize(
    ("names", "alias"),
    [
        # these come to the database, the stricter one
        *(asked_by("owner", "staff", where=where) for where in STRICTEST),
        *(asked_by("anonymous", "other", "superuser", where=where) for where in ONLY_SQLITE),
    ],
    indirect=["alias"],
)
def test_who_is_answered_what(
    names: tuple[str, ...], askers: dict[str, Api], site: Storage, alias: str, cursor: str
) -> None:
    check_answers(names, askers, site, alias, cursor)


def check_answers(names: Iterable[str], askers: dict[str, Api], site: Storage, alias: str, cursor: str) -> None:
    """Have each of these ask for all that there is, and nothing be left of it in a storage that has transactions."""
    for who, route in cases(product(names, ROUTES)):
        with case(who, route.name), undone(site), transaction.atomic(using=alias):
            response = askers[who].ask(route.method, route.path(), route.body(cursor), **route.headers)
            assert response.status_code == route.without_asgi(status_for(who, route))
            check_declared(route, response)
            body = body_of(response)
            if response.status_code >= 400:
                assert response["Content-Type"] == "application/problem+json"
                assert response.json()["status"] == response.status_code
            elif who == "other" and route.method == "GET":
                assert not any(json.loads(body).get(name) for name in ("results", "audit_logs", "total_tokens"))
            transaction.set_rollback(True, using=alias)


def test_what_is_unchanged_is_not_sent_again(cursor: str, staff: Api) -> None:
    for route in cases(route for route in ROUTES if route.method == "GET" and "streams" not in route.limits):
        with case(route.name):
            first = staff.ask("GET", route.path())
            body_of(first)
            again = staff.ask("GET", route.path(), If_None_Match=first.get("ETag", '"0"'))
            assert again.status_code == (304 if 304 in route.also else 200)
            assert bool(body_of(again)) == (304 not in route.also)
            check_declared(route, again)


def test_who_may_follow(askers: dict[str, Api], cursor: str) -> None:
    """Under ASGI."""

    async def status(asker: Api, path: str) -> int:
        response: Any = await ask(asker, path)
        if response.streaming:
            with connections_kept():
                await sync_to_async(response.close)()
        return int(response.status_code)

    for who, route in cases(product(askers, (route for route in ROUTES if 501 in route.also))):
        with case(who, route.name):
            assert async_to_sync(status)(askers[who], route.path()) == status_for(who, route)


def test_what_staff_need(alias: str, cursor: str, novice: Api) -> None:
    """Each of the permissions, and no more."""
    assert novice.user
    labels = {name: label.split(".") for label, name in MODELS.items()}
    known = {
        (each.content_type.app_label, each.codename): each for each in Permission.objects.select_related("content_type")
    }
    for route in ROUTES:
        needed = []
        for verb, what in route.needs:
            app, model = labels[what.replace(" ", "-")]
            needed.append(known[app, f"{verb}_{model}"])
        with case(route.name), transaction.atomic(using=alias):
            for lacking in needed:
                novice.user.user_permissions.set(each for each in needed if each != lacking)
                answer = novice.ask(route.method, route.path(), route.body(cursor), **route.headers)
                assert answer.status_code == 403, lacking
            novice.user.user_permissions.set(needed)
            answer = novice.ask(route.method, route.path(), route.body(cursor), **route.headers)
            assert answer.status_code == route.without_asgi(route.staff)
            body_of(answer)
            transaction.set_rollback(True, using=alias)


def test_what_has_a_version_is_written_under_a_condition(alias: str, cursor: str, staff: Api) -> None:
    for route in ROUTES:
        if route.method in ("PATCH", "PUT", "DELETE"):
            with case(route.name), transaction.atomic(using=alias):
                answer = staff.ask(route.method, route.path(), route.body(cursor), **route.headers, If_Match='"0"')
                assert answer.status_code == (412 if 412 in route.also else 400), answer.content
                check_declared(route, answer)
                transaction.set_rollback(True, using=alias)


def test_what_is_sent_again_says_so(alias: str, cursor: str, staff: Api) -> None:
    for route in ROUTES:
        keyed = any(each["name"] == "Idempotency-Key" for each in (route.operation or {}).get("parameters", ()))
        if keyed and route.staff == 201:
            body = route.body(cursor)
            if isinstance(body, dict):
                body.pop("id", None)  # the key makes it
            with case(route.name), transaction.atomic(using=alias):
                for replayed in (None, "true"):
                    answer = staff.ask("POST", route.path(), body, Idempotency_Key="first")
                    assert (answer.status_code, answer.get("Idempotent-Replayed")) == (201, replayed)
                    check_declared(route, answer)
                transaction.set_rollback(True, using=alias)


def test_the_openapi_document_says_the_same() -> None:
    """What any route may answer, what one with a body may, and what this one may besides."""
    everywhere = {status for status, where in ANSWERS.items() if where == "any route"}
    with_body = {status for status, where in ANSWERS.items() if where.startswith("with a body")}
    documented = {}
    for route in ROUTES:
        if route.operation is not None:
            successes = {status for status in (route.owner, route.staff) if status < 300}
            answers = everywhere | successes | route.also | (with_body if "body" in route.limits else set())
            documented.setdefault((route.pattern, route.method), set()).update(answers)
    assert documented == {
        (path[1:], method.upper()): {int(status) for status in operation["responses"]}
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert {status for route in ROUTES for status in route.also} == {
        status for status, where in ANSWERS.items() if where.endswith("see the routes")
    }


def test_there_is_nothing_else(ada: Api, anonymous: Api) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert ada.ask(method, "no/such/thing").status_code == 404
        assert anonymous.ask(method, "no/such/thing").status_code == 401


def test_other_methods_are_not_allowed(ada: Api, cursor: str) -> None:
    known = {f"{route.method} {route.pattern}" for route in ROUTES}
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    firsts = {route.pattern: route for route in reversed(ROUTES)}.values()  # which are without what only some take
    for route, method in cases(product(firsts, methods)):
        if f"{method} {route.pattern}" not in known:
            with case(method, route.pattern):
                status = ada.ask(method, route.path(), {}).status_code
                # who may not even look is told so first
                assert status in ((403, 405) if route.owner == 403 else (405,))
