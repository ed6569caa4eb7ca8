"""Positions in a list's order, as addresses carry them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db.models import CharField, DateTimeField, Field, IntegerField

from chronos_storage.keyset import from_json, to_json

COLUMNS: list[Field[Any, Any]] = [DateTimeField(name="at"), CharField(name="id"), IntegerField(name="seq_num")]
NOON = datetime(2026, 3, 14, 12, 0, 0, 7, UTC)


def test_a_position_comes_back_as_it_was() -> None:
    position = (NOON, "1e5 é", 2**63 - 1)
    assert from_json(COLUMNS, json.loads(json.dumps(to_json(position)))) == position
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    assert from_json(COLUMNS[:1], to_json([elsewhere])) == (NOON,)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        "abc",
        [],
        ["2026-03-14T12:00:00+00:00", "x"],
        ["2026-03-14T12:00:00+00:00", "x", 1, 2],
        ["2026-03-14T12:00:00", "x", 1],
        ["yesterday", "x", 1],
        [7, "x", 1],
        ["2026-03-14T12:00:00+00:00", "\x00", 1],
        ["2026-03-14T12:00:00+00:00", "\ud800", 1],
        ["2026-03-14T12:00:00+00:00", 7, 1],
        ["2026-03-14T12:00:00+00:00", "x", "1"],
        ["2026-03-14T12:00:00+00:00", "x", True],
        ["2026-03-14T12:00:00+00:00", "x", 2**63],
    ],
)
def test_what_is_no_position_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever part is wrong
        from_json(COLUMNS, wrong)
