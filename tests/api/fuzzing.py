"""How ``make soak`` fuzzes the API: what is sent as whom, what is checked of each answer, and what is counted."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Flaky
from rest_framework.authtoken.models import Token
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chronos_storage.api.ids import address
from chronos_storage.facade import Storage
from tests.api.conftest import SNAPSHOT, connections_kept, fill, signed_in

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: Who asks, by what `signed_in` takes.
KINDS: dict[str, dict[str, bool]] = {
    "user": {},
    "staff": {"staff": True, "permissions": True},
    "superuser": {"staff": True, "superuser": True},
}
#: Steps of the longest chain of calls.
_STEPS = 12


@cache
def _schema() -> Any:
    # It is held to what is served by tests/api/test_schema.py.
    document = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    # Streams have no end, and under WSGI there are none: tests/api/test_streams.py is about them.
    schema = schemathesis.openapi.from_dict(document).exclude(path_regex="/stream$")
    schema.app = closing(get_wsgi_application())
    return schema


@cache
def _machine() -> Any:
    return _schema().as_state_machine()


@dataclass
class Fuzz:
    """Fuzzes the API as one user.

    Attributes:
        cases: how many requests were sent.
        answered: how many of them by operation and status.
        followed: how many of them took what an earlier answer said, by the link between the two.
        faults: each different fault that a check found, with the request that shows it.
    """

    user: User
    site: Storage
    cases: int = 0
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    followed: Counter[str] = field(default_factory=Counter)
    faults: dict[tuple[str | None, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._headers = {"Authorization": f"Token {Token.objects.create(user=self.user).key}"}
        self._there: dict[str, str] = {}

    def operations(self, *, examples: int, number: int, path: str = "") -> None:
        """Send so many right and as many wrong requests to each operation, or to those of a path.

        Args:
            number: the same number, the same requests.
        """
        for result in _schema().get_all_operations():
            operation = result.ok()
            if path and operation.path != path:
                continue
            for mode in GenerationMode:
                if mode is GenerationMode.POSITIVE or takes_anything(operation):
                    self._examine(operation, mode, examples, number)

    def _examine(self, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
        @seed(number)
        @_settings(examples)
        @given(operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                self._aim(case)
            self._call(case)

        run()

    def chains(self, *, examples: int, number: int) -> None:
        """Send so many chains of requests, each of which takes from earlier answers what they offer."""
        fuzz = self

        class Chain(_machine()):  # type: ignore[misc]  # made of the document's links
            def step(self, given: Any) -> Any:
                case, linked = given.case, {}
                for location, name in given.applied_parameters:
                    if location.value == "path" and (id := unquote(case.path_parameters[name])):
                        linked[name] = address(id)
                fuzz._aim(case)
                case.path_parameters |= linked
                if given.transition is not None and given.is_applied:
                    fuzz.followed[given.transition.id] += 1
                return super().step(given)

            def call(self, case: Any, **options: Any) -> Any:
                return fuzz._call(case)

            def validate_response(self, *given: Any, **options: Any) -> None:
                """It was checked as soon as it came."""

        with suppress(Flaky):  # what was sent before may be answered otherwise now, as it is kept
            seed(number)(Chain).run(settings=_settings(examples))

    def _aim(self, case: Any) -> None:
        """Have the case ask for what is there, or most answers would be 404."""
        if not case.path_parameters:
            return
        if not self._there:
            self._there = fill(self.site, str(self.user.pk), f"-{self.user.pk}-{self.cases}")
        there = dict(self._there)
        if isinstance(case.body, dict):
            for name in case.body.keys() & {"after_message_id", "checkpoint_id", "cursor"}:
                case.body[name] = there[name]
            if "vector" in case.body:
                case.body["vector"] = [0.5, 0.5]
        if case.path.startswith("/sessions/{id}"):
            there["id"] = there["gone" if case.path.endswith("/restore") else "session_id"]
        if not self.user.is_staff:
            there["topic"] = f"session:{there['session_id']}"
        case.path_parameters = {name: there.get(name, id) for name, id in case.path_parameters.items()}
        if case.method == "DELETE" or case.path.endswith(("/prune", "/restore")):
            self._there = {}

    def _call(self, case: Any) -> Any:
        """The answer to a case; where some of its fields are refused, the answer without them."""
        response = self._checked(case)
        if response.status_code == 400 and _drop(case, response.json().get("errors", ())):
            return self._checked(case)
        return response

    def _checked(self, case: Any) -> Any:
        self.cases += 1
        response = case.call(headers=self._headers)
        self.answered[case.operation.label, response.status_code] += 1
        checks = set(CHECKS)
        if "fields" in case.query:  # what is not asked for, nobody can require
            checks.remove(response_schema_conformance)
        if case.path.endswith("/content") and response.status_code == 200:  # a file is of the type it was stored as
            checks.remove(content_type_conformance)
        try:
            case.validate_response(response, checks=[*checks], headers=self._headers)
        except FailureGroup as group:
            for failure in group.exceptions:
                self.faults.setdefault((failure.operation, failure.title), f"{failure}\n{group}")
        return response

    @property
    def succeeded(self) -> set[str]:
        """The operations that something was sent to with success."""
        return {operation for operation, status in self.answered if status < 300}

    def told(self) -> str:
        """The faults, for who mends them."""
        return "\n\n".join(self.faults.values())

    def __str__(self) -> str:
        """What was counted, in a line."""
        succeeded = sum(number for (_, status), number in self.answered.items() if status < 300)
        return (
            f"{self.cases:,} cases, {succeeded:,} of them with success, by {len(self.succeeded)} operations; "
            f"{self.followed.total():,} along {len(self.followed)} links; {len(self.faults)} faults"
        )


def _drop(case: Any, errors: Iterable[dict[str, str]]) -> bool:
    """Take out of a case the fields that these errors are about; whether there were any."""
    found = False
    for error in errors:
        *path, name = re.findall(r"[^.\[\]]+", error["field"]) or [""]
        for place in (case.query, case.headers, _inside(case.body, path)):
            if isinstance(place, MutableMapping) and name in place:
                del place[name]
                found = True
    return found


def _inside(body: Any, path: list[str]) -> Any:
    """What stands in a body under a path; None if there is nothing."""
    for name in path:
        if isinstance(body, dict):
            body = body.get(name)
        elif isinstance(body, list) and name.isdecimal() and int(name) < len(body):
            body = body[int(name)]
    return body


def takes_anything(operation: Any) -> bool:
    """Whether there is something that can be sent wrongly, as any text can be a header's."""
    raw = operation.definition.raw
    return "requestBody" in raw or any(each["in"] != "header" for each in raw.get("parameters", ()))


def _settings(examples: int) -> hypothesis_settings:
    return hypothesis_settings(
        max_examples=examples,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def closing(application: Callable[..., Any]) -> Callable[..., list[bytes]]:
    """The application with each response closed at its end, as a server does: an export's place is free again."""

    def call(environ: Any, start_response: Any) -> list[bytes]:
        response = application(environ, start_response)
        try:
            return list(response)
        finally:
            response.close()

    return call


@pytest.fixture
def fuzz(site: Storage, settings: Any, caplog: Any) -> Iterator[Callable[[str], Fuzz]]:
    """Gives what fuzzes the API over the test's database as a kind of user."""
    settings.ALLOWED_HOSTS = ["localhost"]
    caplog.set_level(logging.ERROR, "django.request")  # with the traceback of what is a 500

    def fuzz_as(kind: str) -> Fuzz:
        user = signed_in(kind, **KINDS[kind]).user
        assert user is not None
        return Fuzz(user, site)

    with connections_kept():
        yield fuzz_as
