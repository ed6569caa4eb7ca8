"""What of the contract a configured storage keeps: the suite run over it, apart from what it holds."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction
from django.test.utils import override_settings, setup_databases, teardown_databases

from .. import conf
from ..backends.base import Backend
from ..facade import Storage

_MODULE = "chronos_storage.testing.suite"


@dataclass
class Report:
    """How a suite went.

    Attributes:
        groups: of each part of the contract how many tests ended how: ``passed``, ``failed`` or ``skipped``.
        failures: each failed test's name with what was wrong.
        lacks: what the tests that were skipped say of the backend, each once.
        complete: whether the suite was run to its end.
    """

    groups: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    complete: bool = False

    @property
    def total(self) -> Counter[str]:
        """How many tests ended how."""
        return sum(self.groups.values(), Counter())

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        if not self.complete:
            return "The tests were not all run."
        return "The contract is not kept." if self.failures else ""

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON's types."""
        return asdict(self)

    def __str__(self) -> str:
        return ", ".join(f"{self.total[how]:,} {how}" for how in ("passed", "failed", "skipped"))


def run(storage: Storage, step: Callable[[Report, int], object]) -> Report:
    """Run `StorageConformance` on stores like this one: over a test database, or apart in the same store.

    Args:
        step: called after each test with the report as far as it is, and how many tests there are.

    Raises:
        NotSupported: the backend can't have a store apart from its own.
        KeyboardInterrupt: as `step` raised it.
    """
    backend = storage.backend
    open_store = _in_database(backend) if backend.using is not None else _apart(backend)
    report = Report()
    with tempfile.TemporaryDirectory() as folder, open_store as stores, _files_in_memory():
        # Nothing of the host's own tests is of interest here: no settings of pytest, no fixtures and no plugins.
        ini = Path(folder, "pytest.ini")
        ini.write_text("[pytest]\n")
        options = ["--pyargs", _MODULE, f"--rootdir={folder}", f"--config-file={ini}", "--noconftest"]
        quiet = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "-p", "no:terminal"]
        status = pytest.main([*options, *quiet], plugins=[_Stores(stores), _Counting(report, step)])
    if status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    report.complete = status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    return report


def _files_in_memory() -> AbstractContextManager[Any]:
    """The bytes of the suite's artifacts are kept in memory, and not in the host's file storage."""
    in_memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    return override_settings(STORAGES={**settings.STORAGES, conf.artifact_storage(): in_memory})


class _Stores:
    """The fixtures of the suite."""

    def __init__(self, open_store: Callable[[bool], AbstractContextManager[Storage]]) -> None:
        self._open = open_store

    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        with self._open(False) as storage:
            yield storage

    @pytest.fixture
    def storage_committed(self) -> Iterator[Storage]:
        with self._open(True) as storage:
            yield storage


class _Counting:
    """What pytest tells of each test."""

    def __init__(self, report: Report, step: Callable[[Report, int], object]) -> None:
        self._report = report
        self._step = step
        self._group_of: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        self._group_of = {item.nodeid: _title(item.function.__qualname__) for item in items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        name = report.nodeid.partition("::")[2].partition("::")[2]
        self._report.groups.setdefault(self._group_of[report.nodeid], Counter())[report.outcome] += 1
        if report.failed:
            self._report.failures.append((name, report.longreprtext))
        elif report.skipped and isinstance(report.longrepr, tuple):
            why = report.longrepr[2].removeprefix("Skipped: ")
            if why not in self._report.lacks:
                self._report.lacks.append(why)
        self._step(self._report, len(self._group_of))


def _title(name: str) -> str:
    """A group's name, in words, of its class's."""
    words = re.findall("[A-Z][a-z]*", name.partition(".")[0].removesuffix("Contract"))
    return " ".join(words).capitalize()


@contextmanager
def _apart(backend: Backend) -> Iterator[Callable[[bool], AbstractContextManager[Storage]]]:
    @contextmanager
    def open_store(committed: bool) -> Iterator[Storage]:
        with backend.apart() as other:
            yield Storage(other)

    with backend.apart():  # or the first test would be the one to say that there is none
        yield open_store


@contextmanager
def _in_database(backend: Backend) -> Iterator[Callable[[bool], AbstractContextManager[Storage]]]:
    alias: Any = backend.using
    storage = Storage(backend)

    @contextmanager
    def open_store(committed: bool) -> Iterator[Storage]:
        if committed:
            yield storage
            call_command("flush", database=alias, interactive=False, verbosity=0)
            return
        with transaction.atomic(using=alias):
            yield storage
            transaction.set_rollback(True, using=alias)

    with ExitStack() as stack:
        settings = connections[alias].settings_dict["TEST"]
        before = dict(settings)
        stack.callback(settings.update, before)
        stack.callback(settings.clear)
        settings["DEPENDENCIES"] = []  # Django has others wait for the default one, of which none is made here
        if connections[alias].vendor == "sqlite" and settings["NAME"] is None:
            # A file, as threads can't share what is in memory.
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings["NAME"] = str(Path(folder, "test.sqlite3"))
        made = setup_databases(verbosity=0, interactive=False, aliases={alias: True})
        stack.callback(teardown_databases, made, verbosity=0)
        yield open_store
