"""The conformance suite itself: that none of its tests is lost, and none of the interface's methods forgotten."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

from chronos_storage.testing import StorageConformance, conformance
from chronos_storage.testing.conformance.asynchronous import METHODS, QUESTIONS

GROUPS = StorageConformance.__bases__


def test_no_test_hides_another_of_its_name():
    names = Counter(name for group in GROUPS for name in vars(group) if name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_group_is_in_it():
    folder = Path(conformance.__path__[0])
    modules = {inspect.getmodule(group).__name__.rpartition(".")[2] for group in GROUPS}
    assert modules == {path.stem for path in folder.glob("*.py")} - {"__init__", "helpers", "samples"}


def test_every_method_and_its_asynchronous_variant_is_put_to_work():
    source = "".join(path.read_text() for path in Path(conformance.__path__[0]).glob("*.py"))
    assert len(METHODS) > 90  # or there was nothing to look at
    worked = {name for name in METHODS if f"storage.a{name}(" in source or f"storage_committed.a{name}(" in source}
    assert METHODS - worked - set(QUESTIONS) == set()
