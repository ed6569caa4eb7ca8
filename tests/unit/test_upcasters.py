"""Registering upcasters."""

from __future__ import annotations

import pytest

from chronos_storage import upcasters
from chronos_storage.exceptions import ConfigurationError, InvalidRecord
from chronos_storage.records import Event, Message


@pytest.fixture(autouse=True)
def steps(monkeypatch):
    known = {}
    monkeypatch.setattr(upcasters, "_steps", known)
    return known


def test_one_function_does_a_step():
    upcasters.register("order", 1, len)
    upcasters.register("order", 1, len)  # as where an app's ready() runs again
    with pytest.raises(ConfigurationError, match=r"'order'.*version 1"):
        upcasters.register("order", 1, max)
    assert upcasters.upcast(Event(schema="order", schema_version=1, payload=[1, 2])).payload == 2


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("schema", ("", 1, len)),
        ("schema", ("x" * 256, 1, len)),
        ("schema", (None, 1, len)),
        ("from_version", ("order", -1, len)),
        ("from_version", ("order", 2**63 - 1, len)),  # there is no version after it
        ("from_version", ("order", "1", len)),
        ("function", ("order", 1, None)),
    ],
    ids=str,
)
def test_what_no_step_can_be_is_refused(steps, field, arguments):
    with pytest.raises(InvalidRecord) as caught:
        upcasters.register(*arguments)
    assert caught.value.field == field
    assert steps == {}


def test_where_nothing_is_registered_nothing_is_touched():
    found = [Event(), Message()]
    assert upcasters.upcast_all(found) is found
    upcasters.register("order", 1, len)
    assert [upcasters.upcast(record) is record for record in found] == [True, True]
