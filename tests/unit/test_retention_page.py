"""The table of docs/retention.md has what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from chronos_storage.operations import retention

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "retention.md").read_text(encoding="utf-8")


def test_the_table_has_the_keys_of_each_type() -> None:
    table = {}
    for types, keys in re.findall(r"^\| (`.*?) \|.*\| (.*?) \|$", PAGE, re.MULTILINE):
        for kind in re.findall(r"`(\w+)`", types):
            others = keys.partition(";")
            named = re.findall(r"(\*\*)?`(\w+)`", others[0] if kind == "audit_log" else keys)
            table[kind] = {f"{key}!" if bold else key for bold, key in named}
    assert table == {kind: set(keys) for kind, keys in retention.KEYS.items()}
