"""The OpenAPI document: that it is one, and that it is the one we know; the API is held to it by `make soak`."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from typing import Any

import pytest
from django.core.management import call_command
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from chronos_storage.records import KINDS, MemoryRecord
from tests.api.conftest import SNAPSHOT, Api
from tests.conftest import ONLY_SQLITE

# The same wherever it is made.
ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


@pytest.fixture
def document(staff: Api) -> Any:
    return staff.get("schema")


def check(document: Any) -> None:
    """That it is an OpenAPI document."""
    import openapi_spec_validator  # which is large: not wherever tests are collected

    openapi_spec_validator.validate(document)


@ONCE
def test_the_document_is_valid_and_made_without_a_warning(staff: Api) -> None:
    GENERATOR_STATS.reset()
    document = staff.get("schema")
    validate_schema(document)
    check(document)
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
def test_records_have_all_of_their_fields(document: Any) -> None:
    for record in KINDS.values():
        schema = document["components"]["schemas"]["Memory" if record is MemoryRecord else record.__name__]
        names = [field.name for field in dataclasses.fields(record)]
        assert (record, list(schema["properties"])) == (record, names)


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
    check(document)
