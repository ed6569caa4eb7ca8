"""The OpenAPI document: that it is one, that it is the one we know, and that the API keeps to it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from rest_framework.authtoken.models import Token
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, STRICTEST

SNAPSHOT = Path(__file__).with_name("openapi.json")
EXAMPLES = 3


# The same wherever it is made.
ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


@pytest.fixture
def document(staff: Api) -> Any:
    return staff.get("schema")


@ONCE
def test_the_document_is_valid_and_made_without_a_warning(staff: Api) -> None:
    GENERATOR_STATS.reset()
    document = staff.get("schema")
    validate_schema(document)
    openapi_spec_validator.validate(document)
    assert document["openapi"] == "3.1.0"
    assert not GENERATOR_STATS


@ONCE
def test_each_change_of_the_document_shows(document: Any) -> None:
    """``UPDATE_SNAPSHOT=1 pytest tests/api/test_schema.py`` writes the new one."""
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


@ONCE
def test_every_operation_says_what_it_does(document: Any) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(operation.get("description") for operation in operations)
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for operation in operations:
        for response in operation["responses"].values():
            assert "$ref" in response or response["description"] is not None
        for body in operation.get("requestBody", {}).get("content", {}).values():
            assert body["examples"]


@ONCE
def test_bodies_are_needed_and_take_no_other_fields(document: Any) -> None:
    """As the API answers 400 to none, and to a field it doesn't know."""
    for path in document["paths"].values():
        assert all(operation.get("requestBody", {"required": True})["required"] for operation in path.values())
    taken = {name: each for name, each in document["components"]["schemas"].items() if name.endswith("Request")}
    assert "TokenUsageRequest" in taken
    assert [name for name, each in taken.items() if each["additionalProperties"] is not False] == []


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_a_host_s_own_document_is_valid_with_the_api_mounted(settings: Any, version: str) -> None:
    """Under the host's settings of drf-spectacular, none of which are ours."""
    settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    GENERATOR_STATS.reset()
    written = io.StringIO()
    own = f"tests.api.host.OPENAPI_{version[0]}_{version[2]}"
    options = {
        "format": "openapi-json",
        "custom_settings": own,
        "urlconf": "tests.api.host",
        "validate": True,
        "fail_on_warn": True,
    }
    call_command("spectacular", **options, stdout=written)
    document = json.loads(written.getvalue())
    assert document["openapi"] == version
    assert {"/own/{id}", "/agents/api/sessions/{id}"} <= set(document["paths"])
    openapi_spec_validator.validate(document)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@contextmanager
def connections_kept() -> Iterator[None]:
    """A request closes no connection, and so doesn't end the test's transaction; Django's own client does the same."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


def closing(application: Callable[..., Any]) -> Callable[..., list[bytes]]:
    """The application with each response closed at its end, as a server does: an export's place is free again."""

    def call(environ: Any, start_response: Any) -> list[bytes]:
        response = application(environ, start_response)
        try:
            return list(response)
        finally:
            response.close()

    return call


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_keeps_to_the_document(
    mode: GenerationMode,
    alias: str,
    document: Any,
    staff: Api,
    filled: dict[str, str],
    settings: Any,
    subtests: Any,
) -> None:
    assert staff.user is not None
    settings.ALLOWED_HOSTS = ["localhost"]
    headers = {"Authorization": f"Token {Token.objects.create(user=staff.user).key}"}
    schema = schemathesis.openapi.from_dict(document)
    schema.app = closing(get_wsgi_application())
    # Streams have no end, and under WSGI there are none: tests/api/test_streams.py is about them.
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/stream") or (mode is GenerationMode.NEGATIVE and not takes_anything(operation)):
            continue
        # What is there, or most answers would be 404.
        known = {name: filled[name] for name in filled if f"{{{name}}}" in operation.path}

        def check(case: Any, known: dict[str, str] = known) -> None:
            if mode is GenerationMode.POSITIVE:
                case.path_parameters = known
            with connections_kept(), transaction.atomic(using=alias):
                case.call_and_validate(headers=headers, checks=CHECKS)
                transaction.set_rollback(True, using=alias)

        with subtests.test(f"{operation.method} {operation.path}"):
            run_examples(check, operation.as_strategy(generation_mode=mode))


def takes_anything(operation: Any) -> bool:
    """Whether there is something that can be sent wrongly: any text may be an ETag."""
    names = {parameter["name"] for parameter in operation.definition.raw.get("parameters", ())}
    return bool(names - {"If-None-Match"} or "requestBody" in operation.definition.raw)


def run_examples(check: Callable[[Any], None], cases: Any) -> None:
    """Check what is generated, the same each time."""

    @seed(20260131)
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def run(case: Any) -> None:
        check(case)

    run()
