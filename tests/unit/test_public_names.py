"""What is public is what the snapshot says: a change of it is meant, and stands in the changelog."""

from __future__ import annotations

import ast
import importlib
from difflib import unified_diff

import pytest

from tests.typed import public

KEPT = public.SNAPSHOT.read_text()


def test_snapshot_is_of_this_code() -> None:
    changed = unified_diff(KEPT.splitlines(), public.text().splitlines(), "public.txt", "this code", lineterm="", n=1)
    if lines := list(changed):
        pytest.fail("what is public has changed; if that is meant, run make api-snapshot\n" + "\n".join(lines))


@pytest.mark.parametrize("module", ["", "records", "exceptions", "models", "config", "signals", "upcasters", "testing"])
def test_names_can_be_imported(module: str) -> None:
    name = f"chronos_storage.{module}".rstrip(".")
    names = public.public_names(name)
    imported = importlib.import_module(name)
    assert names
    assert [each for each in names if not hasattr(imported, each)] == []


def test_what_a_class_inherits_stands_with_it() -> None:
    storage = public.find("chronos_storage", "Storage")
    assert storage is not None
    assert {"append_event", "aappend_event", "purge_permit"} <= set(public.members(storage))
    (method,) = public.members(storage)["get_event"]
    assert isinstance(method, ast.FunctionDef)
    assert public.signature(method) == "def get_event(self, id: str, *, session_id: str | None=None) -> Event | None"
